//! The figures that each shard has one of, as families of metrics.

use super::gather::ShardReport;
use super::text::Kind;

/// A family with one sample for each shard.
pub struct Single {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
    pub value: fn(&ShardReport) -> f64,
}

const fn counter(name: &'static str, help: &'static str, value: fn(&ShardReport) -> f64) -> Single {
    Single { name, kind: Kind::Counter, help, value }
}

const fn gauge(name: &'static str, help: &'static str, value: fn(&ShardReport) -> f64) -> Single {
    Single { name, kind: Kind::Gauge, help, value }
}

/// What the shard's thread and its ring do.
pub const RUNTIME: &[Single] = &[
    counter("duramen_shard_busy_seconds_total", "Time in which the shard had something to do.", |shard| {
        shard.runtime.busy().as_secs_f64()
    }),
    counter("duramen_shard_blocked_seconds_total", "Time in which the shard waited for something to do.", |shard| {
        shard.runtime.blocked.as_secs_f64()
    }),
    gauge(
        "duramen_task_run_longest_seconds",
        "Longest run of a task without a yield since the last scrape.",
        |shard| shard.runtime.longest_run.as_secs_f64(),
    ),
    counter("duramen_task_polls_total", "Runs of tasks.", |shard| shard.runtime.polls as f64),
    counter("duramen_ring_enters_total", "System calls that entered the ring.", |shard| shard.runtime.enters as f64),
    counter("duramen_wakeups_total", "Ends of a sleep of the shard.", |shard| shard.runtime.wakeups as f64),
    counter("duramen_wakes_sent_total", "Messages sent to wake other shards.", |shard| shard.runtime.wakes_sent as f64),
    gauge("duramen_tasks", "Tasks that exist.", |shard| shard.runtime.tasks as f64),
    gauge("duramen_ring_operations", "Operations in the ring.", |shard| shard.runtime.operations as f64),
    gauge("duramen_pool_queue", "Blocking calls that wait for a thread of the pool, of all shards.", |shard| {
        shard.runtime.pool_queue as f64
    }),
    gauge("duramen_receive_buffer_bytes", "Bytes of receive buffers that are mapped.", |shard| {
        shard.runtime.receive_bytes as f64
    }),
    gauge("duramen_receive_buffers_held", "Receive buffers that hold received bytes.", |shard| {
        shard.runtime.receive_buffers_held as f64
    }),
    gauge("duramen_receive_starved", "Connections that wait for a receive buffer.", |shard| {
        shard.runtime.receive_starved as f64
    }),
];

/// Connections, sessions, and what waits.
pub const SERVING: &[Single] = &[
    gauge("duramen_connections", "Connections that are open.", |shard| shard.connections as f64),
    counter("duramen_connections_accepted_total", "Connections taken up by the shard.", |shard| {
        shard.counted.connections_accepted as f64
    }),
    counter("duramen_connections_refused_total", "Connections refused because of a limit.", |shard| {
        shard.counted.connections_refused as f64
    }),
    counter("duramen_connections_failed_total", "Connections closed because of an error.", |shard| {
        shard.counted.connections_failed as f64
    }),
    gauge("duramen_fetch_sessions", "Incremental fetch sessions that are kept.", |shard| shard.fetch_sessions as f64),
    gauge("duramen_appends_under_way", "Produce requests that are queued or wait for their commit.", |shard| {
        shard.queues.appends as f64
    }),
    gauge("duramen_reads_parked", "Fetches that wait for records.", |shard| shard.queues.parked_reads as f64),
    gauge("duramen_cold_reads_queued", "Fetches that wait for a reader of cold segments.", |shard| {
        shard.queues.cold_reads as f64
    }),
    gauge("duramen_group_requests_under_way", "Requests of group members that wait for their answer.", |shard| {
        shard.group_requests as f64
    }),
    gauge("duramen_gather_bytes", "Memory held by requests that arrive in pieces.", |shard| shard.gather_used as f64),
    gauge("duramen_gather_budget_bytes", "Bound of duramen_gather_bytes, but for a single request.", |shard| {
        shard.gather_max as f64
    }),
    gauge("duramen_gather_waiting", "Requests that arrive in pieces and wait for memory.", |shard| {
        shard.gather_waiting as f64
    }),
];

/// What the log does and holds.
pub const LOG: &[Single] = &[
    gauge("duramen_partitions", "Partitions that the shard owns.", |shard| shard.log.partitions as f64),
    gauge("duramen_log_bytes", "Bytes of all segments of the shard's partitions.", |shard| shard.stored as f64),
    gauge("duramen_log_memory_bytes", "Memory that is mapped for the tails of logs.", |shard| {
        shard.log.memory_mapped as f64
    }),
    gauge("duramen_log_memory_budget_bytes", "Bound of duramen_log_memory_bytes.", |shard| {
        shard.log.memory_budget as f64
    }),
    gauge("duramen_log_open_files", "Segment files that are kept open.", |shard| shard.log.open_files as f64),
    counter("duramen_log_appended_bytes_total", "Bytes of record batches appended.", |shard| {
        shard.log.bytes_appended as f64
    }),
    counter("duramen_log_appended_batches_total", "Record batches appended.", |shard| {
        shard.log.batches_appended as f64
    }),
    counter("duramen_log_syncs_total", "Synced writes of the journal and syncs of segments.", |shard| {
        (shard.log.journal_frames + shard.log.segment_syncs) as f64
    }),
    counter("duramen_journal_frames_total", "Frames of the journal; each is one synced write.", |shard| {
        shard.log.journal_frames as f64
    }),
    counter("duramen_journal_entries_total", "Partitions in the journal's frames.", |shard| {
        shard.log.journal_entries as f64
    }),
    counter("duramen_journal_written_bytes_total", "Bytes of the journal's frames.", |shard| {
        shard.log.journal_frame_bytes as f64
    }),
    gauge("duramen_journal_used_bytes", "Bytes of the journal whose records are not yet safe in segments.", |shard| {
        shard.log.journal_used as f64
    }),
    gauge("duramen_journal_size_bytes", "Size of the journal.", |shard| shard.log.journal_len as f64),
    counter("duramen_ring_frames_total", "Frames of the mapped ring (durability=replicated).", |shard| {
        shard.log.ring_frames as f64
    }),
    counter("duramen_ring_written_bytes_total", "Bytes of the ring's frames.", |shard| {
        shard.log.ring_frame_bytes as f64
    }),
    gauge("duramen_ring_used_bytes", "Bytes of the ring whose records are not yet in segments.", |shard| {
        shard.log.ring_used as f64
    }),
    gauge("duramen_ring_size_bytes", "Size of the ring.", |shard| shard.log.ring_len as f64),
    counter("duramen_segment_writes_total", "Writes to segments.", |shard| shard.log.segment_writes as f64),
    counter("duramen_segment_written_bytes_total", "Bytes written to segments.", |shard| {
        shard.log.segment_bytes_written as f64
    }),
    counter("duramen_segment_bounce_bytes_total", "Bytes of partial blocks that were copied to be written.", |shard| {
        shard.log.bounce_bytes as f64
    }),
    counter("duramen_segment_syncs_total", "Syncs of segments.", |shard| shard.log.segment_syncs as f64),
    counter("duramen_segments_removed_total", "Segments removed by retention or deletion.", |shard| {
        shard.log.segments_removed as f64
    }),
    counter("duramen_checkpoints_total", "Checkpoints written.", |shard| shard.log.checkpoints as f64),
    counter("duramen_checkpoint_bytes_total", "Bytes of checkpoints.", |shard| shard.log.checkpoint_bytes as f64),
    counter("duramen_cold_disk_bytes_total", "Bytes that cold reads took from the disk.", |shard| {
        shard.log.cold_read_bytes as f64
    }),
    counter("duramen_cold_read_waits_total", "Cold reads that waited because enough others were running.", |shard| {
        shard.log.cold_read_waits as f64
    }),
];
