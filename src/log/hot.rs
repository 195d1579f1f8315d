//! The shard's memory: who gets chunks, and who gives them up.
//!
//! A chunk whose bytes are in its segment, and committed, stays as hot cache until memory is needed: the one that was
//! offered first goes first, whatever its partition. When nothing is left to evict, partitions that are wholly written
//! give up their open chunk too, and the others are asked to write.
//!
//! New memory costs more than all else that is done with a byte: the kernel clears it. So the cache is kept as large as
//! readers are known to need, twice the distance at which they follow, and only then does it grow towards its budget.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use duramen_wire::ids::TopicPartitionId;

use super::disk::Disk;
use super::log::Shard;
use super::memory::{CHUNK_LEN, Chunk, ChunkPool};
use super::partition::{Inner, State};

/// Chunks, and the order in which they may be taken back.
pub(super) struct Memory {
    pub pool: RefCell<ChunkPool>,
    /// Chunks that may be evicted, oldest first: partition and chunk number. Some are gone already.
    evictable: RefCell<VecDeque<(TopicPartitionId, u64)>>,
    /// Taken for an append that is about to happen.
    pub taken: RefCell<Vec<Arc<Chunk>>>,
    /// Somebody asked for chunks in vain.
    pub starving: Cell<bool>,
    /// Bytes up to which memory is mapped rather than hot chunks evicted.
    wanted: Cell<usize>,
    /// What the shard had appended when `wanted` was raised for what was gone already.
    raised_at: Cell<u64>,
}

impl Memory {
    pub fn new(budget: usize, start: usize) -> Self {
        Self {
            pool: RefCell::new(ChunkPool::new(budget)),
            evictable: RefCell::default(),
            taken: RefCell::default(),
            starving: Cell::new(false),
            wanted: Cell::new(start.min(budget)),
            raised_at: Cell::new(0),
        }
    }

    fn want(&self, bytes: u64) {
        let budget = self.pool.borrow().budget();
        let bytes = usize::try_from(bytes).unwrap_or(budget).min(budget);
        self.wanted.set(self.wanted.get().max(bytes));
    }
}

impl<D: Disk> Shard<D> {
    /// Gets `count` chunks ready in `memory.taken`. False if there are none to be had now; then `memory_available` is
    /// called when it is worth trying again. No state of a partition may be borrowed.
    pub fn take_chunks(&self, count: usize) -> bool {
        while self.memory.taken.borrow().len() < count {
            let chunk = self.memory.pool.borrow_mut().take_free();
            match chunk {
                Some(chunk) => self.memory.taken.borrow_mut().push(chunk),
                None if self.make_room() => {}
                None => {
                    self.give_back_taken();
                    self.starve();
                    return false;
                }
            }
        }
        true
    }

    /// One chunk, for a frame, a bounce buffer or a cold read.
    pub fn take_chunk(&self) -> Option<Arc<Chunk>> {
        if !self.take_chunks(1) {
            return None;
        }
        self.memory.taken.borrow_mut().pop()
    }

    pub fn give_back(&self, chunk: Arc<Chunk>) {
        self.memory.pool.borrow_mut().give_back(chunk);
    }

    pub fn give_back_taken(&self) {
        let mut pool = self.memory.pool.borrow_mut();
        self.memory.taken.borrow_mut().drain(..).for_each(|chunk| pool.give_back(chunk));
    }

    /// Tells the observer if somebody starves and chunks may be had again.
    pub fn feed(&self) {
        let available = || {
            let mut pool = self.memory.pool.borrow_mut();
            pool.reclaim();
            pool.available() > 0
        };
        let fed = || !self.memory.evictable.borrow().is_empty() || available() || self.evict_open();
        if self.memory.starving.get() && fed() {
            self.memory.starving.set(false);
            self.observer.memory_available();
        }
    }

    /// Frees a chunk, or maps some.
    fn make_room(&self) -> bool {
        let grow = || self.memory.pool.borrow_mut().grow();
        let small = self.memory.pool.borrow().mapped_here() < self.memory.wanted.get();
        (small && grow()) || self.evict_hot() || grow() || self.evict_open()
    }

    fn evict_hot(&self) -> bool {
        loop {
            let Some((id, number)) = self.memory.evictable.borrow_mut().pop_front() else { return false };
            let Some(partition) = self.find(id) else { continue };
            if partition.evict_to(number + 1) {
                return true;
            }
        }
    }

    /// Takes the chunks of the partitions that have everything in their segments.
    fn evict_open(&self) -> bool {
        let mut evicted = false;
        for partition in self.restless.borrow().iter() {
            evicted |= partition.evict_all();
        }
        evicted
    }

    /// Somebody has read what could have been evicted `age` bytes ago, counted by appends on this shard.
    pub(super) fn has_read_hot(&self, age: u64) {
        self.memory.want(age.saturating_mul(2));
    }

    /// Somebody has read, from the disk, what lies `distance` bytes before the end of its partition. If memory could have
    /// held it, it will: in steps, and only as records come that could be kept.
    pub(super) fn has_read_cold(&self, distance: u64) {
        let (wanted, appended) = (self.memory.wanted.get() as u64, self.counters.bytes_appended.get());
        let is_due = appended - self.memory.raised_at.get() >= wanted;
        if is_due && distance < self.memory.pool.borrow().budget() as u64 {
            self.memory.raised_at.set(appended);
            self.memory.want(wanted * 2);
        }
    }

    fn starve(&self) {
        self.memory.starving.set(true);
        for partition in self.restless.borrow().iter() {
            let mut state = partition.state.borrow_mut();
            if state.written.pos < state.appended.pos && state.takes_writes() {
                partition.request_write(&mut state);
            }
        }
    }
}

impl<D: Disk> Inner<D> {
    /// Offers the chunks that have become safe to evict.
    pub(super) fn offer_chunks(&self, state: &mut State) {
        let safe = state.written.pos.min(state.committed.pos) / CHUNK_LEN as u64;
        let here = state.tail.numbers();
        let from = state.offered.max(here.start);
        let appended = self.shard.counters.bytes_appended.get();
        for number in from..safe.min(here.end) {
            state.tail.offer(number, appended);
            self.shard.memory.evictable.borrow_mut().push_back((self.id, number));
        }
        state.offered = state.offered.max(safe);
    }

    /// Gives back the chunks below `number`. Whether there were any.
    fn evict_to(&self, number: u64) -> bool {
        let mut state = self.state.borrow_mut();
        let mut evicted = false;
        while state.tail.numbers().start < number
            && let Some(chunk) = state.tail.pop_front()
        {
            self.shard.give_back(chunk);
            evicted = true;
        }
        evicted
    }

    /// Gives back all chunks, if all bytes are in the segments and committed. Whether there were any.
    pub(super) fn evict_all(&self) -> bool {
        let settled = {
            let state = self.state.borrow();
            state.written.pos == state.appended.pos && state.committed.pos == state.appended.pos && !state.with_writer
        };
        settled && self.evict_to(u64::MAX)
    }
}
