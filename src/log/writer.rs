//! Segment writers: a bounded number of tasks that bring partitions' bytes to their segment files, one partition each.
//!
//! Only the writer that has a partition touches the files of its unsealed segments, so writes of a partition are
//! serialised: a partial last block is written again only after the write before has ended.
//!
//! Order of steps, and why it is safe to stop between any two:
//! - A segment's file is created by its first write; its directory is synced before anything in it counts as synced. A
//!   file without a name after a crash held nothing that was promised.
//! - Sealing: write to the end, cut the file to its data, sync it (and its name), and only then write to the next one. So
//!   no segment but the last can lack bytes after a crash, and what the next one holds connects.
//! - A sync covers the writes that had ended when it began, and nothing else.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use duramen_wire::ids::Offset;

use super::config::{SYNC_SPAN_MAX, WRITE_MAX};
use super::disk::{Access, Disk, Persist};
use super::files::Key;
use super::log::Shard;
use super::memory::{BLOCK_LEN, Chunk, IoList};
use super::partition::{Health, Inner, State};
use super::paths;
use super::segment::Stage;
use super::tail::Mark;

/// Steps that a partition gets before the next one in the queue has its turn.
const STEPS_MAX: usize = 16;

/// One writer: its bounce buffer and its list, both reused.
pub(super) struct Writer<D: Disk> {
    shard: Rc<Shard<D>>,
    bounce: Arc<Chunk>,
    list: IoList,
}

/// What a partition needs next.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Write bytes `from..to` of the stream into the segment with this base.
    Write {
        base: Offset,
        start: u64,
        created: bool,
        from: u64,
        to: u64,
    },
    /// Sync the segment with this base; what is written now is synced then.
    Sync {
        base: Offset,
        written: Mark,
    },
    /// What is being zeroed is in the way.
    Wait,
    /// Give back the zeros behind the data of the segment with this base.
    Trim {
        base: Offset,
        len: u64,
    },
    /// Cut the rolled segment to its data and sync it.
    Seal {
        base: Offset,
        len: u64,
        created: bool,
    },
    Done,
}

impl<D: Disk> Shard<D> {
    /// Puts a partition in the queue of the writers, unless it is there.
    pub(super) fn enqueue_write(&self, partition: &Rc<Inner<D>>, state: &mut State) {
        if !state.with_writer {
            state.with_writer = true;
            self.write_queue.borrow_mut().push_back(partition.clone());
            self.write_work.notify();
        }
    }

    /// Writes what is asked for until the log is closed.
    pub(super) async fn run_writer(self: Rc<Self>, bounce: Arc<Chunk>) {
        let mut writer = Writer { shard: self.clone(), bounce, list: IoList::default() };
        loop {
            let work = self.write_work.listen();
            let next = self.write_queue.borrow_mut().pop_front();
            match next {
                Some(partition) => writer.serve(&partition).await,
                None if self.is_closed() => return,
                None => work.await,
            }
        }
    }
}

impl<D: Disk> Writer<D> {
    async fn serve(&mut self, partition: &Rc<Inner<D>>) {
        for _ in 0..STEPS_MAX {
            let step = partition.state.borrow_mut().next_step();
            let changed = partition.changed.listen();
            let result = match step {
                Step::Wait => {
                    changed.await;
                    continue;
                }
                Step::Trim { base, len } => self.trim(partition, base, len).await,
                Step::Done => {
                    partition.state.borrow_mut().with_writer = false;
                    partition.settle();
                    return self.shard.feed();
                }
                Step::Write { base, start, created, from, to } => {
                    self.write(partition, base, start, created, from..to).await
                }
                Step::Sync { base, written } => self.sync(partition, base, written).await,
                Step::Seal { base, len, created } => self.seal(partition, base, len, created).await,
            };
            match result {
                Ok(()) => partition.settle(),
                Err(Failure::Full) => return partition.disk_full(),
                Err(Failure::Broken(cause)) => {
                    partition.state.borrow_mut().with_writer = false;
                    return partition.poison(&cause);
                }
            }
            self.shard.feed();
        }
        // Others have their turn.
        self.shard.write_queue.borrow_mut().push_back(partition.clone());
        self.shard.write_work.notify();
    }

    async fn write(
        &mut self,
        partition: &Rc<Inner<D>>,
        base: Offset,
        start: u64,
        created: bool,
        range: std::ops::Range<u64>,
    ) -> Result<(), Failure> {
        let file = self.file(partition, base, created).await?;
        self.read_head(partition, &file, start, range.start).await?;
        let copied = {
            let state = partition.state.borrow();
            self.list.clear();
            state.tail.blocks(range.clone(), &self.bounce, &mut self.list)
        };
        let counters = &self.shard.counters;
        counters.bounce_bytes.add(copied as u64);
        counters.segment_writes.add(1);
        counters.segment_bytes_written.add(self.list.len() as u64);
        let at = (range.start - start) / BLOCK_LEN as u64 * BLOCK_LEN as u64;
        let list = std::mem::take(&mut self.list);
        let (result, list) = self.shard.disk.write(&file, at, list, Persist::Kernel).await;
        self.list = list;
        self.list.clear();
        result.map_err(Failure::growing)?;
        let mut state = partition.state.borrow_mut();
        if matches!(state.health, Health::DiskFull { .. }) {
            state.health = Health::Good;
        }
        state.flushed_to(range.end);
        partition.zero_if_due(&mut state);
        Ok(())
    }

    /// Reads the bytes that share the first block with what is to be written, if they are in the file only.
    async fn read_head(
        &mut self,
        partition: &Rc<Inner<D>>,
        file: &D::File,
        start: u64,
        from: u64,
    ) -> Result<(), Failure> {
        let Some(missing) = partition.state.borrow().tail.head_missing(from) else { return Ok(()) };
        let mut list = std::mem::take(&mut self.list);
        list.clear();
        list.push(self.bounce.clone(), 0..BLOCK_LEN);
        let (result, list) = self.shard.disk.read(file, missing.start - start, list).await;
        self.list = list;
        self.list.clear();
        let count = result.map_err(Failure::Broken)?;
        if count < (missing.end - missing.start) as usize {
            let what =
                format!("the segment ends at byte {}, before what was written", missing.start - start + count as u64);
            return Err(Failure::Broken(io::Error::other(what)));
        }
        partition.state.borrow_mut().tail.fill_head(missing, &self.bounce);
        Ok(())
    }

    async fn sync(&mut self, partition: &Rc<Inner<D>>, base: Offset, written: Mark) -> Result<(), Failure> {
        let file = self.file(partition, base, true).await?;
        self.sync_file_and_name(partition, &file).await?;
        partition.state.borrow_mut().synced_to(written, self.shard.now_ms.get());
        Ok(())
    }

    async fn seal(&mut self, partition: &Rc<Inner<D>>, base: Offset, len: u64, created: bool) -> Result<(), Failure> {
        let file = self.file(partition, base, created).await?;
        while partition.state.borrow().zeroing.is_some() {
            partition.changed.listen().await;
        }
        self.shard.disk.set_len(&file, len).await.map_err(Failure::Broken)?;
        self.sync_file_and_name(partition, &file).await?;
        {
            let mut state = partition.state.borrow_mut();
            state.sealed(base, self.shard.now_ms.get());
        }
        self.shard.retention_due_by(self.shard.now_ms.get());
        self.shard.housekeeping.notify();
        Ok(())
    }

    async fn trim(&mut self, partition: &Rc<Inner<D>>, base: Offset, len: u64) -> Result<(), Failure> {
        let file = self.file(partition, base, true).await?;
        self.shard.disk.set_len(&file, len).await.map_err(Failure::Broken)?;
        self.shard.files.borrow_mut().forget(partition.id, base);
        Ok(())
    }

    async fn sync_file_and_name(&mut self, partition: &Rc<Inner<D>>, file: &D::File) -> Result<(), Failure> {
        self.shard.counters.segment_syncs.add(1);
        self.shard.disk.sync(file).await.map_err(Failure::Broken)?;
        if partition.state.borrow().dir_unsynced {
            self.shard.disk.sync_dir(&partition.dir).await.map_err(Failure::Broken)?;
            partition.state.borrow_mut().dir_unsynced = false;
        }
        Ok(())
    }

    /// The segment's file, made if it does not exist.
    async fn file(&mut self, partition: &Rc<Inner<D>>, base: Offset, created: bool) -> Result<D::File, Failure> {
        let key = Key { id: partition.id, base, cached: false };
        let open = self.shard.files.borrow_mut().get(key);
        if let Some(file) = open {
            return Ok(file);
        }
        let path = paths::segment(&partition.dir, base, "log");
        let access = if created { Access::Direct } else { Access::CreateDirect };
        let file = self.shard.disk.open(&path, access).await.map_err(Failure::growing)?;
        self.shard.files.borrow_mut().insert(key, file.clone());
        if !created {
            partition.state.borrow_mut().created(base);
        }
        Ok(file)
    }
}

impl State {
    fn next_step(&mut self) -> Step {
        let wanted = self.write_to.max(self.sync_to).min(self.appended.pos);
        if !self.takes_writes() {
            return Step::Done;
        }
        let segment = &self.segments[self.unsealed()];
        let (base, start, created) = (segment.base, segment.start, segment.created);
        if segment.stage == Stage::Rolled && self.written.pos >= segment.end() {
            return Step::Seal { base, len: segment.len, created };
        }
        let wants_sync = self.sync_to > self.synced.pos;
        let span = self.flushed - self.synced.pos;
        let sync = Step::Sync { base, written: self.written };
        if self.written.pos < wanted {
            if wants_sync && span >= SYNC_SPAN_MAX && self.written.pos > self.synced.pos {
                return sync;
            }
            let Some(limit) = self.write_limit(self.flushed, start) else { return Step::Wait };
            let end = self.appended.pos.min(segment.end());
            let most = (self.flushed + WRITE_MAX) / BLOCK_LEN as u64 * BLOCK_LEN as u64;
            self.writing_to = end.min(most).min(limit);
            return Step::Write { base, start, created, from: self.flushed, to: self.writing_to };
        }
        if wants_sync && self.synced.pos < self.written.pos {
            return sync;
        }
        if self.trim && self.zeroing.is_none() && self.synced.pos == self.appended.pos {
            self.trim = false;
            let (base, len) = (segment.base, segment.len);
            let index = self.unsealed();
            self.segments[index].zeroed = len;
            return Step::Trim { base, len };
        }
        Step::Done
    }

    /// Bytes up to `pos` are in the segment that is being written.
    fn flushed_to(&mut self, pos: u64) {
        self.flushed = pos;
        let index = self.unsealed();
        let segment = &mut self.segments[index];
        segment.zeroed = segment.zeroed.max(pos - segment.start);
        let next = index + 1;
        let boundary = match self.segments.get(next) {
            _ if pos == self.appended.pos => Some(self.appended),
            Some(segment) if pos == self.segments[next - 1].end() => Some(Mark { pos, offset: segment.base }),
            _ => self.tail.noted_before(pos),
        };
        if let Some(mark) = boundary {
            self.written = self.written.max(mark);
        }
    }

    fn synced_to(&mut self, mark: Mark, now_ms: i64) {
        self.synced = self.synced.max(mark);
        self.unsynced_since_ms = (self.synced.pos < self.appended.pos).then_some(now_ms);
    }

    fn sealed(&mut self, base: Offset, now_ms: i64) {
        let index = self.unsealed();
        let [sealed, next] = [index, index + 1].map(|index| &self.segments[index]);
        assert!(sealed.base == base && sealed.stage == Stage::Rolled, "segments are sealed in order");
        let next = next.first_mark();
        self.segments[index].stage = Stage::Sealed;
        self.flushed = next.pos;
        self.written = self.written.max(next);
        self.synced_to(next, now_ms);
    }

    fn created(&mut self, base: Offset) {
        let index = self.segment_of(base);
        assert_eq!(self.segments[index].base, base, "a segment that is written is known");
        self.segments[index].created = true;
        self.dir_unsynced = true;
    }
}

impl<D: Disk> Inner<D> {
    /// No more acknowledgements from this partition: a write or sync of its bytes has failed.
    pub(super) fn poison(&self, cause: &io::Error) {
        self.state.borrow_mut().health = Health::Poisoned;
        self.changed.notify();
        self.shard.observer.poisoned(self.id, cause);
    }

    fn disk_full(&self) {
        let retry_ms = self.shard.now_ms.get().saturating_add(self.shard.options.disk_full_retry_ms);
        let mut state = self.state.borrow_mut();
        state.with_writer = false;
        let is_news = !matches!(state.health, Health::DiskFull { .. });
        state.health = Health::DiskFull { retry_ms };
        drop(state);
        self.shard.due_at(retry_ms);
        self.changed.notify();
        if is_news {
            self.shard.observer.disk_full(self.id);
        }
    }
}

/// Why a step failed.
enum Failure {
    /// A file could not grow; the same bytes may be written again.
    Full,
    /// Anything else: which bytes arrived is not known.
    Broken(io::Error),
}

impl Failure {
    /// The failure of what may make a file grow.
    fn growing(cause: io::Error) -> Self {
        if cause.kind() == io::ErrorKind::StorageFull { Self::Full } else { Self::Broken(cause) }
    }
}
