//! The log of one shard: opening it, its partitions, its background work, its end.
//!
//! Order at the start: `recovery::recover` has brought every partition to a synced end; `open` only looks at the shard's
//! own directory; `adopt_all` (or the first `create`) writes a checkpoint with a new generation, and only from then on
//! journal and ring are written. A crash before that checkpoint finds the old frames as they were, one after it ignores
//! them, since all that they held is in the segments.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;

use duramen_wire::ids::{ShardId, TopicPartitionId};

use super::checkpointing::Checkpointing;
use super::cold::Cold;
use super::config::Options;
use super::disk::Disk;
use super::files::Files;
use super::hot::Memory;
use super::indexes::Indexes;
use super::journal::Journal;
use super::partition::{Inner, Partition};
use super::ring::Ring;
use super::stats::Counters;
use super::wait::Event;
use super::{checkpoint, paths};

/// The part of the memory budget that is for cold reads: one in so many bytes, but enough for one read.
const COLD_SHARE: usize = 8;
const COLD_BUDGET_MIN: usize = 2 << 20;

/// A future of this shard.
pub type LocalBoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// What the log tells its shard, synchronously and often from within an append. Implementations note it, wake a task and
/// return; they do not call the log.
pub trait Observer {
    /// The partition's `committed` has moved.
    fn committed(&self, id: TopicPartitionId);
    /// After an append failed with `Busy`: it is worth trying again.
    fn memory_available(&self);
    /// A file of the partition cannot grow: what is not committed stays so until there is room, and no more is appended.
    fn disk_full(&self, id: TopicPartitionId);
    /// The partition will not commit anything any more.
    fn poisoned(&self, id: TopicPartitionId, cause: &io::Error);
}

/// Why the log as a whole could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what} {path}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("the checkpoint {path} cannot be used")]
    Checkpoint { path: PathBuf, source: checkpoint::Error },
    #[error("partition {0} is here already")]
    Exists(TopicPartitionId),
    #[error("partition {0} is not here")]
    Unknown(TopicPartitionId),
    #[error("partition {0} has failed before and can no longer be synced")]
    Failed(TopicPartitionId),
    #[error("the disk is full, and partition {0} cannot be synced now")]
    DiskFull(TopicPartitionId),
    #[error("the log is closed")]
    Closed,
}

impl Error {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

pub type Result<T> = std::result::Result<T, Error>;

/// The log of one shard. Clones share it; with the last one, its partitions are forgotten.
pub struct Log<D: Disk>(Rc<Handle<D>>);

struct Handle<D: Disk>(Rc<Shard<D>>);

impl<D: Disk> Clone for Log<D> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<D: Disk> Drop for Handle<D> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What all partitions of a shard share.
pub(super) struct Shard<D: Disk> {
    pub disk: D,
    pub data_dir: PathBuf,
    pub id: ShardId,
    pub options: Options,
    pub observer: Rc<dyn Observer>,
    pub memory: Memory,
    pub files: RefCell<Files<D>>,
    pub indexes: Indexes,
    pub cold: Cold,
    pub journal: Journal<D>,
    pub ring: RefCell<Ring<D>>,
    pub checkpointing: Checkpointing,
    pub partitions: RefCell<BTreeMap<TopicPartitionId, Partition<D>>>,
    pub write_queue: RefCell<VecDeque<Rc<Inner<D>>>>,
    pub write_work: Event,
    pub zero_queue: RefCell<VecDeque<Rc<Inner<D>>>>,
    pub zero_work: Event,
    /// The partitions that have something due: unwritten or unsynced bytes, or chunks.
    pub restless: RefCell<Vec<Rc<Inner<D>>>>,
    /// When the next of them is due, at the earliest.
    pub next_due_ms: Cell<i64>,
    /// When retention is due; `i64::MAX` while there is nothing that could ever go.
    pub retention_due_ms: Cell<i64>,
    /// When it was last looked at.
    pub retained_ms: Cell<i64>,
    /// The latest time that the log was told.
    pub now_ms: Cell<i64>,
    /// Wakes the housekeeper.
    pub housekeeping: Event,
    pub counters: Counters,
    closed: Cell<bool>,
}

impl<D: Disk> Log<D> {
    /// Opens the log of shard `shard` below `data_dir`, without partitions: they are created or adopted. What an earlier
    /// run left has been brought to order by `recovery::recover`.
    pub async fn open(
        disk: D,
        data_dir: &Path,
        shard: ShardId,
        options: Options,
        observer: Rc<dyn Observer>,
    ) -> Result<Self> {
        let dir = paths::shard_dir(data_dir, shard);
        disk.create_dir(&dir).await.map_err(Error::io("cannot create", &dir))?;
        // The data directory itself may be new, too.
        let parent = data_dir.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        for above in [&data_dir.join(paths::SHARDS), data_dir, parent] {
            disk.sync_dir(above).await.map_err(Error::io("cannot sync", above))?;
        }
        let checkpointing = Checkpointing::open(&disk, &dir, options.nonce).await?;
        let generation = checkpointing.generation();
        let journal = Journal::open(&disk, &dir, &options, generation).await?;
        let ring = Ring::open(&disk, &dir, &options, generation).await?;
        disk.sync_dir(&dir).await.map_err(Error::io("cannot sync", &dir))?;
        let cold_budget = (options.memory_budget / COLD_SHARE).max(COLD_BUDGET_MIN).min(options.memory_budget / 2);
        let shard = Shard {
            memory: Memory::new(options.memory_budget - cold_budget, options.memory_start),
            indexes: Indexes::default(),
            cold: Cold::new(cold_budget),
            files: RefCell::new(Files::new(options.open_files_max)),
            disk,
            data_dir: data_dir.to_owned(),
            id: shard,
            options,
            observer,
            journal,
            ring: RefCell::new(ring),
            checkpointing,
            partitions: RefCell::default(),
            write_queue: RefCell::default(),
            write_work: Event::default(),
            zero_queue: RefCell::default(),
            zero_work: Event::default(),
            restless: RefCell::default(),
            next_due_ms: Cell::new(i64::MAX),
            retention_due_ms: Cell::new(i64::MAX),
            retained_ms: Cell::new(i64::MIN),
            now_ms: Cell::new(0),
            housekeeping: Event::default(),
            counters: Counters::default(),
            closed: Cell::new(false),
        };
        Ok(Self(Rc::new(Handle(Rc::new(shard)))))
    }

    /// The log's work in the background. The shard spawns each of these once, before the first append; they end after
    /// `shutdown`, or when the log is dropped.
    pub fn background(&self) -> Vec<LocalBoxFuture<'static, ()>> {
        let shard = self.shard();
        let mut tasks: Vec<LocalBoxFuture<'static, ()>> = Vec::new();
        for _ in 0..shard.options.segment_writers.max(1) {
            let bounce = shard.take_chunk().expect("the budget holds the writers' bounce buffers");
            tasks.push(Box::pin(shard.clone().run_writer(bounce)));
        }
        tasks.push(Box::pin(shard.clone().run_journal()));
        tasks.push(Box::pin(shard.clone().run_zeroer()));
        tasks.push(Box::pin(shard.clone().run_housekeeper()));
        tasks
    }

    pub fn partition(&self, id: TopicPartitionId) -> Option<Partition<D>> {
        self.shard().partitions.borrow().get(&id).cloned()
    }

    /// The partitions in the order of their ids.
    pub fn partitions(&self) -> Vec<Partition<D>> {
        self.shard().partitions.borrow().values().cloned().collect()
    }

    pub fn shard_id(&self) -> ShardId {
        self.shard().id
    }

    /// Writes and syncs everything, cuts all files to their data, and marks the checkpoint as clean. The background work
    /// must be running; afterwards it ends. Partitions that had failed stay as they are, and recovery looks at them.
    pub async fn shutdown(&self) -> Result<()> {
        let shard = self.shard();
        let partitions = self.partitions();
        let mut clean = true;
        for partition in &partitions {
            clean &= partition.0.quiesce().await.is_ok();
        }
        for partition in &partitions {
            if clean {
                partition.0.cut_to_data().await?;
            }
        }
        shard.take_snapshots();
        shard.write_checkpoint(clean).await?;
        shard.close();
        Ok(())
    }

    pub(super) fn shard(&self) -> &Rc<Shard<D>> {
        &self.0.0
    }
}

impl<D: Disk> Shard<D> {
    pub fn find(&self, id: TopicPartitionId) -> Option<Rc<Inner<D>>> {
        self.partitions.borrow().get(&id).map(|partition| partition.0.clone())
    }

    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Ends the background work and forgets the partitions.
    fn close(&self) {
        self.closed.set(true);
        let partitions = self.partitions.take();
        for partition in partitions.values() {
            partition.0.close();
        }
        self.restless.borrow_mut().clear();
        self.write_queue.borrow_mut().clear();
        self.zero_queue.borrow_mut().clear();
        self.journal.clear();
        for event in [&self.write_work, &self.zero_work, &self.housekeeping, &self.journal.work] {
            event.notify();
        }
    }

    /// Makes sure that `tick` is called at `due_ms`.
    pub fn due_at(&self, due_ms: i64) {
        self.next_due_ms.set(self.next_due_ms.get().min(due_ms));
    }
}
