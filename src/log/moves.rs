//! How a partition comes into a log and leaves it: create, adopt, release, delete.
//!
//! Order of steps, and why it is safe to stop between any two:
//! - Create: make the directory, write `partition.metadata` in it (stable), sync the data directory. A directory without
//!   that file holds nothing and is removed by recovery. The first segment file is made by the first write.
//! - Release: refuse appends, write and sync everything, cut the file to its data, forget. The record of the partition
//!   stays in this shard's checkpoint, through every checkpoint that is written meanwhile, until the adopter's is durable
//!   and `let_go` is called. Whatever fails before the partition is forgotten, it goes on here.
//! - Adopt: raise the partition's generation and make a checkpoint that says so durable; only then are frames written. So
//!   frames and records of earlier owners carry a smaller generation: where two checkpoints have a record, the higher
//!   generation wins, and both are true. If the checkpoint cannot be written, the partition is given back; its next
//!   adopter takes a generation that is higher still, since nobody knows whether the file has the one that failed.
//! - Delete: stop writing, rename the directory aside (`-delete`), sync the data directory, then remove the files. After
//!   the rename nobody finds the partition; what is left is removed by recovery.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use duramen_wire::ids::{LeaderEpoch, Offset, TopicPartitionId};

use super::checkpoint::PartitionCheckpoint;
use super::config::PartitionConfig;
use super::disk::{Access, Disk};
use super::epochs::Epochs;
use super::index::IndexBuilder;
use super::log::{Error, Log, Result, Shard};
use super::partition::{Health, Inner, Partition, State};
use super::paths;
use super::producers::Producers;
use super::segment::{Segment, next_start};
use super::tail::{Mark, Tail};
use super::wait::Event;

/// An adoption that failed, with the partition, for another try here or elsewhere.
#[derive(Debug)]
pub struct NotAdopted {
    pub state: Box<PartitionState>,
    pub error: Error,
}

/// A partition that no log has: all of it is synced in its segments, and this is what is known of them.
#[derive(Debug)]
pub struct PartitionState {
    pub id: TopicPartitionId,
    pub topic: String,
    pub log_start: Offset,
    pub log_end: Offset,
    pub epoch: LeaderEpoch,
    /// A bad batch below what was known to be stable: segment and position.
    pub corrupt: Option<(Offset, u64)>,
    /// What the checkpoint goes on saying of a corrupt partition, so that it is found corrupt again.
    pub(super) statement: Option<PartitionCheckpoint>,
    pub(super) generation: u32,
    pub(super) segments: Vec<Segment>,
    pub(super) epochs: Epochs,
    pub(super) producers: Producers,
}

impl<D: Disk> Log<D> {
    /// Makes a new, empty partition.
    pub async fn create(
        &self,
        id: TopicPartitionId,
        topic: &str,
        config: PartitionConfig,
        epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Result<Partition<D>> {
        let shard = self.shard();
        shard.now_ms.set(now_ms);
        if shard.partitions.borrow().contains_key(&id) {
            return Err(Error::Exists(id));
        }
        shard.start().await?;
        let dir = paths::partition_dir(&shard.data_dir, topic, id.partition);
        let metadata = dir.join(paths::METADATA);
        let disk = &shard.disk;
        disk.create_dir(&dir).await.map_err(Error::io("cannot create", &dir))?;
        // A partition that no shard could take over is served again by the next start, not begun anew.
        let there = disk.list(&dir).await.map_err(Error::io("cannot list", &dir))?;
        if there.iter().any(|entry| entry.name.ends_with(".log")) {
            return Err(Error::Exists(id));
        }
        let written = disk.write_small(&metadata, paths::metadata(id.topic).into_bytes()).await;
        written.map_err(Error::io("cannot write", &metadata))?;
        disk.sync_dir(&shard.data_dir).await.map_err(Error::io("cannot sync", &shard.data_dir))?;
        let state = PartitionState::empty(id, topic, Offset(0), &config);
        shard.insert(state, config, epoch, now_ms)
    }

    /// Takes over partitions that recovery has found.
    pub async fn adopt_all(
        &self,
        states: Vec<(PartitionState, PartitionConfig, LeaderEpoch)>,
        now_ms: i64,
    ) -> Result<Vec<Partition<D>>> {
        let shard = self.shard();
        shard.now_ms.set(now_ms);
        if let Some((state, ..)) = states.iter().find(|(state, ..)| shard.partitions.borrow().contains_key(&state.id)) {
            return Err(Error::Exists(state.id));
        }
        let next = |(state, config, epoch)| shard.build_next(state, config, epoch, now_ms);
        let adopted: Vec<_> = states.into_iter().map(next).collect();
        shard.record_adopted(&adopted).await?;
        Ok(adopted.into_iter().map(|inner| shard.host(inner)).collect())
    }

    /// Takes over one partition that this shard or another has released.
    ///
    /// # Errors
    /// It is here already, or no checkpoint could be written.
    pub async fn adopt(
        &self,
        state: PartitionState,
        config: PartitionConfig,
        epoch: LeaderEpoch,
        now_ms: i64,
    ) -> std::result::Result<Partition<D>, NotAdopted> {
        let shard = self.shard();
        shard.now_ms.set(now_ms);
        if shard.find(state.id).is_some() {
            let error = Error::Exists(state.id);
            return Err(NotAdopted { state: Box::new(state), error });
        }
        let adopted = [shard.build_next(state, config, epoch, now_ms)];
        let recorded = shard.record_adopted(&adopted).await;
        let [inner] = adopted;
        match recorded {
            Ok(()) => Ok(shard.host(inner)),
            Err(error) => Err(NotAdopted { state: Box::new(inner.take_state()), error }),
        }
    }

    /// Writes and syncs a partition and gives it up, for another shard to adopt. The background work must be running.
    /// This shard's checkpoint goes on speaking of it until `let_go`.
    ///
    /// # Errors
    /// It is not here, or could not be brought to rest. Then it is here as before, or, after a failed write or sync,
    /// poisoned as by any other.
    pub async fn release(&self, id: TopicPartitionId) -> Result<PartitionState> {
        let shard = self.shard();
        let inner = shard.find(id).ok_or(Error::Unknown(id))?;
        let mut rested = inner.quiesce().await;
        if rested.is_ok() {
            rested = inner.cut_to_data().await;
        }
        if let Err(error) = rested {
            inner.state.borrow_mut().closing = false;
            inner.settle();
            return Err(error);
        }
        if inner.state.borrow().takes_writes() {
            let statement = inner.state.borrow().snapshot(&inner);
            drop(shard.checkpointing.insert(statement));
        }
        let state = inner.take_state();
        shard.forget(&inner);
        Ok(state)
    }

    /// Ends what this shard's checkpoint says of a partition that it has released: another's says more now, durably.
    ///
    /// # Errors
    /// The checkpoint cannot be written now; the next one will do.
    pub async fn let_go(&self, id: TopicPartitionId) -> Result<()> {
        if self.shard().find(id).is_none() {
            self.shard().checkpointing.remove(id);
            self.shard().write_checkpoint(false).await?;
        }
        Ok(())
    }

    /// Removes a partition and its files. When this ends, it will not come back after any crash.
    pub async fn delete(&self, id: TopicPartitionId) -> Result<()> {
        let shard = self.shard();
        let inner = shard.find(id).ok_or(Error::Unknown(id))?;
        inner.state.borrow_mut().health = Health::Closed;
        inner.wait_unused().await;
        let aside = deleted_dir(&shard.data_dir, &inner.topic, id);
        shard.disk.rename(&inner.dir, &aside).await.map_err(Error::io("cannot rename", &inner.dir))?;
        shard.disk.sync_dir(&shard.data_dir).await.map_err(Error::io("cannot sync", &shard.data_dir))?;
        shard.forget(&inner);
        shard.checkpointing.remove(id);
        shard.disk.remove_dir(&aside).await.map_err(Error::io("cannot remove", &aside))
    }
}

impl<D: Disk> Shard<D> {
    fn build(
        self: &Rc<Self>,
        state: PartitionState,
        config: PartitionConfig,
        epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Rc<Inner<D>> {
        let dir = paths::partition_dir(&self.data_dir, &state.topic, state.id.partition);
        Rc::new(Inner {
            id: state.id,
            topic: state.topic.clone(),
            dir,
            generation: state.generation,
            shard: self.clone(),
            state: RefCell::new(State::open(state, config, epoch, now_ms)),
            changed: Event::default(),
        })
    }

    /// The partition as its next owner has it.
    fn build_next(
        self: &Rc<Self>,
        mut state: PartitionState,
        config: PartitionConfig,
        epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Rc<Inner<D>> {
        state.generation += 1;
        self.build(state, config, epoch, now_ms)
    }

    /// Makes a checkpoint durable that knows these partitions by their generations. If that fails, the records are what
    /// they were.
    async fn record_adopted(&self, adopted: &[Rc<Inner<D>>]) -> Result<()> {
        let record = |inner: &Rc<Inner<D>>| {
            let state = inner.state.borrow();
            let statement =
                state.statement.clone().map(|old| PartitionCheckpoint { generation: inner.generation, ..old });
            let statement = statement.unwrap_or_else(|| state.snapshot(inner));
            (inner.id, self.checkpointing.insert(statement))
        };
        let before: Vec<_> = adopted.iter().map(record).collect();
        let written = self.write_checkpoint(false).await;
        if written.is_err() {
            for (id, record) in before {
                match record {
                    Some(record) => drop(self.checkpointing.insert(record)),
                    None => self.checkpointing.remove(id),
                }
            }
        }
        written
    }

    fn host(&self, inner: Rc<Inner<D>>) -> Partition<D> {
        let partition = Partition(inner);
        self.partitions.borrow_mut().insert(partition.id(), partition.clone());
        self.retention_due_by(self.now_ms.get());
        partition
    }

    fn insert(
        self: &Rc<Self>,
        state: PartitionState,
        config: PartitionConfig,
        epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Result<Partition<D>> {
        let partition = Partition(self.build(state, config, epoch, now_ms));
        let previous = self.partitions.borrow_mut().insert(partition.id(), partition.clone());
        assert!(previous.is_none(), "the partition was looked for before");
        Ok(partition)
    }

    fn forget(&self, inner: &Rc<Inner<D>>) {
        self.partitions.borrow_mut().remove(&inner.id);
        self.files.borrow_mut().forget_partition(inner.id);
        self.indexes.forget_partition(inner.id);
        self.restless.borrow_mut().retain(|other| !Rc::ptr_eq(other, inner));
        inner.close();
    }
}

impl<D: Disk> Inner<D> {
    /// Refuses appends, and waits until everything is synced in the segments.
    pub(super) async fn quiesce(self: &Rc<Self>) -> Result<()> {
        {
            let mut state = self.state.borrow_mut();
            state.closing = true;
            if matches!(state.health, Health::Corrupt { .. }) {
                return Ok(());
            }
            if !state.is_synced() && state.takes_writes() {
                self.request_sync(&mut state);
            }
        }
        let end = self.state.borrow().appended.offset;
        self.wait_synced(end).await?;
        self.wait_unused().await;
        Ok(())
    }

    /// Waits until no task has the partition.
    async fn wait_unused(&self) {
        loop {
            let changed = self.changed.listen();
            {
                let state = self.state.borrow();
                let in_use = state.with_writer || state.journaling || state.zeroing.is_some();
                if !in_use {
                    return;
                }
            }
            changed.await;
        }
    }

    /// Cuts the active segment's file to its data, which is synced.
    pub(super) async fn cut_to_data(&self) -> Result<()> {
        let (base, len, created) = {
            let mut state = self.state.borrow_mut();
            if !state.takes_writes() {
                return Ok(());
            }
            let active = state.active();
            active.zeroed = active.len;
            (active.base, active.len, active.created)
        };
        if !created {
            return Ok(());
        }
        let path = paths::segment(&self.dir, base, "log");
        let disk = &self.shard.disk;
        let file = disk.open(&path, Access::Direct).await.map_err(Error::io("cannot open", &path))?;
        let cut = match disk.set_len(&file, len).await {
            Ok(()) => disk.sync(&file).await,
            failed => failed,
        };
        cut.map_err(|cause| {
            self.poison(&cause);
            Error::io("cannot cut", &path)(cause)
        })
    }

    /// Ends the partition's life in this log.
    pub(super) fn close(&self) {
        let mut state = self.state.borrow_mut();
        state.health = Health::Closed;
        state.journal_holds.release_to(&mut self.shard.journal.space.borrow_mut(), u64::MAX);
        state.ring_holds.release_to(&mut self.shard.ring.borrow_mut().space, u64::MAX);
        while let Some(chunk) = state.tail.pop_front() {
            self.shard.give_back(chunk);
        }
        drop(state);
        self.changed.notify();
    }

    fn take_state(&self) -> PartitionState {
        let mut state = self.state.borrow_mut();
        let corrupt = match state.health {
            Health::Corrupt { segment, position } => Some((segment, position)),
            _ => None,
        };
        PartitionState {
            id: self.id,
            topic: self.topic.clone(),
            log_start: state.log_start,
            log_end: state.appended.offset,
            epoch: state.epoch,
            corrupt,
            statement: state.statement.take(),
            generation: self.generation,
            segments: std::mem::take(&mut state.segments).into(),
            epochs: std::mem::take(&mut state.epochs),
            producers: std::mem::take(&mut state.producers),
        }
    }
}

impl PartitionState {
    /// A partition without records, whose first will have offset `start`.
    pub(super) fn empty(id: TopicPartitionId, topic: &str, start: Offset, config: &PartitionConfig) -> Self {
        let index = IndexBuilder::new(start, config.index_interval_bytes, config.segment_index_bytes);
        Self {
            id,
            topic: topic.to_owned(),
            log_start: start,
            log_end: start,
            epoch: LeaderEpoch(0),
            corrupt: None,
            statement: None,
            generation: 1,
            segments: vec![Segment::new(start, 0, index)],
            epochs: Epochs::default(),
            producers: Producers::default(),
        }
    }
}

impl State {
    fn open(state: PartitionState, config: PartitionConfig, epoch: LeaderEpoch, now_ms: i64) -> Self {
        let mut start = 0;
        let mut segments: std::collections::VecDeque<_> = state.segments.into();
        for segment in &mut segments {
            segment.start = start;
            start = next_start(segment.end());
        }
        let end = segments.back().expect("a partition has a segment").end();
        let mark = Mark { pos: end, offset: state.log_end };
        let health = match state.corrupt {
            Some((segment, position)) => Health::Corrupt { segment, position },
            None => Health::Good,
        };
        Self {
            config,
            health,
            statement: state.statement,
            epoch: epoch.max(state.epoch),
            log_start: state.log_start,
            segments,
            tail: Tail::default(),
            appended: mark,
            ringed: mark,
            written: mark,
            journaled: mark,
            synced: mark,
            committed: mark,
            producers: state.producers,
            epochs: state.epochs,
            write_to: end,
            sync_to: end,
            flushed: end,
            offered: 0,
            with_writer: false,
            journal_queued: false,
            journaling: false,
            journal_holds: Default::default(),
            ring_holds: Default::default(),
            dir_unsynced: false,
            writing_to: end,
            zeroing: None,
            zero_queued: false,
            trim: false,
            read_ends: Default::default(),
            hints: [None; super::cold::HINTS],
            hint_next: 0,
            indexing: false,
            closing: false,
            restless: false,
            last_append_ms: now_ms,
            unsynced_since_ms: None,
        }
    }
}

/// Where a partition's directory goes before it is removed.
pub(super) fn deleted_dir(data: &Path, topic: &str, id: TopicPartitionId) -> std::path::PathBuf {
    data.join(format!("{topic}-{}.{}{}", id.partition, id.topic.0.simple(), paths::DELETED))
}
