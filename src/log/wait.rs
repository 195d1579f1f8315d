//! Waiting within one shard: a task sleeps until another task of the same shard says that something has changed.
//!
//! Nothing is allocated once the list of waiters has grown to the number of tasks that wait.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A change that tasks wait for. Whoever waits looks first, then listens, then looks again.
#[derive(Default)]
pub(super) struct Event {
    count: Cell<u64>,
    wakers: RefCell<Vec<Waker>>,
    /// The list that `notify` wakes from, kept for its capacity.
    waking: RefCell<Vec<Waker>>,
}

impl Event {
    /// Wakes all that wait now.
    pub fn notify(&self) {
        self.count.set(self.count.get() + 1);
        let mut waking = self.waking.take();
        std::mem::swap(&mut waking, &mut *self.wakers.borrow_mut());
        waking.drain(..).for_each(Waker::wake);
        self.waking.replace(waking);
    }

    /// Ends at the first `notify` after this call.
    pub fn listen(&self) -> Listener<'_> {
        Listener { event: self, seen: self.count.get() }
    }
}

/// Waits for one `Event::notify`.
pub(super) struct Listener<'a> {
    event: &'a Event,
    seen: u64,
}

impl Future for Listener<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.event.count.get() != self.seen {
            return Poll::Ready(());
        }
        let mut wakers = self.event.wakers.borrow_mut();
        if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            wakers.push(context.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_ends_at_the_next_notify_and_not_before() {
        struct Nobody;
        impl std::task::Wake for Nobody {
            fn wake(self: std::sync::Arc<Self>) {}
        }
        let event = Event::default();
        let waker = Waker::from(std::sync::Arc::new(Nobody));
        let mut context = Context::from_waker(&waker);
        event.notify();
        let mut listener = event.listen();
        assert!(Pin::new(&mut listener).poll(&mut context).is_pending());
        assert!(Pin::new(&mut listener).poll(&mut context).is_pending());
        assert_eq!(event.wakers.borrow().len(), 1);
        event.notify();
        assert!(Pin::new(&mut listener).poll(&mut context).is_ready());
    }
}
