//! What the broker counts and times, and how it is shown.
//!
//! Each shard counts for itself ([`Metrics`]), without locks. Whoever asks gets a copy by message: [`gather`] asks all
//! shards, [`page`] writes the answers as text, [`server`] hands the text out over HTTP on shard 0.

mod endpoint;
mod families;
mod gather;
mod http;
mod lag;
mod page;
mod server;
mod text;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use duramen_wire::api::ApiKey;
use hdrhistogram::Histogram;

pub use endpoint::{Error as EndpointError, bind_all};
pub use server::{Phase, serve};

use crate::shard::message::Tier;

/// Latencies are kept from 1 microsecond to this many, with two significant digits.
const LATENCY_MAX_US: u64 = 600_000_000;
/// Read tiers, in the order of [`Tier`].
pub const TIERS: [&str; 3] = ["hot", "cached", "cold"];

/// The counters of one shard.
pub struct Metrics {
    latencies: RefCell<BTreeMap<ApiKey, Latency>>,
    bytes_sent: [Cell<u64>; TIERS.len()],
    pub connections_accepted: Cell<u64>,
    pub connections_moved: Cell<u64>,
    pub connections_refused: Cell<u64>,
    pub connections_failed: Cell<u64>,
}

/// How long requests of one API took.
#[derive(Clone, Debug)]
pub struct Latency {
    /// Microseconds.
    pub histogram: Histogram<u64>,
    /// Of all requests together.
    pub sum: Duration,
}

/// A copy of the counters at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// From the arrival of a request to the end of its answer.
    pub latencies: BTreeMap<ApiKey, Latency>,
    /// Record bytes sent from the tail buffer, by sendfile, and from cold reads.
    pub bytes_sent: [u64; TIERS.len()],
    pub connections_accepted: u64,
    pub connections_moved: u64,
    pub connections_refused: u64,
    pub connections_failed: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            latencies: RefCell::default(),
            bytes_sent: Default::default(),
            connections_accepted: Cell::new(0),
            connections_moved: Cell::new(0),
            connections_refused: Cell::new(0),
            connections_failed: Cell::new(0),
        }
    }
}

impl Default for Latency {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LATENCY_MAX_US, 2);
        Self { histogram: histogram.expect("the bounds of the histogram are in order"), sum: Duration::ZERO }
    }
}

impl Metrics {
    /// Notes a request that was answered.
    pub fn answered(&self, api: ApiKey, took: Duration) {
        let mut latencies = self.latencies.borrow_mut();
        let latency = latencies.entry(api).or_default();
        let micros = u64::try_from(took.as_micros()).unwrap_or(LATENCY_MAX_US);
        latency.histogram.saturating_record(micros.max(1));
        latency.sum += took;
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
            connections_moved: self.connections_moved.get(),
            connections_refused: self.connections_refused.get(),
            connections_failed: self.connections_failed.get(),
        }
    }
}

/// Adds one to a counter.
pub fn count(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_holds_what_was_counted() {
        let metrics = Metrics::default();
        metrics.answered(ApiKey::Fetch, Duration::from_micros(250));
        metrics.answered(ApiKey::Fetch, Duration::from_millis(3));
        metrics.sent(Tier::Cold, 10);
        metrics.sent(Tier::Cached, 5);
        count(&metrics.connections_refused);
        let snapshot = metrics.snapshot();
        let latency = &snapshot.latencies[&ApiKey::Fetch];
        assert_eq!((latency.histogram.len(), latency.sum), (2, Duration::from_micros(3250)));
        assert!((2990..=3030).contains(&latency.histogram.value_at_quantile(0.99)));
        assert_eq!(snapshot.bytes_sent, [0, 5, 10]);
        assert_eq!(snapshot.connections_refused, 1);
    }
}
