//! One coordinator with its log, its clients, and the time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use rand::Rng;
use rand::rngs::SmallRng;

use super::client::Client;
use crate::group::tests::rig::TOPIC;
use crate::group::*;

const CLIENTS: usize = 9;

/// Group, its life, generation.
pub(super) type Generation = (Arc<str>, u32, i32);

/// Group, topic, partition.
pub(super) type Partition = (Arc<str>, Arc<str>, i32);

/// What was asked, by whom.
pub(super) struct Asked {
    pub(super) client: Option<usize>,
    pub(super) event: Event,
}

pub(super) struct World {
    pub(super) coordinator: Coordinator,
    config: Config,
    pub(super) now: i64,
    /// What is durable.
    pub(super) log: Vec<Record>,
    /// What the log says is committed, from its first `folded` records, and every offset that was ever committed.
    pub(super) durable: BTreeMap<Partition, i64>,
    pub(super) ever_committed: BTreeSet<i64>,
    pub(super) folded: usize,
    in_flight: VecDeque<(AppendId, Vec<Record>)>,
    snapshot: Option<Vec<u8>>,
    clients: Vec<Client>,
    pub(super) open: BTreeMap<ReplyTo, Asked>,
    asked: u64,
    /// How often a group was seen to vanish; generations begin anew then.
    pub(super) lives: BTreeMap<Arc<str>, u32>,
    pub(super) alive: BTreeSet<Arc<str>>,
    /// What each member was assigned.
    pub(super) assigned: BTreeMap<(Generation, Arc<str>), Bytes>,
    /// The protocol, by the start of the coordinator and the generation.
    pub(super) chosen: BTreeMap<(usize, Generation), Option<Arc<str>>>,
    pub(super) generations: BTreeMap<Arc<str>, (usize, u32, i32)>,
    pub(super) trace: Vec<String>,
    pub(super) syncs_granted: usize,
    pub(super) commits_granted: usize,
    pub(super) crashes: usize,
    pub(super) snapshots_used: usize,
    pub(super) static_rejoins: usize,
}

impl World {
    pub(super) fn new(random: &mut SmallRng) -> Self {
        let config = Config {
            initial_rebalance_delay_ms: random.random_range(0..4_000),
            members_per_group_max: random.random_range(2..9),
            new_member_join_timeout_ms: 8_000,
            ..Config::default()
        };
        World {
            coordinator: Loader::new(config.clone()).finish(0, &mut Vec::new()),
            config,
            now: 0,
            log: Vec::new(),
            durable: BTreeMap::new(),
            ever_committed: BTreeSet::new(),
            folded: 0,
            in_flight: VecDeque::new(),
            snapshot: None,
            clients: (0..CLIENTS).map(|index| Client::new(index, random)).collect(),
            open: BTreeMap::new(),
            asked: 0,
            lives: BTreeMap::new(),
            alive: BTreeSet::new(),
            assigned: BTreeMap::new(),
            chosen: BTreeMap::new(),
            generations: BTreeMap::new(),
            trace: Vec::new(),
            syncs_granted: 0,
            commits_granted: 0,
            crashes: 0,
            snapshots_used: 0,
            static_rejoins: 0,
        }
    }

    pub(super) fn client_acts(&mut self, random: &mut SmallRng) {
        let index = random.random_range(0..self.clients.len());
        let (reply, offset) = (ReplyTo(self.asked), self.asked as i64);
        self.asked += 1;
        if let Some(event) = self.clients[index].act(reply, offset, random) {
            self.ask(reply, Some(index), event);
        }
    }

    pub(super) fn administrate(&mut self, random: &mut SmallRng) {
        let group_id: Arc<str> = format!("g{}", random.random_range(0..3)).into();
        let reply = ReplyTo(self.asked);
        self.asked += 1;
        let topics = vec![(Arc::from(TOPIC), vec![0, 1])];
        let event = match random.random_range(0..6) {
            0 => Event::DeleteGroup(GroupRequest { reply, group_id }),
            1 => Event::DeleteOffsets(DeleteOffsetsRequest { reply, group_id, topics }),
            2 => Event::Describe(GroupRequest { reply, group_id }),
            3 => Event::List(ListRequest { reply, states: Vec::new(), types: Vec::new() }),
            4 => Event::FetchOffsets(FetchRequest { reply, group_id, topics: None }),
            _ => return self.step(Event::TopicDeleted { topic: TOPIC.into(), topic_id: [0; 16] }),
        };
        self.ask(reply, None, event);
    }

    /// The oldest appends become durable, or, rarely, fail; the news of them comes in any order.
    pub(super) fn complete_append(&mut self, random: &mut SmallRng) {
        let count = random.random_range(1..=3).min(self.in_flight.len());
        let mut news = Vec::new();
        for (id, records) in self.in_flight.drain(..count) {
            let fails = random.random_bool(0.04);
            if !fails {
                self.log.extend(records);
            }
            let result = if fails { Err(AppendError::Unavailable) } else { Ok(self.log.len() as i64) };
            news.insert(random.random_range(0..=news.len()), (id, result));
        }
        for (id, result) in news {
            self.step(Event::AppendDone { id, result });
        }
    }

    pub(super) fn pass_time(&mut self, ms: i64) {
        self.now += ms;
        self.step(Event::Tick);
    }

    pub(super) fn take_snapshot(&mut self) {
        self.snapshot = Some(self.coordinator.snapshot().unwrap());
    }

    /// The coordinator is gone. Some of what it was writing is durable; another one reads the log, or a snapshot and
    /// the rest of the log.
    pub(super) fn crash(&mut self, random: &mut SmallRng) {
        self.crashes += 1;
        let written = random.random_range(0..=self.in_flight.len());
        for (_, records) in self.in_flight.drain(..).take(written) {
            self.log.extend(records);
        }
        self.open.clear();
        self.clients.iter_mut().for_each(Client::disconnect);
        let snapshot = self.snapshot.as_ref().filter(|_| random.random_bool(0.7));
        self.snapshots_used += usize::from(snapshot.is_some());
        let mut loader = match snapshot {
            Some(bytes) => Loader::from_snapshot(self.config.clone(), bytes).unwrap(),
            None => Loader::new(self.config.clone()),
        };
        for (offset, record) in self.log.iter().enumerate() {
            loader.replay(offset as i64, record.key.clone(), record.value.clone()).unwrap();
        }
        let mut effects = Vec::new();
        self.coordinator = loader.finish(self.now, &mut effects);
        self.carry_out(effects);
    }

    /// Nobody asks any more, appends succeed, and time passes until nobody can be a member.
    pub(super) fn calm_down(&mut self) {
        for _ in 0..40 {
            while let Some((id, records)) = self.in_flight.pop_front() {
                self.log.extend(records);
                let result = Ok(self.log.len() as i64);
                self.step(Event::AppendDone { id, result });
            }
            self.pass_time(2_000);
        }
    }

    fn ask(&mut self, reply: ReplyTo, client: Option<usize>, event: Event) {
        self.open.insert(reply, Asked { client, event: event.clone() });
        self.step(event);
    }

    fn step(&mut self, event: Event) {
        self.trace.push(format!("{} {event:?}", self.now));
        let mut effects = Vec::new();
        self.coordinator.step(self.now, event, &mut effects);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.trace.push(format!("{effect:?}"));
            match effect {
                Effect::Append { id, records } => self.in_flight.push_back((id, records)),
                Effect::Reply { to, response } => {
                    let asked = self.open.remove(&to).expect("a reply answers a request that is open");
                    super::checks::check_reply(self, &asked, &response);
                    if let Some(client) = asked.client {
                        self.clients[client].hear(to, &response);
                    }
                }
            }
        }
    }
}
