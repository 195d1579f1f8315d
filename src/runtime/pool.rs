//! A few threads for calls that block and have no place in the ring: opening, renaming, listing. Its queue is bounded;
//! whoever finds it full waits in order. Threads start when there is work for them and end when there has been none for
//! a while. Answers wake the asking task through its shard's ring.

use std::any::Any;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use super::affinity::Affinity;
use super::line::{Line, Ticket};

/// How long a thread waits for work before it ends.
const IDLE_MAX: Duration = Duration::from_secs(10);
/// Threads of [`Pool::default`].
pub const POOL_THREADS_DEFAULT: usize = 4;
/// Length of the queue of [`Pool::default`].
pub const POOL_QUEUE_DEFAULT: usize = 256;

/// Threads for blocking calls. Clones share them; a process needs one.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    threads_max: usize,
    queue_max: usize,
    /// The CPUs of the process, which a thread started by a pinned shard would not inherit.
    affinity: Option<Affinity>,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    threads: usize,
    idle: usize,
    /// Those who wait for room in the queue.
    line: Line,
}

type Job = Box<dyn FnOnce() + Send>;

impl Default for Pool {
    fn default() -> Self {
        Self::new(POOL_THREADS_DEFAULT, POOL_QUEUE_DEFAULT)
    }
}

impl Pool {
    /// At most `threads` threads, which run on the CPUs of the thread that calls this, and a queue of at most `queue`
    /// jobs.
    pub fn new(threads: usize, queue: usize) -> Self {
        assert!(threads > 0 && queue > 0, "a pool has a thread and a place in its queue");
        Self(Arc::new(Inner {
            threads_max: threads,
            queue_max: queue,
            affinity: Affinity::of_this_thread().ok(),
            state: Mutex::default(),
            work: Condvar::new(),
        }))
    }

    /// Jobs that wait for a thread.
    pub fn queued(&self) -> usize {
        self.0.lock().queue.len()
    }

    /// Does a job some time, or gives it back if the queue is full.
    pub fn try_detached<F: FnOnce() + Send + 'static>(&self, job: F) -> Result<(), F> {
        let mut state = self.0.lock();
        if state.queue.len() >= self.0.queue_max {
            return Err(job);
        }
        state.queue.push_back(Box::new(job));
        self.0.provide_thread(state);
        Ok(())
    }

    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let answer = Arc::new(Mutex::new(Answer::Awaited(None)));
        let reply = answer.clone();
        let mut job: Option<Job> = Some(Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(work));
            let before = std::mem::replace(&mut *lock(&reply), Answer::Here(result));
            if let Answer::Awaited(Some(waker)) = before {
                waker.wake();
            }
        }));
        let mut place = Place { pool: &self.0, ticket: Ticket::default() };
        poll_fn(|context| place.enqueue(&mut job, context)).await;
        poll_fn(|context| {
            let mut answer = lock(&answer);
            match std::mem::replace(&mut *answer, Answer::Awaited(None)) {
                Answer::Here(Ok(value)) => Poll::Ready(value),
                Answer::Here(Err(panic)) => resume_unwind(panic),
                Answer::Awaited(_) => {
                    *answer = Answer::Awaited(Some(context.waker().clone()));
                    Poll::Pending
                }
            }
        })
        .await
    }
}

enum Answer<T> {
    Awaited(Option<Waker>),
    Here(Result<T, Box<dyn Any + Send>>),
}

/// A place in the line before a full queue, given up when dropped.
struct Place<'a> {
    pool: &'a Arc<Inner>,
    ticket: Ticket,
}

impl Place<'_> {
    fn enqueue(&mut self, job: &mut Option<Job>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.pool.lock();
        if state.queue.len() < self.pool.queue_max && state.line.is_first(&self.ticket) {
            state.line.take_turn(&mut self.ticket);
            state.queue.push_back(job.take().expect("a job is queued once"));
            let next = if state.queue.len() < self.pool.queue_max { state.line.first() } else { None };
            self.pool.provide_thread(state);
            wake(next);
            return Poll::Ready(());
        }
        state.line.wait(&mut self.ticket, context.waker());
        Poll::Pending
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.ticket.has_place() {
            return;
        }
        let mut state = self.pool.lock();
        let left = state.line.leave(&mut self.ticket);
        // A wake meant for this place goes to the next one.
        let next = state.line.first();
        drop(state);
        drop(left);
        wake(next);
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Sees to it that somebody takes what was just queued.
    fn provide_thread(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        if state.idle >= state.queue.len() || state.threads == self.threads_max {
            drop(state);
            self.work.notify_one();
            return;
        }
        let inner = self.clone();
        match thread::Builder::new().name("blocking".into()).spawn(move || inner.work()) {
            Ok(_) => state.threads += 1,
            // The threads that there are do the work; without any, the next job tries again.
            Err(error) => tracing::error!(%error, threads = state.threads, "no further thread for blocking calls"),
        }
    }

    fn work(self: Arc<Self>) {
        if let Some(affinity) = &self.affinity
            && let Err(error) = affinity.apply()
        {
            tracing::warn!(%error, "a thread for blocking calls stays on one CPU");
        }
        let mut state = self.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                let next = state.line.first();
                drop(state);
                wake(next);
                job();
                state = self.lock();
                continue;
            }
            state.idle += 1;
            let (guard, waited) = self.work.wait_timeout(state, IDLE_MAX).unwrap_or_else(PoisonError::into_inner);
            state = guard;
            state.idle -= 1;
            if waited.timed_out() && state.queue.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Jobs run outside of the locks, so nothing that panics does so under one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
