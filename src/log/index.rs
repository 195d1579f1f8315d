//! The offset and time index of a segment, in memory.

use duramen_wire::ids::Offset;

/// Bytes of an entry in Kafka's offset index and time index.
const OFFSET_ENTRY_LEN: usize = 8;
const TIME_ENTRY_LEN: usize = 12;

/// The index of a segment that grows.
#[derive(Clone, Debug)]
pub struct IndexBuilder {
    base: Offset,
    interval: u32,
    max_entries: usize,
    since_entry: u32,
    /// Base offset, position, last offset of an indexed batch.
    offsets: Vec<(Offset, u32, Offset)>,
    times: Vec<(i64, Offset)>,
    max_timestamp: (i64, Offset),
}

impl IndexBuilder {
    pub fn new(base: Offset, interval: u32, max_bytes: u32) -> Self {
        Self {
            base,
            interval,
            max_entries: (max_bytes as usize / TIME_ENTRY_LEN).max(1),
            since_entry: 0,
            offsets: Vec::new(),
            times: Vec::new(),
            max_timestamp: (-1, base),
        }
    }

    /// Takes a batch at `position` into account; an entry is made every interval of bytes.
    pub fn append(&mut self, base: Offset, position: u32, max_timestamp: i64, last: Offset, len: u32) {
        if max_timestamp > self.max_timestamp.0 {
            self.max_timestamp = (max_timestamp, last);
        }
        if self.since_entry > self.interval && !self.is_full() {
            self.offsets.push((base, position, last));
            if self.times.last().is_none_or(|(timestamp, _)| *timestamp < self.max_timestamp.0) {
                self.times.push(self.max_timestamp);
            }
            self.since_entry = 0;
        }
        self.since_entry = self.since_entry.saturating_add(len);
    }

    pub fn is_full(&self) -> bool {
        self.offsets.len() >= self.max_entries
    }

    /// The position of the last indexed batch that does not begin beyond `offset`; 0 if none.
    pub fn lookup(&self, offset: Offset) -> u32 {
        let next = self.offsets.partition_point(|(base, ..)| *base <= offset);
        next.checked_sub(1).map_or(0, |index| self.offsets[index].1)
    }

    pub fn max_timestamp(&self) -> (i64, Offset) {
        self.max_timestamp
    }

    /// The offset from which to look for the first record with a timestamp not before `timestamp`.
    pub fn lookup_time(&self, timestamp: i64) -> Offset {
        let next = self.times.partition_point(|(known, _)| *known < timestamp);
        next.checked_sub(1).map_or(self.base, |index| self.times[index].1)
    }

    /// Kafka's offset index: relative offset and position, both u32, big-endian.
    pub fn encode_offset_index(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.offsets.len() * OFFSET_ENTRY_LEN);
        for (_, position, last) in &self.offsets {
            bytes.extend_from_slice(&((last.0 - self.base.0) as u32).to_be_bytes());
            bytes.extend_from_slice(&position.to_be_bytes());
        }
        bytes
    }

    /// Kafka's time index: timestamp i64 and relative offset u32, big-endian, the last entry for the largest timestamp.
    pub fn encode_time_index(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity((self.times.len() + 1) * TIME_ENTRY_LEN);
        let last = Some(self.max_timestamp).filter(|last| last.0 >= 0 && self.times.last() != Some(last));
        for (timestamp, offset) in self.times.iter().chain(&last) {
            bytes.extend_from_slice(&timestamp.to_be_bytes());
            bytes.extend_from_slice(&((offset.0 - self.base.0) as u32).to_be_bytes());
        }
        bytes
    }
}
