//! How records are put into a batch. Where all values have one size, buffers are copies of templates with every record in
//! place, so that a record costs the store of its stamp and its key; else each record is put together.

use std::sync::Arc;

use duramen_wire::batch::{BatchHeader, HEADER_LEN};
use duramen_wire::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

use super::keys::KEY_LEN;
use super::payload::Payloads;
use super::pool::Buffer;
use super::sizes::SizeTable;
use super::stamp::{STAMP_LEN, Stamp};
use crate::error::Error;
use crate::plan::{Compression, Produce};

/// Different payloads of a full batch.
const TEMPLATES: usize = 16;
/// All templates of a thread take no more, or there are fewer of them.
const TEMPLATES_BYTES_MAX: usize = 64 << 20;
/// Payload that assembled records take their values from.
const POOL_BYTES: usize = 1 << 20;
/// How much further on the next record's payload begins: odd, so that all beginnings come.
const POOL_STEP: u64 = 7_919;
/// Bytes of a record beside key and value, generously: length, attributes, deltas, lengths of both, headers.
const RECORD_ROOM: usize = 32;
/// No batch holds more.
const RECORDS_MAX: u32 = 1 << 24;

/// Where the bytes begin that a batch's CRC covers, and where it lies.
const CRC_START: usize = 21;
const CRC_AT: usize = 17;
/// The bytes that a batch's length does not count.
const LENGTH_END: usize = 12;

/// Lays out the batches of one thread.
pub(crate) struct Shape {
    sizes: Arc<SizeTable>,
    keyed: bool,
    section_max: usize,
    records_max: u32,
    kind: Kind,
}

enum Kind {
    Templates { layout: Layout, sections: Vec<Vec<u8>> },
    Assembled { payload: Vec<u8> },
}

/// Where the parts of each record lie in a template.
#[derive(Default)]
struct Layout {
    records: Vec<Place>,
    value_len: usize,
}

#[derive(Clone, Copy)]
struct Place {
    key: u32,
    value: u32,
    end: u32,
}

impl Shape {
    pub(crate) fn new(produce: &Produce, sizes: Arc<SizeTable>, seed: u64) -> Result<Self, Error> {
        let payloads = Payloads::new(&produce.payload, seed)?;
        let mut shape = Self {
            sizes,
            keyed: produce.keys.is_some(),
            section_max: (produce.batch_bytes as usize).saturating_sub(HEADER_LEN),
            records_max: produce.batch_records.unwrap_or(RECORDS_MAX).clamp(1, RECORDS_MAX),
            kind: Kind::Assembled { payload: Vec::new() },
        };
        shape.kind = match *shape.sizes {
            SizeTable::Fixed(size) => shape.make_templates(size as usize, payloads),
            SizeTable::Drawn { largest, .. } => assembled(largest as usize, payloads),
        };
        Ok(shape)
    }

    fn make_templates(&self, size: usize, mut payloads: Payloads) -> Kind {
        let mut layout = Layout { records: Vec::new(), value_len: size };
        let mut first = Vec::new();
        let mut value = vec![0; size];
        while (layout.records.len() as u32) < self.records_max {
            let needed = record_len(layout.records.len() as u32, self.key_len(), size);
            if !layout.records.is_empty() && first.len() + needed > self.section_max {
                break;
            }
            payloads.fill(&mut value);
            let place =
                append_record(&mut first, layout.records.len() as u32, self.keyed.then_some([b'0'; KEY_LEN]), &value);
            layout.records.push(place);
        }
        let count = (TEMPLATES_BYTES_MAX / first.len()).clamp(1, TEMPLATES);
        let mut sections = vec![first];
        while sections.len() < count {
            let mut next = sections[0].clone();
            for place in &layout.records {
                payloads.fill(&mut next[place.value as usize..place.value as usize + size]);
            }
            sections.push(next);
        }
        Kind::Templates { layout, sections }
    }

    fn key_len(&self) -> Option<usize> {
        self.keyed.then_some(KEY_LEN)
    }

    /// Bytes of one buffer.
    pub(crate) fn buffer_len(&self) -> usize {
        match &self.kind {
            Kind::Templates { sections, .. } => sections[0].len(),
            Kind::Assembled { .. } => self.section_max.max(self.sizes.largest() as usize + KEY_LEN + RECORD_ROOM),
        }
    }

    /// A buffer whose memory has been touched; which template it is a copy of follows from its number.
    pub(crate) fn buffer(&self, number: usize) -> Buffer {
        let bytes = match &self.kind {
            Kind::Templates { sections, .. } => sections[number % sections.len()].clone(),
            // Not zeros, which the kernel would hand out without touching them.
            Kind::Assembled { .. } => vec![1; self.buffer_len()],
        };
        Buffer { bytes, len: 0, records: 0, payload_bytes: 0 }
    }

    /// How many templates there are; none where records are assembled.
    pub(crate) fn templates(&self) -> usize {
        match &self.kind {
            Kind::Templates { sections, .. } => sections.len(),
            Kind::Assembled { .. } => 0,
        }
    }

    /// The first so many records of a template as they lie, without stamps and keys.
    pub(crate) fn prefix(&self, template: usize, records: u32) -> &[u8] {
        match &self.kind {
            Kind::Templates { layout, sections } if records > 0 => {
                &sections[template][..layout.records[records as usize - 1].end as usize]
            }
            _ => &[],
        }
    }

    /// Bytes of keys and values in so many records of a template.
    pub(crate) fn prefix_payload_bytes(&self, records: u32) -> u64 {
        match &self.kind {
            Kind::Templates { layout, .. } => {
                u64::from(records) * (layout.value_len + self.key_len().unwrap_or(0)) as u64
            }
            Kind::Assembled { .. } => 0,
        }
    }

    /// How many of a producer's records fill a batch, beginning with `first`.
    pub(crate) fn full_from(&self, producer: u32, first: u64) -> u32 {
        match &self.kind {
            Kind::Templates { layout, .. } => layout.records.len() as u32,
            Kind::Assembled { .. } => {
                let (mut len, mut count) = (0, 0);
                while count < self.records_max {
                    let size = self.sizes.of(producer, first + u64::from(count)) as usize;
                    len += record_len(count, self.key_len(), size);
                    if count > 0 && len > self.section_max {
                        break;
                    }
                    count += 1;
                }
                count
            }
        }
    }

    /// Whether the producer's record fits behind those in the buffer. The first always does.
    pub(crate) fn fits(&self, buffer: &Buffer, producer: u32, sequence: u64) -> bool {
        match &self.kind {
            Kind::Templates { layout, .. } => (buffer.records as usize) < layout.records.len(),
            Kind::Assembled { .. } => {
                let size = self.sizes.of(producer, sequence) as usize;
                let len = buffer.len + record_len(buffer.records, self.key_len(), size);
                buffer.records == 0 || (buffer.records < self.records_max && len <= self.section_max)
            }
        }
    }

    /// Puts a record, which fits, behind those in the buffer.
    #[inline]
    pub(crate) fn push(&self, buffer: &mut Buffer, stamp: Stamp, key: Option<[u8; KEY_LEN]>) {
        let value_len = match &self.kind {
            Kind::Templates { layout, .. } => {
                let place = layout.records[buffer.records as usize];
                if let Some(key) = key {
                    buffer.bytes[place.key as usize..][..KEY_LEN].copy_from_slice(&key);
                }
                if layout.value_len >= STAMP_LEN {
                    buffer.bytes[place.value as usize..][..STAMP_LEN].copy_from_slice(&stamp.to_bytes());
                }
                buffer.len = place.end as usize;
                layout.value_len
            }
            Kind::Assembled { payload } => {
                let size = self.sizes.of(stamp.producer, stamp.sequence) as usize;
                let from = (stamp.sequence.wrapping_mul(POOL_STEP) % POOL_BYTES as u64) as usize;
                buffer.bytes.truncate(buffer.len);
                let place = append_record(&mut buffer.bytes, buffer.records, key, &payload[from..from + size]);
                if size >= STAMP_LEN {
                    buffer.bytes[place.value as usize..][..STAMP_LEN].copy_from_slice(&stamp.to_bytes());
                }
                buffer.len = place.end as usize;
                size
            }
        };
        buffer.records += 1;
        buffer.payload_bytes += (value_len + key.map_or(0, |key| key.len())) as u64;
    }
}

fn assembled(largest: usize, mut payloads: Payloads) -> Kind {
    let mut payload = vec![0; POOL_BYTES + largest];
    payload.chunks_mut(largest.max(1)).for_each(|value| payloads.fill(value));
    Kind::Assembled { payload }
}

/// Appends a record without headers, its timestamp the batch's.
fn append_record(section: &mut Vec<u8>, index: u32, key: Option<[u8; KEY_LEN]>, value: &[u8]) -> Place {
    varint(section, body_len(index, key.map(|key| key.len()), value.len()));
    // Attributes and the timestamp's delta.
    section.extend_from_slice(&[0, 0]);
    varint(section, i64::from(index));
    varint(section, key.map_or(-1, |key| key.len() as i64));
    let key_at = section.len() as u32;
    section.extend_from_slice(key.as_ref().map_or(&[], |key| &key[..]));
    varint(section, value.len() as i64);
    let value_at = section.len() as u32;
    section.extend_from_slice(value);
    varint(section, 0);
    Place { key: key_at, value: value_at, end: section.len() as u32 }
}

fn body_len(index: u32, key_len: Option<usize>, value_len: usize) -> i64 {
    let key = key_len.map_or(1, |len| varint_len(len as i64) + len);
    (2 + varint_len(i64::from(index)) + key + varint_len(value_len as i64) + value_len + 1) as i64
}

fn record_len(index: u32, key_len: Option<usize>, value_len: usize) -> usize {
    let body = body_len(index, key_len, value_len);
    varint_len(body) + body as usize
}

/// A zigzag varint.
fn varint(out: &mut Vec<u8>, value: i64) {
    let mut left = zigzag(value);
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

fn varint_len(value: i64) -> usize {
    (64 - zigzag(value).leading_zeros()).div_ceil(7).max(1) as usize
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// What stands in the header of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub compression: Compression,
    pub records: u32,
    /// Milliseconds since 1970, of all records.
    pub timestamp: i64,
    /// -1 without idempotence, as epoch and sequence.
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
}

/// The header in front of a section, and the CRC in it.
pub(crate) fn seal(head: &Head, section: &[u8]) -> ([u8; HEADER_LEN], u32) {
    let count = i32::try_from(head.records).expect("a batch's records are bounded");
    let length = HEADER_LEN - LENGTH_END + section.len();
    let mut header = BatchHeader {
        base_offset: Offset(0),
        batch_length: i32::try_from(length).expect("a batch's bytes are bounded"),
        leader_epoch: LeaderEpoch(-1),
        magic: 2,
        crc: 0,
        attributes: duramen_wire::batch::Compression::from(head.compression) as i16,
        last_offset_delta: count - 1,
        base_timestamp: head.timestamp,
        max_timestamp: head.timestamp,
        producer_id: ProducerId(head.producer_id),
        producer_epoch: ProducerEpoch(head.producer_epoch),
        base_sequence: head.base_sequence,
        record_count: count,
    }
    .to_bytes();
    let crc = crc32c::crc32c_append(crc32c::crc32c(&header[CRC_START..]), section);
    header[CRC_AT..CRC_START].copy_from_slice(&crc.to_be_bytes());
    (header, crc)
}

#[cfg(test)]
mod tests;
