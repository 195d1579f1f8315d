//! How much waits on a shard, for metrics.

use std::time::Duration;

use super::Shard;
use crate::runtime::Stats;

/// The time that [`Shard::utilisation`] looks back at, at least.
const LOOK_BACK_MIN: Duration = Duration::from_secs(1);

/// Lengths of a shard's queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// Produce requests that are queued or wait for their commit.
    pub appends: usize,
    /// Fetches that wait for records.
    pub parked_reads: usize,
    /// Fetches that wait for one of the readers of cold segments.
    pub cold_reads: usize,
}

/// How busy a shard was of late.
#[derive(Clone, Debug, Default)]
pub struct Load {
    since: Stats,
    utilisation: f64,
}

impl Shard {
    /// The share of the last second or more in which the shard was busy, from 0 to 1.
    pub fn utilisation(&self) -> f64 {
        let now = self.reactor.stats();
        let mut load = self.load.borrow_mut();
        if now.elapsed.saturating_sub(load.since.elapsed) >= LOOK_BACK_MIN {
            load.utilisation = now.utilisation_since(&load.since);
            load.since = now;
        }
        load.utilisation
    }

    pub fn queues(&self) -> Queues {
        Queues {
            appends: self.appends.borrow().len(),
            parked_reads: self.reads.borrow().len(),
            cold_reads: self.cold.borrow().len(),
        }
    }
}
