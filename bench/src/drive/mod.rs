//! The engine: threads that own connections and parties, each an epoll loop over sockets and deadlines.
//!
//! Threads share nothing but the wish to stop. A *party* is a producer, or a consumer at one leader.

mod connection;
pub mod consumer;
pub mod judge;
mod launch;
mod outbox;
mod party;
mod poll;
mod producer;
mod schedule;
pub mod tally;
mod thread;
mod window;

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
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
    /// Set when all threads are ready.
    pub epoch: OnceLock<Epoch>,
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

impl Setup {
    pub fn epoch(&self) -> Epoch {
        *self.epoch.get().expect("it is asked for by threads that have begun, and after them")
    }
}

/// What threads share: the wish to end.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    aborted: AtomicBool,
    consumers_end: AtomicBool,
    /// Threads whose producers are not done, and threads that run.
    producing: AtomicUsize,
    running: AtomicUsize,
}

impl Shared {
    fn abort(&self) {
        self.aborted.store(true, Ordering::Relaxed);
    }

    fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }

    /// The producers of one more thread are done.
    fn producers_done(&self) {
        self.producing.fetch_sub(1, Ordering::Release);
    }

    fn consumers_end(&self) -> bool {
        self.consumers_end.load(Ordering::Relaxed)
    }
}

/// The threads of a run and their channel. Dropped, it ends them at once.
pub struct Running {
    shared: Arc<Shared>,
    intervals: Receiver<Interval>,
    /// By thread: the way back for tallies.
    returns: Vec<Sender<Tally>>,
    threads: Vec<JoinHandle<ThreadEnd>>,
}

/// Spawns the threads, which connect; once all are ready the epoch is set, and producers wait for it.
pub fn start(setup: Arc<Setup>, stop: Stop) -> Result<Running, Error> {
    launch::launch(&setup, &stop)
}

impl Running {
    /// What a thread counted in a second; `None` if nothing came in time, or all threads have ended.
    pub fn next(&self, patience: Duration) -> Option<Interval> {
        self.intervals.recv_timeout(patience).ok()
    }

    /// Nothing will be sent any more, and everything sent was answered.
    pub fn producers_are_done(&self) -> bool {
        self.shared.producing.load(Ordering::Acquire) == 0
    }

    /// Producers are done, and consumers too or asked to be.
    pub fn is_over(&self) -> bool {
        self.shared.running.load(Ordering::Acquire) == 0
    }

    /// To be used again by the thread it came from.
    pub fn give_back(&self, thread: usize, mut tally: Tally) {
        tally.clear();
        // A thread that has ended needs none.
        let _ = self.returns[thread].send(tally);
    }

    /// Everything acknowledged has arrived, or patience has ended.
    pub fn end_consumers(&self) {
        self.shared.consumers_end.store(true, Ordering::Relaxed);
    }

    pub fn finish(mut self) -> Vec<ThreadEnd> {
        // Nobody takes intervals any more: threads must not wait for that.
        self.intervals = mpsc::channel().1;
        let threads = std::mem::take(&mut self.threads);
        let join = |thread: JoinHandle<ThreadEnd>| thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        threads.into_iter().map(join).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.shared.abort();
            self.intervals = mpsc::channel().1;
            self.threads.drain(..).for_each(|thread| drop(thread.join()));
        }
    }
}
