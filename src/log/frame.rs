//! The frames of journal and ring, format version 1: records on their way to the segments.
//!
//! A frame is whole or not there: it counts only if its CRCs hold and it carries the generation that the checkpoint
//! names. Frames lie one after another from byte 0, each at a multiple of the file's alignment; one that does not fit
//! before the end goes to byte 0 again and overwrites what is no longer needed. So what a reader finds are the frames of
//! the last round up to the newest, then the rest of an old one, then frames of the round before; near the end of the
//! file even single ones of earlier rounds, where later rounds turned back sooner.
//!
//! Of an overwritten frame the tail may remain, and it consists of what clients have sent: bytes that may have been made
//! to look like a frame. That is why a generation is a number that was never used before and that no client can guess,
//! and why a frame of another generation is not even looked at.

mod layout;
mod scan;

pub use layout::{ENTRY_LEN, HEADER_LEN};
pub use scan::{Frame, scan};

use duramen_wire::ids::{LeaderEpoch, Offset, TopicPartitionId};
use layout::{EntryFields, HeaderFields};

/// No frame holds more entries.
pub const ENTRIES_MAX: usize = 1 << 16;

/// Bytes before the payload of a frame with so many entries.
pub fn head_len(entries: usize) -> usize {
    HEADER_LEN + entries * ENTRY_LEN
}

/// A run of batches of one partition, in one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: TopicPartitionId,
    /// How often the partition was adopted.
    pub generation: u32,
    /// The first offset, and the one behind the last.
    pub base: Offset,
    pub end: Offset,
    pub epoch: LeaderEpoch,
    /// The base offset of the segment that the bytes belong to, and where in it they begin.
    pub segment: Offset,
    pub position: u32,
    /// Bytes of the payload that belong to it.
    pub len: u32,
}

/// Puts frames together, one at a time, without allocating once its buffer has grown.
///
/// First `begin`, then every `entry` and every piece of `payload`, each in its own order, then `finish`. The payload is
/// only counted and summed up: its owner copies it to its place behind the head, at [`head_len`].
#[derive(Debug, Default)]
pub struct FrameWriter {
    head: Vec<u8>,
    header: HeaderFields,
    payload_len: u64,
    declared_len: u64,
}

impl FrameWriter {
    /// Forgets what was there and begins a frame. Sequence numbers go up by one with each frame of a generation.
    pub fn begin(&mut self, generation: u64, sequence: u64) {
        self.head.clear();
        self.head.resize(HEADER_LEN, 0);
        self.header = HeaderFields { generation, sequence, ..HeaderFields::default() };
        (self.payload_len, self.declared_len) = (0, 0);
    }

    /// Adds an entry.
    ///
    /// # Panics
    /// If there are [`ENTRIES_MAX`] already.
    pub fn entry(&mut self, entry: &Entry) {
        assert!((self.header.entries as usize) < ENTRIES_MAX, "a frame's entries are bounded");
        EntryFields::from(entry).write(&mut self.head);
        self.header.entries += 1;
        self.declared_len += u64::from(entry.len);
    }

    /// Counts the next piece of the payload.
    pub fn payload(&mut self, bytes: &[u8]) {
        self.header.payload_crc = crc32c::crc32c_append(self.header.payload_crc, bytes);
        self.payload_len += bytes.len() as u64;
    }

    /// Header and table, to be put before the payload.
    ///
    /// # Panics
    /// If the payload is not as long as the entries say, or longer than 4 GiB.
    pub fn finish(&mut self) -> &[u8] {
        assert_eq!(self.payload_len, self.declared_len, "the payload is what the entries say");
        self.header.payload_len = u32::try_from(self.payload_len).expect("a frame is shorter than 4 GiB");
        self.header.write(&mut self.head);
        &self.head
    }
}

#[cfg(test)]
mod tests;
