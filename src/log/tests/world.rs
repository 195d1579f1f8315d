//! A log on a simulated disk, and beside it a model: for each partition the list of batches that it was given.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use duramen_wire::batch::{BatchBuilder, set_base_offset_and_epoch};
use duramen_wire::ids::{
    LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, ShardId, TopicId, TopicPartitionId,
};
use duramen_wire::slices::Slices;

use crate::log::checkpoint::files::{CHECKPOINT, COPY};
use crate::log::checkpoint::{Checkpoint, HEADER_LEN};
use crate::log::disk::Disk;
use crate::log::memory::ChunkPool;
use crate::log::recovery::{self, Note};
use crate::log::sim::{Random, Sim, SimDisk, SimFile, transfer};
use crate::log::{
    Appended, Durability, Health, Log, Observer, Options, Origin, Partition, PartitionConfig, PartitionState, ReadKind,
    ReadOut, Stats, append, paths, read,
};

pub const DATA: &str = "/data";
pub const PRODUCER: ProducerId = ProducerId(7);

/// What the log has told.
#[derive(Default)]
pub struct Told {
    pub poisoned: RefCell<Vec<TopicPartitionId>>,
}

impl Observer for Told {
    fn committed(&self, _: TopicPartitionId) {}
    fn memory_available(&self) {}
    fn disk_full(&self, _: TopicPartitionId) {}
    fn poisoned(&self, id: TopicPartitionId, _: &io::Error) {
        self.poisoned.borrow_mut().push(id);
    }
}

/// A batch that the log has taken.
#[derive(Clone)]
pub struct Sent {
    pub base: Offset,
    pub end: Offset,
    /// As it has to lie on the disk.
    pub bytes: Vec<u8>,
    /// With an idempotent producer: its sequence numbers, and the batch as it was sent.
    pub sequence: Option<(i32, Vec<u8>)>,
}

/// What a partition has to hold.
pub struct Model {
    pub topic: String,
    pub config: PartitionConfig,
    pub batches: Vec<Sent>,
    pub log_start: Offset,
    pub epoch: LeaderEpoch,
    pub next_sequence: i32,
    /// Records below it must be there after the crash that comes next.
    pub promised: Offset,
}

impl Model {
    pub fn end(&self) -> Offset {
        self.batches.last().map_or(Offset(0), |sent| sent.end)
    }
}

pub struct World {
    pub sim: Sim,
    pub disk: SimDisk,
    pub random: Random,
    pub now_ms: i64,
    pub options: Options,
    pub shard: ShardId,
    pub log: Option<Log<SimDisk>>,
    pub told: Rc<Told>,
    pub models: BTreeMap<TopicPartitionId, Model>,
    pub notes: Vec<Note>,
    /// What the logs of all lives did.
    pub stats: Vec<Stats>,
}

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Shutdown,
    Kill,
    PowerLoss,
}

pub fn small_options() -> Options {
    Options {
        memory_budget: 4 << 20,
        journal_len: 1 << 20,
        ring_len: 256 << 10,
        checkpoint_every: 1 << 20,
        segment_writers: 2,
        open_files_max: 3,
        flush_bytes: 32 << 10,
        unsynced_bytes_max: 256 << 10,
        unsynced_ms_max: 50,
        idle_ms: 20,
        zero_step_min: 64 << 10,
        zero_step_max: 256 << 10,
        ..Options::default()
    }
}

pub fn id(topic: u128, partition: i32) -> TopicPartitionId {
    TopicPartitionId { topic: TopicId(uuid::Uuid::from_u128(topic)), partition: PartitionIndex(partition) }
}

impl World {
    pub fn new(seed: u64) -> Self {
        let sim = Sim::new(seed);
        let mut random = Random::new(seed ^ 0x9e37_79b9);
        let options = Options {
            journal_len: [32 << 10, 128 << 10, 1 << 20][random.index(3)],
            ring_len: [16 << 10, 64 << 10, 256 << 10][random.index(3)],
            flush_bytes: [32 << 10, 1 << 20][random.index(2)],
            idle_ms: [20, 1_000][random.index(2)],
            memory_budget: [4 << 20, 8 << 20][random.index(2)],
            memory_start: [0, 2 << 20, 8 << 20][random.index(3)],
            ..small_options()
        };
        Self {
            disk: SimDisk::new(&sim),
            random,
            sim,
            now_ms: 1_700_000_000_000,
            options,
            shard: ShardId(0),
            log: None,
            told: Rc::default(),
            models: BTreeMap::new(),
            notes: Vec::new(),
            stats: Vec::new(),
        }
    }

    pub fn log(&self) -> Log<SimDisk> {
        self.log.clone().expect("the log runs")
    }

    pub fn partition(&self, id: TopicPartitionId) -> Partition<SimDisk> {
        self.log().partition(id).expect("the partition is here")
    }

    /// Recovers, checks what was recovered against the model, and starts.
    pub async fn start(&mut self) {
        let recovered = recovery::recover(&self.disk, Path::new(DATA), self.now_ms).await.expect("recovery works");
        self.notes = recovered.report;
        let mut states = Vec::new();
        for state in recovered.partitions {
            self.check_recovered(&state);
            let model = &self.models[&state.id];
            states.push((state, model.config.clone(), model.epoch));
        }
        for (id, model) in &mut self.models {
            let found = states.iter().any(|(state, ..)| state.id == *id);
            assert!(found || model.promised == Offset(0), "partition {id} is gone\n{}", self.sim);
        }
        let found: Vec<_> = states.iter().map(|(state, ..)| state.id).collect();
        self.models.retain(|id, _| found.contains(id));
        self.told = Rc::default();
        // As if the host had other cores now: another shard takes over everything.
        self.shard = ShardId(self.random.below(2) as u16);
        let options = self.options.clone();
        let log =
            Log::open(self.disk.clone(), Path::new(DATA), self.shard, options, self.told.clone()).await.expect("opens");
        log.background().into_iter().for_each(|task| self.sim.spawn(task));
        log.adopt_all(states, self.now_ms).await.expect("adopts");
        self.log = Some(log);
    }

    /// Damages one file of a checkpoint, if there is another one that says the same.
    pub fn damage_a_checkpoint(&mut self) {
        let dir = paths::shard_dir(Path::new(DATA), ShardId(self.random.below(2) as u16));
        let mut names = [CHECKPOINT, COPY];
        if self.random.coin() {
            names.swap(0, 1);
        }
        let [damaged, other] = names.map(|name| (dir.join(name), self.disk.peek(&dir.join(name))));
        if let (Some(mut bytes), Some(other)) = (damaged.1, other.1)
            && Checkpoint::decode(&other).is_ok()
        {
            // Behind the header, since a newer format is refused.
            let at = HEADER_LEN + self.random.index(bytes.len() - HEADER_LEN);
            bytes[at] ^= 1 << self.random.below(8);
            self.disk.poke(&damaged.0, at as u64, &bytes[at..=at]);
        }
    }

    /// What recovery says must be a prefix of what was appended, and hold what was promised; so must the files.
    fn check_recovered(&mut self, state: &PartitionState) {
        let sim = self.sim.clone();
        let model = self.models.get_mut(&state.id).unwrap_or_else(|| panic!("{:?} is unknown\n{sim}", state.id));
        let notes = &self.notes;
        assert_eq!(state.corrupt, None, "{notes:?}\n{sim}");
        assert!(state.log_start >= model.log_start, "{} < {}\n{sim}", state.log_start, model.log_start);
        model.log_start = state.log_start;
        assert!(state.log_end >= model.promised, "{} < promised {} {notes:?}\n{sim}", state.log_end, model.promised);
        assert!(state.log_end <= model.end().max(model.log_start), "{} > {}\n{sim}", state.log_end, model.end());
        model.batches.retain(|sent| sent.end <= state.log_end);
        let extra = model.log_start.max(model.end());
        assert_eq!(extra, state.log_end, "the log ends with a batch\n{sim}");
        assert_eq!(model.end().max(model.log_start), state.log_end, "the end lies between batches\n{sim}");
        let first = state.segments[0].base;
        let mut expected = model.batches.iter().filter(|sent| sent.base >= first).flat_map(|sent| &sent.bytes);
        for segment in &state.segments {
            let dir = paths::partition_dir(Path::new(DATA), &state.topic, state.id.partition);
            let file = self.disk.peek(&paths::segment(&dir, segment.base, "log")).unwrap_or_default();
            assert_eq!(file.len() as u64, segment.len, "segment {} of {}\n{sim}", segment.base, state.id);
            assert!(expected.by_ref().take(file.len()).eq(&file), "segment {} of {}\n{sim}", segment.base, state.id);
        }
        assert!(expected.next().is_none(), "bytes are missing at the end\n{sim}");
        model.next_sequence =
            model.batches.iter().rev().find_map(|sent| sent.sequence.as_ref()).map_or(0, |(next, _)| *next);
        model.epoch = LeaderEpoch(model.epoch.0 + 1);
    }

    pub async fn create(&mut self, topic: &str, id: TopicPartitionId, config: PartitionConfig) {
        let log = self.log();
        log.create(id, topic, config.clone(), LeaderEpoch(0), self.now_ms).await.expect("creates");
        let model = Model {
            topic: topic.to_owned(),
            config,
            batches: Vec::new(),
            log_start: Offset(0),
            epoch: LeaderEpoch(0),
            next_sequence: 0,
            promised: Offset(0),
        };
        self.models.insert(id, model);
    }

    /// Appends a batch of about `len` bytes, cut into pieces anywhere.
    pub fn append(&mut self, id: TopicPartitionId, len: usize, idempotent: bool) -> Result<Appended, append::Error> {
        let partition = self.partition(id);
        let records = 1 + self.random.below(3) as i32;
        let model = self.models.get_mut(&id).expect("the model has it");
        let mut builder = BatchBuilder::new();
        if idempotent {
            builder = builder.producer(PRODUCER, ProducerEpoch(0), model.next_sequence);
        }
        for _ in 0..records {
            let value: Vec<u8> = (0..len / records as usize).map(|_| self.random.below(256) as u8).collect();
            builder.push(Some(b"key"), Some(&value), &[], self.now_ms);
        }
        let bytes = builder.finish();
        let cut = self.random.below(bytes.len() as u64 + 1) as usize;
        let pieces = [&bytes[..cut], &bytes[cut..]];
        let appended = partition.append(Slices::new(&pieces), Origin::Client, self.now_ms)?;
        assert!(!appended.duplicate);
        assert_eq!(appended.base_offset, model.end().max(model.log_start));
        assert_eq!(appended.end, appended.base_offset.plus(i64::from(records)));
        let mut placed = bytes.clone();
        set_base_offset_and_epoch(&mut placed, appended.base_offset, partition.leader_epoch());
        let sequence = idempotent.then(|| (model.next_sequence + records, bytes));
        model.next_sequence += if idempotent { records } else { 0 };
        model.batches.push(Sent { base: appended.base_offset, end: appended.end, bytes: placed, sequence });
        Ok(appended)
    }

    /// Takes over where the logs start now: retention is the log's own affair, but it does not go back.
    pub fn note_log_starts(&mut self) {
        for (id, model) in &mut self.models {
            let log_start = self.log.as_ref().and_then(|log| log.partition(*id)).map(|partition| partition.log_start());
            assert!(log_start.is_none_or(|start| start >= model.log_start));
            model.log_start = log_start.unwrap_or(model.log_start);
        }
    }

    /// Lets `ms` pass, ticking when the log asks for it, and some steps with them.
    pub async fn pass(&mut self, ms: i64) {
        let end = self.now_ms + ms;
        let log = self.log();
        while let Some(due) = log.next_tick(self.now_ms).filter(|due| *due <= end) {
            self.now_ms = self.now_ms.max(due);
            log.tick(self.now_ms);
            let steps = 1 + self.random.below(200);
            self.sim.sleep(steps).await;
            self.now_ms += 1;
        }
        self.now_ms = self.now_ms.max(end);
    }

    /// Waits until everything is committed.
    pub async fn wait_committed(&mut self) {
        for _ in 0..10_000 {
            let log = self.log();
            let behind = log
                .partitions()
                .iter()
                .any(|partition| partition.committed() < partition.log_end() && partition.health() != Health::Poisoned);
            if !behind {
                return;
            }
            self.sim.sleep(20).await;
        }
        panic!("appends are never committed\n{}", self.sim);
    }

    /// Ends this life. What is promised for the next follows from how it ends.
    pub async fn end(&mut self, how: End) {
        let log = self.log.take().expect("the log runs");
        if how == End::Shutdown {
            let good = log.partitions().into_iter().filter(|partition| partition.health() == Health::Good);
            let good: Vec<_> = good.map(|partition| partition.id()).collect();
            log.shutdown().await.expect("shuts down");
            good.iter().for_each(|id| self.check_stopped(*id));
        }
        self.stats.push(log.stats());
        for (id, model) in &mut self.models {
            model.promised = match how {
                End::Shutdown => model.end(),
                End::Kill => log.partition(*id).map_or(model.promised, |partition| partition.committed()),
                End::PowerLoss => {
                    log.partition(*id).map_or(model.promised, |partition| match model.config.durability {
                        Durability::Fsync => partition.committed(),
                        Durability::Replicated => partition.0.state.borrow().synced.offset,
                    })
                }
            };
        }
        self.disk = match how {
            End::PowerLoss => self.disk.crash_host(),
            End::Kill | End::Shutdown => self.disk.crash_process(),
        };
        drop(log);
        self.sim.drop_tasks();
    }

    /// Reads somewhere, by whatever tier, and compares with what was appended.
    pub async fn read(&mut self, id: TopicPartitionId) {
        let partition = self.partition(id);
        let (start, end) = (partition.log_start(), partition.committed());
        if start >= end {
            return;
        }
        let mut from = start.plus(self.random.below((end.0 - start.0) as u64) as i64);
        let max = 1 + self.random.below(100_000) as usize;
        let mut out = ReadOut::default();
        for _ in 0..1 + self.random.below(6) {
            let mut result = partition.read(from, max, end, true, &mut out);
            if matches!(result, Ok(ReadKind::Cold)) {
                result = partition.read_cold(from, max, end, true, &mut out).await;
            }
            let kind = match result {
                Err(read::Error::Busy) => return,
                // Retention does its work in the background.
                Err(read::Error::OutOfRange { .. }) if partition.log_start() > from => return,
                other => other.unwrap_or_else(|cause| panic!("{cause}\n{}", self.sim)),
            };
            let bytes = match kind {
                ReadKind::Hot => out.slices.iter().flat_map(|slice| slice.as_slice().to_vec()).collect::<Vec<u8>>(),
                ReadKind::File { file, range } => self.read_file(&file, range).await,
                ReadKind::Cold => panic!("a cold read does not answer that it is cold"),
            };
            let next = self.check_read(id, from, end, max, &bytes);
            if next >= end {
                return;
            }
            from = next;
        }
    }

    /// What `sendfile` would send.
    async fn read_file(&self, file: &SimFile, range: std::ops::Range<u64>) -> Vec<u8> {
        let mut pool = ChunkPool::new(4 << 20);
        let block = range.start / 4096 * 4096;
        let list = transfer::list(&mut pool, ((range.end - block) as usize).next_multiple_of(4096), 4096);
        let (count, list) = self.disk.read(file, block, list).await;
        assert!(block + count.expect("no fault") as u64 >= range.end);
        transfer::gather(&list)[(range.start - block) as usize..(range.end - block) as usize].to_vec()
    }

    /// The bytes are whole batches from the one with `from`, below `end`; the offset behind them.
    fn check_read(&self, id: TopicPartitionId, from: Offset, end: Offset, max: usize, bytes: &[u8]) -> Offset {
        let batches = &self.models[&id].batches;
        let first = batches.iter().position(|sent| sent.end > from).expect("the model has it");
        let (mut at, mut next) = (0, from);
        for sent in &batches[first..] {
            if at == bytes.len() {
                break;
            }
            assert!(bytes[at..].starts_with(&sent.bytes), "offset {} of {id}\n{}", sent.base, self.sim);
            at += sent.bytes.len();
            next = sent.end;
        }
        assert!(at == bytes.len() && at > 0, "{at} of {} bytes from {from}\n{}", bytes.len(), self.sim);
        assert!(at <= max || next == batches[first].end, "{at} bytes, {max} were asked for\n{}", self.sim);
        assert!(next <= end);
        next
    }

    /// After a clean stop the segments hold batches and nothing else, so that Kafka's own tools read them.
    fn check_stopped(&self, id: TopicPartitionId) {
        let dir = format!("{}/", self.dir(id).display());
        let files = self.disk.files().into_iter().filter(|file| file.starts_with(&dir) && file.ends_with(".log"));
        let found: Vec<u8> = files.flat_map(|file| self.disk.peek(Path::new(&file)).expect("it was listed")).collect();
        let expected: Vec<u8> = self.models[&id].batches.iter().flat_map(|sent| sent.bytes.clone()).collect();
        assert!(expected.ends_with(&found), "{id}: {} bytes of {}\n{}", found.len(), expected.len(), self.sim);
    }

    pub fn dir(&self, id: TopicPartitionId) -> PathBuf {
        paths::partition_dir(Path::new(DATA), &self.models[&id].topic, id.partition)
    }
}
