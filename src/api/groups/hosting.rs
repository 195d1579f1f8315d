//! Coordinators and the log: loading them from their partition, appending what they want written, telling them the time
//! and when a write is durable.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use duramen_wire::batch::{self, BatchBuilder, BatchHeader, Records};
use duramen_wire::ids::{Offset, PartitionIndex, TopicPartitionId};
use duramen_wire::slices::Slices;

use super::{Groups, Host};
use crate::api::Services;
use crate::controller::{CONSUMER_OFFSETS, Image};
use crate::errors::chain;
use crate::group::{AppendError, AppendId, Config, Coordinator, Event, Loader, Record};
use crate::log::{Health, Origin, Partition, ReadKind, ReadOut, append};
use crate::runtime::TaskClass;
use crate::runtime::disk::RealDisk;
use crate::shard::Shard;

/// Bytes that are read at a time while groups are loaded.
const LOAD_BYTES: usize = 1 << 20;
/// Bytes that a batch may hold when it is opened.
const DECOMPRESSED_MAX: usize = 64 << 20;
/// Records between two snapshots of a coordinator.
const SNAPSHOT_EVERY: i64 = 10_000;
/// How long to wait before an append is tried again for which the log had no memory.
const RETRY: Duration = Duration::from_millis(5);
/// The longest sleep of the task that serves the coordinators.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Loads the coordinators of all partitions that the shard holds.
pub fn start_all(shard: &Rc<Shard>) {
    let services = Services::of(shard);
    let held: Vec<TopicPartitionId> = {
        let image = shard.image.borrow();
        let Some(topic) = image.topic_by_name(CONSUMER_OFFSETS) else { return };
        let all = (0..).map(PartitionIndex).zip(&topic.partitions);
        let own = all.filter(|(_, partition)| partition.shard == shard.id);
        own.map(|(index, _)| TopicPartitionId { topic: topic.id, partition: index }).collect()
    };
    let names: BTreeSet<String> = held.iter().copied().map(attachment_name).collect();
    // Every shard was given the snapshots of all.
    services.groups.snapshots.borrow_mut().retain(|name, _| names.contains(name));
    for id in held {
        start(&services.groups, shard, id.partition);
    }
}

/// Begins to load the coordinator of one partition. `None` if the partition is not here.
pub(super) fn start(groups: &Groups, shard: &Rc<Shard>, index: PartitionIndex) -> Option<Rc<Host>> {
    let id = {
        let image = shard.image.borrow();
        TopicPartitionId { topic: image.topic_by_name(CONSUMER_OFFSETS)?.id, partition: index }
    };
    let log = {
        let mut partitions = shard.partitions.borrow_mut();
        let hosted = partitions.get_mut(id)?;
        hosted.on_commit = Some(groups.work.clone());
        hosted.log.clone()
    };
    let host = Rc::new(Host {
        id,
        coordinator: RefCell::default(),
        to_append: RefCell::default(),
        to_commit: RefCell::default(),
        snapshot_at: Cell::new(0),
    });
    groups.hosts.borrow_mut().insert(index, host.clone());
    if log.log_end() == Offset(0) {
        // Nobody has to be told to wait for the loading of nothing.
        finish(groups, shard, &host, Loader::new(config(&Services::of(shard))));
    } else {
        shard.reactor.spawn(TaskClass::Serve, load(shard.clone(), host.clone(), log)).detach();
    }
    Some(host)
}

fn config(services: &Services) -> Config {
    let broker = services.config();
    let bounds = Config::default();
    Config {
        initial_rebalance_delay_ms: broker.group_initial_rebalance_delay_ms,
        session_timeout_ms_min: broker.group_min_session_timeout_ms,
        session_timeout_ms_max: broker.group_max_session_timeout_ms,
        // The setting has no bound of its own by default; a group's members lie in memory, so there is one.
        members_per_group_max: usize::try_from(broker.group_max_size).unwrap_or(0).min(bounds.members_per_group_max),
        offset_metadata_units_max: usize::try_from(broker.offset_metadata_max_bytes).unwrap_or(0),
        offsets_retention_ms: broker.offsets_retention_ms,
        offsets_retention_check_interval_ms: broker.offsets_retention_check_interval_ms,
        ..bounds
    }
}

async fn load(shard: Rc<Shard>, host: Rc<Host>, log: Partition<RealDisk>) {
    let services = Services::of(&shard);
    let snapshots = services.groups.snapshots.borrow_mut().remove(&attachment_name(host.id)).unwrap_or_default();
    let mut loader = begin(host.id, &config(&services), &snapshots, log.log_end());
    // If much is replayed, the next checkpoint gets a new snapshot at once: else a run of short lives would never take
    // one, and each would replay more.
    host.snapshot_at.set(loader.next_offset());
    if let Err(error) = replay(&shard, &log, &mut loader).await {
        tracing::error!(partition = %host.id, error, "groups cannot be loaded; their coordinator stays unavailable");
        return;
    }
    finish(&services.groups, &shard, &host, loader);
}

/// The loader that has the least to replay. Several shards may have kept a snapshot, where the partition has moved; one
/// that goes beyond the log is of a log that was cut since.
fn begin(id: TopicPartitionId, config: &Config, snapshots: &[Vec<u8>], log_end: Offset) -> Loader {
    let mut best = Loader::new(config.clone());
    for snapshot in snapshots {
        match Loader::from_snapshot(config.clone(), snapshot) {
            Ok(loader) if loader.next_offset() > log_end.0 => {
                tracing::warn!(partition = %id, "a snapshot of groups goes beyond the log, and is passed over");
            }
            Ok(loader) if loader.next_offset() > best.next_offset() => best = loader,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(partition = %id, error = chain(&error), "a snapshot of groups cannot be used, and is passed over");
            }
        }
    }
    best
}

/// From here on the coordinator answers.
fn finish(groups: &Groups, shard: &Shard, host: &Host, loader: Loader) {
    let mut effects = Vec::new();
    let coordinator = loader.finish(shard.now_ms(), &mut effects);
    let gone = former_topics(&coordinator, &shard.image.borrow());
    *host.coordinator.borrow_mut() = Some(coordinator);
    groups.carry_out(host, effects);
    for (topic, topic_id) in gone {
        groups.step(shard, host, Event::TopicDeleted { topic, topic_id });
    }
}

/// Topics that something was committed in and that are no more: they may have been deleted while nobody could tell the
/// coordinator.
fn former_topics(coordinator: &Coordinator, image: &Image) -> BTreeSet<(Arc<str>, [u8; 16])> {
    let committed = coordinator.committed_offsets().map(|entry| (entry.topic, entry.committed.topic_id));
    let is_former = |(topic, id): &(&Arc<str>, [u8; 16])| match image.topic_by_name(topic) {
        Some(now) => *id != [0; 16] && id != now.id.0.as_bytes(),
        None => true,
    };
    committed.filter(is_former).map(|(topic, id)| (topic.clone(), id)).collect()
}

async fn replay(shard: &Shard, log: &Partition<RealDisk>, loader: &mut Loader) -> Result<(), String> {
    let end = log.committed();
    let mut out = ReadOut::default();
    loop {
        let from = Offset(loader.next_offset()).max(log.log_start());
        if from >= end {
            return Ok(());
        }
        let kind = log.read(from, LOAD_BYTES, end, true, &mut out).map_err(|error| chain(&error))?;
        if !matches!(kind, ReadKind::Hot) {
            log.read_cold(from, LOAD_BYTES, end, true, &mut out).await.map_err(|error| chain(&error))?;
        }
        let bytes: Vec<u8> = out.slices.iter().flat_map(|slice| slice.as_slice().iter().copied()).collect();
        let before = loader.next_offset();
        replay_batches(&bytes, loader)?;
        if loader.next_offset() <= before {
            return Err(format!("nothing was found at offset {from}"));
        }
        shard.reactor.yield_if_due().await;
    }
}

fn replay_batches(mut bytes: &[u8], loader: &mut Loader) -> Result<(), String> {
    while bytes.len() >= batch::HEADER_LEN {
        let header = BatchHeader::parse(bytes).map_err(|error| chain(&error))?;
        let whole = bytes.get(..header.total_len()).ok_or("a batch is cut")?;
        if !header.is_control() {
            let section = match header.compression().map_err(|error| chain(&error))? {
                batch::Compression::None => whole[batch::HEADER_LEN..].to_vec(),
                _ => {
                    batch::decompress(&header, Slices::one(&whole), DECOMPRESSED_MAX).map_err(|error| chain(&error))?
                }
            };
            for record in Records::new(&section, header.record_count) {
                let record = record.map_err(|error| chain(&error))?;
                let Some(key) = record.key else { continue };
                let offset = header.base_offset.0 + i64::from(record.offset_delta);
                let value = record.value.map(Bytes::copy_from_slice);
                if let Err(error) = loader.replay(offset, Bytes::copy_from_slice(key), value) {
                    tracing::warn!(error = chain(&error), "a record of the offsets topic is passed over");
                }
            }
        }
        loader.skip_to(header.last_offset().0 + 1);
        bytes = &bytes[header.total_len()..];
    }
    Ok(())
}

/// Serves the coordinators of a shard for as long as it lives.
pub async fn run(shard: Rc<Shard>) {
    let services = Services::of(&shard);
    let groups = &services.groups;
    loop {
        let hosts: Vec<Rc<Host>> = groups.hosts.borrow().values().cloned().collect();
        let mut next = Instant::now() + PAUSE_MAX;
        for host in hosts {
            if serve(groups, &shard, &host) == Turn::Again {
                next = next.min(Instant::now() + RETRY);
            }
            let deadline = host.coordinator.borrow().as_ref().and_then(|coordinator| coordinator.next_deadline());
            if let Some(deadline) = deadline {
                let wait = u64::try_from(deadline - shard.now_ms()).unwrap_or(0);
                next = next.min(Instant::now() + Duration::from_millis(wait));
            }
        }
        shard.reactor.timeout_at(next, groups.work.wait()).await;
    }
}

#[derive(PartialEq, Eq)]
enum Turn {
    Over,
    /// Memory was short, or a commit is awaited that nobody announces.
    Again,
}

fn serve(groups: &Groups, shard: &Rc<Shard>, host: &Rc<Host>) -> Turn {
    let log = shard.partitions.borrow().get(host.id).map(|hosted| hosted.log.clone());
    let Some(log) = log else {
        end(groups, host);
        return Turn::Over;
    };
    let appended = append_next(groups, shard, host, &log);
    settle_commits(groups, shard, host, &log);
    let due = host.coordinator.borrow().as_ref().and_then(|coordinator| coordinator.next_deadline());
    if due.is_some_and(|due| due <= shard.now_ms()) {
        groups.step(shard, host, Event::Tick);
    }
    snapshot_if_due(shard, host);
    appended
}

/// The partition has gone: whoever waits is told to look for another coordinator.
pub(super) fn end(groups: &Groups, host: &Host) {
    groups.hosts.borrow_mut().remove(&host.id.partition);
    let mut effects = Vec::new();
    if let Some(coordinator) = host.coordinator.borrow_mut().take() {
        coordinator.unload(&mut effects);
    }
    groups.carry_out(host, effects);
}

fn append_next(groups: &Groups, shard: &Shard, host: &Host, log: &Partition<RealDisk>) -> Turn {
    loop {
        let Some((id, records)) = host.to_append.borrow_mut().pop_front() else { return Turn::Over };
        let bytes = encode(&records, shard.now_ms());
        let appended = log.append(Slices::one(&&bytes[..]), Origin::Coordinator, shard.now_ms());
        match appended {
            Ok(appended) => host.to_commit.borrow_mut().push_back((id, appended.end)),
            Err(append::Error::Busy { .. }) => {
                host.to_append.borrow_mut().push_front((id, records));
                return Turn::Again;
            }
            Err(error) => {
                tracing::warn!(partition = %host.id, error = chain(&error), "group state cannot be written");
                groups.step(shard, host, Event::AppendDone { id, result: Err(refusal(&error)) });
            }
        }
    }
}

fn encode(records: &[Record], now_ms: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for record in records {
        builder.push(Some(&record.key), record.value.as_deref(), &[], now_ms);
    }
    builder.finish()
}

fn refusal(error: &append::Error) -> AppendError {
    match error {
        append::Error::TooLarge { .. } | append::Error::BeyondSegment { .. } => AppendError::TooLarge,
        append::Error::DiskFull | append::Error::Corrupt { .. } | append::Error::Poisoned | append::Error::Closed => {
            AppendError::NotCoordinator
        }
        _ => AppendError::Unavailable,
    }
}

fn settle_commits(groups: &Groups, shard: &Shard, host: &Host, log: &Partition<RealDisk>) {
    let committed = log.committed();
    loop {
        let next: Option<(AppendId, Offset)> = host.to_commit.borrow().front().copied();
        let result = match next {
            Some((_, end)) if end <= committed => Ok(end.0),
            // What waits may be kept yet, but nobody knows when; it has failed as far as its clients are told.
            Some(_) if matches!(log.health(), Health::Poisoned | Health::DiskFull { .. }) => {
                Err(AppendError::NotCoordinator)
            }
            _ => return,
        };
        if let Some((id, _)) = host.to_commit.borrow_mut().pop_front() {
            groups.step(shard, host, Event::AppendDone { id, result });
        }
    }
}

/// Gives the next checkpoint a snapshot, so that a start replays little.
fn snapshot_if_due(shard: &Shard, host: &Host) {
    let coordinator = host.coordinator.borrow();
    let Some(coordinator) = coordinator.as_ref() else { return };
    if coordinator.applied_offset() - host.snapshot_at.get() < SNAPSHOT_EVERY {
        return;
    }
    host.snapshot_at.set(coordinator.applied_offset());
    match coordinator.snapshot() {
        Ok(bytes) => shard.log().attach(&attachment_name(host.id), bytes),
        Err(error) => tracing::warn!(partition = %host.id, error = chain(&error), "groups cannot be snapshotted"),
    }
}

/// Attaches a snapshot of every coordinator, for the last checkpoint of a clean end.
pub fn attach_all(shard: &Shard) {
    for host in Services::of(shard).groups.hosts.borrow().values() {
        host.snapshot_at.set(i64::MIN / 2);
        snapshot_if_due(shard, host);
    }
}

pub(super) fn attachment_name(id: TopicPartitionId) -> String {
    format!("groups/{id}")
}

impl Groups {
    /// Answers and appends under way, for metrics.
    pub fn under_way(&self) -> usize {
        self.waiting.borrow().len()
    }
}

#[cfg(test)]
mod tests {
    use duramen_wire::ids::TopicId;

    use super::*;

    /// A snapshot that is true up to `offset`.
    fn snapshot(offset: i64) -> Vec<u8> {
        let mut loader = Loader::new(Config::default());
        loader.skip_to(offset);
        loader.finish(0, &mut Vec::new()).snapshot().unwrap()
    }

    #[test]
    fn the_newest_snapshot_that_the_log_bears_out_counts() {
        let id = TopicPartitionId { topic: TopicId(uuid::Uuid::from_u128(1)), partition: PartitionIndex(0) };
        let begin = |snapshots: &[Vec<u8>]| begin(id, &Config::default(), snapshots, Offset(100)).next_offset();
        assert_eq!(begin(&[]), 0);
        assert_eq!(begin(&[snapshot(70), snapshot(30)]), 70);
        assert_eq!(begin(&[snapshot(30), snapshot(101), snapshot(100)]), 100);
        assert_eq!(begin(&[b"nonsense".to_vec(), snapshot(30)]), 30);
    }
}
