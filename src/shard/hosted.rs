//! The partitions that this shard owns, and who waits for them.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use duramen_wire::ids::{Offset, TopicPartitionId};
use slab::Slab;

use super::load::Meter;
use super::message::ReadBatch;
use super::notify::Notify;

use crate::log::Partition;
use crate::log::disk::Disk;

/// One partition on its shard.
pub struct Hosted<D: Disk> {
    pub id: TopicPartitionId,
    pub log: Partition<D>,
    /// Appends that wait for their commit, in offset order.
    pub(super) append_waits: VecDeque<AppendWait>,
    /// Parked reads to look at when something new can be read.
    pub(super) read_waits: Vec<usize>,
    /// Who else is to hear of commits: a coordinator that keeps its state here.
    pub on_commit: Option<Rc<Notify>>,
    pub load: Meter,
}

/// An item of a parked append.
pub(super) struct AppendWait {
    /// The offset that must be committed: one past the last record.
    pub end: Offset,
    /// The batch, by its place among the parked ones.
    pub batch: usize,
    pub item: usize,
}

/// All partitions of one shard.
pub struct Partitions<D: Disk> {
    hosted: Slab<Hosted<D>>,
    by_id: HashMap<TopicPartitionId, usize>,
    /// Seconds since the shard was started, for meters.
    now_s: Cell<u32>,
}

impl<D: Disk> Default for Partitions<D> {
    fn default() -> Self {
        Self { hosted: Slab::new(), by_id: HashMap::new(), now_s: Cell::new(0) }
    }
}

impl<D: Disk> Partitions<D> {
    pub fn insert(&mut self, id: TopicPartitionId, log: Partition<D>) {
        let key = self.hosted.insert(Hosted {
            id,
            log,
            append_waits: VecDeque::new(),
            read_waits: Vec::new(),
            on_commit: None,
            load: Meter::default(),
        });
        let before = self.by_id.insert(id, key);
        assert!(before.is_none(), "a partition is hosted once");
    }

    /// Takes a partition out; whoever waits for it must be answered by the caller.
    pub fn remove(&mut self, id: TopicPartitionId) -> Option<Hosted<D>> {
        self.by_id.remove(&id).map(|key| self.hosted.remove(key))
    }

    pub fn get(&self, id: TopicPartitionId) -> Option<&Hosted<D>> {
        self.by_id.get(&id).map(|key| &self.hosted[*key])
    }

    pub fn get_mut(&mut self, id: TopicPartitionId) -> Option<&mut Hosted<D>> {
        self.by_id.get(&id).map(|key| &mut self.hosted[*key])
    }

    /// Sets the clock of the meters, which nobody reads for itself.
    pub(super) fn set_clock(&self, now_s: u32) {
        self.now_s.set(now_s);
    }

    pub(super) fn now_s(&self) -> u32 {
        self.now_s.get()
    }

    /// Counts what a read gives out.
    pub(super) fn note_read(&self, batch: &ReadBatch) {
        for item in batch.items.iter().filter(|item| !item.data.is_empty()) {
            if let Some(hosted) = self.get(item.partition) {
                hosted.load.add(self.now_s(), item.data.len());
            }
        }
    }

    /// In no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Hosted<D>> {
        self.hosted.iter().map(|(_, hosted)| hosted)
    }

    pub fn len(&self) -> usize {
        self.hosted.len()
    }

    pub fn is_empty(&self) -> bool {
        self.hosted.is_empty()
    }
}
