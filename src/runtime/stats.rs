//! What a shard's runtime counts about itself.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::reactor::Shared;

/// Figures of one shard since its start. Plain numbers, to be sent to whoever shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Time since the start.
    pub elapsed: Duration,
    /// Time in which the shard waited for something to do. The rest it was busy.
    pub blocked: Duration,
    /// The longest that a task has run without yielding; see `Reactor::reset_longest_run`.
    pub longest_run: Duration,
    /// Polls of tasks.
    pub polls: u64,
    /// Passes of the pump.
    pub passes: u64,
    /// System calls that entered the ring.
    pub enters: u64,
    /// Ends of a sleep.
    pub wakeups: u64,
    /// Messages sent to wake other shards.
    pub wakes_sent: u64,
    /// Tasks that exist.
    pub tasks: usize,
    /// Operations in the ring, one for each connection included.
    pub operations: usize,
    pub timers: usize,
    /// Bytes of receive buffers that are mapped.
    pub receive_bytes: usize,
    /// Receive buffers that are held by received data.
    pub receive_buffers_held: usize,
    /// Connections that wait for a receive buffer.
    pub receive_starved: usize,
    /// Work that waits for a thread of the pool.
    pub pool_queue: usize,
}

impl Stats {
    pub fn busy(&self) -> Duration {
        self.elapsed.saturating_sub(self.blocked)
    }

    /// The part of the time since `earlier` in which the shard was busy, from 0 to 1.
    pub fn utilisation_since(&self, earlier: &Stats) -> f64 {
        let elapsed = self.elapsed.saturating_sub(earlier.elapsed).as_secs_f64();
        let busy = self.busy().saturating_sub(earlier.busy()).as_secs_f64();
        if elapsed > 0.0 { (busy / elapsed).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// The counters behind [`Stats`].
pub(super) struct Counters {
    start: Instant,
    pub blocked: Cell<Duration>,
    pub longest_run: Cell<Duration>,
    pub polls: Cell<u64>,
    pub passes: Cell<u64>,
    pub wakeups: Cell<u64>,
    pub wakes_sent: Cell<u64>,
}

impl Counters {
    pub fn new(start: Instant) -> Self {
        Self {
            start,
            blocked: Cell::default(),
            longest_run: Cell::default(),
            polls: Cell::default(),
            passes: Cell::default(),
            wakeups: Cell::default(),
            wakes_sent: Cell::default(),
        }
    }

    pub fn task_ran(&self, run: Duration) {
        increment(&self.polls);
        if run > self.longest_run.get() {
            self.longest_run.set(run);
        }
    }
}

pub(super) fn increment(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

impl Shared {
    pub fn stats(&self) -> Stats {
        let counters = &self.counters;
        let buffers = self.buffers.borrow();
        Stats {
            elapsed: counters.start.elapsed(),
            blocked: counters.blocked.get(),
            longest_run: counters.longest_run.get(),
            polls: counters.polls.get(),
            passes: counters.passes.get(),
            enters: self.ring.borrow().enters(),
            wakeups: counters.wakeups.get(),
            wakes_sent: counters.wakes_sent.get(),
            tasks: self.tasks.borrow().len(),
            operations: self.ops.borrow().len(),
            timers: self.timers.borrow().len(),
            receive_bytes: buffers.mapped_bytes(),
            receive_buffers_held: buffers.held(),
            receive_starved: self.starved.borrow().len(),
            pool_queue: self.pool.queued(),
        }
    }
}
