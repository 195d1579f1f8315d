//! The memory of one shard for requests that are copied together while they arrive, and the line of those that wait for
//! some of it.
//!
//! Memory is given for a whole request at once, in the order of asking, so that whoever has got it can finish: no two
//! half requests wait for each other. Requests that are larger than all of it have a line of their own, in which one at
//! a time is let through, so that they neither starve nor hold up the others.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// The memory, in bytes.
pub struct GatherBudget {
    shared: Lane,
    oversize: Lane,
    /// What had come of requests before they had to wait.
    fronts: Cell<usize>,
    fronts_max: usize,
    /// The same in receive buffers, where there is no memory for the fronts either.
    pinned: Cell<usize>,
    pinned_max: usize,
    copied: Cell<u64>,
}

/// One line, and the memory at its end.
struct Lane {
    used: Cell<usize>,
    max: usize,
    /// At most one for each connection of the shard.
    waiting: RefCell<VecDeque<Rc<Ticket>>>,
}

struct Ticket {
    length: usize,
    granted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl GatherBudget {
    /// `fronts_max` is what all who wait may hold already, in bytes, and `pinned_max` in receive buffers beside that.
    pub fn new(max: usize, fronts_max: usize, pinned_max: usize) -> Rc<Self> {
        Rc::new(Self {
            shared: Lane::new(max),
            oversize: Lane::new(0),
            fronts: Cell::new(0),
            fronts_max,
            pinned: Cell::new(0),
            pinned_max,
            copied: Cell::new(0),
        })
    }

    /// Bytes that were copied together so far.
    pub fn copied(&self) -> u64 {
        self.copied.get()
    }

    pub(super) fn note_copied(&self, bytes: usize) {
        self.copied.set(self.copied.get() + bytes as u64);
    }

    /// Bytes that were given out.
    pub fn used(&self) -> usize {
        self.shared.used.get() + self.oversize.used.get() + self.fronts.get()
    }

    pub fn max(&self) -> usize {
        self.shared.max
    }

    /// Requests that wait.
    pub fn waiting(&self) -> usize {
        self.shared.waiting.borrow().len() + self.oversize.waiting.borrow().len()
    }

    /// Whether somebody waits for what a request of `length` bytes holds or would hold.
    pub fn is_contended(&self, length: usize) -> bool {
        !self.lane(length).waiting.borrow().is_empty()
    }

    /// Asks for memory: there at once if nobody waits and there is enough.
    pub fn reserve(self: &Rc<Self>, length: usize) -> Reservation {
        let lane = self.lane(length);
        let ticket = Rc::new(Ticket { length, granted: Cell::new(false), waker: RefCell::default() });
        lane.waiting.borrow_mut().push_back(ticket.clone());
        lane.grant();
        Reservation { budget: self.clone(), ticket: Some(ticket) }
    }

    /// Notes the bytes that somebody holds who waits. `None` if that would be too many.
    pub fn hold_front(self: &Rc<Self>, bytes: usize) -> Option<Held> {
        hold(&self.fronts, self.fronts_max, bytes).then(|| Held { budget: self.clone(), bytes, buffers: 0 })
    }

    /// Notes the receive buffers that somebody holds who waits. `None` if that would be too many.
    pub fn pin(self: &Rc<Self>, buffers: usize) -> Option<Held> {
        hold(&self.pinned, self.pinned_max, buffers).then(|| Held { budget: self.clone(), bytes: 0, buffers })
    }

    fn lane(&self, length: usize) -> &Lane {
        if length <= self.shared.max { &self.shared } else { &self.oversize }
    }
}

impl Lane {
    fn new(max: usize) -> Self {
        Self { used: Cell::new(0), max, waiting: RefCell::default() }
    }

    /// Gives to the first in line for as long as there is enough. An empty lane takes any length.
    fn grant(&self) {
        loop {
            let mut waiting = self.waiting.borrow_mut();
            let used = self.used.get();
            let fits = waiting.front().is_some_and(|ticket| used == 0 || used + ticket.length <= self.max);
            if !fits {
                return;
            }
            let Some(ticket) = waiting.pop_front() else { return };
            drop(waiting);
            self.used.set(used + ticket.length);
            ticket.granted.set(true);
            if let Some(waker) = ticket.waker.take() {
                waker.wake();
            }
        }
    }

    fn give_back(&self, length: usize) {
        self.used.set(self.used.get() - length);
        self.grant();
    }
}

/// A place in line; left when dropped.
pub struct Reservation {
    budget: Rc<GatherBudget>,
    ticket: Option<Rc<Ticket>>,
}

impl Reservation {
    /// The memory, if it is there by now.
    pub fn take(&mut self) -> Option<Reserved> {
        let ticket = self.ticket.take_if(|ticket| ticket.granted.get())?;
        Some(Reserved { budget: self.budget.clone(), length: ticket.length })
    }
}

impl Future for Reservation {
    type Output = Reserved;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Reserved> {
        if let Some(reserved) = self.take() {
            return Poll::Ready(reserved);
        }
        let ticket = self.ticket.as_ref().expect("a place in line is asked until it is granted, and not after");
        *ticket.waker.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        let lane = self.budget.lane(ticket.length);
        match ticket.granted.get() {
            true => lane.give_back(ticket.length),
            false => {
                lane.waiting.borrow_mut().retain(|waiting| !Rc::ptr_eq(waiting, &ticket));
                // Whoever stood behind may fit where this one did not.
                lane.grant();
            }
        }
    }
}

/// Bytes of the budget; given back when dropped.
pub struct Reserved {
    budget: Rc<GatherBudget>,
    length: usize,
}

impl Reserved {
    /// Whether somebody waits for these bytes.
    pub fn is_wanted(&self) -> bool {
        self.budget.is_contended(self.length)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.budget.lane(self.length).give_back(self.length);
    }
}

fn hold(held: &Cell<usize>, max: usize, more: usize) -> bool {
    let sum = held.get() + more;
    if sum <= max {
        held.set(sum);
    }
    sum <= max
}

/// What is held by somebody who waits; no longer noted when dropped.
pub struct Held {
    budget: Rc<GatherBudget>,
    bytes: usize,
    buffers: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.fronts.set(self.budget.fronts.get() - self.bytes);
        self.budget.pinned.set(self.budget.pinned.get() - self.buffers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 100;

    fn budget() -> Rc<GatherBudget> {
        GatherBudget::new(MAX, 10, 3)
    }

    #[test]
    fn what_fits_is_given_at_once() {
        let budget = budget();
        let first = budget.reserve(60).take().expect("there is room");
        let second = budget.reserve(40).take().expect("there is room for both");
        assert_eq!(budget.used(), MAX);
        drop((first, second));
        assert_eq!((budget.used(), budget.waiting()), (0, 0));
    }

    #[test]
    fn those_who_wait_are_served_in_order() {
        let budget = budget();
        let first = budget.reserve(60).take().expect("there is room");
        let mut large = budget.reserve(50);
        let mut small = budget.reserve(10);
        assert!(large.take().is_none());
        assert!(small.take().is_none(), "nobody goes past the first in line");
        assert!(first.is_wanted());
        drop(first);
        let large = large.take().expect("its turn has come");
        let small = small.take().expect("both fit");
        assert!(!large.is_wanted() && !small.is_wanted());
        assert_eq!((budget.used(), budget.waiting()), (60, 0));
    }

    #[test]
    fn who_leaves_the_line_lets_the_next_one_in() {
        let budget = budget();
        let _first = budget.reserve(60).take().expect("there is room");
        let large = budget.reserve(50);
        let mut small = budget.reserve(10);
        drop(large);
        assert!(small.take().is_some());
    }

    #[test]
    fn a_grant_that_nobody_took_goes_back() {
        let budget = budget();
        let first = budget.reserve(100).take().expect("there is room");
        let second = budget.reserve(100);
        let mut third = budget.reserve(100);
        drop(first);
        drop(second);
        assert!(third.take().is_some());
    }

    #[test]
    fn larger_than_everything_goes_one_at_a_time_and_past_the_others() {
        let budget = budget();
        let _all = budget.reserve(MAX).take().expect("there is room");
        let huge = budget.reserve(MAX + 1).take().expect("it has a line of its own");
        let mut next = budget.reserve(5 * MAX);
        assert!(next.take().is_none());
        assert!(huge.is_wanted());
        drop(huge);
        assert!(next.take().is_some());
    }

    #[test]
    fn what_waiting_costs_is_bounded() {
        let budget = budget();
        let some = budget.hold_front(7).expect("within the bound");
        assert!(budget.hold_front(4).is_none());
        drop(some);
        assert!(budget.hold_front(10).is_some());
        let buffers = budget.pin(3).expect("within the bound");
        assert!(budget.pin(1).is_none());
        drop(buffers);
        assert!(budget.pin(1).is_some());
    }
}
