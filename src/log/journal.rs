//! The shard's journal: small synced appends of many partitions become durable together, in one stable write.
//!
//! One frame is under way at a time; partitions that have something for the journal meanwhile wait in a queue and go into
//! the next. A frame holds, per partition, everything from its stable end to its appended end. The file is a ring of
//! zeroed room (see `space`): a frame's room is used again when all that it holds is synced in the segments. If there is
//! no room, or no memory to put the frame together, the partitions are written and synced directly instead, which is
//! slower and never stuck.
//!
//! A failed write poisons the journal and the partitions in the frame; the others go on by direct writes.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;

use super::buffer::Buffer;
use super::config::{FRAME_BATCH_MAX, JOURNAL_ENTRIES_MAX, JOURNAL_FRAME_MAX, Options};
use super::disk::{Access, Disk, Persist};
use super::frame::{self, FrameWriter};
use super::log::{Error, Result, Shard};
use super::memory::{BLOCK_LEN, CHUNK_LEN, IoList};
use super::partition::{Inner, State};
use super::segment::Segment;
use super::space::Space;
use super::tail::Mark;
use super::wait::Event;

/// How much of a new journal is zeroed before it is used; the rest follows as it fills.
const FIRST_LEN: u64 = 1 << 20;
/// Most bytes zeroed in one step.
const STEP_MAX: u64 = 16 << 20;

/// The journal of a shard.
pub(super) struct Journal<D: Disk> {
    file: D::File,
    pub space: RefCell<Space>,
    pub work: Event,
    /// The group for which partitions were last asked to write.
    pub relieved: Cell<Option<u64>>,
    queue: RefCell<VecDeque<Rc<Inner<D>>>>,
    generation: u64,
    sequence: Cell<u64>,
    poisoned: Cell<bool>,
}

/// What one frame is made of; kept for its capacity.
struct Gathered<D: Disk> {
    members: Vec<(Rc<Inner<D>>, Mark)>,
    buffer: Buffer,
    list: IoList,
    writer: FrameWriter,
    payload: usize,
    entries: usize,
}

impl<D: Disk> Journal<D> {
    pub async fn open(disk: &D, dir: &Path, options: &Options, generation: u64) -> Result<Self> {
        let path = dir.join("journal");
        let failed = || Error::io("cannot open", &path);
        let file = match disk.open(&path, Access::Direct).await {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                disk.open(&path, Access::CreateDirect).await.map_err(failed())?
            }
            other => other.map_err(failed())?,
        };
        let mut len =
            disk.len(&file).await.map_err(failed())?.min(options.journal_len) / BLOCK_LEN as u64 * BLOCK_LEN as u64;
        if len < FIRST_LEN.min(options.journal_len) {
            len = FIRST_LEN.min(options.journal_len);
            disk.zero(&file, 0..len).await.map_err(failed())?;
            disk.sync(&file).await.map_err(failed())?;
        }
        Ok(Self {
            file,
            space: RefCell::new(Space::new(len, options.journal_len)),
            work: Event::default(),
            relieved: Cell::new(None),
            queue: RefCell::default(),
            generation,
            sequence: Cell::new(0),
            poisoned: Cell::new(false),
        })
    }

    /// Has the partition's appended bytes put in the next frame.
    pub fn enqueue(&self, partition: &Rc<Inner<D>>, state: &mut State) {
        if !state.journal_queued {
            state.journal_queued = true;
            self.queue.borrow_mut().push_back(partition.clone());
            self.work.notify();
        }
    }

    pub fn is_poisoned(&self) -> bool {
        self.poisoned.get()
    }

    /// Forgets who waits.
    pub fn clear(&self) {
        self.queue.borrow_mut().clear();
    }
}

impl<D: Disk> Shard<D> {
    /// Writes frames until the log is closed.
    pub(super) async fn run_journal(self: Rc<Self>) {
        let mut gathered = Gathered {
            members: Vec::new(),
            buffer: Buffer::default(),
            list: IoList::default(),
            writer: FrameWriter::default(),
            payload: 0,
            entries: 0,
        };
        loop {
            let work = self.journal.work.listen();
            if self.is_closed() {
                return;
            }
            if self.journal.queue.borrow().is_empty() {
                work.await;
                continue;
            }
            gathered.gather(&self);
            if gathered.members.is_empty() {
                continue;
            }
            match gathered.put_together(&self) {
                Some((at, len)) => self.write_frame(&mut gathered, at, len).await,
                None => gathered.redirect(),
            }
            if self.journal_growth().is_some() {
                self.housekeeping.notify();
            }
        }
    }

    async fn write_frame(&self, gathered: &mut Gathered<D>, at: u64, len: usize) {
        gathered.buffer.list(0..len, &mut gathered.list);
        let list = std::mem::take(&mut gathered.list);
        let (result, list) = self.disk.write(&self.journal.file, at, list, Persist::Stable).await;
        gathered.list = list;
        gathered.list.clear();
        gathered.buffer.drain().for_each(|chunk| self.give_back(chunk));
        self.counters.journal_frames.add(1);
        self.counters.journal_entries.add(gathered.entries as u64);
        self.counters.journal_frame_bytes.add(len as u64);
        if result.is_err() {
            self.journal.poisoned.set(true);
        }
        for (partition, mark) in gathered.members.drain(..) {
            let mut state = partition.state.borrow_mut();
            state.journaling = false;
            if result.is_ok() {
                state.journaled = state.journaled.max(mark);
            }
            drop(state);
            match &result {
                Ok(()) => partition.settle(),
                Err(cause) => partition.poison(cause),
            }
        }
    }

    /// What of the journal to zero next, if that is due.
    fn journal_growth(&self) -> Option<std::ops::Range<u64>> {
        let space = self.journal.space.borrow();
        let (usable, full) = (space.usable(), self.options.journal_len);
        let due = usable < full && space.head() * 2 > usable && !self.journal.is_poisoned();
        due.then(|| usable..(usable * 2).min(usable + STEP_MAX).min(full))
    }

    /// Zeroes more of the journal when the part in use is getting full.
    pub(super) async fn grow_journal(&self) {
        let Some(range) = self.journal_growth() else { return };
        let to = range.end;
        let grown = match self.disk.zero(&self.journal.file, range).await {
            Ok(()) => self.disk.sync(&self.journal.file).await,
            failed => failed,
        };
        match grown {
            Ok(()) => self.journal.space.borrow_mut().grow(to),
            Err(cause) if cause.kind() == std::io::ErrorKind::StorageFull => {}
            Err(_) => self.journal.poisoned.set(true),
        }
    }
}

impl<D: Disk> Gathered<D> {
    /// Takes partitions from the queue, as many as a frame holds.
    fn gather(&mut self, shard: &Shard<D>) {
        (self.payload, self.entries) = (0, 0);
        while self.entries < JOURNAL_ENTRIES_MAX {
            let Some(partition) = shard.journal.queue.borrow_mut().pop_front() else { return };
            let mut state = partition.state.borrow_mut();
            let (from, to) = (state.stable().pos, state.appended);
            let pending = (to.pos - from) as usize;
            if self.payload + pending > JOURNAL_FRAME_MAX as usize && !self.members.is_empty() {
                drop(state);
                return shard.journal.queue.borrow_mut().push_front(partition);
            }
            state.journal_queued = false;
            let in_memory = state.has_from(|state| state.stable().pos);
            if !state.takes_writes() || pending == 0 {
                continue;
            }
            if pending as u64 > FRAME_BATCH_MAX || !in_memory || shard.journal.is_poisoned() {
                partition.request_sync(&mut state);
                continue;
            }
            state.journaling = true;
            self.payload += pending;
            self.entries += state.stretches(from, to.pos).count();
            drop(state);
            self.members.push((partition, to));
        }
    }

    /// Copies header and records into the buffer, and finds room in the file: position and length of the frame.
    fn put_together(&mut self, shard: &Shard<D>) -> Option<(u64, usize)> {
        let head = frame::head_len(self.entries);
        // Gaps between segments count as payload here and are left out below, so this is enough.
        let chunks = (head + self.payload).div_ceil(CHUNK_LEN);
        if !shard.take_chunks(chunks) {
            return None;
        }
        shard.memory.taken.borrow_mut().drain(..).for_each(|chunk| self.buffer.push(chunk));
        if !self.members.iter().all(|(partition, _)| partition.state.borrow().has_from(|state| state.stable().pos)) {
            // Making room has evicted what was stable at another level before the topic's level was changed.
            self.buffer.drain().for_each(|chunk| shard.give_back(chunk));
            return None;
        }
        let sequence = shard.journal.sequence.get() + 1;
        self.writer.begin(shard.journal.generation, sequence);
        let mut at = head;
        for (partition, to) in &self.members {
            let state = partition.state.borrow();
            let from = state.stable();
            for (segment, range) in state.stretches(from.pos, to.pos) {
                self.writer.entry(&state.entry(partition, from, *to, segment, &range));
                for bytes in state.tail.pieces(range) {
                    self.writer.payload(bytes);
                    self.buffer.copy(at, bytes);
                    at += bytes.len();
                }
            }
        }
        let len = at.next_multiple_of(BLOCK_LEN);
        let Some((position, group)) = shard.journal.space.borrow_mut().place(len as u64) else {
            self.buffer.drain().for_each(|chunk| shard.give_back(chunk));
            return None;
        };
        shard.journal.sequence.set(sequence);
        for (partition, to) in &self.members {
            let mut state = partition.state.borrow_mut();
            state.journal_holds.add(&mut shard.journal.space.borrow_mut(), group, to.pos);
        }
        self.buffer.copy(0, self.writer.finish());
        self.buffer.clear(at..len);
        Some((position, len))
    }

    /// Has the gathered partitions written directly.
    fn redirect(&mut self) {
        for (partition, _) in self.members.drain(..) {
            let mut state = partition.state.borrow_mut();
            state.journaling = false;
            partition.request_sync(&mut state);
        }
    }
}

impl State {
    /// Whether the bytes from a position on are in memory.
    pub(super) fn has_from(&self, pos: impl Fn(&Self) -> u64) -> bool {
        self.tail.start().is_some_and(|start| start <= pos(self))
    }

    /// The segments that hold stream positions `from..to`, each with its part of them.
    pub(super) fn stretches(&self, from: u64, to: u64) -> impl Iterator<Item = (&Segment, std::ops::Range<u64>)> {
        let first = self.segment_at(from);
        self.segments
            .range(first..)
            .take_while(move |segment| segment.start < to)
            .map(move |segment| (segment, from.max(segment.start)..to.min(segment.end())))
            .filter(|(_, range)| range.start < range.end)
    }

    /// The entry of a frame for the part `range` of `from..to` that lies in `segment`.
    pub(super) fn entry<D: Disk>(
        &self,
        partition: &Inner<D>,
        from: Mark,
        to: Mark,
        segment: &Segment,
        range: &std::ops::Range<u64>,
    ) -> frame::Entry {
        let next = self.segments.iter().find(|next| next.base > segment.base);
        frame::Entry {
            id: partition.id,
            generation: partition.generation,
            base: from.offset.max(segment.base),
            end: next.map_or(to.offset, |next| next.base.min(to.offset)),
            epoch: self.epoch,
            segment: segment.base,
            position: (range.start - segment.start) as u32,
            len: (range.end - range.start) as u32,
        }
    }
}
