//! The shard's checkpoint: what is known to be synced, written down now and then so that recovery need not read it.
//!
//! Each partition has a record: a statement that is true for as long as nothing below it changes. A full checkpoint takes
//! a snapshot of every partition that was appended to (its end, producers, epochs, segments), has it synced up to there,
//! and only then puts the snapshots in the place of the old records and writes the file. Changes that cannot wait for
//! that (a log start moved, a partition adopted or released) are made to the records as they are, and the file is written
//! at once; writes that are asked for at the same time share one.
//!
//! Attachments become part of the file with the next full checkpoint, since they may speak of records that are not synced
//! yet.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use duramen_wire::ids::{Offset, TopicPartitionId};

use super::checkpoint::files::{self, Kept};
use super::checkpoint::{Checkpoint, PartitionCheckpoint, SegmentCheckpoint};
use super::disk::Disk;
use super::log::{Error, Log, Result, Shard};
use super::partition::{Health, Inner, State};
use super::wait::Event;

/// The records, and what is known of the file.
pub(super) struct Checkpointing {
    dir: PathBuf,
    generation: u64,
    records: RefCell<BTreeMap<TopicPartitionId, PartitionCheckpoint>>,
    /// What `removable_to` answers, as of the last write.
    removable: RefCell<BTreeMap<TopicPartitionId, Offset>>,
    /// What the file says of groups and the like, and what the next full checkpoint will say.
    attachments: RefCell<BTreeMap<String, Vec<u8>>>,
    attached: RefCell<BTreeMap<String, Vec<u8>>>,
    /// Counts changes of the records; the last that the file has.
    changes: Cell<u64>,
    written: Cell<u64>,
    writing: Cell<bool>,
    done: Event,
    /// Bytes appended since the last full checkpoint, and whether one is due.
    appended: Cell<u64>,
    due: Cell<bool>,
}

impl Checkpointing {
    /// Reads what an earlier run left, to take the next generation: one that was never used, and that nobody who sends
    /// records can guess, since records may be made to look like frames. Its records are kept until `Log::forget_strangers`:
    /// a partition that another shard gets now must not be without one before that shard has made its own checkpoint.
    pub async fn open<D: Disk>(disk: &D, dir: &Path, nonce: u32) -> Result<Self> {
        let (last, attachments, records) = match files::read(disk, dir).await?.kept {
            Kept::Whole(old) => (old.generation, old.attachments, old.partitions),
            Kept::Lost { generation } => (generation, Vec::new(), Vec::new()),
            Kept::Nothing => (0, Vec::new(), Vec::new()),
        };
        let generation = ((last >> 32) + 1) << 32 | u64::from(nonce);
        let attachments: BTreeMap<_, _> = attachments.into_iter().collect();
        Ok(Self {
            dir: dir.to_owned(),
            generation,
            records: RefCell::new(records.into_iter().map(|record| (record.id(), record)).collect()),
            removable: RefCell::default(),
            attached: RefCell::new(attachments.clone()),
            attachments: RefCell::new(attachments),
            changes: Cell::new(1),
            written: Cell::new(0),
            writing: Cell::new(false),
            done: Event::default(),
            appended: Cell::new(0),
            due: Cell::new(false),
        })
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Counts appended bytes. Whether a checkpoint has just become due.
    pub fn count(&self, bytes: u64, every: u64) -> bool {
        self.appended.set(self.appended.get() + bytes);
        let due = self.appended.get() >= every && !self.due.get();
        if due {
            self.due.set(true);
        }
        due
    }

    pub fn is_due(&self) -> bool {
        self.due.get()
    }

    /// Puts a record in the place of the old one, which is returned.
    pub fn insert(&self, record: PartitionCheckpoint) -> Option<PartitionCheckpoint> {
        let old = self.records.borrow_mut().insert(record.id(), record);
        self.changed();
        old
    }

    pub fn remove(&self, id: TopicPartitionId) {
        if self.records.borrow_mut().remove(&id).is_some() {
            self.changed();
        }
    }

    /// Moves the log start in a partition's record. A partition without one gets a record that says nothing else.
    pub fn set_log_start<D: Disk>(&self, partition: &Inner<D>, log_start: Offset) {
        let fresh = || PartitionCheckpoint {
            topic_id: *partition.id.topic.0.as_bytes(),
            partition: partition.id.partition.0,
            topic: partition.topic.clone(),
            generation: partition.generation,
            log_start: log_start.0,
            synced_end: 0,
            epoch: 0,
            segments: Vec::new(),
            epochs: Vec::new(),
            producers: Vec::new(),
        };
        let mut records = self.records.borrow_mut();
        let record = records.entry(partition.id).or_insert_with(fresh);
        record.log_start = record.log_start.max(log_start.0);
        drop(records);
        self.changed();
    }

    /// Below which offset segments of a partition may be removed: the file on the disk says that the log starts there or
    /// later, and its snapshot of what is derived from records (producers, epochs) reaches that far.
    pub fn removable_to(&self, id: TopicPartitionId) -> Offset {
        self.removable.borrow().get(&id).copied().unwrap_or_default()
    }

    fn changed(&self) {
        self.changes.set(self.changes.get() + 1);
    }
}

impl<D: Disk> Log<D> {
    /// Keeps `bytes` in the checkpoint under `name`, from the next one on; no bytes remove it. What they say may depend
    /// on everything that is appended before that checkpoint.
    pub fn attach(&self, name: &str, bytes: Vec<u8>) {
        let mut attached = self.shard().checkpointing.attached.borrow_mut();
        match bytes.is_empty() {
            true => drop(attached.remove(name)),
            false => drop(attached.insert(name.to_owned(), bytes)),
        }
    }

    /// Has the next checkpoint say nothing of partitions that are not here. To be called at the start, when every shard
    /// has adopted its partitions.
    pub fn forget_strangers(&self) {
        let shard = self.shard();
        let mut records = shard.checkpointing.records.borrow_mut();
        let before = records.len();
        records.retain(|id, _| shard.find(*id).is_some());
        if records.len() < before {
            shard.checkpointing.changed();
        }
    }

    /// Syncs everything that is appended now, and writes it down.
    pub async fn checkpoint(&self) -> Result<()> {
        self.shard().checkpoint().await
    }
}

impl<D: Disk> Shard<D> {
    /// Makes the first checkpoint of this generation durable, before the journal and the ring are used.
    pub(super) async fn start(&self) -> Result<()> {
        if self.checkpointing.written.get() == 0 {
            self.write_checkpoint(false).await?;
        }
        Ok(())
    }

    pub(super) async fn checkpoint(&self) -> Result<()> {
        self.checkpointing.appended.set(0);
        self.checkpointing.due.set(false);
        let attached = self.checkpointing.attached.borrow().clone();
        let mut snapshots = Vec::new();
        let mut all_synced = true;
        for partition in self.partitions_now() {
            match partition.snapshot() {
                Some(snapshot) => snapshots.push((partition, snapshot)),
                None => all_synced &= partition.state.borrow().is_synced(),
            }
        }
        for (partition, snapshot) in snapshots {
            match partition.wait_synced(Offset(snapshot.synced_end)).await {
                Ok(()) => self.replace_record(snapshot),
                Err(_) => all_synced = false,
            }
        }
        // They may speak of records that are still to be synced.
        if all_synced {
            *self.checkpointing.attachments.borrow_mut() = attached;
        }
        self.checkpointing.changed();
        self.write_checkpoint(false).await
    }

    pub(super) async fn checkpoint_in_background(&self) {
        if let Err(cause) = self.checkpoint().await {
            tracing::error!(shard = self.id.0, error = %cause, "no checkpoint could be written; recovery will read more");
        }
    }

    /// Takes snapshots of partitions that are wholly synced.
    pub(super) fn take_snapshots(&self) {
        let partitions = self.partitions_now();
        if partitions.iter().all(|partition| partition.state.borrow().is_synced()) {
            *self.checkpointing.attachments.borrow_mut() = self.checkpointing.attached.borrow().clone();
        }
        self.checkpointing.changed();
        for partition in partitions {
            if partition.state.borrow().is_synced()
                && let Some(snapshot) = partition.snapshot()
            {
                self.replace_record(snapshot);
            }
        }
    }

    /// A snapshot takes the old record's place, unless the partition has left meanwhile, or has left and come back.
    fn replace_record(&self, mut snapshot: PartitionCheckpoint) {
        let checkpointing = &self.checkpointing;
        let id = snapshot.id();
        if self.find(id).is_none_or(|partition| partition.generation != snapshot.generation) {
            return;
        }
        if let Some(old) = checkpointing.records.borrow().get(&id) {
            if old.synced_end > snapshot.synced_end {
                return;
            }
            snapshot.log_start = snapshot.log_start.max(old.log_start);
        }
        drop(checkpointing.insert(snapshot));
    }

    /// Writes the records as they are. Once this has ended, the file has every change made before the call.
    pub(super) async fn write_checkpoint(&self, clean: bool) -> Result<()> {
        let this = &self.checkpointing;
        let asked = this.changes.get();
        loop {
            if this.written.get() >= asked && !clean {
                return Ok(());
            }
            let done = this.done.listen();
            if !this.writing.replace(true) {
                break;
            }
            done.await;
        }
        let changes = this.changes.get();
        let removable = |record: &PartitionCheckpoint| Offset(record.log_start.min(record.synced_end));
        let removable = this.records.borrow().iter().map(|(id, record)| (*id, removable(record))).collect();
        let bytes = Checkpoint {
            shard: self.id.0,
            generation: this.generation,
            clean,
            partitions: this.records.borrow().values().cloned().collect(),
            attachments: this.attachments.borrow().iter().map(|(name, bytes)| (name.clone(), bytes.clone())).collect(),
        }
        .encode();
        self.counters.checkpoints.add(1);
        self.counters.checkpoint_bytes.add(bytes.len() as u64);
        let result = self.replace_files(bytes).await;
        this.writing.set(false);
        if result.is_ok() {
            this.written.set(changes);
            *this.removable.borrow_mut() = removable;
        }
        this.done.notify();
        result
    }

    async fn replace_files(&self, bytes: Vec<u8>) -> Result<()> {
        let this = &self.checkpointing;
        files::write(&self.disk, &this.dir, bytes).await?;
        match this.written.get() {
            // Nobody has used the journal or the ring yet.
            0 => files::write_generation(&self.disk, &this.dir, this.generation).await,
            _ => Ok(()),
        }
    }

    pub(super) fn partitions_now(&self) -> Vec<Rc<Inner<D>>> {
        self.partitions.borrow().values().map(|partition| partition.0.clone()).collect()
    }
}

impl<D: Disk> Inner<D> {
    /// What a checkpoint will say of this partition once it is synced up to its present end; nothing if the record that
    /// is there says so already, or if it can not be synced.
    fn snapshot(self: &Rc<Self>) -> Option<PartitionCheckpoint> {
        let mut state = self.state.borrow_mut();
        if !state.takes_writes() {
            return None;
        }
        let known = self.shard.checkpointing.records.borrow().get(&self.id).map(|record| record.synced_end);
        if known == Some(state.appended.offset.0) {
            return None;
        }
        if !state.is_synced() {
            self.request_sync(&mut state);
        }
        Some(state.snapshot(self))
    }

    /// Waits until records below `end` are synced in the segments.
    pub(super) async fn wait_synced(&self, end: Offset) -> Result<()> {
        loop {
            let changed = self.changed.listen();
            {
                let state = self.state.borrow();
                if state.synced.offset >= end {
                    return Ok(());
                }
                match state.health {
                    Health::Good => {}
                    // Who waits for room may be the one who makes it.
                    Health::DiskFull { .. } => return Err(Error::DiskFull(self.id)),
                    _ => return Err(Error::Failed(self.id)),
                }
            }
            changed.await;
        }
    }
}

impl State {
    /// The partition as it is now, all of it taken as synced.
    pub(super) fn snapshot<D: Disk>(&self, partition: &Inner<D>) -> PartitionCheckpoint {
        let segments = self.segments.iter().map(|segment| SegmentCheckpoint {
            base: segment.base.0,
            len: segment.len,
            max_timestamp: segment.max_timestamp,
            first_timestamp: segment.first_timestamp.unwrap_or(-1),
        });
        PartitionCheckpoint {
            topic_id: *partition.id.topic.0.as_bytes(),
            partition: partition.id.partition.0,
            topic: partition.topic.clone(),
            generation: partition.generation,
            log_start: self.log_start.0,
            synced_end: self.appended.offset.0,
            epoch: self.epoch.0,
            segments: segments.collect(),
            epochs: self.epochs.entries().iter().map(|(epoch, start)| (epoch.0, start.0)).collect(),
            producers: self.producers.snapshot(),
        }
    }
}
