//! What a shard's log and a partition are told: limits, levels and times. Every bound of the log is named here.

use std::hash::{DefaultHasher, Hash, Hasher};

use duramen_wire::ids::{Offset, TopicPartitionId};

/// Largest batch, in bytes, that may be made durable by a frame of the journal or the ring.
pub const FRAME_BATCH_MAX: u64 = 64 << 10;
/// Most bytes of records in one frame of the journal.
pub const JOURNAL_FRAME_MAX: u64 = 512 << 10;
/// Most partitions in one frame of the journal.
pub const JOURNAL_ENTRIES_MAX: usize = 1024;
/// Most bytes in one direct write.
pub const WRITE_MAX: u64 = 1 << 20;
/// Most bytes of a partition that are written before a sync is due for those who wait for one.
pub const SYNC_SPAN_MAX: u64 = 4 << 20;

/// The bounds of one shard's log.
#[derive(Clone, Debug)]
pub struct Options {
    /// An unpredictable number, drawn anew at each start: nobody who sends records may guess what a frame is marked with.
    pub nonce: u32,
    /// Bytes of chunks: unwritten and hot records, journal frames, cold reads.
    pub memory_budget: usize,
    /// Bytes of chunks that are mapped before readers have shown that they need more.
    pub memory_start: usize,
    /// Bytes of the journal file, a multiple of 1 MiB.
    pub journal_len: u64,
    /// Bytes of the ring file, a multiple of 1 MiB.
    pub ring_len: usize,
    /// Bytes appended after which a checkpoint is taken.
    pub checkpoint_every: u64,
    /// How many partitions are written to their segments at a time.
    pub segment_writers: usize,
    /// Files of segments that are kept open.
    pub open_files_max: usize,
    /// Bytes that wait in a partition, journaled or in the ring, before they are written to its segment.
    pub flush_bytes: u64,
    /// Bytes of a `replicated` partition that may be unsynced before a sync begins.
    pub unsynced_bytes_max: u64,
    /// Milliseconds after which the bytes of a `replicated` partition are synced.
    pub unsynced_ms_max: i64,
    /// Milliseconds without an append after which a partition is written, synced, and gives its memory back.
    pub idle_ms: i64,
    /// Cold reads in flight.
    pub cold_reads_max: usize,
    /// Milliseconds between two looks at what retention may remove (`log.retention.check.interval.ms`).
    pub retention_check_ms: i64,
    /// The first and the largest step by which a segment is zeroed ahead of its writes.
    pub zero_step_min: u64,
    pub zero_step_max: u64,
    /// Milliseconds between two attempts to grow a file after the disk was full.
    pub disk_full_retry_ms: i64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nonce: 0,
            memory_budget: 64 << 20,
            memory_start: 16 << 20,
            journal_len: 64 << 20,
            ring_len: 8 << 20,
            checkpoint_every: 64 << 20,
            segment_writers: 4,
            open_files_max: 1024,
            flush_bytes: 1 << 20,
            unsynced_bytes_max: 16 << 20,
            unsynced_ms_max: 5_000,
            idle_ms: 1_000,
            cold_reads_max: 4,
            retention_check_ms: 300_000,
            zero_step_min: 1 << 20,
            zero_step_max: 16 << 20,
            disk_full_retry_ms: 500,
        }
    }
}

/// When an append counts as committed on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Stable storage has it: it survives the loss of power.
    Fsync,
    /// The kernel has it: it survives the death of the process.
    Replicated,
}

/// The settings of a topic that its log acts on, by Kafka's names where Kafka has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionConfig {
    pub durability: Durability,
    pub segment_bytes: u32,
    pub segment_ms: i64,
    /// The most that is taken off `segment_ms`, by a share that is a segment's own.
    pub segment_jitter_ms: i64,
    /// -1 for no limit.
    pub retention_ms: i64,
    /// -1 for no limit.
    pub retention_bytes: i64,
    pub index_interval_bytes: u32,
    /// Bytes of a segment's offset index, which bounds its entries (`segment.index.bytes`).
    pub segment_index_bytes: u32,
    /// Messages after which a sync begins; 1 is the same as `Durability::Fsync`.
    pub flush_messages: i64,
    /// Milliseconds after which a sync begins.
    pub flush_ms: i64,
    pub max_message_bytes: u32,
    /// `cleanup.policy=compact`: keys are required and retention leaves the partition alone.
    pub compact: bool,
    pub timestamp_before_max_ms: i64,
    pub timestamp_after_max_ms: i64,
    pub producer_id_expiration_ms: i64,
}

impl PartitionConfig {
    /// The level at which appends are committed.
    pub fn level(&self) -> Durability {
        if self.flush_messages == 1 { Durability::Fsync } else { self.durability }
    }

    /// The age at which a segment is sealed. Segments that began together are not all sealed together: from each as much
    /// is taken as its name says, spread evenly up to the jitter.
    pub fn segment_age_max_ms(&self, id: TopicPartitionId, base: Offset) -> i64 {
        let most = self.segment_jitter_ms.min(self.segment_ms);
        if most <= 0 {
            return self.segment_ms;
        }
        let mut hasher = DefaultHasher::new();
        (id, base).hash(&mut hasher);
        let taken = hasher.finish() % most.unsigned_abs();
        self.segment_ms.saturating_sub_unsigned(taken)
    }
}

impl Default for PartitionConfig {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            durability: Durability::Fsync,
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            segment_jitter_ms: 0,
            retention_ms: 7 * 24 * 3_600_000,
            retention_bytes: -1,
            index_interval_bytes: 4096,
            segment_index_bytes: 10 << 20,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            max_message_bytes: 1_048_588,
            compact: false,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            producer_id_expiration_ms: 86_400_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use duramen_wire::ids::{PartitionIndex, TopicId};

    use super::*;

    #[test]
    fn segments_that_began_together_are_not_sealed_together() {
        let config = PartitionConfig { segment_ms: 1000, segment_jitter_ms: 400, ..PartitionConfig::default() };
        let age = |config: &PartitionConfig, partition| {
            let id =
                TopicPartitionId { topic: TopicId(uuid::Uuid::from_u128(7)), partition: PartitionIndex(partition) };
            config.segment_age_max_ms(id, Offset(0))
        };
        let ages: Vec<i64> = (0..100).map(|partition| age(&config, partition)).collect();
        assert!(ages.iter().all(|age| (601..=1000).contains(age)), "{ages:?}");
        assert!(ages.iter().max().unwrap() - ages.iter().min().unwrap() > 300, "{ages:?}");
        assert_eq!(age(&config, 3), age(&config, 3), "a segment keeps its age");
        assert_eq!(age(&PartitionConfig { segment_jitter_ms: 0, ..config.clone() }, 3), 1000);
        let beyond = PartitionConfig { segment_jitter_ms: i64::MAX, ..config };
        assert!((1..=1000).contains(&age(&beyond, 3)), "never in the past");
    }
}
