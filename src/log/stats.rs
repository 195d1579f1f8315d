//! Plain numbers about one shard's log: what it did since it was opened, and what it holds now.

use std::cell::Cell;

use super::disk::Disk;
use super::log::Log;

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(Cell<u64>);

impl Counter {
    pub fn add(&self, count: u64) {
        self.0.set(self.0.get() + count);
    }

    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What the log did since it was opened.
        #[derive(Debug, Default)]
        pub(super) struct Counters { $(pub $name: Counter,)* }

        /// What the log did since it was opened, and what it holds now.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
            pub partitions: u64,
            /// Bytes of chunks mapped, and their bound.
            pub memory_mapped: u64,
            pub memory_budget: u64,
            /// Bytes of the journal and of the ring that hold what is not yet safe in segments.
            pub journal_used: u64,
            pub journal_len: u64,
            pub ring_used: u64,
            pub ring_len: u64,
            pub open_files: u64,
        }

        impl Counters {
            fn copy_to(&self, stats: &mut Stats) {
                $(stats.$name = self.$name.get();)*
            }
        }
    };
}

counters! {
    /// Bytes of batches copied into the tail: each once.
    bytes_appended,
    batches_appended,
    /// Frames of the journal, each one write and sync, the partitions in them, and their bytes.
    journal_frames,
    journal_entries,
    journal_frame_bytes,
    /// Frames of the ring, and their bytes.
    ring_frames,
    ring_frame_bytes,
    /// Direct writes to segments, their bytes, and of these the bytes of partial blocks that were copied first.
    segment_writes,
    segment_bytes_written,
    bounce_bytes,
    segment_syncs,
    /// Bytes zeroed ahead of writes.
    bytes_zeroed,
    segments_removed,
    checkpoints,
    checkpoint_bytes,
    /// Bytes handed to readers from memory, from the page cache, and from the disk.
    bytes_read_hot,
    bytes_read_cached,
    bytes_read_cold,
    /// Bytes that cold reads took from the disk, and how often one had to wait for its turn.
    cold_read_bytes,
    cold_read_waits,
    /// Bytes of segments that were read to make or to complete an index.
    index_bytes_read,
}

impl<D: Disk> Log<D> {
    pub fn stats(&self) -> Stats {
        let shard = self.shard();
        let pool = shard.memory.pool.borrow();
        let ring = shard.ring.borrow();
        let mut stats = Stats {
            partitions: shard.partitions.borrow().len() as u64,
            memory_mapped: pool.mapped() as u64,
            memory_budget: pool.budget() as u64,
            journal_used: shard.journal.space.borrow().used(),
            journal_len: shard.options.journal_len,
            ring_used: ring.space.used(),
            ring_len: shard.options.ring_len as u64,
            open_files: shard.files.borrow().len() as u64,
            ..Stats::default()
        };
        shard.counters.copy_to(&mut stats);
        stats
    }
}
