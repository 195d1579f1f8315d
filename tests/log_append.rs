//! Appending and reading hot records allocates nothing in steady state, and copies record bytes once. With
//! `--release -- --nocapture` it prints what an append costs beside the disk, which here does nothing.
#![expect(unsafe_code, reason = "counts allocations in a global allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use duramen::log::disk::{Access, Disk, Entry, Persist};
use duramen::log::memory::IoList;
use duramen::log::{
    Durability, LocalBoxFuture, Log, Observer, Options, Origin, Partition, PartitionConfig, ReadKind, ReadOut,
};
use duramen_wire::batch::BatchBuilder;
use duramen_wire::ids::{LeaderEpoch, PartitionIndex, ShardId, TopicId, TopicPartitionId};
use duramen_wire::slices::Slices;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// A disk that takes everything at once and keeps nothing.
#[derive(Clone)]
struct Nowhere;

#[derive(Clone)]
struct NoFile;

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

struct World {
    log: Log<Nowhere>,
    tasks: Vec<LocalBoxFuture<'static, ()>>,
    waker: Waker,
    partition: Partition<Nowhere>,
}

impl World {
    fn new(durability: Durability) -> Self {
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
    fn round(&mut self, batch: &[u8], out: &mut ReadOut) {
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

fn ready<T>(waker: &Waker, future: impl Future<Output = T>) -> T {
    let mut future = Box::pin(future);
    match Pin::new(&mut future).poll(&mut Context::from_waker(waker)) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("nothing here waits"),
    }
}

fn batch(records: usize, len: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    (0..records).for_each(|number| builder.push(None, Some(&vec![number as u8; len]), &[], 0));
    builder.finish()
}

/// CPU time of this thread.
fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to the timespec and nothing else.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(result, 0);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[test]
fn appends_and_hot_reads_allocate_nothing_and_copy_once() {
    for durability in [Durability::Replicated, Durability::Fsync] {
        for (records, len) in [(1, 100), (10, 1_000), (1_000, 1_000)] {
            let mut world = World::new(durability);
            let (batch, mut out) = (batch(records, len), ReadOut::default());
            // Warm up: all memory is in use, and every list has grown.
            let warm = (30 << 20) / batch.len();
            (0..warm).for_each(|_| world.round(&batch, &mut out));
            let (before, rounds) = (world.log.stats(), (100 << 20) / batch.len().max(1_000));
            let (allocations, start) = (ALLOCATIONS.get(), cpu_seconds());
            (0..rounds).for_each(|_| world.round(&batch, &mut out));
            let (allocations, seconds) = (ALLOCATIONS.get() - allocations, cpu_seconds() - start);
            let after = world.log.stats();
            let bytes = after.bytes_appended - before.bytes_appended;
            assert_eq!(bytes, (rounds * batch.len()) as u64, "record bytes are copied into the tail once");
            assert_eq!(allocations, 0, "{durability:?}, {records} records of {len} bytes, {rounds} rounds");
            println!(
                "{durability:?} {} bytes: {:.0} ns of CPU per append and read, {:.3} CPU-s per GB; frames {} MB, partial blocks {} MB",
                batch.len(),
                seconds * 1e9 / rounds as f64,
                seconds * 1e9 / bytes as f64,
                (after.journal_frame_bytes + after.ring_frame_bytes
                    - before.journal_frame_bytes
                    - before.ring_frame_bytes)
                    >> 20,
                (after.bounce_bytes - before.bounce_bytes) >> 20,
            );
        }
    }
}
