//! Runs futures on one thread, in an order that a seed chooses, over virtual time.
//!
//! A step either polls one of the ready tasks or runs one of the due events. Time is counted in steps; when nothing is
//! ready, it jumps to the next event. If there is no event either, nothing can ever go on: a deadlock, reported with the
//! seed.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::random::Random;

/// Steps of one `block_on` or `run_until_idle`; more is a loop that never ends.
const STEPS_MAX: u64 = 20_000_000;
/// Lines of the trace that are kept for the failure text.
const LINES_KEPT: usize = 60;
/// The number of the future that `block_on` was given.
const MAIN: u64 = 0;

type Task = Pin<Box<dyn Future<Output = ()>>>;
type Event = Box<dyn FnOnce()>;

/// The executor. Clones are the same one.
#[derive(Clone)]
pub struct Sim(Rc<RefCell<Inner>>);

struct Inner {
    seed: u64,
    random: Random,
    now: u64,
    /// `None` while a task is being polled.
    tasks: BTreeMap<u64, Option<Task>>,
    next_id: u64,
    events: BTreeMap<(u64, u64), Event>,
    ready: Ready,
    trace: u64,
    lines: VecDeque<String>,
}

type Ready = Arc<Mutex<BTreeSet<u64>>>;

impl Sim {
    pub fn new(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            seed,
            random: Random::new(seed),
            now: 0,
            tasks: BTreeMap::new(),
            next_id: MAIN + 1,
            events: BTreeMap::new(),
            ready: Ready::default(),
            trace: FNV_START,
            lines: VecDeque::new(),
        })))
    }

    pub fn seed(&self) -> u64 {
        self.0.borrow().seed
    }

    /// Virtual time, in steps.
    pub fn now(&self) -> u64 {
        self.0.borrow().now
    }

    /// Lets `choose` draw from the seed.
    pub fn random<T>(&self, choose: impl FnOnce(&mut Random) -> T) -> T {
        choose(&mut self.0.borrow_mut().random)
    }

    /// Runs `task` beside everything else until it ends or [`Sim::drop_tasks`].
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let mut inner = self.0.borrow_mut();
        let id = inner.new_id();
        inner.tasks.insert(id, Some(Box::pin(task)));
        inner.wake(id);
    }

    /// Runs `event` when `steps` have passed.
    pub fn after(&self, steps: u64, event: impl FnOnce() + 'static) {
        let mut inner = self.0.borrow_mut();
        let key = (inner.now + steps, inner.new_id());
        inner.events.insert(key, Box::new(event));
    }

    /// Ends when `steps` have passed.
    pub async fn sleep(&self, steps: u64) {
        let done = Rc::new(RefCell::new((false, None::<Waker>)));
        let ring = done.clone();
        self.after(steps, move || {
            let mut state = ring.borrow_mut();
            state.0 = true;
            if let Some(waker) = state.1.take() {
                waker.wake();
            }
        });
        std::future::poll_fn(move |context| {
            let mut state = done.borrow_mut();
            state.1 = Some(context.waker().clone());
            if state.0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Runs everything until `future` ends.
    ///
    /// # Panics
    /// If nothing can go on any more, or never stops going on; the text names the seed.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut result = None;
        self.0.borrow_mut().wake(MAIN);
        for _ in 0..STEPS_MAX {
            let progress = self.step(&mut |context| {
                if let Poll::Ready(value) = future.as_mut().poll(context) {
                    result = Some(value);
                }
            });
            if let Some(value) = result {
                return value;
            }
            assert!(progress, "nothing can go on\n{self}");
        }
        panic!("still not done after {STEPS_MAX} steps\n{self}");
    }

    /// Runs until no task is ready and no event is left.
    pub fn run_until_idle(&self) {
        for _ in 0..STEPS_MAX {
            if !self.step(&mut |_| {}) {
                return;
            }
        }
        panic!("still not idle after {STEPS_MAX} steps\n{self}");
    }

    /// The process dies: its tasks and whatever they wait for are gone.
    pub fn drop_tasks(&self) {
        let (tasks, events) = {
            let mut inner = self.0.borrow_mut();
            lock(&inner.ready).clear();
            (std::mem::take(&mut inner.tasks), std::mem::take(&mut inner.events))
        };
        // Only now, without a borrow, since dropping them may run code that comes back here.
        drop((tasks, events));
    }

    /// Adds a line to the trace.
    pub fn note(&self, line: impl fmt::Display) {
        let mut inner = self.0.borrow_mut();
        let line = format!("{:>8} {line}", inner.now);
        inner.trace = fnv(inner.trace, line.as_bytes());
        if inner.lines.len() == LINES_KEPT {
            inner.lines.pop_front();
        }
        inner.lines.push_back(line);
    }

    /// A digest of every line so far and of when it was noted: equal for equal seeds and programs.
    pub fn trace(&self) -> u64 {
        self.0.borrow().trace
    }

    /// Polls one ready task or runs one due event. False if there is neither, now or later.
    fn step(&self, main: &mut dyn FnMut(&mut Context<'_>)) -> bool {
        let Some(choice) = self.0.borrow_mut().choose() else { return false };
        match choice {
            Choice::Event(event) => event(),
            Choice::Task(MAIN, waker, _) => main(&mut Context::from_waker(&waker)),
            Choice::Task(id, waker, task) => self.poll(id, &waker, task),
        }
        true
    }

    fn poll(&self, id: u64, waker: &Waker, task: Option<Task>) {
        // A task that ended or was dropped may still be woken.
        let Some(mut task) = task else { return };
        let done = task.as_mut().poll(&mut Context::from_waker(waker)).is_ready();
        let finished = {
            let mut inner = self.0.borrow_mut();
            // `drop_tasks` may have run meanwhile; then there is no place to return to.
            match inner.tasks.get_mut(&id) {
                Some(place) if !done => {
                    *place = Some(task);
                    None
                }
                Some(_) => {
                    inner.tasks.remove(&id);
                    Some(task)
                }
                None => Some(task),
            }
        };
        drop(finished);
    }
}

impl fmt::Display for Sim {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.0.borrow();
        writeln!(out, "seed {}, step {}; the last of what happened:", inner.seed, inner.now)?;
        inner.lines.iter().try_for_each(|line| writeln!(out, "{line}"))
    }
}

enum Choice {
    Event(Event),
    Task(u64, Waker, Option<Task>),
}

impl Inner {
    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn wake(&self, id: u64) {
        lock(&self.ready).insert(id);
    }

    fn choose(&mut self) -> Option<Choice> {
        self.now += 1;
        let ready: Vec<u64> = lock(&self.ready).iter().copied().collect();
        if ready.is_empty() {
            let (time, _) = *self.events.keys().next()?;
            self.now = self.now.max(time);
        }
        let due: Vec<(u64, u64)> = self.events.range(..=(self.now, u64::MAX)).map(|(key, _)| *key).collect();
        let index = self.random.index(ready.len() + due.len());
        if let Some(id) = ready.get(index).copied() {
            lock(&self.ready).remove(&id);
            let waker = Waker::from(Arc::new(TaskWaker { id, ready: self.ready.clone() }));
            return Some(Choice::Task(id, waker, self.tasks.get_mut(&id).and_then(Option::take)));
        }
        self.events.remove(&due[index - ready.len()]).map(Choice::Event)
    }
}

struct TaskWaker {
    id: u64,
    ready: Ready,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        lock(&self.ready).insert(self.id);
    }
}

fn lock(ready: &Ready) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
    ready.lock().unwrap_or_else(PoisonError::into_inner)
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a: enough to tell traces apart.
fn fnv(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |digest, byte| (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
