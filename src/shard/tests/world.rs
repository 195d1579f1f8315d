//! One shard's partitions and appends on a simulated disk, its clients, and what they were promised.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::rc::Rc;

use duramen_wire::ids::{LeaderEpoch, Offset, ShardId, TopicPartitionId};

use super::client::{self, Part, Sent};
use crate::log::recovery;
use crate::log::sim::{Random, Sim, SimDisk};
use crate::log::{Durability, Log, Observer, Options, PartitionConfig, Stats};
use crate::shard::appends::{Appends, Seen, Stopped};
use crate::shard::hosted::Partitions;
use crate::shard::message::AppendBatch;

const DATA: &str = "/data";

/// What the log has told and the shard has not heard yet.
#[derive(Default)]
struct Told(RefCell<Seen>);

impl Observer for Told {
    fn committed(&self, id: TopicPartitionId) {
        self.0.borrow_mut().committed.push(id);
    }
    fn memory_available(&self) {}
    fn disk_full(&self, id: TopicPartitionId) {
        panic!("{id}: the disk has no end");
    }
    fn poisoned(&self, id: TopicPartitionId, cause: &io::Error) {
        panic!("{id}: {cause}");
    }
}

/// What a partition was given and has promised.
pub(super) struct Model {
    topic: &'static str,
    config: PartitionConfig,
    epoch: LeaderEpoch,
    /// In the order in which the requests came.
    pub(super) sent: Vec<Sent>,
    /// Below it, every record was acknowledged, or was there after a recovery.
    acknowledged: Offset,
    /// The part of that which the loss of power must not take.
    stable: Offset,
}

/// A request that is not answered.
struct UnderWay {
    acks: i16,
    /// For each part, where it must be placed.
    places: Vec<(TopicPartitionId, Offset, Offset)>,
}

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Shutdown,
    Kill,
    PowerLoss,
}

/// What a run came across.
#[derive(Debug, Default)]
pub struct Met {
    pub acknowledged: u64,
    pub unacknowledged: u64,
    pub lost: u64,
    pub out_of_memory: u64,
    pub slices_over: u64,
    pub died_in_store: u64,
    pub stats: Vec<Stats>,
}

pub struct World {
    pub sim: Sim,
    pub random: Random,
    pub met: Met,
    pub(super) disk: SimDisk,
    now_ms: i64,
    log: Option<Log<SimDisk>>,
    told: Rc<Told>,
    appends: Appends,
    pub(super) partitions: Partitions<SimDisk>,
    pub(super) models: BTreeMap<TopicPartitionId, Model>,
    under_way: BTreeMap<u64, UnderWay>,
    exchanges: u64,
}

fn options(random: &mut Random) -> Options {
    Options {
        memory_budget: 4 << 20,
        journal_len: [64 << 10, 128 << 10, 1 << 20][random.index(3)],
        ring_len: [16 << 10, 64 << 10, 256 << 10][random.index(3)],
        checkpoint_every: 1 << 20,
        segment_writers: 2,
        open_files_max: 3,
        flush_bytes: [32 << 10, 1 << 20][random.index(2)],
        unsynced_bytes_max: 256 << 10,
        unsynced_ms_max: 50,
        idle_ms: [20, 1_000][random.index(2)],
        zero_step_min: 64 << 10,
        zero_step_max: 256 << 10,
        ..Options::default()
    }
}

impl Model {
    fn end(&self) -> Offset {
        self.sent.last().map_or(Offset(0), |sent| sent.end)
    }
}

impl World {
    pub fn new(seed: u64) -> Self {
        let sim = Sim::new(seed);
        let mut models = BTreeMap::new();
        for (number, durability) in (0..6).zip([Durability::Fsync, Durability::Replicated].into_iter().cycle()) {
            let topic = if durability == Durability::Fsync { ("synced", 1) } else { ("handed-over", 2) };
            let segment_bytes = [200_000, 400_000, 1 << 20][number / 2];
            let config = PartitionConfig { durability, segment_bytes, ..PartitionConfig::default() };
            let model = Model {
                topic: topic.0,
                config,
                epoch: LeaderEpoch(0),
                sent: Vec::new(),
                acknowledged: Offset(0),
                stable: Offset(0),
            };
            models.insert(client::id(topic.1, number as i32 / 2), model);
        }
        Self {
            disk: SimDisk::new(&sim),
            random: Random::new(seed ^ 0x9e37_79b9),
            sim,
            met: Met::default(),
            now_ms: 1_700_000_000_000,
            log: None,
            told: Rc::default(),
            appends: Appends::default(),
            partitions: Partitions::default(),
            models,
            under_way: BTreeMap::new(),
            exchanges: 0,
        }
    }

    fn log(&self) -> Log<SimDisk> {
        self.log.clone().expect("the log runs")
    }

    /// Recovers, opens, and compares everything that is there with what was sent.
    pub async fn start(&mut self) {
        let recovered = recovery::recover(&self.disk, Path::new(DATA), self.now_ms).await.expect("recovery works");
        let notes = format!("{:?}", recovered.report);
        let states = recovered.partitions.into_iter().map(|state| {
            let model = self.models.get_mut(&state.id).expect("no partition is made up");
            model.epoch = LeaderEpoch(model.epoch.0 + 1);
            (state, model.config.clone(), model.epoch)
        });
        let states: Vec<_> = states.collect();
        self.told = Rc::default();
        let options = options(&mut self.random);
        let log = Log::open(self.disk.clone(), Path::new(DATA), ShardId(0), options, self.told.clone()).await;
        let log = log.expect("the log opens");
        log.background().into_iter().for_each(|task| self.sim.spawn(task));
        for partition in log.adopt_all(states, self.now_ms).await.expect("the log adopts") {
            self.partitions.insert(partition.id(), partition);
        }
        self.log = Some(log);
        for id in self.models.keys().copied().collect::<Vec<_>>() {
            match self.partitions.get(id).is_some() {
                true => self.check_content(id, &notes).await,
                false => self.create(id).await,
            }
        }
    }

    /// A partition that is not there, at the first start or because its making was not yet stable.
    async fn create(&mut self, id: TopicPartitionId) {
        let model = self.models.get_mut(&id).expect("it is known");
        assert_eq!(model.acknowledged, Offset(0), "{id} is gone\n{}", self.sim);
        model.sent.clear();
        let (topic, config, epoch) = (model.topic, model.config.clone(), model.epoch);
        let made = self.log().create(id, topic, config, epoch, self.now_ms).await.expect("the log creates");
        self.partitions.insert(id, made);
    }

    /// What is there is a prefix of what was sent, and holds what was promised.
    async fn check_content(&mut self, id: TopicPartitionId, notes: &str) {
        let end = self.partitions.get(id).expect("it is here").log.log_end();
        let found = self.read_all(id, end).await;
        let model = self.models.get_mut(&id).expect("it is known");
        let promised = model.acknowledged;
        assert!(end >= promised, "{id} ends at {end}, {promised} was acknowledged; {notes}\n{}", self.sim);
        let there = model.sent.iter().take_while(|sent| sent.end <= end).count();
        self.met.lost += (model.sent.len() - there) as u64;
        model.sent.truncate(there);
        assert_eq!(model.end(), end, "{id} ends between batches\n{}", self.sim);
        let expected: Vec<&[u8]> = model.sent.iter().map(|sent| &sent.placed[..]).collect();
        assert!(found == expected.concat(), "{id} holds something else than was sent\n{}", self.sim);
        // Recovery has synced it.
        (model.acknowledged, model.stable) = (end, end);
    }

    /// A request with batches of up to `len_max` bytes for some of the partitions comes in.
    pub fn produce(&mut self, len_max: u64) {
        let acks = [0, 1, -1, -1][self.random.index(4)];
        let mut parts: Vec<Part> = Vec::new();
        for id in self.models.keys().copied().collect::<Vec<_>>() {
            if self.random.one_in(4) {
                let len = self.random.below(len_max) as usize;
                parts.push(client::part(&mut self.random, id, len, self.now_ms));
            }
        }
        if parts.is_empty() {
            return;
        }
        self.exchanges += 1;
        let places = parts.iter().map(|part| {
            let model = self.models.get_mut(&part.partition).expect("it is known");
            let sent = part.placed(model.end(), model.epoch);
            let place = (part.partition, sent.base, sent.end);
            model.sent.push(sent);
            place
        });
        let places = places.collect();
        self.under_way.insert(self.exchanges, UnderWay { acks, places });
        self.appends.enqueue(client::read(client::request(&parts, acks), self.exchanges));
    }

    /// The shard's append task has its turn, for a slice of so many looks at the clock.
    pub fn append(&mut self, mut looks: u64) {
        let mut done = Vec::new();
        let slice_is_over = || {
            looks = looks.saturating_sub(1);
            looks == 0
        };
        match self.appends.run(&mut self.partitions, self.now_ms, slice_is_over, &mut done) {
            Stopped::Empty => {}
            Stopped::SliceOver => self.met.slices_over += 1,
            Stopped::NoMemory => self.met.out_of_memory += 1,
        }
        self.answered(done);
    }

    /// The shard's commit task has its turn.
    pub fn hear(&mut self) {
        let told = std::mem::take(&mut self.told.0.borrow_mut().committed);
        let mut done = Vec::new();
        for id in told {
            let hosted = self.partitions.get_mut(id).expect("it is here");
            self.appends.committed(hosted, &mut done);
        }
        self.answered(done);
    }

    /// The clients get their answers, if the process has lived to send them.
    fn answered(&mut self, done: Vec<Box<AppendBatch>>) {
        if !self.disk.is_alive() {
            return;
        }
        for batch in done {
            let exchange = batch.reply_to.exchange;
            let request = self.under_way.remove(&exchange).expect("a request is answered once");
            self.sim.note(format_args!("request {exchange} is answered"));
            assert_eq!(batch.items.len(), request.places.len());
            for (item, (id, base, end)) in batch.items.iter().zip(request.places) {
                let appended = item.result.as_ref().unwrap_or_else(|refusal| panic!("{refusal}\n{}", self.sim));
                assert_eq!((item.partition, appended.base_offset), (id, base), "{}", self.sim);
                self.promise(id, end, request.acks);
            }
        }
    }

    fn promise(&mut self, id: TopicPartitionId, end: Offset, acks: i16) {
        if acks == 0 {
            self.met.unacknowledged += 1;
            return;
        }
        self.met.acknowledged += 1;
        let model = self.models.get_mut(&id).expect("it is known");
        model.acknowledged = model.acknowledged.max(end);
        if model.config.durability == Durability::Fsync {
            model.stable = model.stable.max(end);
        }
    }

    pub async fn sleep(&mut self, steps_max: u64) {
        let steps = self.random.below(steps_max);
        self.sim.sleep(steps).await;
    }

    /// Lets `ms` pass, ticking when the log asks for it.
    pub async fn pass(&mut self, ms: i64) {
        let (end, log) = (self.now_ms + ms, self.log());
        while let Some(due) = log.next_tick(self.now_ms).filter(|due| *due <= end) {
            self.now_ms = self.now_ms.max(due);
            log.tick(self.now_ms);
            self.sleep(100).await;
            self.now_ms += 1;
        }
        self.now_ms = self.now_ms.max(end);
    }

    /// A checkpoint begins, and ends in its own time, or with this life.
    pub fn checkpoint(&mut self) {
        let log = self.log();
        self.sim.spawn(async move { log.checkpoint().await.expect("no fault") });
    }

    /// From now on the process is to die within a store to the ring.
    pub fn die_in_store(&mut self) {
        self.disk.die_in_store(self.random.below(10) as u32);
    }

    pub fn is_alive(&self) -> bool {
        self.disk.is_alive()
    }

    /// Waits until every request is answered.
    pub async fn settle(&mut self) {
        for _ in 0..10_000 {
            self.append(u64::MAX);
            self.hear();
            if self.under_way.is_empty() || !self.is_alive() {
                return;
            }
            self.sim.sleep(20).await;
        }
        panic!("{} requests are never answered\n{}", self.under_way.len(), self.sim);
    }

    pub async fn end(&mut self, how: End) {
        let log = self.log.take().expect("the log runs");
        let died = !self.disk.is_alive();
        self.met.died_in_store += u64::from(died);
        if how == End::Shutdown && !died {
            log.shutdown().await.expect("the log shuts down");
        }
        self.met.stats.push(log.stats());
        if how == End::PowerLoss && !died {
            self.models.values_mut().for_each(|model| model.acknowledged = model.stable);
        }
        self.disk = match how {
            End::PowerLoss => self.disk.crash_host(),
            End::Kill | End::Shutdown => self.disk.crash_process(),
        };
        self.appends = Appends::default();
        self.partitions = Partitions::default();
        self.under_way.clear();
        drop(log);
        self.sim.drop_tasks();
    }
}
