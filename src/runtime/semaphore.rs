//! Counted places on one shard, given out in the order of asking.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::line::{Line, Ticket};

/// A number of places.
pub struct Semaphore(RefCell<State>);

struct State {
    places: usize,
    line: Line,
}

impl Semaphore {
    pub fn new(places: usize) -> Self {
        Self(RefCell::new(State { places, line: Line::default() }))
    }

    /// Takes a place if there is one that nobody waits for.
    pub fn try_acquire(&self) -> bool {
        let mut state = self.0.borrow_mut();
        let free = state.places > 0 && state.line.is_empty();
        if free {
            state.places -= 1;
        }
        free
    }

    /// Takes a place, after all who asked before.
    pub async fn acquire(&self) {
        let mut turn = Turn { semaphore: self, ticket: Ticket::default() };
        poll_fn(|context| turn.poll(context)).await;
    }

    /// Gives a place back, or adds one.
    pub fn release(&self) {
        self.0.borrow_mut().places += 1;
        self.wake_first();
    }

    /// Wakes the first who waits if there is a place.
    fn wake_first(&self) {
        let state = self.0.borrow();
        let first = if state.places > 0 { state.line.first() } else { None };
        drop(state);
        if let Some(waker) = first {
            waker.wake();
        }
    }
}

/// A place in the line, given up when dropped.
struct Turn<'a> {
    semaphore: &'a Semaphore,
    ticket: Ticket,
}

impl Turn<'_> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.semaphore.0.borrow_mut();
        if state.places > 0 && state.line.is_first(&self.ticket) {
            state.places -= 1;
            state.line.take_turn(&mut self.ticket);
            drop(state);
            self.semaphore.wake_first();
            return Poll::Ready(());
        }
        state.line.wait(&mut self.ticket, context.waker());
        Poll::Pending
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.ticket.has_place() {
            return;
        }
        let left = self.semaphore.0.borrow_mut().line.leave(&mut self.ticket);
        drop(left);
        // A wake meant for this turn goes to the next one.
        self.semaphore.wake_first();
    }
}

/// A place that is given back when dropped.
pub struct Permit(Rc<Semaphore>);

impl Permit {
    pub async fn acquire(semaphore: &Rc<Semaphore>) -> Self {
        semaphore.acquire().await;
        Self(semaphore.clone())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.release();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Waker;

    use super::*;

    #[test]
    fn places_go_out_in_order_and_survive_those_who_give_up() {
        let semaphore = Semaphore::new(1);
        let mut context = Context::from_waker(Waker::noop());
        assert!(semaphore.try_acquire());
        let mut first = Box::pin(semaphore.acquire());
        let mut second = pin!(semaphore.acquire());
        let mut third = pin!(semaphore.acquire());
        assert!(first.as_mut().poll(&mut context).is_pending());
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert!(third.as_mut().poll(&mut context).is_pending());
        semaphore.release();
        assert!(!semaphore.try_acquire());
        assert!(second.as_mut().poll(&mut context).is_pending());
        drop(first);
        assert!(third.as_mut().poll(&mut context).is_pending());
        assert!(second.as_mut().poll(&mut context).is_ready());
        semaphore.release();
        assert!(third.as_mut().poll(&mut context).is_ready());
        semaphore.release();
        assert!(semaphore.try_acquire());
    }
}
