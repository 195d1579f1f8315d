//! Open files of segments: a cache with a bound, so that partitions are limited by disk, not by descriptors.
//!
//! A file that somebody still uses stays open until the last handle is gone, also when the cache has forgotten it.

use std::collections::BTreeMap;

use duramen_wire::ids::{Offset, TopicPartitionId};

use super::disk::Disk;

/// A segment's file, opened for direct or for cached access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub id: TopicPartitionId,
    pub base: Offset,
    pub cached: bool,
}

/// The cache; the least recently used file goes first.
pub(super) struct Files<D: Disk> {
    open: BTreeMap<Key, Open<D>>,
    uses: u64,
    max: usize,
}

struct Open<D: Disk> {
    file: D::File,
    used: u64,
}

impl<D: Disk> Files<D> {
    pub fn new(max: usize) -> Self {
        Self { open: BTreeMap::new(), uses: 0, max: max.max(1) }
    }

    pub fn get(&mut self, key: Key) -> Option<D::File> {
        self.uses += 1;
        let open = self.open.get_mut(&key)?;
        open.used = self.uses;
        Some(open.file.clone())
    }

    pub fn insert(&mut self, key: Key, file: D::File) {
        self.uses += 1;
        self.open.insert(key, Open { file, used: self.uses });
        if self.open.len() > self.max
            && let Some(oldest) = self.open.iter().min_by_key(|(_, open)| open.used).map(|(key, _)| *key)
        {
            self.open.remove(&oldest);
        }
    }

    /// Forgets the files of one segment.
    pub fn forget(&mut self, id: TopicPartitionId, base: Offset) {
        for cached in [false, true] {
            self.open.remove(&Key { id, base, cached });
        }
    }

    /// Forgets all files of a partition.
    pub fn forget_partition(&mut self, id: TopicPartitionId) {
        self.open.retain(|key, _| key.id != id);
    }

    pub fn len(&self) -> usize {
        self.open.len()
    }
}
