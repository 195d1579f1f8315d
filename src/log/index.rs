//! The offset index and the time index of a segment: growing in memory, and sealed as Kafka's own two files.
//!
//! ```text
//! offset index, 8 bytes each:  offset of a batch's last record, relative to the segment u32 | the batch's position u32
//! time index, 12 bytes each:   largest timestamp so far i64 | relative offset of the last record of its batch u32
//! ```
//!
//! Big-endian, both columns of both files go up. An entry is made every so many bytes; the last entry of the time index
//! has the largest timestamp of the segment. Positions found here are where to begin to look, never more: what is found
//! lies at or behind them. An index can always be made anew from its segment, so one that is damaged is thrown away.

mod sealed;

pub use sealed::{Error, SealedIndex};

use duramen_wire::ids::Offset;

const OFFSET_ENTRY_LEN: usize = 8;
const TIME_ENTRY_LEN: usize = 12;

/// The index of a segment that grows.
#[derive(Clone, Debug)]
pub struct IndexBuilder {
    base: Offset,
    interval: u32,
    entries_max: usize,
    /// Bytes since the last entry.
    since_entry: u32,
    /// Relative last offset and position of an indexed batch.
    offsets: Vec<(u32, u32)>,
    times: Vec<(i64, u32)>,
    max_timestamp: (i64, Offset),
}

impl IndexBuilder {
    /// An index for the segment that begins at `base`, with an entry about every `interval` bytes and files of at most
    /// `max_bytes` (`index.interval.bytes` and `segment.index.bytes`).
    pub fn new(base: Offset, interval: u32, max_bytes: u32) -> Self {
        Self {
            base,
            interval,
            // One entry of the time index is kept for the largest timestamp.
            entries_max: (max_bytes as usize / TIME_ENTRY_LEN).saturating_sub(1).max(1),
            since_entry: 0,
            offsets: Vec::new(),
            times: Vec::new(),
            max_timestamp: (-1, base),
        }
    }

    /// Takes into account a batch of `len` bytes at `position`, with records from `base` to `last`. Batches come in the
    /// order in which they lie in the segment.
    ///
    /// # Panics
    /// If `last` is before the segment or 2^32 offsets behind its begin; the log rolls before that.
    pub fn append(&mut self, base: Offset, position: u32, max_timestamp: i64, last: Offset, len: u32) {
        assert!(self.base <= base && base <= last, "a batch lies in its segment");
        if max_timestamp > self.max_timestamp.0 {
            self.max_timestamp = (max_timestamp, last);
        }
        if self.since_entry > self.interval && !self.is_full() {
            self.offsets.push((self.relative(last), position));
            self.add_time();
            self.since_entry = 0;
        }
        self.since_entry = self.since_entry.saturating_add(len);
    }

    /// This index of the first part of a segment and `rest`, that of what follows there, as one.
    #[must_use]
    pub fn followed_by(mut self, rest: &Self) -> Self {
        self.add_time();
        self.offsets.extend(&rest.offsets);
        let known = self.max_timestamp.0;
        self.times.extend(rest.times.iter().filter(|(timestamp, _)| *timestamp > known));
        if rest.max_timestamp.0 > known {
            self.max_timestamp = rest.max_timestamp;
        }
        self.since_entry =
            if rest.offsets.is_empty() { self.since_entry.saturating_add(rest.since_entry) } else { rest.since_entry };
        self
    }

    /// Whether no more entries can be made: time for the next segment.
    pub fn is_full(&self) -> bool {
        self.offsets.len() >= self.entries_max
    }

    /// The position from where to look for the record at `offset`.
    pub fn lookup(&self, offset: Offset) -> u32 {
        let next = self.offsets.partition_point(|(last, _)| self.base.plus(i64::from(*last)) <= offset);
        next.checked_sub(1).map_or(0, |index| self.offsets[index].1)
    }

    /// The offset from where to look for the first record with a timestamp not before `timestamp`.
    pub fn lookup_time(&self, timestamp: i64) -> Offset {
        let next = self.times.partition_point(|(known, _)| *known < timestamp);
        next.checked_sub(1).map_or(self.base, |index| self.base.plus(i64::from(self.times[index].1)))
    }

    /// The largest timestamp, -1 if there is none, and the last offset of the first batch that has it.
    pub fn max_timestamp(&self) -> (i64, Offset) {
        self.max_timestamp
    }

    /// The bytes of the offset index.
    pub fn encode_offset_index(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.offsets.len() * OFFSET_ENTRY_LEN);
        for (last, position) in &self.offsets {
            bytes.extend_from_slice(&last.to_be_bytes());
            bytes.extend_from_slice(&position.to_be_bytes());
        }
        bytes
    }

    /// The bytes of the time index.
    pub fn encode_time_index(&self) -> Vec<u8> {
        let mut all = self.clone();
        all.add_time();
        let mut bytes = Vec::with_capacity(all.times.len() * TIME_ENTRY_LEN);
        for (timestamp, last) in &all.times {
            bytes.extend_from_slice(&timestamp.to_be_bytes());
            bytes.extend_from_slice(&last.to_be_bytes());
        }
        bytes
    }

    fn add_time(&mut self) {
        let (timestamp, last) = self.max_timestamp;
        if timestamp > self.times.last().map_or(-1, |(known, _)| *known) {
            self.times.push((timestamp, self.relative(last)));
        }
    }

    fn relative(&self, offset: Offset) -> u32 {
        u32::try_from(offset.0 - self.base.0).expect("a segment holds fewer than 2^32 offsets")
    }
}

#[cfg(test)]
mod tests;
