//! What an operator does meanwhile: topics made and deleted, partitions moved; and a group that commits.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;

use rand::Rng;
use rand::rngs::SmallRng;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::flow::{FLOWS, PARTITIONS};
use crate::support::kafka::{self, PATIENCE, Record};
use crate::support::{Broker, LOOK, until};

const VICTIMS: usize = 3;

/// Topics that come and go.
#[derive(Default)]
pub struct Deeds {
    /// The topics that exist, with the records that each was given.
    existing: BTreeMap<String, i64>,
    under_way: Option<(Deed, Child)>,
    /// How many deeds of each kind were confirmed.
    pub done: BTreeMap<&'static str, u32>,
}

#[derive(Debug)]
enum Deed {
    Create(String),
    Delete(String),
    Move,
}

impl Deeds {
    /// Starts one as a process of its own.
    pub fn begin(&mut self, broker: &Broker, shards: u16, random: &mut SmallRng) {
        let victim = format!("victim-{}", random.random_range(0..VICTIMS));
        let (deed, line) = if shards > 1 && random.random_bool(0.5) {
            let flow = &FLOWS[random.random_range(0..FLOWS.len())];
            let (partition, shard) = (random.random_range(0..PARTITIONS), random.random_range(0..shards));
            (Deed::Move, format!("topic move {}:{partition} --shard {shard}", flow.topic))
        } else if self.existing.contains_key(&victim) {
            (Deed::Delete(victim.clone()), format!("topic delete {victim}"))
        } else {
            (Deed::Create(victim.clone()), format!("topic create {victim} --partitions 3"))
        };
        let mut command = broker.command(&line);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.under_way = Some((deed, child.expect("the command's process starts")));
    }

    /// After the restart: what was confirmed holds, and nothing else changed.
    pub fn settle(&mut self, broker: &Broker) {
        let Some((deed, mut child)) = self.under_way.take() else { return };
        let ended = until(PATIENCE, || child.try_wait().expect("the child is ours"));
        if ended.is_none() {
            child.kill().and_then(|()| child.wait()).expect("the child is ours");
        }
        let confirmed = ended.is_some_and(|status| status.success());
        let found = victims(broker);
        let expected: BTreeSet<String> = self.existing.keys().cloned().collect();
        let changed: Vec<&String> = found.symmetric_difference(&expected).collect();
        match &deed {
            Deed::Create(victim) if confirmed => {
                assert_eq!(changed, [victim], "{victim} was confirmed to be made");
                self.count("made");
            }
            Deed::Delete(victim) if confirmed => {
                assert_eq!(changed, [victim], "{victim} was confirmed to be deleted");
                self.count("deleted");
            }
            Deed::Create(victim) | Deed::Delete(victim) => {
                assert!(changed.iter().all(|topic| *topic == victim), "{changed:?} changed, not only {victim}");
            }
            Deed::Move => {
                assert_eq!(changed, [] as [&String; 0], "a move makes and deletes nothing");
                if confirmed {
                    self.count("moved");
                }
            }
        }
        self.existing.retain(|topic, _| found.contains(topic));
        for topic in found {
            self.existing.entry(topic).or_insert(0);
        }
        self.fill(broker);
    }

    /// Gives a new topic its first records, which must find it empty, and looks for those of the others.
    fn fill(&mut self, broker: &Broker) {
        for (topic, count) in &mut self.existing {
            let (first, end) = kafka::watermarks(broker, topic, 0);
            assert_eq!((first, end), (0, *count), "{topic} has what it was given, and nothing of a namesake");
            if *count == 0 {
                let value = |number: i64| Some(format!("{topic} {number}").into_bytes());
                let record = |number| Record {
                    partition: 0,
                    offset: -1,
                    timestamp: kafka::now_ms(),
                    key: None,
                    value: value(number),
                    headers: Vec::new(),
                };
                let sent = kafka::produce(broker, topic, &(0..10).map(record).collect::<Vec<_>>(), &[]);
                *count = i64::try_from(sent.len()).expect("is small");
            }
        }
    }

    fn count(&mut self, kind: &'static str) {
        *self.done.entry(kind).or_default() += 1;
    }
}

impl Drop for Deeds {
    fn drop(&mut self) {
        if let Some((_, mut child)) = self.under_way.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn victims(broker: &Broker) -> BTreeSet<String> {
    let consumer: BaseConsumer = kafka::config(broker, &[]).create().expect("a consumer");
    let metadata = consumer.fetch_metadata(None, PATIENCE).expect("metadata");
    metadata.topics().iter().map(|topic| topic.name().to_string()).filter(|name| name.starts_with("victim")).collect()
}

/// Commits ever higher offsets of a partition.
pub struct Committer {
    acknowledged: Arc<AtomicI64>,
    stop: Arc<AtomicBool>,
}

const GROUP: (&str, &str) = ("group.id", "committer");

impl Committer {
    pub fn start(broker: &Broker) -> Committer {
        let (acknowledged, stop) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
        let consumer = kafka::reader(broker, &[GROUP]);
        let (confirmed, stopped) = (acknowledged.clone(), stop.clone());
        thread::spawn(move || {
            let mut offset = 0;
            while !stopped.load(Ordering::Relaxed) {
                offset += 1;
                if consumer.commit(&place(Offset::Offset(offset)), CommitMode::Sync).is_ok() {
                    confirmed.store(offset, Ordering::Relaxed);
                }
                thread::sleep(LOOK);
            }
        });
        Committer { acknowledged, stop }
    }

    pub fn acknowledged(&self) -> i64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Sees that the group has at least an offset that was acknowledged.
    pub fn check(&self, broker: &Broker, promised: i64) {
        let consumer = kafka::reader(broker, &[GROUP]);
        let committed = until(PATIENCE, || consumer.committed_offsets(place(Offset::Invalid), PATIENCE).ok());
        let committed = committed.expect("the group's offsets are told in time");
        let found = committed.elements()[0].offset().to_raw().unwrap_or(0).max(0);
        assert!(found >= promised, "offset {promised} was committed, and {found} is there");
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn place(offset: Offset) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(FLOWS[0].topic, 0, offset).expect("an offset");
    list
}
