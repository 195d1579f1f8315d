//! Waking one task from others of the same shard.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// A flag that tasks wait for. Raising it before the wait counts; raising it twice counts once.
#[derive(Default)]
pub struct Notify {
    raised: Cell<bool>,
    waiters: RefCell<Vec<Waker>>,
}

impl Notify {
    pub fn raise(&self) {
        if !self.raised.replace(true) {
            self.waiters.borrow_mut().drain(..).for_each(Waker::wake);
        }
    }

    /// Ends when the flag is raised, and lowers it: of several tasks that wait, one sees it. A task that leaves work for
    /// the others raises it again.
    pub async fn wait(&self) {
        poll_fn(|context| {
            if self.raised.replace(false) {
                return Poll::Ready(());
            }
            let mut waiters = self.waiters.borrow_mut();
            if !waiters.iter().any(|known| known.will_wake(context.waker())) {
                waiters.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}

/// A right that one task of the shard has at a time.
#[derive(Default)]
pub struct Turns {
    busy: Cell<bool>,
    free: Notify,
}

impl Turns {
    /// Waits until nobody else has it; it is given up when the result is dropped.
    pub async fn take(&self) -> Turn<'_> {
        while self.busy.replace(true) {
            self.free.wait().await;
        }
        Turn(self)
    }
}

pub struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.busy.set(false);
        self.0.free.raise();
    }
}
