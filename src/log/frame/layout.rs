//! How header and entries lie in a frame. All integers are little-endian and lie at multiples
//! of their size, so the archives of both have no gaps.
//!
//! ```text
//! header, 40 bytes             entry, 64 bytes
//!  0  magic u32                 0  topic id, 16 bytes
//!  4  format u32               16  base offset i64
//!  8  head CRC u32             24  end offset i64
//! 12  payload CRC u32          32  base offset of the segment i64
//! 16  generation u64           40  partition i32
//! 24  sequence u64             44  partition generation u32
//! 32  payload length u32       48  leader epoch i32
//! 36  entries u32              52  position in the segment u32
//!                              56  length u32
//!                              60  zeros
//! ```
//!
//! The head CRC (CRC-32C) covers the header from the field behind it on, and the table; so it covers the payload's CRC
//! too. There are two because the payload is counted before the table is complete.

use duramen_wire::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartitionId};
use rkyv::api::low::{LowSerializer, to_bytes_in_with_alloc};
use rkyv::rancor::Failure;
use rkyv::ser::allocator::SubAllocator;
use rkyv::ser::writer::Buffer;
use rkyv::{Archive, Serialize};

use super::{ENTRIES_MAX, Entry};

/// Bytes of the header.
pub const HEADER_LEN: usize = size_of::<ArchivedRawHeader>();
/// Bytes of an entry.
pub const ENTRY_LEN: usize = size_of::<ArchivedRawEntry>();

/// "DuFr".
const MAGIC: u32 = u32::from_le_bytes(*b"DuFr");
const FORMAT: u32 = 1;
/// Where the head CRC lies, and from where on it covers.
const CRC_AT: usize = 8;
const COVERED_FROM: usize = 12;

#[derive(Archive, Serialize)]
struct RawHeader {
    magic: u32,
    format: u32,
    head_crc: u32,
    payload_crc: u32,
    generation: u64,
    sequence: u64,
    payload_len: u32,
    entries: u32,
}

#[derive(Archive, Serialize)]
struct RawEntry {
    topic: [u8; 16],
    base: i64,
    end: i64,
    segment: i64,
    partition: i32,
    generation: u32,
    epoch: i32,
    position: u32,
    len: u32,
    zeros: u32,
}

/// What a header says beside its own checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HeaderFields {
    pub payload_crc: u32,
    pub generation: u64,
    pub sequence: u64,
    pub payload_len: u32,
    pub entries: u32,
}

impl HeaderFields {
    /// Fills the first bytes of `head`, whose table is complete.
    pub fn write(&self, head: &mut [u8]) {
        let raw = RawHeader {
            magic: MAGIC,
            format: FORMAT,
            head_crc: 0,
            payload_crc: self.payload_crc,
            generation: self.generation,
            sequence: self.sequence,
            payload_len: self.payload_len,
            entries: self.entries,
        };
        archive(&raw, &mut head[..HEADER_LEN]);
        let crc = crc32c::crc32c(&head[COVERED_FROM..]);
        head[CRC_AT..COVERED_FROM].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads the header at the start of `bytes` if it is one of this generation, and checks header and table.
    pub fn read(bytes: &[u8], generation: u64) -> Option<Self> {
        let aligned = Aligned(*bytes.first_chunk::<HEADER_LEN>()?);
        let raw = rkyv::access::<ArchivedRawHeader, Failure>(&aligned.0).ok()?;
        let known = raw.magic == MAGIC && raw.format == FORMAT && raw.generation == generation;
        if !known || raw.entries.to_native() as usize > ENTRIES_MAX {
            return None;
        }
        let head = bytes.get(COVERED_FROM..super::head_len(raw.entries.to_native() as usize))?;
        let fields = Self {
            payload_crc: raw.payload_crc.to_native(),
            generation,
            sequence: raw.sequence.to_native(),
            payload_len: raw.payload_len.to_native(),
            entries: raw.entries.to_native(),
        };
        (raw.head_crc == crc32c::crc32c(head)).then_some(fields)
    }
}

/// An entry as it is written.
pub(super) struct EntryFields(RawEntry);

impl From<&Entry> for EntryFields {
    fn from(entry: &Entry) -> Self {
        Self(RawEntry {
            topic: *entry.id.topic.0.as_bytes(),
            base: entry.base.0,
            end: entry.end.0,
            segment: entry.segment.0,
            partition: entry.id.partition.0,
            generation: entry.generation,
            epoch: entry.epoch.0,
            position: entry.position,
            len: entry.len,
            zeros: 0,
        })
    }
}

impl EntryFields {
    /// Adds it to a table.
    pub fn write(&self, head: &mut Vec<u8>) {
        let start = head.len();
        head.resize(start + ENTRY_LEN, 0);
        archive(&self.0, &mut head[start..]);
    }

    /// Reads the entry that `bytes` are.
    pub fn read(bytes: &[u8]) -> Option<Entry> {
        let aligned = Aligned(*bytes.first_chunk::<ENTRY_LEN>()?);
        let raw = rkyv::access::<ArchivedRawEntry, Failure>(&aligned.0).ok()?;
        let topic = TopicId(uuid::Uuid::from_bytes(raw.topic));
        Some(Entry {
            id: TopicPartitionId { topic, partition: PartitionIndex(raw.partition.to_native()) },
            generation: raw.generation.to_native(),
            base: Offset(raw.base.to_native()),
            end: Offset(raw.end.to_native()),
            epoch: LeaderEpoch(raw.epoch.to_native()),
            segment: Offset(raw.segment.to_native()),
            position: raw.position.to_native(),
            len: raw.len.to_native(),
        })
    }
}

/// Bytes where an archive may lie.
#[repr(align(8))]
struct Aligned<const N: usize>([u8; N]);

type Serializer<'a> = LowSerializer<Buffer<'a>, SubAllocator<'a>, Failure>;

fn archive<'a>(value: &impl Serialize<Serializer<'a>>, room: &'a mut [u8]) {
    let written = to_bytes_in_with_alloc(value, Buffer::from(room), SubAllocator::new(&mut []));
    assert!(written.is_ok(), "plain integers fit in the room that was made for them");
}
