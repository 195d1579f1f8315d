//! The index of a segment that recovery has not read whole.
//!
//! Recovery trusts the checkpoint and reads what lies behind it, so the index in memory of the segment that is written to
//! lacks the batches before. A look-up among those would walk from the segment's begin, each time. The first one reads
//! that part instead, once, in large steps, and completes the index; whoever comes meanwhile waits for it. So a start
//! reads nothing for readers that never come, and no look-up reads more than one segment.

use duramen_wire::ids::Offset;

use super::disk::{Access, Disk};
use super::index::IndexBuilder;
use super::log::{Error, Result};
use super::partition::Inner;
use super::paths;
use super::recovery::{Item, Reader};

/// The part of a segment that its index in memory does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unindexed {
    /// Bytes from the segment's begin.
    pub len: u64,
    /// The offset behind the last record in them.
    pub end: Offset,
}

/// The one who completes an index; others wait until it is dropped.
struct Turn<'a, D: Disk>(&'a Inner<D>);

impl<D: Disk> Drop for Turn<'_, D> {
    fn drop(&mut self) {
        self.0.state.borrow_mut().indexing = false;
        self.0.changed.notify();
    }
}

impl<D: Disk> Inner<D> {
    /// Sees that the index in memory of segment `base`, if it has one, knows all of it.
    pub(super) async fn complete_index(&self, base: Offset) -> Result<()> {
        let Some((_turn, unindexed)) = self.indexing_turn(base).await else { return Ok(()) };
        let head = self.read_for_index(base, Some(unindexed.len)).await?;
        let mut state = self.state.borrow_mut();
        if let Some(segment) = state.segments.iter_mut().find(|segment| segment.base == base)
            && let Some(index) = &mut segment.index
        {
            *index = head.followed_by(index);
            segment.unindexed = None;
        }
        Ok(())
    }

    /// The right to complete an index, and what it lacks; `None` if it lacks nothing.
    async fn indexing_turn(&self, base: Offset) -> Option<(Turn<'_, D>, Unindexed)> {
        loop {
            let changed = self.changed.listen();
            {
                let mut state = self.state.borrow_mut();
                let segment = state.segments.iter().find(|segment| segment.base == base)?;
                let unindexed = segment.unindexed.filter(|_| segment.index.is_some())?;
                if !state.indexing {
                    state.indexing = true;
                    return Some((Turn(self), unindexed));
                }
            }
            changed.await;
        }
    }

    /// Reads a segment for its index, whole or its first `len` bytes.
    pub(super) async fn read_for_index(&self, base: Offset, len: Option<u64>) -> Result<IndexBuilder> {
        let path = paths::segment(&self.dir, base, "log");
        let file = self.shard.disk.open(&path, Access::Direct).await.map_err(Error::io("cannot open", &path))?;
        let mut builder = {
            let config = &self.state.borrow().config;
            IndexBuilder::new(base, config.index_interval_bytes, config.segment_index_bytes)
        };
        let mut reader = Reader::new(self.shard.disk.clone());
        let mut scan = reader.segment(&path, file, 0).await?;
        let mut expected = base;
        while len.is_none_or(|len| scan.position < len) {
            let position = scan.position;
            let Item::Batch(header) = scan.next(expected).await? else { break };
            let last = header.last_offset();
            builder.append(expected, position as u32, header.max_timestamp, last, header.total_len() as u32);
            expected = last.plus(1);
        }
        self.shard.counters.index_bytes_read.add(scan.position);
        Ok(builder)
    }
}
