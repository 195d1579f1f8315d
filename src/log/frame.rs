//! The frames of journal and ring, format version 1: records on their way to the segments.
//!
//! ```text
//! header    56 bytes: magic u32, version u32, head CRC u32, payload CRC u32, generation u64, sequence u64,
//!                     length of the payload u64, number of entries u32, 12 bytes of zeros
//! table     64 bytes per entry
//! payload   the entries' bytes, one after the other
//! padding   zeros, to the file's alignment
//! ```
//!
//! All integers are little-endian. The head CRC covers header and table from the field behind it on, so the payload's
//! CRC is covered too, and a frame counts only if both hold. Two CRCs, because the payload is copied and counted before
//! the table is complete.

use std::ops::Range;

use duramen_wire::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartitionId};

/// Bytes of the header.
pub const HEADER_LEN: usize = 56;
/// Bytes of an entry.
pub const ENTRY_LEN: usize = 64;

const MAGIC: u32 = 0x4d52_4644;
const VERSION: u32 = 1;
const COVERED_FROM: usize = 12;
/// No frame holds more entries.
const ENTRIES_MAX: usize = 1 << 16;

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
    /// The base offset of the segment that the bytes belong to, and where in it.
    pub segment: Offset,
    pub position: u32,
    pub len: u32,
}

/// Puts frames together, one at a time, without allocating once its buffer has grown.
#[derive(Debug, Default)]
pub struct FrameWriter {
    head: Vec<u8>,
    payload_crc: u32,
    payload_len: u64,
    entries: u32,
}

impl FrameWriter {
    pub fn begin(&mut self, generation: u64, sequence: u64) {
        self.head.clear();
        self.head.resize(HEADER_LEN, 0);
        self.head[16..24].copy_from_slice(&generation.to_le_bytes());
        self.head[24..32].copy_from_slice(&sequence.to_le_bytes());
        (self.payload_crc, self.payload_len, self.entries) = (0, 0, 0);
    }

    pub fn entry(&mut self, entry: &Entry) {
        self.head.extend_from_slice(entry.id.topic.0.as_bytes());
        self.head.extend_from_slice(&entry.base.0.to_le_bytes());
        self.head.extend_from_slice(&entry.end.0.to_le_bytes());
        self.head.extend_from_slice(&entry.segment.0.to_le_bytes());
        self.head.extend_from_slice(&entry.id.partition.0.to_le_bytes());
        self.head.extend_from_slice(&entry.generation.to_le_bytes());
        self.head.extend_from_slice(&entry.epoch.0.to_le_bytes());
        self.head.extend_from_slice(&entry.position.to_le_bytes());
        self.head.extend_from_slice(&entry.len.to_le_bytes());
        self.head.extend_from_slice(&[0; 4]);
        self.entries += 1;
    }

    /// Counts the next piece of the payload.
    pub fn payload(&mut self, bytes: &[u8]) {
        self.payload_crc = crc32c::crc32c_append(self.payload_crc, bytes);
        self.payload_len += bytes.len() as u64;
    }

    /// Header and table, to be put before the payload.
    pub fn finish(&mut self) -> &[u8] {
        self.head[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        self.head[4..8].copy_from_slice(&VERSION.to_le_bytes());
        self.head[12..16].copy_from_slice(&self.payload_crc.to_le_bytes());
        self.head[32..40].copy_from_slice(&self.payload_len.to_le_bytes());
        self.head[40..44].copy_from_slice(&self.entries.to_le_bytes());
        let crc = crc32c::crc32c(&self.head[COVERED_FROM..]);
        self.head[8..12].copy_from_slice(&crc.to_le_bytes());
        &self.head
    }
}

/// A frame that was found.
#[derive(Debug)]
pub struct Frame<'a> {
    pub generation: u64,
    pub sequence: u64,
    entries: Vec<(Entry, Range<usize>)>,
    bytes: &'a [u8],
}

impl<'a> Frame<'a> {
    pub fn entries(&self) -> impl Iterator<Item = (Entry, &'a [u8])> + '_ {
        self.entries.iter().map(|(entry, range)| (*entry, &self.bytes[range.clone()]))
    }
}

/// Finds all whole frames in the image of a journal or ring, where frames begin at multiples of `align`. Whether they
/// still count is for the caller to say: older generations lie between newer ones.
pub fn scan(bytes: &[u8], align: usize) -> impl Iterator<Item = Frame<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            match parse(&bytes[at..]) {
                Some((frame, len)) => {
                    at += len.next_multiple_of(align);
                    return Some(frame);
                }
                None => at += align,
            }
        }
        None
    })
}

fn parse(bytes: &[u8]) -> Option<(Frame<'_>, usize)> {
    let header = bytes.first_chunk::<HEADER_LEN>()?;
    if u32_at(header, 0) != MAGIC || u32_at(header, 4) != VERSION {
        return None;
    }
    let count = u32_at(header, 40) as usize;
    if count > ENTRIES_MAX {
        return None;
    }
    let head = bytes.get(..head_len(count))?;
    if crc32c::crc32c(&head[COVERED_FROM..]) != u32_at(header, 8) {
        return None;
    }
    let payload_len = usize::try_from(u64_at(header, 32)).ok()?;
    let len = head.len().checked_add(payload_len)?;
    let payload = bytes.get(head.len()..len)?;
    if crc32c::crc32c(payload) != u32_at(header, 12) {
        return None;
    }
    let mut at = head.len();
    let mut entries = Vec::with_capacity(count);
    for entry in head[HEADER_LEN..].chunks_exact(ENTRY_LEN) {
        let entry = parse_entry(entry);
        let range = at..at + entry.len as usize;
        at = range.end;
        entries.push((entry, range));
    }
    let frame = Frame { generation: u64_at(header, 16), sequence: u64_at(header, 24), entries, bytes: &bytes[..len] };
    (at == len).then_some((frame, len))
}

fn parse_entry(bytes: &[u8]) -> Entry {
    let topic = uuid::Uuid::from_bytes(*bytes.first_chunk().expect("an entry has its length"));
    let signed = |at| u64_at(bytes, at) as i64;
    Entry {
        id: TopicPartitionId { topic: TopicId(topic), partition: PartitionIndex(u32_at(bytes, 40) as i32) },
        base: Offset(signed(16)),
        end: Offset(signed(24)),
        segment: Offset(signed(32)),
        generation: u32_at(bytes, 44),
        epoch: LeaderEpoch(u32_at(bytes, 48) as i32),
        position: u32_at(bytes, 52),
        len: u32_at(bytes, 56),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("the field lies within"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("the field lies within"))
}
