//! What was acknowledged, 16 bytes a batch, by thread; and what consumers found.
//!
//! A ledger belongs to one thread and is written while the load runs, so it grows by blocks and never copies.

use std::collections::BTreeMap;

use crate::drive::TargetId;

/// Batches that all ledgers of a run hold together: 256 MiB. What is acknowledged beyond them is counted, and cannot be
/// verified.
pub const ACKNOWLEDGED_MAX: usize = 16 << 20;
/// Batches of a target's blocks: the first is small, since a run may have thousands of targets.
const BLOCK_FIRST: usize = 64;
const BLOCK: usize = 4096;
/// Requests without an answer that are remembered; windows are far smaller.
const IN_DOUBT_MAX: usize = 1 << 20;

/// A batch that a broker has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub base_offset: i64,
    pub crc: u32,
    pub records: u32,
}

impl Entry {
    /// The offset after the last record.
    pub fn end(&self) -> i64 {
        self.base_offset + i64::from(self.records)
    }
}

/// A batch that was sent, and of which nobody has said what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Doubt {
    pub target: TargetId,
    pub crc: u32,
    pub records: u32,
}

/// Blocks of entries by target, in the order of acknowledgement.
#[derive(Debug, Default)]
pub struct Ledger {
    targets: Vec<Acknowledged>,
    in_doubt: Vec<Doubt>,
    room: usize,
    records: u64,
    unverified: u64,
    reordered: u64,
    doubtful: u64,
}

#[derive(Debug, Default)]
struct Acknowledged {
    blocks: Vec<Vec<Entry>>,
    /// The last base offset of each producer.
    last: BTreeMap<u32, i64>,
}

impl Ledger {
    /// Of so many targets, and of at most so many batches.
    pub fn new(targets: usize, batches_max: usize) -> Ledger {
        let mut all = Vec::new();
        all.resize_with(targets, Acknowledged::default);
        Ledger { targets: all, room: batches_max, ..Ledger::default() }
    }

    /// Takes down a batch, in the order of sending of each producer and partition.
    pub fn acknowledged(&mut self, target: TargetId, producer: u32, base_offset: i64, crc: u32, records: u32) {
        let of_target = &mut self.targets[target as usize];
        let last = of_target.last.entry(producer).or_insert(-1);
        if base_offset <= *last {
            self.reordered += u64::from(records);
        }
        *last = base_offset;
        self.records += u64::from(records);
        match self.room.checked_sub(1) {
            Some(room) => self.room = room,
            None => {
                self.unverified += u64::from(records);
                return;
            }
        }
        of_target.push(Entry { base_offset, crc, records });
    }

    /// Of a request without an answer.
    pub fn in_doubt(&mut self, target: TargetId, crc: u32, records: u32) {
        self.doubtful += u64::from(records);
        if self.in_doubt.len() < IN_DOUBT_MAX {
            self.in_doubt.push(Doubt { target, crc, records });
        }
    }

    /// Acknowledged records, those included that cannot be verified.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The highest offset of each target that began an acknowledged batch.
    pub fn last_offsets(&self) -> impl Iterator<Item = (TargetId, i64)> {
        let last = |target: &Acknowledged| target.last.values().max().copied();
        (0..).zip(&self.targets).filter_map(move |(id, target)| Some((id, last(target)?)))
    }

    /// Records beyond what a ledger holds.
    pub fn unverified(&self) -> u64 {
        self.unverified
    }

    /// Records whose offsets did not rise in the order of sending.
    pub fn reordered(&self) -> u64 {
        self.reordered
    }

    /// Records without an answer.
    pub fn doubtful(&self) -> u64 {
        self.doubtful
    }

    /// Gives the entries of a target away, in the order of acknowledgement.
    pub fn take(&mut self, target: TargetId) -> impl Iterator<Item = Entry> + use<> {
        let blocks = self.targets.get_mut(target as usize).map(|target| std::mem::take(&mut target.blocks));
        blocks.into_iter().flatten().flatten()
    }

    /// Gives the batches in doubt away.
    pub fn take_doubts(&mut self) -> Vec<Doubt> {
        std::mem::take(&mut self.in_doubt)
    }
}

impl Acknowledged {
    fn push(&mut self, entry: Entry) {
        match self.blocks.last_mut() {
            Some(block) if block.len() < block.capacity() => block.push(entry),
            last => {
                let capacity = if last.is_none() { BLOCK_FIRST } else { BLOCK };
                let mut block = Vec::with_capacity(capacity);
                block.push(entry);
                self.blocks.push(block);
            }
        }
    }
}

/// What consumers of one thread found.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub records: u64,
    /// Records of a producer that came again at another offset.
    pub repeated: u64,
    /// Records of a producer that came after later ones.
    pub reordered: u64,
    /// Records of batches whose bytes are not those of their CRC.
    pub changed: u64,
    /// Offsets between one batch and the next that no batch holds.
    pub gaps: u64,
    /// Up to where all was read, of each target.
    pub up_to: BTreeMap<TargetId, i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_in_order() {
        assert_eq!(size_of::<Entry>(), 16);
        let mut ledger = Ledger::new(2, 100_000);
        (0..20_000).for_each(|n| ledger.acknowledged(1, 0, n * 2, n as u32, 2));
        let entries: Vec<Entry> = ledger.take(1).collect();
        assert_eq!(entries.len(), 20_000);
        assert!(entries.is_sorted() && entries[7] == Entry { base_offset: 14, crc: 7, records: 2 });
        assert_eq!((ledger.take(0).count(), ledger.take(1).count(), ledger.records()), (0, 0, 40_000));
        assert_eq!(ledger.reordered(), 0);
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let mut ledger = Ledger::new(1, 3);
        (0..5).for_each(|n| ledger.acknowledged(0, 0, n * 10, 0, 10));
        assert_eq!((ledger.take(0).count(), ledger.records(), ledger.unverified()), (3, 50, 20));
    }

    #[test]
    fn offsets_must_rise_for_each_producer_and_partition() {
        let mut ledger = Ledger::new(2, 100);
        ledger.acknowledged(0, 0, 10, 0, 1);
        ledger.acknowledged(0, 1, 5, 0, 1);
        ledger.acknowledged(1, 0, 3, 0, 1);
        assert_eq!(ledger.reordered(), 0);
        ledger.acknowledged(0, 0, 9, 0, 4);
        assert_eq!(ledger.reordered(), 4);
        ledger.acknowledged(0, 0, 9, 0, 2);
        assert_eq!(ledger.reordered(), 6, "the same offset twice");
    }
}
