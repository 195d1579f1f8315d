//! What has to happen to appended bytes: the choice between ring, journal and direct write, and what follows a write.
//!
//! Three ways lead to `committed`, and at most one of them is under way in a partition; appends gather behind it, and the
//! next one takes all that has gathered:
//! - `replicated`, little: a frame in the ring, at once;
//! - `fsync`, little: a place in the next frame of the journal;
//! - much: a writer, straight to the segment, for `fsync` with a sync behind it.
//!
//! Ring and journal only lend their room: the bytes are written to the segment later, in large pieces, when enough of
//! them wait, when room or memory is short, when the partition has been idle, or when flush settings or the bound on
//! unsynced bytes say so.

use std::rc::Rc;

use super::config::{Durability, FRAME_BATCH_MAX};
use super::disk::Disk;
use super::partition::{Inner, State};

impl<D: Disk> Inner<D> {
    /// Derives `committed`, and lets go of what is safe in the segment. Whether `committed` moved.
    pub(super) fn advance(&self, state: &mut State) -> bool {
        assert!(state.synced.pos <= state.written.pos && state.written.pos <= state.appended.pos, "marks are in order");
        if state.journal_holds.oldest().is_some() {
            state.journal_holds.release_to(&mut self.shard.journal.space.borrow_mut(), state.synced.pos);
        }
        if state.ring_holds.oldest().is_some() {
            state.ring_holds.release_to(&mut self.shard.ring.borrow_mut().space, state.written.pos);
        }
        let (before, committed) = (state.committed.offset, state.committed.max(state.at_level()));
        if state.takes_writes() {
            // The position may move without the offset: where a segment ends and the next one has no record yet.
            state.committed = committed;
        }
        self.offer_chunks(state);
        state.committed.offset > before
    }

    /// Starts what brings appended bytes to their level, and what may be written behind.
    pub(super) fn decide(self: &Rc<Self>, state: &mut State) {
        if !state.takes_writes() {
            return;
        }
        match state.config.level() {
            Durability::Fsync => self.decide_stable(state),
            Durability::Replicated => self.decide_kernel(state),
        }
        self.decide_behind(state);
    }

    fn decide_stable(self: &Rc<Self>, state: &mut State) {
        let stable = state.stable();
        let under_way = state.journaling || state.sync_to > stable.pos;
        if under_way || stable.pos == state.appended.pos {
            return;
        }
        let in_memory = state.has_from(|state| state.stable().pos);
        if in_memory && state.appended.pos - stable.pos <= FRAME_BATCH_MAX && !self.shard.journal.is_poisoned() {
            self.shard.journal.enqueue(self, state);
        } else {
            self.request_sync(state);
        }
    }

    fn decide_kernel(self: &Rc<Self>, state: &mut State) {
        let kernel = state.kernel();
        if state.write_to > kernel.pos || kernel.pos == state.appended.pos {
            return;
        }
        let in_memory = state.has_from(|state| state.kernel().pos);
        let fits = in_memory && state.appended.pos - kernel.pos <= FRAME_BATCH_MAX;
        if fits && self.shard.ring.borrow_mut().store(&self.shard.disk, self, state) {
            state.ringed = state.appended;
        } else {
            self.request_write(state);
        }
    }

    /// Writes and syncs that nobody waits for.
    fn decide_behind(self: &Rc<Self>, state: &mut State) {
        let options = &self.shard.options;
        if state.appended.pos - state.written.pos >= options.flush_bytes && state.write_to <= state.written.pos {
            self.request_write(state);
        }
        let unsynced = state.appended.offset.0 - state.synced.offset.0;
        let many = state.config.level() == Durability::Replicated
            && (state.written.pos - state.synced.pos >= options.unsynced_bytes_max
                || unsynced >= state.config.flush_messages);
        if many && state.sync_to <= state.synced.pos {
            self.request_sync(state);
        }
    }

    /// Has everything that is appended now written to its segment.
    pub(super) fn request_write(self: &Rc<Self>, state: &mut State) {
        state.write_to = state.appended.pos;
        self.shard.enqueue_write(self, state);
    }

    /// Has everything that is appended now written and synced.
    pub(super) fn request_sync(self: &Rc<Self>, state: &mut State) {
        state.write_to = state.appended.pos;
        state.sync_to = state.appended.pos;
        self.shard.enqueue_write(self, state);
    }
}
