//! How much waits on a shard, for metrics.

use super::Shard;

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

impl Shard {
    pub fn queues(&self) -> Queues {
        Queues {
            appends: self.appends.borrow().len(),
            parked_reads: self.reads.borrow().len(),
            cold_reads: self.cold.borrow().len(),
        }
    }
}
