//! What was acknowledged, 16 bytes a batch, by thread; and what consumers found.

use std::collections::BTreeMap;

use crate::drive::TargetId;

/// Blocks of entries by target.
#[derive(Debug, Default)]
pub struct Ledger {}

impl Ledger {
    pub fn new(_targets: usize, _batches_max: usize) -> Ledger {
        todo!()
    }

    pub fn acknowledged(&mut self, _target: TargetId, _producer: u32, _base_offset: i64, _crc: u32, _records: u32) {
        todo!()
    }

    /// Of a request without an answer.
    pub fn in_doubt(&mut self, _target: TargetId, _crc: u32, _records: u32) {
        todo!()
    }
}

/// What consumers of one thread found.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub records: u64,
    pub repeated: u64,
    pub reordered: u64,
    pub changed: u64,
    /// The next offset, of each target.
    pub up_to: BTreeMap<TargetId, i64>,
}
