//! The shard's memory: who gets chunks, and who gives them up.
//!
//! A chunk whose bytes are in its segment, and committed, stays as hot cache until memory is needed: the one that was
//! offered first goes first, whatever its partition. When nothing is left to evict, partitions that are wholly written
//! give up their open chunk too, and the others are asked to write.

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
}

impl Memory {
    pub fn new(budget: usize) -> Self {
        Self {
            pool: RefCell::new(ChunkPool::new(budget)),
            evictable: RefCell::default(),
            taken: RefCell::default(),
            starving: Cell::new(false),
        }
    }
}

impl<D: Disk> Shard<D> {
    /// Gets `count` chunks ready in `memory.taken`. False if there are none to be had now; then `memory_available` is
    /// called when it is worth trying again. No state of a partition may be borrowed.
    pub fn take_chunks(&self, count: usize) -> bool {
        while self.memory.taken.borrow().len() < count {
            let chunk = self.memory.pool.borrow_mut().take();
            match chunk {
                Some(chunk) => self.memory.taken.borrow_mut().push(chunk),
                None if self.evict_one() => {}
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
        let fed = || {
            !self.memory.evictable.borrow().is_empty() || {
                let mut pool = self.memory.pool.borrow_mut();
                pool.reclaim();
                pool.available() > 0
            }
        };
        if self.memory.starving.get() && fed() {
            self.memory.starving.set(false);
            self.observer.memory_available();
        }
    }

    fn evict_one(&self) -> bool {
        loop {
            let Some((id, number)) = self.memory.evictable.borrow_mut().pop_front() else { return self.evict_open() };
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
        let from = state.offered.max(state.tail.numbers().start);
        if from < safe {
            self.shard.memory.evictable.borrow_mut().extend((from..safe).map(|number| (self.id, number)));
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
