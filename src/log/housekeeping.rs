//! What is due by time, and the task that does what no append waits for.
//!
//! The log has no clock. Whoever appends says what time it is, and the shard calls `tick` when `next_tick` says so. A
//! partition is restless while it has bytes that are not in its segment, not synced, or in memory; the others cost
//! nothing and are not looked at.

use std::rc::Rc;

use super::config::Durability;
use super::disk::Disk;
use super::log::{Log, Shard};
use super::memory::BLOCK_LEN;
use super::partition::{Health, Inner, State};
use super::space::Space;

/// Milliseconds after which a starving log looks whether other shards have dropped chunks.
const STARVING_RETRY_MS: i64 = 5;

impl<D: Disk> Log<D> {
    /// Starts what is due at `now_ms`.
    pub fn tick(&self, now_ms: i64) {
        let shard = self.shard();
        shard.now_ms.set(now_ms);
        shard.next_due_ms.set(i64::MAX);
        let mut index = 0;
        loop {
            let Some(partition) = shard.restless.borrow().get(index).cloned() else { break };
            match partition.tick(now_ms) {
                Some(due_ms) => {
                    shard.due_at(due_ms);
                    index += 1;
                }
                None => {
                    shard.restless.borrow_mut().swap_remove(index);
                }
            }
        }
        if shard.memory.starving.get() {
            shard.feed();
            shard.due_at(now_ms.saturating_add(STARVING_RETRY_MS));
        }
        if shard.retention_due_ms.get() <= now_ms {
            shard.housekeeping.notify();
        }
    }

    /// When `tick` has something to do: at once if that is past; `None` while the log is idle.
    pub fn next_tick(&self, now_ms: i64) -> Option<i64> {
        let shard = self.shard();
        let starving = if shard.memory.starving.get() { now_ms + STARVING_RETRY_MS } else { i64::MAX };
        let due = shard.next_due_ms.get().min(shard.retention_due_ms.get()).min(starving);
        (due < i64::MAX).then_some(due)
    }
}

impl<D: Disk> Shard<D> {
    /// Notes that a partition has been appended to.
    pub(super) fn appended(&self, partition: &Rc<Inner<D>>, len: u64) {
        self.counters.batches_appended.add(1);
        let due_ms = {
            let mut state = partition.state.borrow_mut();
            if !state.restless {
                state.restless = true;
                self.restless.borrow_mut().push(partition.clone());
            }
            state.due_ms(self)
        };
        self.due_at(due_ms);
        if self.checkpointing.count(len, self.options.checkpoint_every) {
            self.housekeeping.notify();
        }
        if self.journal.space.borrow().is_pressed() || self.ring.borrow().space.is_pressed() {
            self.relieve();
        }
    }

    /// Has the partitions written that keep the oldest frames of the journal and the ring.
    pub(super) fn relieve(&self) {
        let pressed = |space: &Space| space.oldest().filter(|_| space.is_pressed());
        let (journal, ring) = (pressed(&self.journal.space.borrow()), pressed(&self.ring.borrow().space));
        if self.journal.relieved.get() == journal && self.ring.borrow().relieved == ring {
            return;
        }
        self.journal.relieved.set(journal);
        self.ring.borrow_mut().relieved = ring;
        for partition in self.restless.borrow().iter() {
            let Ok(mut state) = partition.state.try_borrow_mut() else { continue };
            if journal.is_some() && state.journal_holds.oldest() == journal && state.takes_writes() {
                partition.request_sync(&mut state);
            }
            if ring.is_some() && state.ring_holds.oldest() == ring && state.takes_writes() {
                partition.request_write(&mut state);
            }
        }
    }

    pub(super) async fn run_housekeeper(self: Rc<Self>) {
        loop {
            let work = self.housekeeping.listen();
            if self.is_closed() {
                return;
            }
            self.grow_journal().await;
            if self.checkpointing.is_due() {
                self.checkpoint_in_background().await;
            }
            self.write_indexes().await;
            self.retain_in_background().await;
            self.fill_caches().await;
            work.await;
        }
    }
}

impl<D: Disk> Inner<D> {
    /// Starts what is due; when the next thing is, or `None` if the partition has come to rest.
    fn tick(self: &Rc<Self>, now_ms: i64) -> Option<i64> {
        {
            let mut state = self.state.borrow_mut();
            match state.health {
                Health::DiskFull { retry_ms } if retry_ms <= now_ms => {
                    state.health =
                        Health::DiskFull { retry_ms: now_ms.saturating_add(self.shard.options.disk_full_retry_ms) };
                    self.request_write(&mut state);
                }
                Health::Good => self.sync_if_due(&mut state, now_ms),
                _ => {}
            }
        }
        let idle = now_ms >= self.state.borrow().last_append_ms.saturating_add(self.shard.options.idle_ms);
        if idle && self.state.borrow().is_synced() {
            self.evict_all();
            self.trim_zeros();
        }
        let mut state = self.state.borrow_mut();
        let at_rest = state.is_synced() && state.tail.numbers().is_empty();
        if at_rest || !state.takes_writes() {
            state.restless = false;
            return None;
        }
        Some(state.due_ms(&self.shard).max(now_ms.saturating_add(1)))
    }

    /// Gives back zeros that were meant for writes that did not come.
    fn trim_zeros(self: &Rc<Self>) {
        let mut state = self.state.borrow_mut();
        let segment = &state.segments[state.unsealed()];
        if segment.zeroed > segment.len.next_multiple_of(BLOCK_LEN as u64) && state.takes_writes() && !state.trim {
            state.trim = true;
            self.shard.enqueue_write(self, &mut state);
        }
    }

    fn sync_if_due(self: &Rc<Self>, state: &mut State, now_ms: i64) {
        if state.is_synced() || state.sync_to >= state.appended.pos {
            return;
        }
        if state.sync_due_ms(&self.shard) <= now_ms {
            self.request_sync(state);
        }
    }
}

impl State {
    pub(super) fn is_synced(&self) -> bool {
        self.synced.pos == self.appended.pos
    }

    /// When unsynced bytes have to be synced.
    fn sync_due_ms<D: Disk>(&self, shard: &Shard<D>) -> i64 {
        let Some(since) = self.unsynced_since_ms else { return i64::MAX };
        let idle = self.last_append_ms.saturating_add(shard.options.idle_ms);
        let bound_ms = match self.config.level() {
            Durability::Fsync => i64::MAX,
            Durability::Replicated => shard.options.unsynced_ms_max.min(self.config.flush_ms),
        };
        idle.min(since.saturating_add(bound_ms))
    }

    /// When `tick` has something to do here.
    fn due_ms<D: Disk>(&self, shard: &Shard<D>) -> i64 {
        match self.health {
            Health::DiskFull { retry_ms } => retry_ms,
            _ => self.sync_due_ms(shard).min(self.last_append_ms.saturating_add(shard.options.idle_ms)),
        }
    }
}
