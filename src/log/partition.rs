//! An open partition: its state and the questions that need no disk.
//!
//! Positions, each a contiguous prefix of the partition, as [`Mark`]s:
//!
//! ```text
//! appended    in memory
//! ringed      in a frame of the ring, or appended before one that is        (the kernel has it)
//! written     in its segment                                                (the kernel has it)
//! journaled   in a frame of the journal, or appended before one that is     (stable storage has it)
//! synced      in its segment, and that is synced                            (stable storage has it)
//! committed   durable by the level that the topic names
//! ```
//!
//! `synced <= written <= appended` and `committed <= appended` hold always. Whoever changes a mark calls `advance`, which
//! derives `committed` and lets go of journal and ring, and then `decide`, which starts what has to follow.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;

use duramen_wire::ids::{LeaderEpoch, Offset, TopicPartitionId};

use super::checkpoint::PartitionCheckpoint;
use super::cold::{HINTS, Hint};
use super::config::{Durability, PartitionConfig};
use super::disk::Disk;
use super::epochs::Epochs;
use super::log::Shard;
use super::producers::Producers;
use super::read::ReadEnds;
use super::segment::{Segment, Stage};
use super::space::Holds;
use super::tail::{Mark, Tail};
use super::wait::Event;

/// A partition of this shard. Clones share it. It may outlive its log, and then refuses what needs one.
pub struct Partition<D: Disk>(pub(super) Rc<Inner<D>>);

impl<D: Disk> Clone for Partition<D> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Whether a partition takes appends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Good,
    /// A file could not grow; tried again at `retry_ms`.
    DiskFull {
        retry_ms: i64,
    },
    /// A bad batch was found below what is known to be stable. Only `repair` helps.
    Corrupt {
        segment: Offset,
        position: u64,
    },
    /// A write or sync failed: nothing is acknowledged any more.
    Poisoned,
    /// Released, deleted, or the log was shut down.
    Closed,
}

pub(super) struct Inner<D: Disk> {
    pub id: TopicPartitionId,
    pub topic: String,
    pub dir: PathBuf,
    pub generation: u32,
    pub shard: Rc<Shard<D>>,
    pub state: RefCell<State>,
    /// Any change that a task may wait for.
    pub changed: Event,
}

pub(super) struct State {
    pub config: PartitionConfig,
    pub health: Health,
    /// Of a corrupt partition, what its checkpoint says and goes on saying.
    pub statement: Option<PartitionCheckpoint>,
    pub epoch: LeaderEpoch,
    pub log_start: Offset,
    /// By base offset; never empty; the last one is active.
    pub segments: VecDeque<Segment>,
    pub tail: Tail,
    pub appended: Mark,
    pub ringed: Mark,
    pub written: Mark,
    pub journaled: Mark,
    pub synced: Mark,
    pub committed: Mark,
    pub producers: Producers,
    pub epochs: Epochs,

    /// Up to where somebody wants segments written, and synced.
    pub write_to: u64,
    pub sync_to: u64,
    /// Up to where bytes are in the segment; beyond `written` while the rest of a batch is to come.
    pub flushed: u64,
    /// Chunks below this number were offered for eviction.
    pub offered: u64,
    /// In the queue of the writers, or with one of them.
    pub with_writer: bool,
    /// In the queue of the journal.
    pub journal_queued: bool,
    /// In the frame that is being written.
    pub journaling: bool,
    pub journal_holds: Holds,
    pub ring_holds: Holds,
    /// A file was created and its name is not yet stable.
    pub dir_unsynced: bool,
    /// Up to where the write goes that is under way.
    pub writing_to: u64,
    /// The range of the unsealed segment's file that is being zeroed.
    pub zeroing: Option<std::ops::Range<u64>>,
    /// In the queue of the zeroer.
    pub zero_queued: bool,
    /// The zeros behind the data are to be given back.
    pub trim: bool,

    /// Where earlier hot and cold reads have ended.
    pub read_ends: ReadEnds,
    pub hints: [Option<Hint>; HINTS],
    pub hint_next: usize,
    /// The index of a segment is being completed.
    pub indexing: bool,
    /// On its way out of this log: no more appends.
    pub closing: bool,
    /// In the shard's list of partitions that have something due.
    pub restless: bool,
    pub last_append_ms: i64,
    /// When the oldest byte that is not synced was appended.
    pub unsynced_since_ms: Option<i64>,
}

impl<D: Disk> Partition<D> {
    pub fn id(&self) -> TopicPartitionId {
        self.0.id
    }

    pub fn topic(&self) -> &str {
        &self.0.topic
    }

    /// The offset behind the last record that is durable at the topic's level: what may be acknowledged here.
    pub fn committed(&self) -> Offset {
        self.0.state.borrow().committed.offset
    }

    pub fn log_start(&self) -> Offset {
        self.0.state.borrow().log_start
    }

    /// The offset behind the last record that was appended.
    pub fn log_end(&self) -> Offset {
        self.0.state.borrow().appended.offset
    }

    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.0.state.borrow().epoch
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        self.0.state.borrow().segments.iter().map(|segment| segment.len).sum()
    }

    pub fn segment_count(&self) -> usize {
        self.0.state.borrow().segments.len()
    }

    pub fn health(&self) -> Health {
        self.0.state.borrow().health.clone()
    }

    pub fn config(&self) -> PartitionConfig {
        self.0.state.borrow().config.clone()
    }

    /// Changes the settings; appends that wait for the old level are committed at the new one.
    pub fn set_config(&self, config: PartitionConfig) {
        self.0.state.borrow_mut().config = config;
        self.0.shard.retention_due_by(self.0.shard.now_ms.get());
        self.0.settle();
    }

    /// Stamps batches with `epoch` from now on. A smaller one is ignored.
    pub fn raise_epoch(&self, epoch: LeaderEpoch) {
        let mut state = self.0.state.borrow_mut();
        state.epoch = state.epoch.max(epoch);
    }

    /// The end of the largest epoch that is not larger than `epoch` (KIP-279): that epoch and the offset behind its last
    /// record.
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let state = self.0.state.borrow();
        state.epochs.end_offset_for(epoch, state.appended.offset)
    }

    /// The leader epoch of the record at `offset`.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.0.state.borrow().epochs.epoch_at(offset)
    }

    /// Producers whose state is kept.
    pub fn producer_count(&self) -> usize {
        self.0.state.borrow().producers.len()
    }
}

impl State {
    /// What stable storage has.
    pub fn stable(&self) -> Mark {
        self.synced.max(self.journaled)
    }

    /// What the kernel has.
    pub fn kernel(&self) -> Mark {
        self.written.max(self.ringed).max(self.stable())
    }

    pub fn at_level(&self) -> Mark {
        match self.config.level() {
            Durability::Fsync => self.stable(),
            Durability::Replicated => self.kernel(),
        }
    }

    pub fn takes_writes(&self) -> bool {
        matches!(self.health, Health::Good | Health::DiskFull { .. })
    }

    pub fn active(&mut self) -> &mut Segment {
        self.segments.back_mut().expect("a partition has a segment")
    }

    /// The index of the segment that holds stream position `pos`; between two segments, the later one.
    pub fn segment_at(&self, pos: u64) -> usize {
        self.segments
            .partition_point(|segment| segment.start <= pos)
            .checked_sub(1)
            .expect("positions start with a segment")
    }

    /// The index of the segment that holds `offset`.
    pub fn segment_of(&self, offset: Offset) -> usize {
        self.segments.partition_point(|segment| segment.base <= offset).saturating_sub(1)
    }

    /// The segment that is written next: the first that is not sealed.
    pub fn unsealed(&self) -> usize {
        self.segments.partition_point(|segment| segment.stage >= Stage::Sealed)
    }
}

impl<D: Disk> Inner<D> {
    /// After any change of a mark: derives what follows, starts what has to be done, tells who waits.
    pub fn settle(self: &Rc<Self>) {
        let advanced = {
            let mut state = self.state.borrow_mut();
            let advanced = self.advance(&mut state);
            self.decide(&mut state);
            self.advance(&mut state) || advanced
        };
        self.changed.notify();
        if advanced {
            self.shard.observer.committed(self.id);
        }
    }
}
