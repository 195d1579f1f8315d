//! Sealed segments in the page cache, for sendfile: when they get there, and what of them is sent.

use duramen_wire::ids::Offset;

use super::{Hint, Place, Wanted};
use crate::log::disk::{Access, Disk};
use crate::log::log::Shard;
use crate::log::memory::BLOCK_LEN;
use crate::log::partition::{Inner, State};
use crate::log::read::Error;

/// Two reads of a segment within this time make it worth caching.
pub const WARM_MS: i64 = 60_000;
/// Bytes that are read into the page cache at a time, and how many such requests may wait.
const FILL_LEN: u64 = 8 << 20;
const FILLS_MAX: usize = 8;
impl<D: Disk> Shard<D> {
    /// Reads into the page cache what was asked for.
    pub(in crate::log) async fn fill_caches(&self) {
        loop {
            let Some((id, base, position)) = self.cold.fills.borrow_mut().pop_front() else { return };
            let Some(partition) = self.find(id) else { continue };
            let len = {
                let state = partition.state.borrow();
                state.segments.iter().find(|segment| segment.base == base).map(|segment| segment.len)
            };
            if let Some(len) = len
                && let Ok(file) = partition.cached_file(base).await
            {
                let range = position..len.min(position + FILL_LEN);
                if let Err(cause) = self.disk.fill_cache(&file, range).await {
                    tracing::debug!(partition = %id, segment = base.0, error = %cause, "the page cache was not filled");
                }
            }
        }
    }
}

impl<D: Disk> Inner<D> {
    /// The part of a sealed segment to send by sendfile, if it is in the page cache. If it is not, but worth it, it will
    /// be.
    pub(super) async fn find_cached(
        &self,
        place: &Place,
        wanted: &Wanted,
    ) -> Result<Option<(D::File, std::ops::Range<u64>)>, Error> {
        let (base, start) = (place.segment, place.position);
        let whole = self.state.borrow().segment_end(base).is_some_and(|end| end <= wanted.up_to);
        if !whole || !self.state.borrow().is_warm(base, self.shard.now_ms.get()) {
            return Ok(None);
        }
        let failed = |source| Error::Io { segment: base, source };
        let file = self.cached_file(base).await.map_err(failed)?;
        let most = start + wanted.max_bytes as u64;
        let end = if place.end <= most {
            place.end
        } else {
            let no_index = |_| failed(std::io::Error::other("no index"));
            let index = self.sealed_index(base).await.map_err(no_index)?;
            u64::from(index.position_before(most.min(u64::from(u32::MAX)) as u32))
        };
        let in_cache = start < end && self.shard.disk.is_cached(&file, start..end);
        if !in_cache {
            self.want_cached(base, start);
            return Ok(None);
        }
        // What comes next is read from there, so its offset has to be known.
        let next = match end == place.end {
            true => None,
            false => Some(self.offset_at(&file, end).await.map_err(failed)?),
        };
        if let Some(offset) = next {
            let hint = Hint { offset, segment: base, position: end };
            self.state.borrow_mut().note_hint(hint, self.shard.now_ms.get());
        }
        Ok(Some((file, start..end)))
    }

    fn want_cached(&self, base: Offset, position: u64) {
        let mut fills = self.shard.cold.fills.borrow_mut();
        if fills.len() < FILLS_MAX && !fills.contains(&(self.id, base, position)) {
            fills.push_back((self.id, base, position));
            self.shard.housekeeping.notify();
        }
    }

    /// The base offset of the batch at a position, from the page cache.
    async fn offset_at(&self, file: &D::File, position: u64) -> std::io::Result<Offset> {
        let block = position / BLOCK_LEN as u64 * BLOCK_LEN as u64;
        let within = (position - block) as usize;
        let mut room = self.shard.cold.room();
        room.grow(2 * BLOCK_LEN).map_err(std::io::Error::other)?;
        let count = room.read(&self.shard.disk, file, block, 2 * BLOCK_LEN).await?;
        match count >= within + size_of::<i64>() {
            true => Ok(Offset(i64::from_be_bytes(room.buffer.array(within)))),
            false => Err(std::io::ErrorKind::UnexpectedEof.into()),
        }
    }

    async fn cached_file(&self, base: Offset) -> std::io::Result<D::File> {
        self.open_file(base, Access::Cached).await
    }
}

impl State {
    /// Whether a segment was read twice within [`WARM_MS`] of now.
    fn is_warm(&self, base: Offset, now_ms: i64) -> bool {
        let Some(segment) = self.segments.iter().find(|segment| segment.base == base) else { return false };
        now_ms.saturating_sub(segment.read_ms[0]) <= WARM_MS
    }

    /// The offset behind a segment that is not the last.
    fn segment_end(&self, base: Offset) -> Option<Offset> {
        let index = self.segments.iter().position(|segment| segment.base == base)?;
        self.segments.get(index + 1).map(|next| next.base)
    }
}
