//! The stamp at the front of each value: which run and producer it is of, its sequence, and when it was due.

use crate::clock::Nanos;

/// Bytes of a stamp; shorter values carry none.
pub const STAMP_LEN: usize = 24;

/// Big-endian, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Random for each run, so that records of other runs are told apart.
    pub run: u32,
    /// From 0.
    pub producer: u32,
    /// Of the producer, from 0, over all its partitions.
    pub sequence: u64,
    pub due: Nanos,
}

/// `None` if the value is too short for one.
pub fn read_stamp(_value: &[u8]) -> Option<Stamp> {
    todo!()
}
