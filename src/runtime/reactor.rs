//! The state of a shard's runtime, and the handle by which tasks use it.
//!
//! Everything here lives on one thread. No borrow of a cell is held while foreign code runs: wakers, handlers and
//! destructors are called after the borrow has ended.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use glommio::TaskQueueHandle;

use super::ShardId;
use super::buffers::Buffers;
use super::home::Home;
use super::moderation::Moderation;
use super::net::SocketCore;
use super::op::Op;
use super::pool::Pool;
use super::ring::Ring;
use super::slab::Slab;
use super::sleep::Sleep;
use super::stats::{Counters, Stats};
use super::task::{self, Header, Slot, Task, TaskClass};
use super::timer::Timers;

/// How long tasks run before the pump looks at the ring, the lanes and the timers again.
pub(super) const SLICE: Duration = Duration::from_micros(100);
/// How long a task may run before [`Reactor::should_yield`] asks it to yield.
pub const TASK_RUN_MAX: Duration = Duration::from_micros(200);

/// A shard's runtime, as its tasks see it. Clones are handles to the same.
#[derive(Clone)]
pub struct Reactor(pub(super) Rc<Shared>);

impl Reactor {
    pub fn shard(&self) -> ShardId {
        self.0.shard
    }

    /// Runs a future on this shard. It starts after the caller has suspended.
    pub fn spawn<F>(&self, class: TaskClass, future: F) -> Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let (driver, handle) = task::prepare(&self.0, class, future);
        let queue = self.0.queues.of(class);
        glommio::spawn_local_into(driver, queue).expect("the queues live as long as the executor").detach();
        handle
    }

    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// Ends at `deadline`, or soon after.
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep::new(self.0.clone(), deadline)
    }

    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(Instant::now() + duration)
    }

    /// The output of `future`, or `None` if `deadline` comes first; the future is dropped then.
    pub async fn timeout_at<F: Future>(&self, deadline: Instant, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut sleep = self.sleep_until(deadline);
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            Pin::new(&mut sleep).poll(context).map(|()| None)
        })
        .await
    }

    /// Lets other tasks and the pump run.
    pub async fn yield_now(&self) {
        let mut yielded = false;
        poll_fn(|context| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Whether the calling task has run for [`TASK_RUN_MAX`] since it was last resumed.
    pub fn should_yield(&self) -> bool {
        self.0.task_start.get().elapsed() >= TASK_RUN_MAX
    }

    /// Yields if [`Reactor::should_yield`].
    pub async fn yield_if_due(&self) {
        if self.should_yield() {
            self.yield_now().await;
        }
    }

    /// Runs `work` on a thread of the pool. If there is no room in the pool's queue, it waits for its turn. A panic of
    /// `work` resumes in the caller. Once begun, the work is done even if the future is dropped.
    pub async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.0.pool.run(work).await
    }

    /// The pool that [`Reactor::blocking`] uses.
    pub fn pool(&self) -> &Pool {
        &self.0.pool
    }

    /// Tells that a request of a client has come whole; `last` is the client's own, and begins with 0. Where requests of a
    /// client come together, the shard may wait for some of them before it wakes up.
    pub fn request_came(&self, last: &Cell<u64>) {
        let wakeup = self.0.counters.wakeups.get();
        let follows = last.replace(wakeup) == wakeup;
        self.0.moderation.borrow_mut().request(follows);
    }

    /// What the shard has done since it started.
    pub fn stats(&self) -> Stats {
        self.0.stats()
    }

    /// Forgets the longest run of a task, so that the next one stands for the time from here on.
    pub fn reset_longest_run(&self) {
        self.0.counters.longest_run.set(Duration::ZERO);
    }
}

/// glommio's queues.
#[derive(Clone, Copy)]
pub(super) struct Queues {
    pub pump: TaskQueueHandle,
    pub serve: TaskQueueHandle,
    pub background: TaskQueueHandle,
}

impl Queues {
    fn of(&self, class: TaskClass) -> TaskQueueHandle {
        match class {
            TaskClass::Serve => self.serve,
            TaskClass::Background => self.background,
        }
    }
}

/// Something the pump looks at in each pass, such as the inbound lanes of a mesh.
pub(super) trait Poller {
    /// Does a bounded amount of work; says whether there was any.
    fn poll(&self) -> bool;
    /// Whether there is work now.
    fn has_work(&self) -> bool;
}

/// The state behind a [`Reactor`].
pub(super) struct Shared {
    pub shard: ShardId,
    pub home: Arc<Home>,
    pub pool: Pool,
    pub queues: Queues,
    // The ring goes before the buffers that it may write to.
    pub ring: RefCell<Ring>,
    pub buffers: RefCell<Buffers>,
    pub ops: RefCell<Slab<Op>>,
    pub timers: RefCell<Timers>,
    /// Every timer up to here has fired.
    pub timers_fired_until: Cell<Instant>,
    pub tasks: RefCell<Slab<Slot>>,
    next_serial: Cell<u64>,
    /// Tasks that are woken and not yet polled.
    pub runnable: Cell<usize>,
    pub runnable_serve: Cell<usize>,
    pub pollers: RefCell<Vec<Rc<dyn Poller>>>,
    /// Sockets that wait for a receive buffer, longest first.
    pub starved: RefCell<VecDeque<Rc<SocketCore>>>,
    pub pump_waker: RefCell<Option<Waker>>,
    pub pump_parked: Cell<bool>,
    /// Something in the submission queue should not wait for the end of the slice.
    pub urgent: Cell<bool>,
    /// The main future has ended; nothing is armed again.
    pub closing: Cell<bool>,
    pub stop: Cell<bool>,
    pub slice_start: Cell<Instant>,
    pub task_start: Cell<Instant>,
    pub counters: Counters,
    pub moderation: RefCell<Moderation>,
}

impl Shared {
    pub fn new(shard: ShardId, home: Arc<Home>, pool: Pool, queues: Queues, ring: Ring, buffers: Buffers) -> Self {
        let now = Instant::now();
        let moderation = Moderation::new(now, ring.can_wait_for_more());
        Self {
            shard,
            home,
            pool,
            queues,
            ring: RefCell::new(ring),
            buffers: RefCell::new(buffers),
            ops: RefCell::new(Slab::with_capacity(256)),
            timers: RefCell::new(Timers::new()),
            timers_fired_until: Cell::new(now),
            tasks: RefCell::new(Slab::with_capacity(256)),
            next_serial: Cell::new(0),
            runnable: Cell::new(0),
            runnable_serve: Cell::new(0),
            pollers: RefCell::new(Vec::new()),
            starved: RefCell::new(VecDeque::new()),
            pump_waker: RefCell::new(None),
            pump_parked: Cell::new(false),
            urgent: Cell::new(false),
            closing: Cell::new(false),
            stop: Cell::new(false),
            slice_start: Cell::new(now),
            task_start: Cell::new(now),
            counters: Counters::new(now),
            moderation: RefCell::new(moderation),
        }
    }

    pub fn register_task(self: &Rc<Self>, class: TaskClass) -> Arc<Header> {
        let serial = self.next_serial.replace(self.next_serial.get() + 1);
        let mut tasks = self.tasks.borrow_mut();
        let slot = tasks.insert(Slot { serial, class, scheduled: true, cancelled: false, native: None });
        self.count_runnable(class, 1);
        Arc::new(Header::new(self.home.clone(), slot, serial))
    }

    fn count_runnable(&self, class: TaskClass, change: isize) {
        self.runnable.set(self.runnable.get().checked_add_signed(change).expect("each wake is polled once"));
        if class == TaskClass::Serve {
            let serve = self.runnable_serve.get().checked_add_signed(change);
            self.runnable_serve.set(serve.expect("each wake is polled once"));
        }
    }

    /// Puts a task into its queue unless it is there already or has ended.
    pub fn schedule(&self, slot: u32, serial: u64) {
        let mut tasks = self.tasks.borrow_mut();
        let Some(task) = tasks.get_mut(slot) else { return };
        if task.serial != serial || std::mem::replace(&mut task.scheduled, true) {
            return;
        }
        self.count_runnable(task.class, 1);
        // glommio only pushes to its queue here; nothing calls back.
        task.native.as_ref().expect("a task that is not scheduled has been polled").wake_by_ref();
    }

    pub fn cancel_task(&self, header: &Header) {
        let mut tasks = self.tasks.borrow_mut();
        let Some(task) = tasks.get_mut(header.slot) else { return };
        if task.serial == header.serial {
            task.cancelled = true;
            drop(tasks);
            self.schedule(header.slot, header.serial);
        }
    }

    /// Cancels all tasks but the first one, which is the shard's main task; says whether there were any.
    pub fn cancel_other_tasks(&self) -> bool {
        let mut others = false;
        for slot in 0.. {
            let mut tasks = self.tasks.borrow_mut();
            if slot >= tasks.slots() {
                return others;
            }
            let Some(task) = tasks.get_mut(slot) else { continue };
            if task.serial == 0 {
                continue;
            }
            others = true;
            task.cancelled = true;
            let serial = task.serial;
            drop(tasks);
            self.schedule(slot, serial);
        }
        others
    }

    /// A task's poll begins; says whether it was cancelled.
    pub fn enter_task(&self, slot: u32, native: &Waker) -> bool {
        self.task_start.set(Instant::now());
        let mut tasks = self.tasks.borrow_mut();
        let task = tasks.get_mut(slot).expect("a task that runs has a slot");
        if std::mem::replace(&mut task.scheduled, false) {
            self.count_runnable(task.class, -1);
        }
        if task.native.is_none() {
            task.native = Some(native.clone());
        }
        task.cancelled
    }

    /// A task's poll has ended: the pump runs next if nobody else can, or if the slice is over.
    pub fn leave_task(&self, slot: u32) {
        let now = Instant::now();
        self.counters.task_ran(now - self.task_start.get());
        if self.runnable.get() == 0 {
            self.wake_pump();
        } else if self.urgent.get() || now - self.slice_start.get() >= SLICE {
            self.wake_pump();
            leave_queue();
        } else if self.runnable_serve.get() > 0 && self.class(slot) == TaskClass::Background {
            leave_queue();
        }
    }

    fn class(&self, slot: u32) -> TaskClass {
        self.tasks.borrow().get(slot).expect("a task that runs has a slot").class
    }

    /// A task has ended.
    pub fn forget_task(&self, slot: u32) {
        let removed = self.tasks.borrow_mut().remove(slot);
        if let Some(task) = removed
            && task.scheduled
        {
            self.count_runnable(task.class, -1);
        }
        if self.runnable.get() == 0 {
            self.wake_pump();
        }
    }

    pub fn wake_pump(&self) {
        if self.pump_parked.replace(false)
            && let Some(waker) = &*self.pump_waker.borrow()
        {
            waker.wake_by_ref();
        }
    }

    /// Schedules what foreign threads have woken; says whether there was any.
    pub fn drain_wakes(&self, spare: &mut Vec<Arc<Header>>) -> bool {
        if !self.home.has_wakes() {
            return false;
        }
        self.home.take_wakes(spare);
        let any = !spare.is_empty();
        for header in spare.drain(..) {
            // Cleared first: a wake from now on queues the task again.
            header.queued.store(false, Ordering::Release);
            self.schedule(header.slot, header.serial);
        }
        any
    }
}

/// Makes glommio choose a queue anew after the task that runs now. The mark is set by the first poll of its future; the
/// rest of that future would only wake the caller.
fn leave_queue() {
    let executor = glommio::executor();
    let mark = pin!(executor.yield_task_queue_now());
    let _pending = mark.poll(&mut Context::from_waker(Waker::noop()));
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Shared>>> = const { RefCell::new(None) };
}

/// Makes `shared` the shard of this thread, or none.
pub(super) fn set_current(shared: Option<Rc<Shared>>) {
    let before = CURRENT.replace(shared);
    drop(before);
}

/// Calls `f` with the shard of this thread, if it is one.
pub(super) fn with_current<R>(f: impl FnOnce(&Rc<Shared>) -> R) -> Option<R> {
    CURRENT.try_with(|current| current.try_borrow().ok()?.as_ref().map(f)).ok().flatten()
}
