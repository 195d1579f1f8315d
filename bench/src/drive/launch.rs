//! From a setup to threads: who sits on which thread, which connections there are, and how much memory buffers may take.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::{self, available_parallelism};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::connection::{Asked, Connection, RECEIVE_LARGE, RECEIVE_SMALL};
use super::consumer::{Consumer, OPENED_BYTES_MAX};
use super::poll::Poll;
use super::producer::{Producer, Workshop};
use super::tally::CpuClock;
use super::thread::{Books, Report, Seat, Worker, settle};
use super::{ConnectionId, Interval, Outbox, Party, Running, Setup, Shared, Tally, Target, TargetId};
use crate::Error;
use crate::batch::pool::Buffers;
use crate::batch::press::Press;
use crate::batch::sizes::SizeTable;
use crate::batch::template::Shape;
use crate::clock::Epoch;
use crate::plan::{Compression, Partitioner, Plan, Produce};
use crate::stop::Stop;
use crate::verify::{ACKNOWLEDGED_MAX, Ledger, Received};

/// Intervals that wait for the collector.
const INTERVALS_MAX: usize = 64;
/// Buffers of a thread that are made before the load begins; others are made when they are needed.
const AHEAD_BYTES_MAX: usize = 64 << 20;
/// Tallies that circulate between a thread and the collector.
const TALLIES: usize = 3;
/// Bytes of an answer to a produce request: some tens for each partition of the request.
const ACKNOWLEDGEMENTS_MAX: usize = 16 << 20;
/// From when all threads are ready to the epoch.
const START_DELAY: Duration = Duration::from_millis(200);
/// How much longer than its longest wait a fetch may take.
const FETCH_ANSWER_MAX: Duration = Duration::from_secs(30);

/// One party to be: its routes are targets with their connections.
struct Post {
    number: u32,
    produces: bool,
    routes: Vec<(TargetId, ConnectionId)>,
}

/// What one thread is to do.
#[derive(Default)]
struct Roster {
    connections: Vec<Connection>,
    /// By connection, whether it has a window.
    windows: Vec<Option<u32>>,
    posts: Vec<Post>,
    /// Connections of producers, by their slot and the broker.
    shared: BTreeMap<(u32, i32), ConnectionId>,
}

/// The memory that one thread's sections may take.
#[derive(Clone, Copy)]
struct Allowance {
    buffers_max: usize,
    threads: usize,
}

pub(super) fn launch(setup: &Arc<Setup>, stop: &Stop) -> Result<Running, Error> {
    let rosters = rosters(setup)?;
    let shape = |at: usize| match &setup.plan.produce {
        Some(produce) => shape(&setup.plan, produce, at as u64).map(Some),
        None => Ok(None),
    };
    let shapes = (0..rosters.len()).map(shape).collect::<Result<Vec<_>, _>>()?;
    let allowances = allowances(setup, &rosters, &shapes)?;
    let shared = Arc::new(Shared::default());
    let producing = rosters.iter().filter(|roster| roster.posts.iter().any(|post| post.produces)).count();
    shared.producing.store(producing, Ordering::Release);
    shared.running.store(rosters.len(), Ordering::Release);
    let (sender, intervals) = mpsc::sync_channel(INTERVALS_MAX);
    let (ready_sender, ready) = mpsc::channel();
    let mut running = Running { shared, intervals, returns: Vec::new(), threads: Vec::new() };
    // Dropped before `running`, so that threads which wait for the start end instead.
    let mut starts = Vec::new();
    for (number, ((roster, shape), allowance)) in rosters.into_iter().zip(shapes).zip(allowances).enumerate() {
        let (give_back, returned) = mpsc::channel();
        let (start, started) = mpsc::channel();
        let spawn = Spawn {
            number,
            setup: setup.clone(),
            stop: stop.clone(),
            shared: running.shared.clone(),
            allowance,
            sender: sender.clone(),
            returned,
            started,
        };
        starts.push(start);
        let ready = ready_sender.clone();
        let thread = thread::Builder::new().name(format!("bench-{number}"));
        let thread = thread.spawn(move || spawn.live(roster, shape, ready));
        running.threads.push(thread.map_err(|source| Error::Io { what: "start a thread".to_owned(), source })?);
        for _ in 0..TALLIES {
            // The thread is there: it has just been started.
            let _ = give_back.send(Tally::touched());
        }
        running.returns.push(give_back);
    }
    drop(ready_sender);
    // Ends when the last thread is ready; a thread that could not begin says why.
    ready.iter().collect::<Result<(), Error>>()?;
    setup.epoch.get_or_init(|| Epoch::after(START_DELAY));
    // A thread that has ended since says why in its end.
    for start in starts {
        let _ = start.send(());
    }
    Ok(running)
}

/// Deals producers and consumers to threads, and connects.
fn rosters(setup: &Arc<Setup>) -> Result<Vec<Roster>, Error> {
    let plan = &setup.plan;
    let producers = plan.produce.as_ref().map_or(0, |produce| produce.producers);
    let slots = plan.produce.as_ref().and_then(|produce| produce.connections).unwrap_or(producers);
    let slots = slots.clamp(u32::from(producers > 0), producers.max(1)).max(1);
    let readers = readers(setup);
    let most = (if producers > 0 { slots as usize } else { 0 }).max(readers.len()).max(1);
    let count = plan.threads.unwrap_or_else(|| default_threads(plan)).clamp(1, most);
    let mut rosters: Vec<Roster> = (0..count).map(|_| Roster::default()).collect();
    if let Some(produce) = &plan.produce {
        let topics = written_topics(setup);
        for number in 0..producers {
            let slot = number % slots;
            let roster = &mut rosters[slot as usize % count];
            let targets = targets_of(setup, &topics, number, producers);
            let route = |target: TargetId| Ok((target, roster.connect(setup, produce, slot, target)?));
            let routes = targets.into_iter().map(route).collect::<Result<_, Error>>()?;
            roster.posts.push(Post { number, produces: true, routes });
        }
    }
    for (at, reader) in readers.into_iter().enumerate() {
        rosters[at % count].seat_reader(setup, reader)?;
    }
    Ok(rosters)
}

impl Roster {
    fn connect(
        &mut self,
        setup: &Setup,
        produce: &Produce,
        slot: u32,
        target: TargetId,
    ) -> Result<ConnectionId, Error> {
        let leader = setup.targets[target as usize].leader;
        if let Some(connection) = self.shared.get(&(slot, leader)) {
            return Ok(*connection);
        }
        let asked = Asked { api: "Produce", patience: produce.request_timeout, answer_max: ACKNOWLEDGEMENTS_MAX };
        let connection = Connection::open(server(setup, leader)?, asked, RECEIVE_SMALL)?;
        let id = self.add(connection, Some(produce.in_flight.max(1)));
        self.shared.insert((slot, leader), id);
        Ok(id)
    }

    fn seat_reader(&mut self, setup: &Setup, reader: Reader) -> Result<(), Error> {
        let consume = setup.plan.consume.as_ref().expect("readers are made where the plan consumes");
        let patience = consume.max_wait + FETCH_ANSWER_MAX;
        // The first batch comes even if it is longer than what was asked for.
        let answer_max = usize::try_from(consume.max_bytes).unwrap_or(0) + OPENED_BYTES_MAX;
        let asked = Asked { api: "Fetch", patience, answer_max };
        let connection = Connection::open(server(setup, reader.leader)?, asked, RECEIVE_LARGE)?;
        let id = self.add(connection, None);
        let routes = reader.targets.into_iter().map(|target| (target, id)).collect();
        self.posts.push(Post { number: reader.number, produces: false, routes });
        Ok(())
    }

    fn add(&mut self, connection: Connection, window: Option<u32>) -> ConnectionId {
        self.connections.push(connection);
        self.windows.push(window);
        (self.connections.len() - 1) as ConnectionId
    }
}

fn server(setup: &Setup, leader: i32) -> Result<&str, Error> {
    let server = setup.brokers.get(&leader).map(String::as_str);
    server.ok_or_else(|| Error::Unreachable {
        server: format!("broker {leader}"),
        reason: "a partition names it as its leader, and the cluster does not know its address".to_owned(),
    })
}

/// One consumer at one leader.
struct Reader {
    number: u32,
    leader: i32,
    targets: Vec<TargetId>,
}

/// Deals the targets to the consumers of each subscription in turn; those of the backlog to consumers of their own.
fn readers(setup: &Setup) -> Vec<Reader> {
    let Some(consume) = &setup.plan.consume else { return Vec::new() };
    let all = 0..setup.targets.len() as TargetId;
    let of_load: Vec<TargetId> = all.filter(|target| !setup.backlog_targets.contains(target)).collect();
    let of_backlog = (!setup.backlog_targets.is_empty()).then_some(&setup.backlog_targets);
    let subscriptions = std::iter::repeat_n(&of_load, consume.subscriptions as usize).chain(of_backlog);
    let mut dealt: BTreeMap<(u32, i32), Vec<TargetId>> = BTreeMap::new();
    for (subscription, targets) in subscriptions.enumerate() {
        for (at, &target) in targets.iter().enumerate() {
            let number = subscription as u32 * consume.consumers + at as u32 % consume.consumers.max(1);
            let leader = setup.targets[target as usize].leader;
            dealt.entry((number, leader)).or_default().push(target);
        }
    }
    dealt.into_iter().map(|((number, leader), targets)| Reader { number, leader, targets }).collect()
}

/// The targets of each topic that is written to.
fn written_topics(setup: &Setup) -> Vec<Vec<TargetId>> {
    let mut topics: BTreeMap<&str, Vec<TargetId>> = BTreeMap::new();
    for (at, target) in setup.targets.iter().enumerate() {
        let at = at as TargetId;
        if !setup.backlog_targets.contains(&at) {
            topics.entry(&target.topic).or_default().push(at);
        }
    }
    topics.into_values().collect()
}

/// Deals topics to producers, or producers to topics, in turn. By leader, so that batches for one stand together.
fn targets_of(setup: &Setup, topics: &[Vec<TargetId>], producer: u32, producers: u32) -> Vec<TargetId> {
    let (count, producer, producers) = (topics.len(), producer as usize, producers as usize);
    let is_own = |at: &usize| if producers >= count { *at == producer % count } else { at % producers == producer };
    let mut targets: Vec<_> = (0..count).filter(is_own).flat_map(|at| topics[at].iter().copied()).collect();
    targets.sort_by_key(|&target| {
        let Target { topic, partition, leader, .. } = &setup.targets[target as usize];
        (*leader, topic, *partition)
    });
    targets
}

/// The CPUs that the generator may use; half of them if a broker on this host shares them.
fn default_threads(plan: &Plan) -> usize {
    if !plan.cores.is_empty() {
        return plan.cores.len();
    }
    let cpus = available_parallelism().map_or(1, |cpus| cpus.get());
    let is_here =
        |server: &String| ["localhost:", "127.", "[::1]:"].into_iter().any(|loopback| server.starts_with(loopback));
    let shares = plan.broker.pid.is_some() || plan.broker.start.is_some() || plan.servers.iter().any(is_here);
    if shares { (cpus / 2).max(1) } else { cpus }
}

fn shape(plan: &Plan, produce: &Produce, thread: u64) -> Result<Shape, Error> {
    let sizes = SizeTable::new(&produce.sizes, &mut SmallRng::seed_from_u64(plan.seed))?;
    Shape::new(produce, Arc::new(sizes), plan.seed.wrapping_add(thread))
}

/// Whether compressed sections may be sent again: nobody reads stamps, and there are no keys and no other sizes.
fn keeps_sections(plan: &Plan, produce: &Produce, shape: &Shape) -> bool {
    let sticky = produce.keys.is_none() && produce.partitioner == Partitioner::Sticky;
    plan.consume.is_none() && sticky && produce.compression != Compression::None && shape.templates() > 0
}

/// How many buffers each thread may have.
fn allowances(setup: &Setup, rosters: &[Roster], shapes: &[Option<Shape>]) -> Result<Vec<Allowance>, Error> {
    let plan = &setup.plan;
    let memory = usize::try_from(plan.memory_max).unwrap_or(usize::MAX);
    let receive = |roster: &Roster| -> usize {
        let window = |window: &Option<u32>| if window.is_some() { RECEIVE_SMALL } else { RECEIVE_LARGE };
        roster.windows.iter().map(window).sum()
    };
    let receiving: usize = rosters.iter().map(receive).sum();
    let each = memory.saturating_sub(receiving) / rosters.len();
    let allowance = |(roster, shape): (&Roster, &Option<Shape>)| {
        let (Some(shape), Some(produce)) = (shape, &plan.produce) else {
            return Ok(Allowance { buffers_max: 0, threads: rosters.len() });
        };
        let fits = each / shape.buffer_len();
        if fits == 0 || receiving > memory {
            let needed = receiving + shape.buffer_len() * rosters.len();
            return Err(Error::Limit {
                what: format!("buffers need {needed} bytes, and may take {memory}"),
                remedy: "allow more with --memory, or ask for fewer connections or smaller batches".to_owned(),
            });
        }
        let spreads = produce.keys.is_some() || produce.partitioner == Partitioner::RoundRobin;
        let under_way = (produce.in_flight.max(1) * produce.batches_per_request.max(1)) as usize;
        let of_post =
            |post: &Post| under_way * if spreads { 2 } else { 1 } + if spreads { post.routes.len() } else { 0 };
        let posts = roster.posts.iter().filter(|post| post.produces);
        let needed: usize = posts.map(of_post).sum();
        let buffers_max = if keeps_sections(plan, produce, shape) { 0 } else { needed.min(fits) };
        Ok(Allowance { buffers_max, threads: rosters.len() })
    };
    rosters.iter().zip(shapes).map(allowance).collect()
}

/// What goes to a new thread.
struct Spawn {
    number: usize,
    setup: Arc<Setup>,
    stop: Stop,
    shared: Arc<Shared>,
    allowance: Allowance,
    sender: SyncSender<Interval>,
    returned: Receiver<Tally>,
    started: Receiver<()>,
}

impl Spawn {
    /// The life of the thread.
    fn live(mut self, roster: Roster, shape: Option<Shape>, ready: Sender<Result<(), Error>>) -> super::ThreadEnd {
        let shared = self.shared.clone();
        let started = std::mem::replace(&mut self.started, mpsc::channel().1);
        let prepared = settle(&self.setup.plan.cores).and_then(|()| self.prepare(roster, shape));
        let end = match prepared {
            Ok(worker) => {
                // Nobody waits for this if another thread could not begin.
                let _ = ready.send(Ok(()));
                drop(ready);
                match started.recv() {
                    Ok(()) => worker.run(),
                    Err(_) => super::ThreadEnd::empty(),
                }
            }
            Err(error) => {
                let _ = ready.send(Err(error));
                shared.abort();
                super::ThreadEnd::empty()
            }
        };
        shared.running.fetch_sub(1, Ordering::Release);
        end
    }

    fn prepare(self, roster: Roster, shape: Option<Shape>) -> Result<Worker, Error> {
        let failed = |what: &str| {
            let what = what.to_owned();
            move |source| Error::Io { what, source }
        };
        let poll = Poll::new().map_err(failed("make an epoll"))?;
        let mut out = Outbox::default();
        for (at, (connection, window)) in roster.connections.iter().zip(&roster.windows).enumerate() {
            poll.add(at as ConnectionId, &connection.stream).map_err(failed("watch a connection"))?;
            out.windows.push(*window);
        }
        let setup = &self.setup;
        let workshop = match (&setup.plan.produce, shape) {
            (Some(produce), Some(shape)) => {
                let ahead = AHEAD_BYTES_MAX / shape.buffer_len();
                out.buffers = Buffers::new(&shape, ahead, self.allowance.buffers_max);
                let keeps = keeps_sections(&setup.plan, produce, &shape);
                let press = Press::new(produce.compression, keeps, self.allowance.threads);
                let mut press = press.map_err(failed("compress"))?;
                press.prepare(&shape).map_err(failed("compress"))?;
                let press = Rc::new(RefCell::new(press));
                Some(Workshop { shape: Rc::new(shape), press, stop: self.stop.clone() })
            }
            _ => None,
        };
        let seat = |post: Post| {
            let party: Box<dyn Party> = match (&workshop, post.produces) {
                (Some(workshop), true) => Box::new(Producer::new(setup, workshop.clone(), post.number, &post.routes)?),
                _ => {
                    let (targets, connections): (Vec<_>, Vec<_>) = post.routes.into_iter().unzip();
                    let connection = *connections.first().expect("a consumer has targets");
                    Box::new(Consumer::new(setup, connection, targets))
                }
            };
            Ok(Seat { party, produces: post.produces, next: None, done: false })
        };
        let seats = roster.posts.into_iter().map(seat).collect::<Result<Vec<_>, Error>>()?;
        let producing = seats.iter().filter(|seat| seat.produces).count();
        let targets = setup.targets.len();
        let books = Books {
            interval: Tally::touched(),
            measured: Tally::touched(),
            ledger: Ledger::new(targets, ACKNOWLEDGED_MAX / self.allowance.threads),
            received: Received::default(),
        };
        let clock = CpuClock::of_this_thread();
        let report = Report { told: clock.read(), clock, full_ns: 0, next_second: 1, spare: None };
        Ok(Worker {
            number: self.number,
            shared: self.shared,
            stop: self.stop,
            poll,
            connections: roster.connections,
            consuming: seats.len() - producing,
            producing,
            seats,
            out,
            books,
            sender: self.sender,
            returned: self.returned,
            deadlines: BTreeSet::new(),
            queued: Vec::new(),
            unwritten: Vec::new(),
            spares: Vec::new(),
            report,
            setup: self.setup,
        })
    }
}
