//! The fixed 61 bytes at the front of a batch.

use super::{Compression, Error};
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// Bytes before the first record.
pub const HEADER_LEN: usize = 61;

/// The bytes that `batch_length` does not count: base offset and itself.
pub(super) const LENGTH_END: usize = 12;

/// Where the bytes begin that the CRC covers.
pub(super) const CRC_START: usize = 21;

const MAGIC: i8 = 2;
const COMPRESSION_MASK: i16 = 0x07;
const TIMESTAMP_TYPE: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const DELETE_HORIZON: i16 = 1 << 6;

/// A batch's header, decoded. All integers are big-endian:
///
/// ```text
///  0  base_offset        i64   set by the broker, outside the CRC
///  8  batch_length       i32   bytes from 12 on
/// 12  leader_epoch       i32   set by the broker, outside the CRC
/// 16  magic              i8    2
/// 17  crc                u32   CRC-32C of everything from 21 on
/// 21  attributes         i16   bits 0-2 compression, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon
/// 23  last_offset_delta  i32
/// 27  base_timestamp     i64   ms since 1970; with bit 6 the delete horizon instead
/// 35  max_timestamp      i64
/// 43  producer_id        i64   -1 without idempotence
/// 51  producer_epoch     i16
/// 53  base_sequence      i32
/// 57  record_count       i32
/// 61  records
/// ```
///
/// What the broker sets stands first, before the CRC, so that a batch is placed without reading it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: Offset,
    pub batch_length: i32,
    pub leader_epoch: LeaderEpoch,
    pub magic: i8,
    pub crc: u32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: i32,
    pub record_count: i32,
}

/// What a batch's timestamps say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    CreateTime,
    LogAppendTime,
}

impl BatchHeader {
    /// Decodes the first `HEADER_LEN` bytes. It checks what is needed to find the batch's end: magic, a length that
    /// covers the header, an offset range that does not wrap. The CRC is not checked.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let Some(bytes) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(Error::Truncated { length: bytes.len() });
        };
        let header = Self::parse_frame(bytes)?;
        header.check_offsets()?;
        Ok(header)
    }

    /// Checks magic and length only: all that is needed to check the CRC, before which nothing else is to be trusted.
    pub(super) fn parse_frame(bytes: &[u8; HEADER_LEN]) -> Result<Self, Error> {
        let header = Self::decode(bytes);
        if header.magic != MAGIC {
            return Err(Error::Magic(header.magic));
        }
        if header.batch_length < (HEADER_LEN - LENGTH_END) as i32 {
            return Err(Error::Truncated { length: header.batch_length.max(0) as usize + LENGTH_END });
        }
        Ok(header)
    }

    /// Whether the offsets of the records lie within what there is.
    pub(super) fn check_offsets(&self) -> Result<(), Error> {
        let Self { record_count, last_offset_delta, .. } = *self;
        let wraps = self.base_offset.0.checked_add(i64::from(last_offset_delta)).is_none();
        match wraps || last_offset_delta < 0 || record_count < 0 {
            true => Err(Error::RecordCount { record_count, last_offset_delta }),
            false => Ok(()),
        }
    }

    fn decode(bytes: &[u8; HEADER_LEN]) -> Self {
        Self {
            base_offset: Offset(i64::from_be_bytes(field(bytes, 0))),
            batch_length: i32::from_be_bytes(field(bytes, 8)),
            leader_epoch: LeaderEpoch(i32::from_be_bytes(field(bytes, 12))),
            magic: bytes[16] as i8,
            crc: u32::from_be_bytes(field(bytes, 17)),
            attributes: i16::from_be_bytes(field(bytes, 21)),
            last_offset_delta: i32::from_be_bytes(field(bytes, 23)),
            base_timestamp: i64::from_be_bytes(field(bytes, 27)),
            max_timestamp: i64::from_be_bytes(field(bytes, 35)),
            producer_id: ProducerId(i64::from_be_bytes(field(bytes, 43))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(field(bytes, 51))),
            base_sequence: i32::from_be_bytes(field(bytes, 53)),
            record_count: i32::from_be_bytes(field(bytes, 57)),
        }
    }

    /// The header's bytes, as they are: the CRC is not computed.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0..8].copy_from_slice(&self.base_offset.0.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.leader_epoch.0.to_be_bytes());
        bytes[16] = self.magic as u8;
        bytes[17..21].copy_from_slice(&self.crc.to_be_bytes());
        bytes[21..23].copy_from_slice(&self.attributes.to_be_bytes());
        bytes[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        bytes[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        bytes[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        bytes[43..51].copy_from_slice(&self.producer_id.0.to_be_bytes());
        bytes[51..53].copy_from_slice(&self.producer_epoch.0.to_be_bytes());
        bytes[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        bytes[57..61].copy_from_slice(&self.record_count.to_be_bytes());
        bytes
    }

    /// Bytes of the whole batch, header included.
    pub fn total_len(&self) -> usize {
        LENGTH_END + self.batch_length as usize
    }

    pub fn compression(&self) -> Result<Compression, Error> {
        Compression::try_from((self.attributes & COMPRESSION_MASK) as u8)
    }

    pub fn timestamp_type(&self) -> TimestampType {
        match self.attributes & TIMESTAMP_TYPE {
            0 => TimestampType::CreateTime,
            _ => TimestampType::LogAppendTime,
        }
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Control batches hold transaction markers and the like; only brokers write them.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Whether the base timestamp is the time at which the tombstones inside may go (KIP-534).
    pub fn has_delete_horizon(&self) -> bool {
        self.attributes & DELETE_HORIZON != 0
    }

    /// The offset of the last record.
    pub fn last_offset(&self) -> Offset {
        self.base_offset.plus(i64::from(self.last_offset_delta))
    }

    /// Whether an idempotent producer made it.
    pub fn has_producer(&self) -> bool {
        self.producer_id.0 >= 0
    }

    /// The sequence number of the last record; -1 without idempotence. After i32::MAX comes 0.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return self.base_sequence;
        }
        ((i64::from(self.base_sequence) + i64::from(self.last_offset_delta)) & i64::from(i32::MAX)) as i32
    }
}

/// Bytes of the whole batch whose first 12 bytes are given, where they are a plausible length.
pub fn peek_len(bytes: &[u8; 12]) -> Result<usize, Error> {
    let claimed = i32::from_be_bytes(field(bytes, 8));
    match usize::try_from(claimed) {
        Ok(length) if length >= HEADER_LEN - LENGTH_END => Ok(length + LENGTH_END),
        _ => Err(Error::Length { claimed: i64::from(claimed) + LENGTH_END as i64, actual: LENGTH_END }),
    }
}

/// Places a batch: writes bytes 0..8 and 12..16 of its header, which the CRC does not cover, and no others.
///
/// `header` holds at least 16 bytes.
pub fn set_base_offset_and_epoch(header: &mut [u8], base_offset: Offset, leader_epoch: LeaderEpoch) {
    header[0..8].copy_from_slice(&base_offset.0.to_be_bytes());
    header[12..16].copy_from_slice(&leader_epoch.0.to_be_bytes());
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    *bytes[at..].first_chunk().expect("every field lies within the fixed header")
}
