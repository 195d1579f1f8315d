//! The pump: the task that is the shard's reactor.
//!
//! It runs in a queue of its own and is parked while tasks run. The task whose poll leaves nothing runnable wakes it, and
//! so does the first poll that ends after the slice is over. So it makes no empty passes, and it knows exactly, not from
//! the silence of other queues, that nothing is runnable when it blocks. One pass: enter the ring, hand out completions,
//! take in wakes from foreign threads, the lanes and the timers.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use io_uring::opcode;
use io_uring::types::Fd;

use super::home::Home;
use super::moderation::{PATIENCE, RECEIVES_WANTED};
use super::op::TOKEN_WAKE;
use super::reactor::Shared;
use super::ring::Ring;
use super::stats::increment;
use super::task::Header;

/// The longest sleep of an idle shard. Nothing depends on it; it bounds the harm of a wake that went astray.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// The pump's future; it ends when the shard is told to stop.
pub(super) struct Pump {
    shared: Rc<Shared>,
    wakes: Vec<Arc<Header>>,
}

impl Pump {
    pub fn new(shared: Rc<Shared>) -> Self {
        Self { shared, wakes: Vec::new() }
    }

    fn pass(&mut self) {
        let shared = self.shared.clone();
        increment(&shared.counters.passes);
        shared.urgent.set(false);
        // What others have handed over may make a task runnable, so it is looked at before the decision to block.
        let progress = self.take_inputs() | shared.rearm_starved();
        if progress || shared.runnable.get() > 0 || !self.sleep() {
            shared.enter_ring(Ring::poll);
        }
        self.reap();
        self.take_inputs();
        shared.fire_timers();
        if shared.runnable.get() > 0 {
            shared.enter_ring(Ring::submit);
        }
    }

    /// Hands out what has completed: at most what the completion queue holds.
    fn reap(&self) {
        let shared = &self.shared;
        loop {
            let completion = shared.ring.borrow_mut().next_completion();
            let Some(completion) = completion else { return };
            if let Some(bytes) = completion.received() {
                shared.moderation.borrow_mut().received(bytes);
            }
            shared.dispatch(completion);
        }
    }

    /// Wakes from foreign threads, lanes, returned buffers; says whether there was any.
    fn take_inputs(&mut self) -> bool {
        let woken = self.shared.drain_wakes(&mut self.wakes);
        let returned = self.shared.buffers.borrow_mut().collect_returned();
        woken | returned | self.shared.poll_lanes()
    }

    /// Blocks until something happens; says no if something had happened already.
    fn sleep(&mut self) -> bool {
        let shared = &*self.shared;
        let now = Instant::now();
        let deadline = shared.timers.borrow().next_deadline();
        let timeout = deadline.map_or(SLEEP_MAX, |deadline| (deadline.saturating_duration_since(now)).min(SLEEP_MAX));
        if timeout.is_zero() {
            return false;
        }
        let starving = !shared.starved.borrow().is_empty();
        assert!(!starving || shared.buffers.borrow().free() == 0, "no connection waits while there are buffers");
        shared.buffers.borrow().set_starving(starving);
        shared.home.prepare_sleep();
        if shared.has_inputs() {
            shared.home.end_sleep();
            return false;
        }
        let may_wait = shared.moderation.borrow_mut().may_wait(now);
        shared.enter_ring(|ring| match may_wait {
            true => ring.wait_for_more(timeout, RECEIVES_WANTED, PATIENCE),
            false => ring.wait(timeout),
        });
        shared.home.end_sleep();
        increment(&shared.counters.wakeups);
        let blocked = &shared.counters.blocked;
        blocked.set(blocked.get() + now.elapsed());
        true
    }
}

impl Future for Pump {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.shared.pump_waker.borrow().is_none() {
            *self.shared.pump_waker.borrow_mut() = Some(context.waker().clone());
        }
        loop {
            if self.shared.stop.get() {
                return Poll::Ready(());
            }
            self.pass();
            if self.shared.runnable.get() > 0 {
                self.shared.pump_parked.set(true);
                self.shared.slice_start.set(Instant::now());
                return Poll::Pending;
            }
        }
    }
}

impl Shared {
    fn enter_ring(&self, enter: impl FnOnce(&mut Ring) -> io::Result<()>) {
        if let Err(error) = enter(&mut self.ring.borrow_mut()) {
            tracing::error!(shard = self.shard.0, %error, "io_uring_enter failed");
        }
    }

    fn fire_timers(&self) {
        let now = Instant::now();
        self.timers_fired_until.set(now);
        loop {
            let due = self.timers.borrow_mut().pop_due(now);
            let Some((_, waker)) = due else { return };
            waker.wake();
        }
    }

    fn poll_lanes(&self) -> bool {
        let mut worked = false;
        for index in 0.. {
            let poller = self.pollers.borrow().get(index).cloned();
            let Some(poller) = poller else { break };
            worked |= poller.poll();
        }
        worked
    }

    fn has_inputs(&self) -> bool {
        self.home.has_wakes()
            || self.buffers.borrow().has_returned()
            || self.pollers.borrow().iter().any(|poller| poller.has_work())
    }

    /// Lets connections that wait for buffers receive again, as many at a time as there are buffers, adding buffers if
    /// none are left. Says whether there were any: those that have nothing to receive take no buffer, so that others may
    /// follow in the next pass.
    fn rearm_starved(self: &Rc<Self>) -> bool {
        let waiting = self.starved.borrow().len();
        if waiting == 0 {
            return false;
        }
        let mut buffers = self.buffers.borrow_mut();
        if buffers.free() == 0
            && let Err(error) = buffers.grow()
        {
            tracing::warn!(shard = self.shard.0, %error, "no memory for receive buffers");
        }
        let free = buffers.free();
        drop(buffers);
        for _ in 0..waiting.min(free) {
            let socket = self.starved.borrow_mut().pop_front();
            if let Some(socket) = socket {
                socket.rearm(self);
            }
        }
        free > 0
    }

    /// Ends the sleep of another shard, if it sleeps.
    pub fn wake_shard(&self, home: &Home) {
        if home.claim_sleeper() {
            increment(&self.counters.wakes_sent);
            let message = opcode::MsgRingData::new(Fd(home.ring_fd()), 0, TOKEN_WAKE, None);
            self.push_plain(message.build());
            self.urgent.set(true);
        }
    }
}
