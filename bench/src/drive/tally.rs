//! What a thread counts: for each second, and for the measured part as a whole.

use crate::Error;
use crate::clock::Nanos;
use crate::latency::Latencies;
use crate::outcome::Counts;
use crate::verify::{Ledger, Received};

#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub produced: Counts,
    pub consumed: Counts,
    pub scheduled: Latencies,
    pub sent: Latencies,
    pub late: Latencies,
    pub end_to_end: Latencies,
    pub stalled_ns: u64,
    pub compressed_in_line: u64,
    /// Requests under way when the interval ended.
    pub in_flight: u32,
}

/// What one thread counted in one second.
#[derive(Clone, Debug)]
pub struct Interval {
    pub thread: usize,
    pub second: u32,
    pub tally: Tally,
    pub busy_ns: u64,
    pub waited_ns: u64,
    pub full_ns: u64,
}

/// What is left of a thread.
pub struct ThreadEnd {
    pub measured: Tally,
    pub ledger: Ledger,
    pub received: Received,
    pub failure: Option<Error>,
    pub ended: Nanos,
}
