//! Starts and ends shards: a pinned thread, a glommio executor as its scheduler, a ring and a pump as its reactor.
//!
//! glommio 0.9.0 can park with runnable tasks, for ever: preempted before it ran anything, it takes itself for idle. A
//! repeating timer of its own, the heartbeat, bounds such a park. A single timer leaves a hole: if it fires in the very
//! pass that is preempted, nobody has set it anew and the park has no end. So there is a ladder of them, each ten times
//! slower, and the next one that was not due ends the park. They are set by the first poll of the root future; before
//! that only a long preemption timer helps, which also makes preemption rare. It may be long, since the pump ends slices
//! by its own clock. Nothing else waits in glommio: its timers, files, sockets and blocking thread stand still while the
//! pump blocks.

use std::fs::File;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use core_affinity::CoreId;
use glommio::timer::Timer;
use glommio::{
    Latency, LocalExecutor, LocalExecutorBuilder, Placement, PoolPlacement, Shares, TaskQueueHandle, spawn_local_into,
};
use io_uring::opcode::AsyncCancel2;
use io_uring::types::CancelBuilder;

use super::ShardId;
use super::buffers::Buffers;
use super::entries;
use super::home::Home;
use super::op::Multishot;
use super::pool::Pool;
use super::pump::Pump;
use super::reactor::{Queues, Reactor, Shared, set_current};
use super::ring::{Completion, Ring};
use super::task::{self, TaskClass};

const SERVE_SHARES: usize = 1000;
const BACKGROUND_SHARES: usize = 100;
/// The ladder of heartbeats, in multiples of the first.
const HEARTBEATS: [u32; 5] = [1, 10, 100, 1_000, 10_000];
/// Depth of glommio's rings, in which only its own timers run.
const GLOMMIO_RING_DEPTH: usize = 8;
/// How long the end of a shard waits for its operations.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// How often the end of a shard drops tasks that others started while they were dropped.
const END_ROUNDS_MAX: usize = 1000;

/// How a shard is made.
#[derive(Clone)]
pub struct Spec {
    pub id: ShardId,
    /// The CPU that the thread is pinned to.
    pub cpu: Option<usize>,
    /// glommio's preemption timer. Nothing depends on it; short ones bring the hang forth that the heartbeat bounds.
    pub preempt_timer: Duration,
    /// About how long the shard stands still when glommio parks in error; `None` to show that it does.
    pub heartbeat: Option<Duration>,
    /// Entries of the ring's submission queue; eight times as many completions.
    pub ring_entries: u32,
    /// Receive buffers from the start, of `RECEIVE_BUFFER_LEN` bytes each.
    pub receive_buffers: usize,
    /// Receive buffers at most.
    pub receive_buffers_max: usize,
    pub pool: Pool,
    /// A file that stays open until the kernel has done the last operation of the shard's ring, even if the process is
    /// killed. A lock on it tells whether anything may still be written.
    pub held: Option<Arc<File>>,
}

impl Spec {
    /// An unpinned shard with default bounds and the given pool.
    pub fn new(id: ShardId, pool: Pool) -> Self {
        Self {
            id,
            cpu: None,
            preempt_timer: Duration::from_secs(10),
            heartbeat: Some(Duration::from_millis(5)),
            ring_entries: 256,
            receive_buffers: 16,
            held: None,
            receive_buffers_max: 256,
            pool,
        }
    }
}

/// A running shard.
#[must_use = "joining tells how the shard ended"]
pub struct JoinHandle<T>(thread::JoinHandle<Option<T>>);

impl<T> JoinHandle<T> {
    /// Waits for the shard's end and returns the output of its main future. A panic of the shard resumes here.
    pub fn join(self) -> T {
        let output = self.0.join().unwrap_or_else(|panic| resume_unwind(panic));
        output.expect("a shard that was made runs its main future")
    }

    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

/// Starts a shard that runs `main` and ends with it: whatever tasks are left are dropped then, and operations that the
/// kernel still works on are ended or awaited. Returns once the shard is made.
pub fn spawn_shard<M, F, T>(spec: Spec, main: M) -> io::Result<JoinHandle<T>>
where
    M: FnOnce(Reactor) -> F + Send + 'static,
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let (made, is_made) = mpsc::sync_channel(1);
    let name = format!("shard-{}", spec.id.0);
    let thread = thread::Builder::new().name(name).spawn(move || match Parts::make(&spec) {
        Ok(parts) => {
            made.send(Ok(())).expect("the starter waits for this");
            Some(parts.run(spec, main))
        }
        Err(error) => {
            made.send(Err(error)).expect("the starter waits for this");
            None
        }
    })?;
    match is_made.recv() {
        Ok(Ok(())) => Ok(JoinHandle(thread)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::other("the thread of the shard panicked at its start")),
    }
}

/// A shard before it runs.
struct Parts {
    executor: LocalExecutor,
    home: Arc<Home>,
    ring: Ring,
    buffers: Buffers,
}

impl Parts {
    fn make(spec: &Spec) -> io::Result<Self> {
        if let Some(cpu) = spec.cpu
            && !core_affinity::set_for_current(CoreId { id: cpu })
        {
            return Err(io::Error::other(format!("cannot pin shard {} to CPU {cpu}", spec.id.0)));
        }
        let executor = LocalExecutorBuilder::new(Placement::Unbound)
            .io_memory(0)
            .ring_depth(GLOMMIO_RING_DEPTH)
            .preempt_timer(spec.preempt_timer)
            .blocking_thread_pool_placement(PoolPlacement::Unbound(1))
            .make()
            .map_err(|error| io::Error::other(format!("cannot make an executor: {error}")))?;
        let ring = Ring::new(spec.ring_entries)?;
        if let Some(file) = &spec.held {
            ring.hold(file)?;
        }
        let home = Arc::new(Home::new(ring.duplicate()?)?);
        let buffers = Buffers::register(&ring, home.clone(), spec.receive_buffers, spec.receive_buffers_max)?;
        Ok(Self { executor, home, ring, buffers })
    }

    fn run<M, F, T>(self, mut spec: Spec, main: M) -> T
    where
        M: FnOnce(Reactor) -> F + 'static,
        F: Future<Output = T> + 'static,
        T: 'static,
    {
        let Self { executor, home, ring, buffers } = self;
        let holds_file = spec.held.take().is_some();
        executor.run(async move {
            let queues = Queues {
                pump: queue("pump", SERVE_SHARES),
                serve: queue("serve", SERVE_SHARES),
                background: queue("background", BACKGROUND_SHARES),
            };
            let shared = Rc::new(Shared::new(spec.id, home, spec.pool, queues, ring, buffers));
            let _current = Current::set(&shared, holds_file);
            ForeignNotices::hear(&shared);
            let mut heartbeats = Heartbeats::new(spec.heartbeat);
            let (driver, output) = task::prepare(&shared, TaskClass::Serve, main_task(shared.clone(), main));
            let pump = spawn_local_into(Pump::new(shared.clone()), queues.pump).expect("made above").detach();
            spawn_local_into(driver, queues.serve).expect("made above").detach();
            let output = heartbeats.beside(output).await;
            heartbeats.beside(pump).await.expect("nobody cancels the pump");
            output.expect("nobody has a handle to cancel the main task with")
        })
    }
}

/// The ladder of repeating timers.
struct Heartbeats(Vec<(Duration, Timer)>);

impl Heartbeats {
    fn new(every: Option<Duration>) -> Self {
        let rungs = every.into_iter().flat_map(|every| HEARTBEATS.map(|slower| every * slower));
        Self(rungs.map(|every| (every, Timer::new(every))).collect())
    }

    /// Keeps the timers set while `future` is under way.
    async fn beside<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            for (every, timer) in &mut self.0 {
                if Pin::new(&mut *timer).poll(context).is_ready() {
                    timer.reset(*every);
                    let _set = Pin::new(timer).poll(context);
                }
            }
            future.as_mut().poll(context)
        })
        .await
    }
}

fn queue(name: &str, shares: usize) -> TaskQueueHandle {
    glommio::executor().create_task_queue(Shares::Static(shares), Latency::NotImportant, name)
}

async fn main_task<M, F>(shared: Rc<Shared>, main: M) -> F::Output
where
    M: FnOnce(Reactor) -> F,
    F: Future,
{
    let reactor = Reactor(shared.clone());
    let output = main(reactor.clone()).await;
    shared.closing.set(true);
    end_tasks(&reactor).await;
    end_operations(&reactor).await;
    // The pump looks at this before it blocks.
    shared.stop.set(true);
    output
}

/// Drops all tasks but the main one.
async fn end_tasks(reactor: &Reactor) {
    for _ in 0..END_ROUNDS_MAX {
        if !reactor.0.cancel_other_tasks() {
            return;
        }
        reactor.yield_now().await;
    }
    tracing::warn!(shard = reactor.shard().0, "tasks keep starting while the shard ends");
}

/// Ends what the kernel still works on, or waits for it.
async fn end_operations(reactor: &Reactor) {
    let shared = &reactor.0;
    shared.pollers.take();
    shared.starved.take();
    let deadline = Instant::now() + DRAIN_MAX;
    while shared.ops.borrow().len() > 0 && Instant::now() < deadline {
        shared.push_plain(AsyncCancel2::new(CancelBuilder::any()).build());
        reactor.sleep(Duration::from_millis(1)).await;
    }
}

/// Marks a shard as its thread's own while it runs.
struct Current {
    shared: Rc<Shared>,
    holds_file: bool,
}

impl Current {
    fn set(shared: &Rc<Shared>, holds_file: bool) -> Self {
        set_current(Some(shared.clone()));
        Self { shared: shared.clone(), holds_file }
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        let shared = &self.shared;
        let operations = shared.ops.try_borrow().map_or(usize::MAX, |ops| ops.len());
        if thread::panicking() || operations > 0 {
            // The kernel may still write to what the operations own, so it is never freed.
            tracing::error!(shard = shared.shard.0, operations, "the shard ends with operations in flight");
            std::mem::forget(shared.clone());
        } else {
            let ring = shared.ring.borrow();
            if let Err(error) = shared.buffers.borrow().unregister(&ring) {
                tracing::error!(shard = shared.shard.0, %error, "cannot take the receive buffers from the kernel");
            }
            if self.holds_file
                && let Err(error) = ring.let_go()
            {
                tracing::error!(shard = shared.shard.0, %error, "cannot take the held file from the kernel");
            }
        }
        set_current(None);
    }
}

/// Hears the eventfd by which foreign threads end the shard's sleep. Its counter is never read: each write is an event.
struct ForeignNotices;

impl ForeignNotices {
    fn hear(shared: &Rc<Shared>) {
        if let Err(error) = entries::notices(shared, Rc::new(Self)) {
            tracing::error!(shard = shared.shard.0, %error, "cannot hear foreign threads");
        }
    }
}

impl Multishot for ForeignNotices {
    fn completed(self: Rc<Self>, shared: &Rc<Shared>, completion: Completion) {
        if !completion.more() && !shared.closing.get() {
            Self::hear(shared);
        }
    }
}
