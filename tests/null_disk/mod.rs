//! A disk that takes everything at once and keeps nothing, so that what is left is the log's own work; and the little that
//! a log needs around it.

use std::future::Future;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use duramen::log::disk::{Access, Disk, Entry, Persist};
use duramen::log::memory::IoList;
use duramen::log::{
    Durability, LocalBoxFuture, Log, Observer, Options, Origin, Partition, PartitionConfig, ReadKind, ReadOut,
};
use duramen_wire::batch::BatchBuilder;
use duramen_wire::ids::{LeaderEpoch, PartitionIndex, ShardId, TopicId, TopicPartitionId};
use duramen_wire::slices::Slices;

#[derive(Clone)]
pub struct Nowhere;

#[derive(Clone)]
pub struct NoFile;

impl Disk for Nowhere {
    type File = NoFile;
    type Mapping = ();

    async fn open(&self, _: &Path, _: Access) -> io::Result<NoFile> {
        Ok(NoFile)
    }
    async fn len(&self, _: &NoFile) -> io::Result<u64> {
        Ok(0)
    }
    async fn write(&self, _: &NoFile, _: u64, list: IoList, _: Persist) -> (io::Result<()>, IoList) {
        (Ok(()), list)
    }
    async fn read(&self, _: &NoFile, _: u64, list: IoList) -> (io::Result<usize>, IoList) {
        (Ok(0), list)
    }
    async fn sync(&self, _: &NoFile) -> io::Result<()> {
        Ok(())
    }
    async fn zero(&self, _: &NoFile, _: Range<u64>) -> io::Result<()> {
        Ok(())
    }
    async fn set_len(&self, _: &NoFile, _: u64) -> io::Result<()> {
        Ok(())
    }
    async fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Ok(())
    }
    async fn remove(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    async fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    async fn remove_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    async fn list(&self, _: &Path) -> io::Result<Vec<Entry>> {
        Ok(Vec::new())
    }
    async fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    async fn read_small(&self, _: &Path, _: usize) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }
    async fn write_small(&self, _: &Path, _: Vec<u8>) -> io::Result<()> {
        Ok(())
    }
    async fn map(&self, _: &Path, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn store(&self, _: &(), _: usize, _: &[&[u8]]) {}
    fn is_cached(&self, _: &NoFile, _: Range<u64>) -> bool {
        false
    }
    async fn fill_cache(&self, _: &NoFile, _: Range<u64>) -> io::Result<()> {
        Ok(())
    }
}

struct Nobody;

impl Observer for Nobody {
    fn committed(&self, _: TopicPartitionId) {}
    fn memory_available(&self) {}
    fn disk_full(&self, id: TopicPartitionId) {
        panic!("{id}: a disk that keeps nothing is not full");
    }
    fn poisoned(&self, id: TopicPartitionId, cause: &io::Error) {
        panic!("{id}: {cause}");
    }
}

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

/// One partition of a log on that disk, and its tasks, polled by hand.
pub struct World {
    pub log: Log<Nowhere>,
    tasks: Vec<LocalBoxFuture<'static, ()>>,
    waker: Waker,
    partition: Partition<Nowhere>,
}

impl World {
    pub fn new(durability: Durability) -> Self {
        let waker = Waker::from(Arc::new(Nobody));
        let options = Options { memory_budget: 16 << 20, checkpoint_every: u64::MAX, ..Options::default() };
        let open = Log::open(Nowhere, Path::new("/nowhere"), ShardId(0), options, Rc::new(Nobody));
        let log = ready(&waker, open).unwrap();
        let id = TopicPartitionId { topic: TopicId::default(), partition: PartitionIndex(0) };
        let config = PartitionConfig { durability, index_interval_bytes: u32::MAX, ..PartitionConfig::default() };
        let partition = ready(&waker, log.create(id, "events", config, LeaderEpoch(0), 0)).unwrap();
        Self { tasks: log.background(), log, waker, partition }
    }

    /// Polls every task a few times, which is enough where nothing waits.
    fn run(&mut self) {
        for _ in 0..3 {
            for task in &mut self.tasks {
                assert!(task.as_mut().poll(&mut Context::from_waker(&self.waker)).is_pending());
            }
        }
    }

    /// Appends a batch, has it committed, and reads it.
    pub fn round(&mut self, batch: &[u8], out: &mut ReadOut) {
        let pieces = [&batch[..batch.len() / 2], &batch[batch.len() / 2..]];
        let appended = self.partition.append(Slices::new(&pieces), Origin::Client, 0).unwrap();
        while self.partition.committed() < appended.end {
            self.run();
        }
        let kind = self.partition.read(appended.base_offset, 1 << 20, appended.end, true, out).unwrap();
        assert!(matches!(kind, ReadKind::Hot) && out.bytes == batch.len());
        out.clear();
    }
}

/// The value of a future that never waits.
fn ready<T>(waker: &Waker, future: impl Future<Output = T>) -> T {
    let mut future = Box::pin(future);
    match Pin::new(&mut future).poll(&mut Context::from_waker(waker)) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing here waits"),
    }
}

pub fn batch(records: usize, len: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    (0..records).for_each(|number| builder.push(None, Some(&vec![number as u8; len]), &[], 0));
    builder.finish()
}
