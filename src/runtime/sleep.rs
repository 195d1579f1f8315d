//! Waiting for a deadline.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::reactor::Shared;

/// See [`Reactor::sleep_until`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    shared: Rc<Shared>,
    deadline: Instant,
    timer: Option<u32>,
}

impl Sleep {
    pub(super) fn new(shared: Rc<Shared>, deadline: Instant) -> Self {
        Self { shared, deadline, timer: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.deadline {
            return Poll::Ready(());
        }
        let mut timers = self.shared.timers.borrow_mut();
        match self.timer.and_then(|timer| timers.waker_mut(timer)) {
            Some(waker) => waker.clone_from(context.waker()),
            None => {
                let timer = timers.insert(self.deadline, context.waker().clone());
                drop(timers);
                self.timer = Some(timer);
            }
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        // A timer in the heap has a deadline after the pump's last look at the clock; one that has fired is gone.
        if let Some(timer) = self.timer
            && self.deadline > self.shared.timers_fired_until.get()
        {
            let waker = self.shared.timers.borrow_mut().remove(timer);
            drop(waker);
        }
    }
}
