//! Zeroing segments ahead of their writes: a write into blocks that are there costs a fraction of one that has to
//! allocate them, and its sync less still.
//!
//! Steps grow with the segment, within bounds, in the background and never before a partition has written as much as the
//! first step: most partitions are small, and an idle one gives the zeros back. A write may go beyond the zeroed
//! end, but never into a range that is being zeroed: the writer stops before it, or waits.

use std::ops::Range;
use std::rc::Rc;

use super::config::Options;
use super::disk::{Access, Disk};
use super::files::Key;
use super::log::Shard;
use super::memory::CHUNK_LEN;
use super::partition::{Inner, State};
use super::paths;
use super::segment::Stage;

impl<D: Disk> Shard<D> {
    /// Zeroes what was asked for until the log is closed.
    pub(super) async fn run_zeroer(self: Rc<Self>) {
        loop {
            let work = self.zero_work.listen();
            let next = self.zero_queue.borrow_mut().pop_front();
            match next {
                Some(partition) => partition.zero_ahead().await,
                None if self.is_closed() => return,
                None => work.await,
            }
        }
    }
}

impl<D: Disk> Inner<D> {
    /// Asks for zeros if the writes come near the end of those that are there.
    pub(super) fn zero_if_due(self: &Rc<Self>, state: &mut State) {
        if state.zeroing.is_none() && !state.zero_queued && state.zero_range(&self.shard.options).is_some() {
            state.zero_queued = true;
            self.shard.zero_queue.borrow_mut().push_back(self.clone());
            self.shard.zero_work.notify();
        }
    }

    async fn zero_ahead(self: &Rc<Self>) {
        let (base, range) = {
            let mut state = self.state.borrow_mut();
            state.zero_queued = false;
            if !state.takes_writes() || state.closing {
                return;
            }
            let Some(range) = state.zero_range(&self.shard.options) else { return };
            state.zeroing = Some(range.clone());
            (state.segments[state.unsealed()].base, range)
        };
        let result = self.zero(base, range.clone()).await;
        {
            let mut state = self.state.borrow_mut();
            state.zeroing = None;
            if let Some(segment) = state.segments.iter_mut().find(|segment| segment.base == base)
                && result.is_ok()
            {
                segment.zeroed = segment.zeroed.max(range.end);
            }
        }
        self.changed.notify();
        match result {
            Err(cause) if cause.kind() != std::io::ErrorKind::StorageFull => self.poison(&cause),
            // Without room the writes themselves find out.
            _ => {}
        }
    }

    async fn zero(&self, base: duramen_wire::ids::Offset, range: Range<u64>) -> std::io::Result<()> {
        let key = Key { id: self.id, base, cached: false };
        let open = self.shard.files.borrow_mut().get(key);
        let file = match open {
            Some(file) => file,
            None => self.shard.disk.open(&paths::segment(&self.dir, base, "log"), Access::Direct).await?,
        };
        self.shard.counters.bytes_zeroed.add(range.end - range.start);
        self.shard.disk.zero(&file, range).await
    }
}

impl State {
    /// The bytes of the segment that is written now that should be zeroed next.
    fn zero_range(&self, options: &Options) -> Option<Range<u64>> {
        let segment = &self.segments[self.unsealed()];
        let in_file = |pos: u64| pos.saturating_sub(segment.start);
        let written = in_file(self.flushed);
        let (least, most) = (options.zero_step_min.max(CHUNK_LEN as u64), options.zero_step_max);
        let step = written.min(most).max(least).next_multiple_of(CHUNK_LEN as u64);
        let wanted = segment.stage == Stage::Active && segment.created && written >= least;
        if !wanted || segment.zeroed >= written + step / 2 {
            return None;
        }
        // What is being written now ends within a block.
        let start = segment.zeroed.max(in_file(self.writing_to)).next_multiple_of(CHUNK_LEN as u64);
        let end = (start + step).min(u64::from(self.config.segment_bytes).next_multiple_of(CHUNK_LEN as u64));
        (start < end).then_some(start..end)
    }

    /// Up to which stream position may be written now; `None` to wait until zeroing has ended.
    pub(super) fn write_limit(&self, from: u64, start: u64) -> Option<u64> {
        match &self.zeroing {
            Some(range) if start + range.end > from => Some(start + range.start).filter(|limit| *limit > from),
            _ => Some(u64::MAX),
        }
    }
}
