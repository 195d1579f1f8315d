//! A shard: one pinned thread that owns partitions, connections and coordinators, and the messages that reach it.
//!
//! Whoever wants something of a partition sends a message to its owner, also when the owner is the same shard. Nothing
//! here is shared between threads but what travels in a message. The shard's state is borrowed for the length of one
//! synchronous step, never across an await.

pub mod appends;
pub mod calls;
pub mod figures;
pub mod hosted;
pub mod load;
pub mod message;
pub mod metadata;
mod moves;
pub mod notify;
pub mod reads;
pub mod request_bytes;
mod tasks;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::{Rc, Weak};

use duramen_wire::ids::{ShardId, TopicPartitionId};
use slab::Slab;

use self::appends::{Appends, Seen};
use self::calls::Calls;
use self::hosted::Partitions;
use self::message::{AppendBatch, ReadBatch, Reply, ReplyTo, Request};
use self::notify::{Notify, Turns};
use self::reads::{Outcome, Reads};
use crate::controller::Image;
use crate::log::{Log, Observer};
use crate::runtime::Reactor;
use crate::runtime::Semaphore;
use crate::runtime::disk::RealDisk;
use crate::runtime::mesh::{MeshEnd, Peers};

/// A client connection, as its shard sees it: the place where answers go.
pub trait Client {
    fn appended(&self, batch: Box<AppendBatch>);
    fn read(&self, batch: Box<ReadBatch>);
    /// The broker stops: take no more requests.
    fn drain(&self);
    /// Gives back what a busy connection keeps for later, if nothing has moved on this one since `since`.
    fn trim_if_quiet_since(&self, since: std::time::Instant);
    /// Closes the connection if nothing has moved on it since `since`.
    fn close_if_idle_since(&self, since: std::time::Instant);
}

/// One shard. It lives on its own thread, behind an `Rc`.
pub struct Shard {
    pub id: ShardId,
    pub reactor: Reactor,
    log: OnceCell<Log<RealDisk>>,
    pub partitions: RefCell<Partitions<RealDisk>>,
    /// The metadata as this shard knows it: the same changes, in the same order, on every shard.
    pub image: RefCell<Image>,
    /// The right to make and drop partitions after changes of the metadata.
    changes: Turns,
    /// Partitions that belong here, never were here, and could not be made; they are tried again.
    unmade: RefCell<BTreeMap<TopicPartitionId, metadata::Unmade>>,
    peers: OnceCell<Peers<Request, Reply>>,
    appends: RefCell<Appends>,
    reads: RefCell<Reads>,
    /// Reads of cold segments that wait for a reader.
    cold: RefCell<VecDeque<Box<ReadBatch>>>,
    calls: Calls,
    clients: RefCell<Slab<Rc<dyn Client>>>,
    exchanges_ever: Cell<u64>,
    seen: Rc<SeenByLog>,
    append_work: Notify,
    read_deadlines: Notify,
    load: RefCell<figures::Load>,
    long_places: Vec<Rc<Semaphore>>,
    cold_work: Notify,
    /// What stands above the partitions on this shard: coordinators, sessions, metrics.
    services: OnceCell<Rc<dyn Any>>,
    /// What the start and the end of the process keep for this shard.
    process: OnceCell<Rc<dyn Any>>,
    this: Weak<Shard>,
}

/// What the log tells, kept until the shard's own task looks at it: the log calls in the middle of its own steps.
#[derive(Default)]
pub struct SeenByLog {
    seen: RefCell<Seen>,
    news: Notify,
}

impl Observer for SeenByLog {
    fn committed(&self, partition: TopicPartitionId) {
        self.seen.borrow_mut().committed.push(partition);
        self.news.raise();
    }

    fn memory_available(&self) {
        self.news.raise();
    }

    fn disk_full(&self, partition: TopicPartitionId) {
        tracing::error!(%partition, "the disk is full: produce is refused until there is room");
        self.seen.borrow_mut().disk_full.push(partition);
        self.news.raise();
    }

    fn poisoned(&self, partition: TopicPartitionId, cause: &io::Error) {
        tracing::error!(%partition, %cause, "a write or sync failed: nothing more of this partition is acknowledged");
        self.seen.borrow_mut().poisoned.push(partition);
        self.news.raise();
    }
}

impl Shard {
    /// A shard without a log yet, which takes calls from the others.
    pub fn new(id: ShardId, reactor: Reactor, mesh: MeshEnd<Request, Reply>) -> Rc<Self> {
        let long_places = (0..mesh.shards()).map(|_| Rc::new(Semaphore::new((mesh.lane_len() / 2).max(1)))).collect();
        let shard = Rc::new_cyclic(|this| Self {
            id,
            reactor: reactor.clone(),
            log: OnceCell::new(),
            partitions: RefCell::default(),
            image: RefCell::default(),
            changes: Turns::default(),
            unmade: RefCell::default(),
            peers: OnceCell::new(),
            appends: RefCell::default(),
            reads: RefCell::default(),
            cold: RefCell::default(),
            calls: Calls::default(),
            clients: RefCell::default(),
            exchanges_ever: Cell::new(0),
            seen: Rc::default(),
            append_work: Notify::default(),
            read_deadlines: Notify::default(),
            load: RefCell::default(),
            long_places,
            cold_work: Notify::default(),
            services: OnceCell::new(),
            process: OnceCell::new(),
            this: this.clone(),
        });
        let (requests, replies) = (Rc::downgrade(&shard), Rc::downgrade(&shard));
        let peers = mesh.serve(
            &reactor,
            move |_, from, request| {
                if let Some(shard) = requests.upgrade() {
                    shard.take_request(from, request);
                }
            },
            move |_, _, reply| {
                if let Some(shard) = replies.upgrade() {
                    shard.take_reply(reply);
                }
            },
        );
        let first = shard.peers.set(peers).is_ok();
        assert!(first, "the peers of a new shard are not set");
        shard
    }

    /// The log, from the moment it is open.
    pub fn log(&self) -> &Log<RealDisk> {
        self.log.get().expect("partitions are asked for only once the log is open")
    }

    pub fn has_log(&self) -> bool {
        self.log.get().is_some()
    }

    /// What the log is to tell its news to.
    pub fn observer(&self) -> Rc<SeenByLog> {
        self.seen.clone()
    }

    /// Hangs what stands above the partitions into the shard, once.
    pub fn set_services(&self, services: Rc<dyn Any>) {
        let first = self.services.set(services).is_ok();
        assert!(first, "the services of a shard are set once");
    }

    pub fn services(&self) -> Rc<dyn Any> {
        self.services.get().expect("services are set before the shard takes requests").clone()
    }

    /// Hangs the state of start and end into the shard, once.
    pub fn set_process(&self, process: Rc<dyn Any>) {
        let first = self.process.set(process).is_ok();
        assert!(first, "the state of the process is set once");
    }

    pub fn process(&self) -> Rc<dyn Any> {
        self.process.get().expect("the state of the process is set when the shard is made").clone()
    }

    fn peers(&self) -> &Peers<Request, Reply> {
        self.peers.get().expect("peers are set when the shard is made")
    }

    /// How many shards there are.
    pub fn shards(&self) -> u16 {
        u16::try_from(self.peers().shards()).expect("shards are numbered by 16 bits")
    }

    /// Wall-clock time in ms since 1970.
    pub fn now_ms(&self) -> i64 {
        wall_clock_ms()
    }

    /// Adds a connection; its answers go to `client` until it is removed.
    pub fn add_client(&self, client: Rc<dyn Client>) -> usize {
        self.clients.borrow_mut().insert(client)
    }

    pub fn remove_client(&self, key: usize) {
        self.clients.borrow_mut().remove(key);
    }

    pub fn clients(&self) -> Vec<Rc<dyn Client>> {
        self.clients.borrow().iter().map(|(_, client)| client.clone()).collect()
    }

    pub fn client_count(&self) -> usize {
        self.clients.borrow().len()
    }

    /// A number for an exchange that no other exchange of this shard ever had.
    pub fn next_exchange(&self) -> u64 {
        self.exchanges_ever.set(self.exchanges_ever.get() + 1);
        self.exchanges_ever.get()
    }

    /// Sends a message to the owner of what it is about; waits while the lane to it is full.
    pub async fn send(&self, to: ShardId, request: Request) {
        match to == self.id {
            true => self.take_request(self.id, request),
            false => {
                if matches!(request, Request::Read(_)) {
                    self.long_place(to).acquire().await;
                }
                // A shard that has ended answers nothing; the broker is stopping then.
                let _ended = self.peers().request(to, request).await;
            }
        }
    }

    /// The places among the messages to another shard that those may have whose answer waits for clients. The other half
    /// is for all that is answered soon, the ends of such waits among them.
    fn long_place(&self, to: ShardId) -> &Rc<Semaphore> {
        &self.long_places[usize::from(to.0)]
    }

    fn answer(&self, to: ShardId, reply: Reply) {
        match to == self.id {
            true => self.take_reply(reply),
            false => self.peers().reply(to, reply),
        }
    }

    fn take_request(&self, from: ShardId, request: Request) {
        match request {
            Request::Append(batch) => {
                self.appends.borrow_mut().enqueue(batch);
                self.append_work.raise();
            }
            Request::Read(batch) => self.begin_read(batch),
            Request::CancelRead(read) => {
                let cancelled = self.reads.borrow_mut().cancel(&mut self.partitions.borrow_mut(), read);
                if let Some(outcome) = cancelled {
                    self.finish_read(outcome);
                }
                self.answer(from, Reply::ReadCancelled);
            }
            Request::Call(call, body) => self.run_call(from, call, body),
        }
    }

    fn take_reply(&self, reply: Reply) {
        match reply {
            Reply::Append(batch) => {
                if let Some(client) = self.client(batch.reply_to) {
                    client.appended(batch);
                }
            }
            Reply::Read(batch) => {
                if batch.owner != self.id {
                    self.long_place(batch.owner).release();
                }
                if let Some(client) = self.client(batch.reply_to) {
                    client.read(batch);
                }
            }
            Reply::ReadCancelled => {}
            Reply::Call(call, answer) => self.calls.answered(call, answer),
        }
    }

    fn client(&self, reply_to: ReplyTo) -> Option<Rc<dyn Client>> {
        self.clients.borrow().get(reply_to.connection).cloned()
    }

    fn begin_read(&self, batch: Box<ReadBatch>) {
        let now = self.reactor.now();
        let outcome = self.reads.borrow_mut().begin(&mut self.partitions.borrow_mut(), batch, now);
        if matches!(outcome, Outcome::Parked) {
            self.read_deadlines.raise();
        }
        self.finish_read(outcome);
    }

    fn finish_read(&self, outcome: Outcome) {
        match outcome {
            Outcome::Done(batch) => self.answer_read(batch),
            Outcome::Cold(batch) => {
                self.cold.borrow_mut().push_back(batch);
                self.cold_work.raise();
            }
            Outcome::Parked => {}
        }
    }

    fn answer_read(&self, batch: Box<ReadBatch>) {
        self.partitions.borrow().note_read(&batch);
        self.answer(batch.reply_to.shard, Reply::Read(batch));
    }

    fn answer_append(&self, batch: Box<AppendBatch>) {
        self.answer(batch.reply_to.shard, Reply::Append(batch));
    }

    fn this(&self) -> Rc<Shard> {
        self.this.upgrade().expect("a shard is used while it lives")
    }
}

/// Wall-clock time in ms since 1970.
fn wall_clock_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
