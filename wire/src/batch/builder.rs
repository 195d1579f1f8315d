//! Makes batches: for the broker's own topics, and for tests. Uncompressed.

use super::header::{CRC_START, LENGTH_END};
use super::{BatchHeader, HEADER_LEN};
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

const CRC_AT: usize = 17;
const CONTROL: i16 = 1 << 5;
const TRANSACTIONAL: i16 = 1 << 4;

/// Collects records into one batch.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    header: BatchHeader,
    /// The batch so far, room for the header in front.
    bytes: Vec<u8>,
    scratch: Vec<u8>,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchBuilder {
    /// An empty batch at offset 0, leader epoch 0, without a producer.
    pub fn new() -> Self {
        let header = BatchHeader {
            base_offset: Offset(0),
            batch_length: 0,
            leader_epoch: LeaderEpoch(0),
            magic: 2,
            crc: 0,
            attributes: 0,
            last_offset_delta: -1,
            base_timestamp: 0,
            max_timestamp: -1,
            producer_id: ProducerId(-1),
            producer_epoch: ProducerEpoch(-1),
            base_sequence: -1,
            record_count: 0,
        };
        Self { header, bytes: vec![0; HEADER_LEN], scratch: Vec::new() }
    }

    pub fn base_offset(mut self, base_offset: Offset) -> Self {
        self.header.base_offset = base_offset;
        self
    }

    pub fn leader_epoch(mut self, leader_epoch: LeaderEpoch) -> Self {
        self.header.leader_epoch = leader_epoch;
        self
    }

    /// Makes it a batch of an idempotent producer.
    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: i32) -> Self {
        self.header.producer_id = id;
        self.header.producer_epoch = epoch;
        self.header.base_sequence = base_sequence;
        self
    }

    pub fn transactional(mut self) -> Self {
        self.header.attributes |= TRANSACTIONAL;
        self
    }

    pub fn control(mut self) -> Self {
        self.header.attributes |= CONTROL;
        self
    }

    /// Adds a record. `timestamp` is in ms since 1970; the first record's is the batch's base timestamp.
    pub fn push(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&[u8], Option<&[u8]>)],
        timestamp: i64,
    ) {
        if self.header.record_count == 0 {
            self.header.base_timestamp = timestamp;
        }
        self.header.max_timestamp = self.header.max_timestamp.max(timestamp);
        let body = &mut self.scratch;
        body.clear();
        body.push(0);
        varlong(body, timestamp.wrapping_sub(self.header.base_timestamp));
        varlong(body, i64::from(self.header.record_count));
        field(body, key);
        field(body, value);
        varlong(body, headers.len() as i64);
        for (key, value) in headers {
            field(body, Some(key));
            field(body, *value);
        }
        varlong(&mut self.bytes, self.scratch.len() as i64);
        self.bytes.extend_from_slice(&self.scratch);
        self.header.record_count += 1;
        self.header.last_offset_delta += 1;
    }

    pub fn record_count(&self) -> i32 {
        self.header.record_count
    }

    /// Bytes of the batch so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.header.record_count == 0
    }

    /// The finished batch. A batch without records is a broken invariant.
    pub fn finish(mut self) -> Vec<u8> {
        assert!(!self.is_empty(), "a batch has at least one record");
        let length = i32::try_from(self.bytes.len() - LENGTH_END).expect("a batch's length is an i32");
        self.header.batch_length = length;
        self.bytes[..HEADER_LEN].copy_from_slice(&self.header.to_bytes());
        let crc = crc32c::crc32c(&self.bytes[CRC_START..]);
        self.bytes[CRC_AT..CRC_START].copy_from_slice(&crc.to_be_bytes());
        self.bytes
    }
}

fn field(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        None => varlong(out, -1),
        Some(value) => {
            varlong(out, value.len() as i64);
            out.extend_from_slice(value);
        }
    }
}

/// A zigzag varint; for values of 32 bits its bytes are those of the narrower form.
fn varlong(out: &mut Vec<u8>, value: i64) {
    let mut left = ((value << 1) ^ (value >> 63)) as u64;
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}
