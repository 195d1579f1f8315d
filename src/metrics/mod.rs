//! What the broker counts and times. Each shard counts for itself; whoever asks gets a copy and adds them up.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use duramen_wire::api::ApiKey;
use hdrhistogram::Histogram;

use crate::shard::message::Tier;

/// Latencies are kept from 1 microsecond to this many, with two significant digits.
const LATENCY_MAX_US: u64 = 600_000_000;

/// The counters of one shard.
pub struct Metrics {
    latencies: RefCell<BTreeMap<ApiKey, Histogram<u64>>>,
    bytes_sent: [Cell<u64>; 3],
    pub connections_accepted: Cell<u64>,
    pub connections_refused: Cell<u64>,
    pub connections_failed: Cell<u64>,
}

/// A copy of the counters at one moment.
#[derive(Clone)]
pub struct Snapshot {
    /// Microseconds from the arrival of a request to the end of its answer.
    pub latencies: BTreeMap<ApiKey, Histogram<u64>>,
    /// Record bytes sent from the tail buffer, by sendfile, and from cold reads.
    pub bytes_sent: [u64; 3],
    pub connections_accepted: u64,
    pub connections_refused: u64,
    pub connections_failed: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            latencies: RefCell::default(),
            bytes_sent: Default::default(),
            connections_accepted: Cell::new(0),
            connections_refused: Cell::new(0),
            connections_failed: Cell::new(0),
        }
    }
}

impl Metrics {
    /// Notes a request that was answered.
    pub fn answered(&self, api: ApiKey, took: Duration) {
        let mut latencies = self.latencies.borrow_mut();
        let histogram = latencies.entry(api).or_insert_with(|| {
            Histogram::new_with_bounds(1, LATENCY_MAX_US, 2).expect("the bounds of the histogram are in order")
        });
        histogram.saturating_record(u64::try_from(took.as_micros()).unwrap_or(LATENCY_MAX_US).max(1));
    }

    /// Notes record bytes on their way to a client.
    pub fn sent(&self, tier: Tier, bytes: usize) {
        let counter = &self.bytes_sent[tier as usize];
        counter.set(counter.get() + bytes as u64);
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            latencies: self.latencies.borrow().clone(),
            bytes_sent: self.bytes_sent.each_ref().map(Cell::get),
            connections_accepted: self.connections_accepted.get(),
            connections_refused: self.connections_refused.get(),
            connections_failed: self.connections_failed.get(),
        }
    }
}

/// Adds one to a counter.
pub fn count(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}
