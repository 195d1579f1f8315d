//! Tasks: futures that run on the shard that spawned them, each in the queue of its class.
//!
//! glommio runs them, but what wakes them is ours: every task is polled with a waker that counts the shard's runnable
//! tasks exactly. That count is what lets the pump block without ever leaving a woken task behind, whichever queue it
//! is in, and a wake from a foreign thread arrives through the ring instead of through glommio.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::home::Home;
use super::reactor::{Shared, with_current};

/// Which queue a task runs in. The shares of CPU time count only while both have work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskClass {
    /// Requests: ten shares of eleven.
    Serve,
    /// Everything that can wait: one share of eleven.
    Background,
}

/// The task was cancelled before it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task was cancelled")]
pub struct Cancelled;

/// A handle to a task. Dropping it detaches the task, which runs on; awaiting it yields the task's output.
pub struct Task<T> {
    join: Rc<RefCell<Join<T>>>,
    shared: Rc<Shared>,
    header: Arc<Header>,
}

impl<T> Task<T> {
    /// Drops the task's future before it is polled again. The handle may still be awaited.
    pub fn cancel(&self) {
        self.shared.cancel_task(&self.header);
    }

    /// Lets the task run on by itself.
    pub fn detach(self) {}

    pub fn is_finished(&self) -> bool {
        !matches!(*self.join.borrow(), Join::Running(_))
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, Cancelled>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut join = self.join.borrow_mut();
        match &mut *join {
            Join::Running(waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            Join::Finished(output) => Poll::Ready(output.take().ok_or(Cancelled)),
        }
    }
}

enum Join<T> {
    Running(Option<Waker>),
    /// Empty if the task was cancelled, or its output was taken.
    Finished(Option<T>),
}

/// What a task's wakers share. It outlives the task as long as a waker does.
pub(super) struct Header {
    home: Arc<Home>,
    /// Slot in the shard's table of tasks, and the number that tells this task from later ones in the same slot.
    pub slot: u32,
    pub serial: u64,
    /// Whether it is on the list of wakes from foreign threads.
    pub queued: AtomicBool,
}

impl Header {
    pub fn new(home: Arc<Home>, slot: u32, serial: u64) -> Self {
        Self { home, slot, serial, queued: AtomicBool::new(false) }
    }
}

impl Wake for Header {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let at_home = with_current(|shared| {
            let at_home = shared.home.id() == self.home.id();
            if at_home {
                shared.schedule(self.slot, self.serial);
            }
            at_home
        });
        if at_home != Some(true) && !self.queued.swap(true, Ordering::AcqRel) {
            self.home.wake(self.clone());
        }
    }
}

/// A task as the shard's table sees it.
pub(super) struct Slot {
    pub serial: u64,
    pub class: TaskClass,
    /// Woken and not yet polled.
    pub scheduled: bool,
    pub cancelled: bool,
    /// What puts the task into glommio's queue; known from its first poll on.
    pub native: Option<Waker>,
}

/// Makes the future that glommio runs, and the handle to it.
pub(super) fn prepare<F>(
    shared: &Rc<Shared>,
    class: TaskClass,
    future: F,
) -> (impl Future<Output = ()> + use<F>, Task<F::Output>)
where
    F: Future + 'static,
    F::Output: 'static,
{
    let header = shared.register_task(class);
    let join = Rc::new(RefCell::new(Join::Running(None)));
    let handle = Task { join: join.clone(), shared: shared.clone(), header: header.clone() };
    let driver = drive(shared.clone(), header, join, future);
    (driver, handle)
}

async fn drive<F: Future>(shared: Rc<Shared>, header: Arc<Header>, join: Rc<RefCell<Join<F::Output>>>, future: F) {
    let output = {
        let waker = Waker::from(header.clone());
        let mut future = pin!(future);
        poll_fn(|native| {
            let cancelled = shared.enter_task(header.slot, native.waker());
            let poll = if cancelled {
                Poll::Ready(None)
            } else {
                future.as_mut().poll(&mut Context::from_waker(&waker)).map(Some)
            };
            shared.leave_task(header.slot);
            poll
        })
        .await
    };
    shared.forget_task(header.slot);
    let before = join.replace(Join::Finished(output));
    if let Join::Running(Some(waiting)) = before {
        waiting.wake();
    }
}
