//! Record batches, version 2 (KIP-98): the unit that travels, lies on disk and is sent, always as the same bytes.
//!
//! Bytes come from clients and from disks, so everything here returns an error for what does not hold. Nothing here
//! changes a batch except `set_base_offset_and_epoch`, whose two fields lie outside the CRC.

mod builder;
mod compression;
mod header;
mod records;
mod validate;
mod varint;

pub use builder::BatchBuilder;
pub use compression::{Compression, decompress};
pub use header::{BatchHeader, HEADER_LEN, TimestampType, peek_len, set_base_offset_and_epoch};
pub use records::{Header, Headers, Record, Records};
pub use validate::{Limits, validate};

/// What is wrong with a batch.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no batch at all")]
    Empty,
    #[error("{length} bytes are too few for a batch")]
    Truncated { length: usize },
    #[error("the batch claims {claimed} bytes, {actual} are there")]
    Length { claimed: i64, actual: usize },
    #[error("{count} bytes follow the batch")]
    MoreThanOne { count: usize },
    #[error("magic {0} is not 2")]
    Magic(i8),
    #[error("CRC-32C is {computed:#010x}, the batch says {stored:#010x}")]
    Crc { stored: u32, computed: u32 },
    #[error("compression {0} is unknown")]
    UnknownCompression(u8),
    #[error("{record_count} records, but the last offset delta is {last_offset_delta}")]
    RecordCount { record_count: i32, last_offset_delta: i32 },
    #[error("record {index} has offset delta {offset_delta}")]
    OffsetDelta { index: i32, offset_delta: i32 },
    #[error("record {index} is malformed: {what}")]
    Record { index: i32, what: &'static str },
    #[error("{count} bytes follow the last record")]
    BytesAfterRecords { count: usize },
    #[error("record {index} has no key")]
    NullKey { index: i32 },
    #[error("record {index} has timestamp {timestamp}")]
    Timestamp { index: i32, timestamp: i64 },
    #[error("the records cannot be decompressed")]
    Decompress(#[source] std::io::Error),
    #[error("the records decompress to more than {limit} bytes")]
    TooLarge { limit: usize },
}

#[cfg(test)]
mod tests;
