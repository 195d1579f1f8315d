//! The engine: threads that own connections and parties, each an epoll loop over sockets and deadlines.
//!
//! Threads share nothing but the wish to stop. A *party* is a producer, or a consumer at one leader.

pub mod connection;
pub mod consumer;
pub mod judge;
pub mod outbox;
pub mod party;
pub mod poll;
pub mod producer;
pub mod schedule;
pub mod tally;
pub mod thread;
pub mod window;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use judge::judge;
pub(crate) use outbox::Outbox;
pub(crate) use party::{Answer, Context, Party};
pub use tally::{Interval, Tally, ThreadEnd};

use crate::Error;
use crate::clock::Epoch;
use crate::plan::Plan;
use crate::stop::Stop;

pub type PartyId = u32;
pub type ConnectionId = u32;
/// A place in [`Setup::targets`].
pub type TargetId = u32;

/// A partition of the load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub topic: String,
    pub partition: i32,
    /// Id of the broker that leads it.
    pub leader: i32,
    /// Its end before the run.
    pub first_offset: i64,
    pub log_start: i64,
}

/// All that threads must know of a run.
pub struct Setup {
    pub plan: Plan,
    /// Random for each run.
    pub run: u32,
    pub epoch: Epoch,
    pub targets: Vec<Target>,
    /// HOST:PORT by id.
    pub brokers: BTreeMap<i32, String>,
    /// Id and epoch by producer; none if they are not idempotent.
    pub producer_ids: Vec<(i64, i16)>,
    pub produce_version: i16,
    pub fetch_version: i16,
    /// By target: where consumers begin.
    pub consume_from: Vec<i64>,
    /// Read by consumers of their own.
    pub backlog_targets: Vec<TargetId>,
}

/// The threads of a run and their channel.
pub struct Running {}

/// Spawns the threads, which connect; producers wait for the epoch.
pub fn start(_setup: Arc<Setup>, _stop: Stop) -> Result<Running, Error> {
    todo!()
}

impl Running {
    /// What a thread counted in a second; `None` if nothing came in time, or all threads have ended.
    pub fn next(&self, _patience: Duration) -> Option<Interval> {
        todo!()
    }

    /// Producers are done, and consumers too or asked to be.
    pub fn is_over(&self) -> bool {
        todo!()
    }

    /// All that was due is answered or given up.
    pub fn producers_are_done(&self) -> bool {
        todo!()
    }

    /// To be used again by the thread it came from.
    pub fn give_back(&self, _thread: usize, _tally: Tally) {
        todo!()
    }

    /// Everything acknowledged has arrived, or patience has ended.
    pub fn end_consumers(&self) {
        todo!()
    }

    pub fn finish(self) -> Vec<ThreadEnd> {
        todo!()
    }
}
