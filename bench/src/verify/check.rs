//! One partition: what was found, held against what was acknowledged. Pure.
//!
//! The CRC covers all of a batch but base offset and leader epoch, and was computed by the generator; stamps, or
//! producer ids and sequences, make batches unique. So offset, CRC and number of records tell whether it is the batch.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

use duramen_wire::batch::{Compression, TimestampType};

use super::ledger::Entry;
use crate::client::fetch::Batch;

/// What was found of one partition, or of several together. In records, but `gaps`, which are offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// There, where and as they were acknowledged.
    pub right: u64,
    pub missing: u64,
    pub duplicated: u64,
    pub changed: u64,
    pub gaps: u64,
    /// In batches that nobody here has sent.
    pub foreign: u64,
    /// Below the log's start.
    pub removed: u64,
    /// Below the log's start, but a consumer of the run had read them.
    pub removed_after_reading: u64,
    pub in_doubt_found: u64,
    /// In batches into which the broker put its own timestamps or compression, so that their CRC is not the producer's.
    pub rewritten: u64,
}

impl AddAssign for Found {
    fn add_assign(&mut self, other: Found) {
        self.right += other.right;
        self.missing += other.missing;
        self.duplicated += other.duplicated;
        self.changed += other.changed;
        self.gaps += other.gaps;
        self.foreign += other.foreign;
        self.removed += other.removed;
        self.removed_after_reading += other.removed_after_reading;
        self.in_doubt_found += other.in_doubt_found;
        self.rewritten += other.rewritten;
    }
}

/// Walks a partition's batches and the ledger's entries together, both in the order of offsets.
#[derive(Debug)]
pub struct Checker {
    entries: Vec<Entry>,
    /// The first entry that was not yet met.
    next: usize,
    /// Where the next batch must begin.
    expected: i64,
    /// Up to where a consumer of the run has read.
    read_up_to: i64,
    /// That of the batches that were sent.
    compression: Compression,
    /// CRC and records of batches in doubt, and how many there are of each.
    in_doubt: BTreeMap<(u32, u32), u32>,
    /// CRC and records of all entries, made when it is first asked for.
    known: Option<BTreeSet<(u32, u32)>>,
    found: Found,
}

impl Checker {
    /// `from` is the partition's end before the run; nothing below it is looked at.
    pub fn new(mut entries: Vec<Entry>, in_doubt: &[(u32, u32)], from: i64, compression: Compression) -> Checker {
        // Those of each thread are in order, so runs are merged.
        entries.sort_by_key(|entry| entry.base_offset);
        let mut doubts = BTreeMap::new();
        in_doubt.iter().for_each(|doubt| *doubts.entry(*doubt).or_insert(0) += 1);
        let found = Found::default();
        Checker {
            entries,
            next: 0,
            expected: from,
            read_up_to: from,
            compression,
            in_doubt: doubts,
            known: None,
            found,
        }
    }

    /// A consumer of the run has read up to here, and looked for itself.
    pub fn was_read_up_to(mut self, offset: i64) -> Self {
        self.read_up_to = offset;
        self
    }

    /// The offset to read next.
    pub fn expected(&self) -> i64 {
        self.expected
    }

    /// The offset after the last entry, if there is any.
    pub fn last_end(&self) -> Option<i64> {
        self.entries.iter().map(Entry::end).max()
    }

    /// The log begins here now: what lies below was removed.
    pub fn starts_at(&mut self, log_start: i64) {
        if log_start <= self.expected {
            return;
        }
        while let Some(entry) = self.entry_below(log_start) {
            // Retention removes whole segments, so a batch is there as a whole or not at all.
            match entry.end() <= self.read_up_to {
                true => self.found.removed_after_reading += u64::from(entry.records),
                false => self.found.removed += u64::from(entry.records),
            }
        }
        self.expected = log_start;
    }

    /// The next batch of the partition.
    pub fn batch(&mut self, batch: &Batch) {
        let offset = batch.header.base_offset.0;
        let records = u64::from(batch.header.record_count.unsigned_abs());
        if offset < self.expected {
            // A fetch may begin with the batch that holds the offset asked for.
            return;
        }
        while let Some(entry) = self.entry_below(offset) {
            self.found.missing += u64::from(entry.records);
        }
        self.found.gaps += offset.abs_diff(self.expected);
        self.expected = batch.end().max(offset + 1);
        match self.entry_at(offset) {
            Some(entry) if batch.is_whole() && entry.crc == batch.crc && u64::from(entry.records) == records => {
                self.found.right += records;
            }
            Some(_) if batch.is_whole() && self.is_rewritten(batch) => self.found.rewritten += records,
            Some(entry) => self.found.changed += u64::from(entry.records),
            None if !batch.is_whole() => self.found.changed += records,
            None => self.unknown(batch.crc, records),
        }
    }

    /// Everything was read up to here; what is left of the ledger is missing.
    pub fn end(mut self) -> Found {
        while let Some(entry) = self.entry_below(i64::MAX) {
            self.found.missing += u64::from(entry.records);
        }
        self.found
    }

    /// What follows here cannot even be told apart into batches.
    pub fn unreadable(mut self) -> Found {
        while let Some(entry) = self.entry_below(i64::MAX) {
            self.found.changed += u64::from(entry.records);
        }
        self.found
    }

    /// Whether a broker's settings, not a fault, may have made another batch of it.
    fn is_rewritten(&self, batch: &Batch) -> bool {
        let has_own_time = batch.header.timestamp_type() == TimestampType::LogAppendTime;
        has_own_time || batch.header.compression().is_ok_and(|compression| compression != self.compression)
    }

    /// A batch that the ledger does not have at its offset.
    fn unknown(&mut self, crc: u32, records: u64) {
        let key = (crc, u32::try_from(records).unwrap_or(u32::MAX));
        if let Some(left) = self.in_doubt.get_mut(&key).filter(|left| **left > 0) {
            *left -= 1;
            self.found.in_doubt_found += records;
            return;
        }
        let entries = &self.entries;
        let known = self.known.get_or_insert_with(|| entries.iter().map(|entry| (entry.crc, entry.records)).collect());
        match known.contains(&key) {
            true => self.found.duplicated += records,
            false => self.found.foreign += records,
        }
    }

    fn entry_below(&mut self, offset: i64) -> Option<Entry> {
        let entry = self.entries.get(self.next).copied().filter(|entry| entry.base_offset < offset)?;
        self.next += 1;
        Some(entry)
    }

    /// The entry of this very offset. A second one there is for `entry_below` to find missing: one place holds one batch.
    fn entry_at(&mut self, offset: i64) -> Option<Entry> {
        let entry = self.entries.get(self.next).copied().filter(|entry| entry.base_offset == offset)?;
        self.next += 1;
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use duramen_wire::batch::{BatchBuilder, set_base_offset_and_epoch};
    use duramen_wire::ids::{LeaderEpoch, Offset};

    use super::*;
    use crate::client::fetch::Batches;

    /// A log of batches with so many records each, and its ledger.
    fn log(records: &[u32]) -> (Vec<Vec<u8>>, Vec<Entry>) {
        let mut offset = 0;
        let made = records.iter().enumerate().map(|(number, &records)| {
            let bytes = batch(offset, &format!("batch {number}"), records);
            let crc = crc32c::crc32c(&bytes[21..]);
            offset += i64::from(records);
            (bytes, Entry { base_offset: offset - i64::from(records), crc, records })
        });
        made.unzip()
    }

    fn batch(offset: i64, value: &str, records: u32) -> Vec<u8> {
        let mut builder = BatchBuilder::new().base_offset(Offset(offset));
        (0..records).for_each(|_| builder.push(None, Some(value.as_bytes()), &[], 1));
        builder.finish()
    }

    fn moved(bytes: &[u8], offset: i64) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        set_base_offset_and_epoch(&mut bytes, Offset(offset), LeaderEpoch(0));
        bytes
    }

    fn check(log: &[Vec<u8>], entries: Vec<Entry>, in_doubt: &[(u32, u32)]) -> Found {
        let mut checker = Checker::new(entries, in_doubt, 0, Compression::None);
        for batch in Batches::new(&log.concat()) {
            checker.batch(&batch.unwrap());
        }
        checker.end()
    }

    #[test]
    fn what_is_as_it_was_acknowledged_is_right() {
        let (log, mut entries) = log(&[3, 1, 500]);
        entries.reverse();
        assert_eq!(check(&log, entries, &[]), Found { right: 504, ..Found::default() });
    }

    #[test]
    fn a_hole_is_missing_and_a_gap() {
        let (mut log, entries) = log(&[3, 4, 5]);
        log.remove(1);
        let found = Found { right: 8, missing: 4, gaps: 4, ..Found::default() };
        assert_eq!(check(&log, entries, &[]), found);
    }

    #[test]
    fn a_batch_that_was_dropped_moves_those_behind_it() {
        let (mut log, entries) = log(&[3, 3, 3]);
        log.remove(1);
        log[1] = moved(&log[1], 3);
        let found = Found { right: 3, changed: 3, missing: 3, ..Found::default() };
        assert_eq!(check(&log, entries, &[]), found);
    }

    #[test]
    fn a_missing_end_is_missing() {
        let (mut log, entries) = log(&[3, 4]);
        log.pop();
        assert_eq!(check(&log, entries, &[]), Found { right: 3, missing: 4, ..Found::default() });
    }

    #[test]
    fn a_batch_that_is_there_twice_is_duplicated() {
        let (mut log, entries) = log(&[3, 4]);
        log.push(moved(&log[0], 7));
        assert_eq!(check(&log, entries, &[]), Found { right: 7, duplicated: 3, ..Found::default() });
    }

    #[test]
    fn flipped_bytes_are_changed_with_their_crc_and_without() {
        let (mut log, entries) = log(&[3, 4]);
        let last = log[1].len() - 2;
        log[1][last] ^= 1;
        let found = Found { right: 3, changed: 4, ..Found::default() };
        assert_eq!(check(&log, entries.clone(), &[]), found);
        let crc = crc32c::crc32c(&log[1][21..]);
        log[1][17..21].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(check(&log, entries, &[]), found);
    }

    #[test]
    fn what_the_broker_wrote_anew_is_told_apart_from_what_it_broke() {
        const ATTRIBUTES_LOW: usize = 22;
        const LOG_APPEND_TIME: u8 = 1 << 3;
        const ZSTD: u8 = 4;
        for attributes in [LOG_APPEND_TIME, ZSTD] {
            let (mut log, entries) = log(&[3, 4]);
            log[1][ATTRIBUTES_LOW] |= attributes;
            let broken = Found { right: 3, changed: 4, ..Found::default() };
            assert_eq!(check(&log, entries.clone(), &[]), broken);
            let crc = crc32c::crc32c(&log[1][21..]);
            log[1][17..21].copy_from_slice(&crc.to_be_bytes());
            assert_eq!(check(&log, entries, &[]), Found { right: 3, rewritten: 4, ..Found::default() });
        }
    }

    #[test]
    fn swapped_batches_are_changed() {
        let (log, entries) = log(&[3, 3]);
        let log = [moved(&log[1], 0), moved(&log[0], 3)];
        assert_eq!(check(&log, entries, &[]), Found { changed: 6, ..Found::default() });
    }

    #[test]
    fn what_nobody_answered_for_may_be_there_once() {
        let (log, mut entries) = log(&[3, 4]);
        let doubt = entries.pop().map(|entry| (entry.crc, entry.records)).unwrap();
        let found = Found { right: 3, in_doubt_found: 4, ..Found::default() };
        assert_eq!(check(&log, entries.clone(), &[doubt]), found);
        let twice = [log[0].clone(), log[1].clone(), moved(&log[1], 7)];
        assert_eq!(check(&twice, entries.clone(), &[doubt]), Found { foreign: 4, ..found });
        assert_eq!(check(&log, entries, &[]), Found { right: 3, foreign: 4, ..Found::default() });
    }

    #[test]
    fn what_retention_removed_is_told_and_not_missing() {
        let (log, entries) = log(&[3, 4, 5]);
        let removed = |read_up_to| {
            let mut checker = Checker::new(entries.clone(), &[], 0, Compression::None).was_read_up_to(read_up_to);
            checker.starts_at(7);
            Batches::new(&log[2]).for_each(|batch| checker.batch(&batch.unwrap()));
            checker.end()
        };
        assert_eq!(removed(0), Found { right: 5, removed: 7, ..Found::default() });
        let found = Found { right: 5, removed: 4, removed_after_reading: 3, ..Found::default() };
        assert_eq!(removed(3), found);
    }

    #[test]
    fn two_acknowledgements_of_one_place_are_not_both_kept() {
        let (log, mut entries) = log(&[3]);
        entries.push(Entry { crc: 1, ..entries[0] });
        let found = check(&log, entries, &[]);
        assert_eq!((found.right, found.missing), (3, 3));
    }
}
