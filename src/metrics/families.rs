//! The figures that each shard has one of, one row each: name, value on this shard, and what it means.
//!
//! What a shard reports is taken apart by name and whole, so that the compiler finds a figure that is counted and not
//! shown.

use std::fmt;
use std::time::Duration;

use super::Snapshot;
use super::gather::ShardReport;
use super::text::Kind;
use crate::shard::figures::Queues;
use crate::{log, runtime};

/// A family of which each shard has one sample, with that sample. All shards have the same rows in the same order.
pub struct Row {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
    pub value: Number,
}

/// A value as it is written.
pub enum Number {
    Count(u64),
    /// In seconds.
    Time(Duration),
}

impl From<u64> for Number {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for Number {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<Duration> for Number {
    fn from(time: Duration) -> Self {
        Self::Time(time)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Count(count) => count.fmt(formatter),
            Number::Time(time) => time.as_secs_f64().fmt(formatter),
        }
    }
}

fn counter(name: &'static str, value: impl Into<Number>, help: &'static str) -> Row {
    Row { name, kind: Kind::Counter, help, value: value.into() }
}

fn gauge(name: &'static str, value: impl Into<Number>, help: &'static str) -> Row {
    Row { name, kind: Kind::Gauge, help, value: value.into() }
}

/// All rows of a shard.
pub fn rows(shard: &ShardReport) -> Vec<Row> {
    let mut rows = runtime(&shard.runtime);
    rows.extend(serving(shard));
    rows.push(gauge("duramen_log_bytes", shard.stored, "Bytes of all segments of the shard's partitions."));
    rows.extend(log(&shard.log));
    rows
}

/// What the shard's thread and its ring do.
fn runtime(stats: &runtime::Stats) -> Vec<Row> {
    let runtime::Stats {
        elapsed: _,
        blocked,
        longest_run,
        polls,
        passes,
        enters,
        wakeups,
        wakes_sent,
        tasks,
        operations,
        timers,
        receive_bytes,
        receive_buffers_held,
        receive_starved,
        pool_queue,
    } = *stats;
    vec![
        counter("duramen_shard_busy_seconds_total", stats.busy(), "Time in which the shard had something to do."),
        counter("duramen_shard_blocked_seconds_total", blocked, "Time in which the shard waited for something to do."),
        gauge("duramen_task_run_longest_seconds", longest_run, "Longest run without a yield since the last scrape."),
        counter("duramen_task_polls_total", polls, "Runs of tasks."),
        counter("duramen_pump_passes_total", passes, "Passes of the pump, which moves entries and completions."),
        counter("duramen_ring_enters_total", enters, "System calls that entered the ring."),
        counter("duramen_wakeups_total", wakeups, "Ends of a sleep of the shard."),
        counter("duramen_wakes_sent_total", wakes_sent, "Messages sent to wake other shards."),
        gauge("duramen_tasks", tasks, "Tasks that exist."),
        gauge("duramen_timers", timers, "Deadlines that are waited for."),
        gauge("duramen_ring_operations", operations, "Operations in the ring."),
        gauge("duramen_pool_queue", pool_queue, "Blocking calls that wait for a thread of the pool, of all shards."),
        gauge("duramen_receive_buffer_bytes", receive_bytes, "Bytes of receive buffers that are mapped."),
        gauge("duramen_receive_buffers_held", receive_buffers_held, "Receive buffers that hold received bytes."),
        gauge("duramen_receive_starved", receive_starved, "Connections that wait for a receive buffer."),
    ]
}

/// Connections, sessions, and what waits.
fn serving(shard: &ShardReport) -> Vec<Row> {
    let ShardReport {
        connections,
        fetch_sessions,
        group_requests,
        gather_used,
        gather_copied,
        gather_max,
        gather_waiting,
        ..
    } = *shard;
    let Queues { appends, parked_reads, cold_reads } = shard.queues;
    // Latencies and bytes sent have labels of their own.
    let &Snapshot {
        latencies: _,
        bytes_sent: _,
        connections_accepted,
        connections_moved,
        connections_refused,
        connections_failed,
    } = &shard.counted;
    vec![
        gauge("duramen_connections", connections, "Connections that are open."),
        counter("duramen_connections_accepted_total", connections_accepted, "Connections accepted by the shard."),
        counter(
            "duramen_connections_moved_total",
            connections_moved,
            "Connections handed to the shard of their partitions.",
        ),
        counter("duramen_connections_refused_total", connections_refused, "Connections refused because of a limit."),
        counter("duramen_connections_failed_total", connections_failed, "Connections closed because of an error."),
        gauge("duramen_fetch_sessions", fetch_sessions, "Incremental fetch sessions that are kept."),
        gauge("duramen_appends_under_way", appends, "Produce requests that are queued or wait for their commit."),
        gauge("duramen_reads_parked", parked_reads, "Fetches that wait for records."),
        gauge("duramen_cold_reads_queued", cold_reads, "Fetches that wait for a reader of cold segments."),
        gauge("duramen_group_requests_under_way", group_requests, "Group requests that wait for their answer."),
        gauge("duramen_gather_bytes", gather_used, "Memory held by requests that arrive in pieces."),
        counter(
            "duramen_gather_copied_bytes_total",
            gather_copied,
            "Bytes of requests that were copied together for it.",
        ),
        gauge("duramen_gather_budget_bytes", gather_max, "Bound of duramen_gather_bytes, but for one larger request."),
        gauge("duramen_gather_waiting", gather_waiting, "Requests that arrive in pieces and wait for memory."),
    ]
}

/// What the log does and holds.
fn log(stats: &log::Stats) -> Vec<Row> {
    let &log::Stats {
        bytes_appended,
        batches_appended,
        journal_frames,
        journal_entries,
        journal_frame_bytes,
        ring_frames,
        ring_frame_bytes,
        segment_writes,
        segment_bytes_written,
        bounce_bytes,
        segment_syncs,
        bytes_zeroed,
        segments_removed,
        checkpoints,
        checkpoint_bytes,
        // Bytes read are shown by tier.
        bytes_read_hot: _,
        bytes_read_cached: _,
        bytes_read_cold: _,
        cold_read_bytes,
        cold_read_waits,
        index_bytes_read,
        partitions,
        memory_mapped,
        memory_budget,
        journal_used,
        journal_len,
        ring_used,
        ring_len,
        open_files,
    } = stats;
    let syncs = journal_frames + segment_syncs;
    vec![
        gauge("duramen_partitions", partitions, "Partitions that the shard owns."),
        gauge("duramen_log_memory_bytes", memory_mapped, "Memory that is mapped for the tails of logs."),
        gauge("duramen_log_memory_budget_bytes", memory_budget, "Bound of duramen_log_memory_bytes."),
        gauge("duramen_log_open_files", open_files, "Segment files that are kept open."),
        counter("duramen_log_appended_bytes_total", bytes_appended, "Bytes of record batches appended."),
        counter("duramen_log_appended_batches_total", batches_appended, "Record batches appended."),
        counter("duramen_log_syncs_total", syncs, "Synced writes of the journal and syncs of segments."),
        counter("duramen_journal_frames_total", journal_frames, "Frames of the journal; each is one synced write."),
        counter("duramen_journal_entries_total", journal_entries, "Partitions in the journal's frames."),
        counter("duramen_journal_written_bytes_total", journal_frame_bytes, "Bytes of the journal's frames."),
        gauge("duramen_journal_used_bytes", journal_used, "Bytes whose records are not yet safe in segments."),
        gauge("duramen_journal_size_bytes", journal_len, "Size of the journal."),
        counter("duramen_ring_frames_total", ring_frames, "Frames of the mapped ring (durability=replicated)."),
        counter("duramen_ring_written_bytes_total", ring_frame_bytes, "Bytes of the ring's frames."),
        gauge("duramen_ring_used_bytes", ring_used, "Bytes of the ring whose records are not yet in segments."),
        gauge("duramen_ring_size_bytes", ring_len, "Size of the ring."),
        counter("duramen_segment_writes_total", segment_writes, "Writes to segments."),
        counter("duramen_segment_written_bytes_total", segment_bytes_written, "Bytes written to segments."),
        counter("duramen_segment_bounce_bytes_total", bounce_bytes, "Bytes of partial blocks, copied to be written."),
        counter("duramen_segment_zeroed_bytes_total", bytes_zeroed, "Bytes zeroed ahead of writes."),
        counter("duramen_segment_syncs_total", segment_syncs, "Syncs of segments."),
        counter("duramen_segments_removed_total", segments_removed, "Segments removed by retention or deletion."),
        counter("duramen_checkpoints_total", checkpoints, "Checkpoints written."),
        counter("duramen_checkpoint_bytes_total", checkpoint_bytes, "Bytes of checkpoints."),
        counter("duramen_cold_disk_bytes_total", cold_read_bytes, "Bytes that cold reads took from the disk."),
        counter("duramen_cold_read_waits_total", cold_read_waits, "Cold reads that waited for others to end."),
        counter(
            "duramen_index_read_bytes_total",
            index_bytes_read,
            "Bytes of segments read to make or complete indexes.",
        ),
    ]
}
