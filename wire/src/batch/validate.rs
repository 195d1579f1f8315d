//! The check that a batch passes before it is appended or after it was read back.

use std::ops::ControlFlow;

use super::header::CRC_START;
use super::varint::{field, take, varint, varlong};
use super::{BatchHeader, Compression, Error, HEADER_LEN};
use crate::slices::{Cursor, Slices};

/// A record without a timestamp.
const NO_TIMESTAMP: i64 = -1;

/// What is asked of the records beyond their being well-formed. Only uncompressed batches are opened, so for compressed
/// ones the caller has to `decompress` and to walk the records himself.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Refuse records without a key, as compacted topics do.
    pub require_key: bool,
    /// The earliest and latest timestamps that a record may have, in ms, and the batch's own maximum with them. -1 (no
    /// timestamp) is always allowed.
    pub timestamp_min: i64,
    pub timestamp_max: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { require_key: false, timestamp_min: i64::MIN, timestamp_max: i64::MAX }
    }
}

/// Checks that `bytes` are exactly one good batch: length, magic, CRC, known compression, at least one record, dense
/// offsets; and of an uncompressed one, that its records are what the header says.
///
/// It checks no field that the broker owns or judges: producer state, control and transactional bits, timestamp type,
/// unused attribute bits. Kafka lets three things pass that are refused here: offset deltas that are not dense, lengths
/// below -1 for null, and a fragment of a second batch at the end.
pub fn validate(bytes: Slices, limits: &Limits) -> Result<BatchHeader, Error> {
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    if bytes.len() < HEADER_LEN {
        return Err(Error::Truncated { length: bytes.len() });
    }
    let header = BatchHeader::parse(&bytes.array::<HEADER_LEN>(0))?;
    match header.total_len() {
        length if length > bytes.len() => {
            return Err(Error::Length { claimed: length as i64, actual: bytes.len() });
        }
        length if length < bytes.len() => return Err(Error::MoreThanOne { count: bytes.len() - length }),
        _ => {}
    }
    check_crc(&header, bytes)?;
    let compression = header.compression()?;
    let BatchHeader { record_count, last_offset_delta, .. } = header;
    if record_count < 1 || record_count - 1 != last_offset_delta {
        return Err(Error::RecordCount { record_count, last_offset_delta });
    }
    check_timestamp(header.max_timestamp, last_offset_delta, limits)?;
    if compression == Compression::None {
        walk(&header, bytes.sub(HEADER_LEN..bytes.len()), limits)?;
    }
    Ok(header)
}

fn check_crc(header: &BatchHeader, bytes: Slices) -> Result<(), Error> {
    let computed = bytes.pieces(CRC_START..bytes.len()).fold(0, crc32c::crc32c_append);
    match computed == header.crc {
        true => Ok(()),
        false => Err(Error::Crc { stored: header.crc, computed }),
    }
}

/// Reads over all records. Their keys and values are not touched.
fn walk(header: &BatchHeader, records: Slices, limits: &Limits) -> Result<(), Error> {
    let mut cursor = records.cursor();
    let mut index = 0;
    while index < header.record_count {
        let (good, length) = walk_piece(header, cursor.piece(), index, limits);
        index += good;
        cursor.skip(length).map_err(|_| Error::Record { index, what: "truncated" })?;
        if index < header.record_count {
            walk_record(header, &mut cursor, index, limits)?;
            index += 1;
        }
    }
    match cursor.remaining() {
        0 => Ok(()),
        count => Err(Error::BytesAfterRecords { count }),
    }
}

/// Walks the good records that lie whole within a piece; returns their number and their bytes. It stops at the first
/// other one, which is for `walk_record` to read or to name.
fn walk_piece(header: &BatchHeader, piece: &[u8], first: i32, limits: &Limits) -> (i32, usize) {
    let mut left = piece;
    let mut index = first;
    while index < header.record_count {
        let mut rest = left;
        match walk_whole(&mut rest) {
            Some(record) if record.check(header, index, limits).is_ok() => {}
            _ => break,
        }
        left = rest;
        index += 1;
    }
    (index - first, piece.len() - left.len())
}

#[inline(always)]
fn walk_whole(bytes: &mut &[u8]) -> Option<Skimmed> {
    let length = varint(bytes)?;
    let mut body = take(bytes, length)?;
    take(&mut body, 1)?;
    let timestamp_delta = varlong(&mut body)?;
    let offset_delta = varint(&mut body)?;
    let null_key = field(&mut body)?.is_none();
    field(&mut body)?;
    for _ in 0..varint(&mut body).filter(|count| *count >= 0)? {
        field(&mut body)??;
        field(&mut body)?;
    }
    body.is_empty().then_some(Skimmed { timestamp_delta, offset_delta, null_key })
}

/// Walks one record that may span pieces, and says what is wrong with one that is.
fn walk_record(header: &BatchHeader, cursor: &mut Cursor, index: i32, limits: &Limits) -> Result<(), Error> {
    let malformed = |what| Error::Record { index, what };
    let length = cursor.varint().map_err(|_| malformed("length"))?;
    let end = match usize::try_from(length) {
        Ok(length) if length <= cursor.remaining() => cursor.position() + length,
        _ => return Err(malformed("length beyond the batch")),
    };
    let record = skim(cursor).map_err(|_| malformed("truncated or overlong field"))?;
    record.check(header, index, limits)?;
    if skim_headers(cursor).is_break() || cursor.position() != end {
        return Err(malformed("fields and length disagree"));
    }
    Ok(())
}

struct Skimmed {
    timestamp_delta: i64,
    offset_delta: i32,
    null_key: bool,
}

impl Skimmed {
    #[inline(always)]
    fn check(&self, header: &BatchHeader, index: i32, limits: &Limits) -> Result<(), Error> {
        if self.offset_delta != index {
            return Err(Error::OffsetDelta { index, offset_delta: self.offset_delta });
        }
        if self.null_key && limits.require_key {
            return Err(Error::NullKey { index });
        }
        check_timestamp(header.base_timestamp.wrapping_add(self.timestamp_delta), index, limits)
    }
}

fn skim(cursor: &mut Cursor) -> Result<Skimmed, crate::slices::Error> {
    cursor.u8()?;
    let timestamp_delta = cursor.varlong()?;
    let offset_delta = cursor.varint()?;
    let null_key = skim_field(cursor)?;
    skim_field(cursor)?;
    Ok(Skimmed { timestamp_delta, offset_delta, null_key })
}

/// Moves over a key or value; true if it is null.
fn skim_field(cursor: &mut Cursor) -> Result<bool, crate::slices::Error> {
    let length = cursor.varint()?;
    match usize::try_from(length) {
        Ok(length) => cursor.skip(length).map(|_| false),
        Err(_) if length == -1 => Ok(true),
        Err(_) => Err(crate::slices::Error::NegativeLength { position: cursor.position(), length: length.into() }),
    }
}

/// Moves over a record's headers. Each takes two bytes or more, so a lying count ends at the end of the bytes.
fn skim_headers(cursor: &mut Cursor) -> ControlFlow<()> {
    let Ok(count @ 0..) = cursor.varint() else { return ControlFlow::Break(()) };
    for _ in 0..count {
        match (skim_field(cursor), skim_field(cursor)) {
            (Ok(false), Ok(_)) => {}
            _ => return ControlFlow::Break(()),
        }
    }
    ControlFlow::Continue(())
}

fn check_timestamp(timestamp: i64, index: i32, limits: &Limits) -> Result<(), Error> {
    let within = (limits.timestamp_min..=limits.timestamp_max).contains(&timestamp) || timestamp == NO_TIMESTAMP;
    if within { Ok(()) } else { Err(Error::Timestamp { index, timestamp }) }
}
