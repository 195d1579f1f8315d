//! Reads from the disk: of what is no longer in memory.
//!
//! They have chunks of their own, so that they take nothing from what is hot, and their number is bounded. A sealed
//! segment that is read twice within `warm::WARM_MS` is read into the page cache, in the background; once a range is there,
//! the answer is the file itself, for sendfile.

mod room;
mod warm;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use duramen_wire::batch::{BatchHeader, HEADER_LEN};
use duramen_wire::ids::{Offset, TopicPartitionId};

use super::buffer::Buffer;
use super::disk::{Access, Disk};
use super::files::Key;
use super::log::Shard;
use super::memory::{BLOCK_LEN, ChunkPool, IoList};
use super::partition::{Health, Inner, Partition, State};
use super::paths;
use super::read::{Error, ReadKind, ReadOut};
use super::segment::Stage;
use super::wait::Event;
use room::Room;

/// Most bytes that one cold read returns, but for a single batch that is larger.
pub const COLD_READ_MAX: usize = 1 << 20;
/// Ends of earlier reads that a partition remembers, so that who reads on finds his place without searching.
pub(super) const HINTS: usize = 8;

/// A place between two batches of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hint {
    offset: Offset,
    segment: Offset,
    position: u64,
}

/// What cold reads of a shard share.
pub(super) struct Cold {
    pub pool: RefCell<ChunkPool>,
    running: Cell<usize>,
    done: Event,
    /// Buffers that no read uses now.
    idle: RefCell<Vec<(Buffer, IoList)>>,
    /// Ranges to be read into the page cache.
    fills: RefCell<VecDeque<(TopicPartitionId, Offset, u64)>>,
}

impl Cold {
    pub fn new(budget: usize) -> Self {
        Self {
            pool: RefCell::new(ChunkPool::new(budget)),
            running: Cell::new(0),
            done: Event::default(),
            idle: RefCell::default(),
            fills: RefCell::default(),
        }
    }
}

/// Where to look for a batch.
struct Place {
    segment: Offset,
    /// A batch begins here, at or before the one that is looked for.
    position: u64,
    /// The offset of that batch, where it is known.
    exact: bool,
    /// The end of what is in the file.
    end: u64,
    sealed: bool,
}

/// What of a segment's index is not in memory.
enum Missing {
    /// All of it: its files have it.
    Sealed,
    /// Of the segment that is written to, what recovery has not read.
    Head,
}

/// One of the bounded number of cold reads.
struct Turn<'a>(&'a Cold);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
        self.0.done.notify();
    }
}

impl<D: Disk> Partition<D> {
    /// As `read`, for what `read` called cold. It answers `Hot` with the bytes in `out`, or `File`.
    pub async fn read_cold(
        &self,
        from: Offset,
        max_bytes: usize,
        up_to: Offset,
        min_one_batch: bool,
        out: &mut ReadOut,
    ) -> Result<ReadKind<D>, Error> {
        let _turn = self.0.shard.cold_turn().await;
        // It may have become hot, or have gone, while this waited.
        match self.read(from, max_bytes, up_to, min_one_batch, out)? {
            ReadKind::Cold => {}
            other => return Ok(other),
        }
        let wanted = Wanted { from, max_bytes, up_to, one: min_one_batch };
        let result = self.0.read_cold(&wanted, out).await;
        self.0.still_there(from, result)
    }

    /// As `read_cold`, always with the bytes.
    pub(super) async fn read_bytes(
        &self,
        from: Offset,
        max_bytes: usize,
        up_to: Offset,
        out: &mut ReadOut,
    ) -> Result<(), Error> {
        let _turn = self.0.shard.cold_turn().await;
        let wanted = Wanted { from, max_bytes, up_to, one: true };
        let result = self.0.read_direct(&wanted, out).await;
        self.0.still_there(from, result)
    }
}

/// What a cold read is for.
struct Wanted {
    from: Offset,
    max_bytes: usize,
    up_to: Offset,
    one: bool,
}

impl<D: Disk> Shard<D> {
    async fn cold_turn(&self) -> Turn<'_> {
        let cold = &self.cold;
        if cold.running.get() >= self.options.cold_reads_max.max(1) {
            self.counters.cold_read_waits.add(1);
        }
        while cold.running.get() >= self.options.cold_reads_max.max(1) {
            cold.done.listen().await;
        }
        cold.running.set(cold.running.get() + 1);
        Turn(cold)
    }
}

impl<D: Disk> Inner<D> {
    async fn place_of(&self, from: Offset) -> Result<Place, Error> {
        let (mut place, missing) = {
            let state = self.state.borrow();
            if state.health == Health::Closed {
                return Err(Error::Closed);
            }
            state.place_of(from)
        };
        let failed = |_| Error::Io { segment: place.segment, source: std::io::Error::other("no index") };
        match missing {
            None => {}
            Some(Missing::Sealed) => {
                place.position = u64::from(self.sealed_index(place.segment).await.map_err(failed)?.lookup(from));
            }
            Some(Missing::Head) => {
                self.complete_index(place.segment).await.map_err(failed)?;
                let state = self.state.borrow();
                let segment = state.segments.iter().find(|segment| segment.base == place.segment);
                let index = segment.and_then(|segment| segment.index.as_ref());
                place.position = index.map_or(0, |index| u64::from(index.lookup(from)));
            }
        }
        Ok(place)
    }

    async fn read_cold(&self, wanted: &Wanted, out: &mut ReadOut) -> Result<ReadKind<D>, Error> {
        let place = self.place_of(wanted.from).await?;
        if let Some(distance) = self.state.borrow().distance_of(&place) {
            self.shard.has_read_cold(distance);
        }
        if place.sealed
            && place.exact
            && let Some((file, range)) = self.find_cached(&place, wanted).await?
        {
            self.shard.counters.bytes_read_cached.add(range.end - range.start);
            return Ok(ReadKind::File { file, range });
        }
        self.read_from(&place, wanted, out).await?;
        Ok(ReadKind::Hot)
    }

    async fn read_direct(&self, wanted: &Wanted, out: &mut ReadOut) -> Result<(), Error> {
        let place = self.place_of(wanted.from).await?;
        self.read_from(&place, wanted, out).await
    }

    async fn read_from(&self, place: &Place, wanted: &Wanted, out: &mut ReadOut) -> Result<(), Error> {
        out.clear();
        let up_to = self.state.borrow().check_range(wanted.from, wanted.up_to)?;
        let wanted = Wanted { max_bytes: wanted.max_bytes.min(COLD_READ_MAX), up_to, ..*wanted };
        let mut room = self.shard.cold.room();
        self.read_place(place, &wanted, &mut room, out).await?;
        self.shard.counters.bytes_read_cold.add(out.bytes as u64);
        Ok(())
    }

    /// A read may fail because retention has removed what it was about, and then it says so.
    fn still_there<T>(&self, from: Offset, result: Result<T, Error>) -> Result<T, Error> {
        if result.is_err() {
            self.state.borrow().check_range(from, from)?;
        }
        result
    }

    /// Reads from `place` on until the batch that holds the wanted offset is in the buffer, and as much behind it as is
    /// wanted.
    async fn read_place(
        &self,
        place: &Place,
        wanted: &Wanted,
        room: &mut Room<'_>,
        out: &mut ReadOut,
    ) -> Result<(), Error> {
        let segment = place.segment;
        let failed = |source| Error::Io { segment, source };
        let file = self.direct_file(segment).await.map_err(failed)?;
        let (mut at, mut need) = (place.position, wanted.max_bytes.max(BLOCK_LEN));
        loop {
            let block = at / BLOCK_LEN as u64 * BLOCK_LEN as u64;
            let len = ((at - block) as usize + need).min((place.end - block) as usize).next_multiple_of(BLOCK_LEN);
            room.grow(len)?;
            let count = room.read(&self.shard.disk, &file, block, len).await.map_err(failed)?;
            self.shard.counters.cold_read_bytes.add(count as u64);
            let have = block + (count as u64).min(place.end - block);
            match walk(&room.buffer, block, at, have, wanted)
                .map_err(|position| Error::Corrupt { segment, position })?
            {
                Walked::Found { start, end, next } if start < end => {
                    let range = (start - block) as usize..(end - block) as usize;
                    out.bytes = range.len();
                    let mut pool = self.shard.cold.pool.borrow_mut();
                    room.buffer.publish(range, &mut out.slices, |chunk| pool.give_back(chunk));
                    drop(pool);
                    let hint = Hint { offset: next, segment, position: end };
                    self.state.borrow_mut().note_hint(hint, self.shard.now_ms.get());
                    return Ok(());
                }
                Walked::Found { .. } => return Ok(()),
                Walked::More { position, len } if position == at && need >= len => {
                    return Err(Error::Corrupt { segment, position });
                }
                Walked::More { position, len } => (at, need) = (position, len.max(wanted.max_bytes)),
            }
        }
    }

    async fn direct_file(&self, base: Offset) -> std::io::Result<D::File> {
        self.open_file(base, Access::Direct).await
    }

    async fn open_file(&self, base: Offset, access: Access) -> std::io::Result<D::File> {
        let key = Key { id: self.id, base, cached: access == Access::Cached };
        let open = self.shard.files.borrow_mut().get(key);
        if let Some(file) = open {
            return Ok(file);
        }
        let file = self.shard.disk.open(&paths::segment(&self.dir, base, "log"), access).await?;
        self.shard.files.borrow_mut().insert(key, file.clone());
        Ok(file)
    }
}

impl State {
    /// Bytes from a place to the end; `None` if its segment has gone meanwhile.
    fn distance_of(&self, place: &Place) -> Option<u64> {
        let segment = self.segments.iter().find(|segment| segment.base == place.segment)?;
        Some(self.appended.pos.saturating_sub(segment.start + place.position))
    }

    /// Where to look for `from`, and what of the segment's index would say it better.
    fn place_of(&self, from: Offset) -> (Place, Option<Missing>) {
        let segment = &self.segments[self.segment_of(from)];
        let sealed = segment.stage >= Stage::Sealed;
        let end = segment.len.min(self.written.pos.saturating_sub(segment.start));
        let mut place = Place { segment: segment.base, position: 0, exact: from == segment.base, end, sealed };
        let hint = self.hints.iter().flatten().find(|hint| hint.offset == from && hint.segment == segment.base);
        let missing = match (hint, &segment.index, segment.unindexed) {
            (Some(hint), ..) => {
                place.position = hint.position;
                place.exact = true;
                None
            }
            _ if from == segment.base => None,
            (None, None, _) => Some(Missing::Sealed),
            (None, Some(_), Some(head)) if from < head.end => Some(Missing::Head),
            (None, Some(index), head) => {
                place.position = u64::from(index.lookup(from)).max(head.map_or(0, |head| head.len));
                None
            }
        };
        (place, missing)
    }

    fn note_hint(&mut self, hint: Hint, now_ms: i64) {
        self.hints[self.hint_next % HINTS] = Some(hint);
        self.hint_next += 1;
        if let Some(segment) = self.segments.iter_mut().find(|segment| segment.base == hint.segment) {
            segment.read_ms = [segment.read_ms[1], now_ms];
        }
    }
}

/// What walking over the headers in a buffer has found.
enum Walked {
    /// The bytes to return lie at `start..end` of the file; `next` is the offset behind them.
    Found { start: u64, end: u64, next: Offset },
    /// The batch at `position` has to be read, `len` bytes or more.
    More { position: u64, len: usize },
}

/// Walks from the batch at `at`. The buffer holds the file's bytes from `block` to `have`. The error is the position of
/// what is no batch.
fn walk(buffer: &Buffer, block: u64, mut at: u64, have: u64, wanted: &Wanted) -> Result<Walked, u64> {
    let mut found: Option<(u64, u64, Offset)> = None;
    loop {
        let done = |found: (u64, u64, Offset)| Walked::Found { start: found.0, end: found.1, next: found.2 };
        if at + HEADER_LEN as u64 > have {
            return Ok(found.map_or(Walked::More { position: at, len: 2 * BLOCK_LEN }, done));
        }
        let header = BatchHeader::parse(&buffer.array::<HEADER_LEN>((at - block) as usize)).map_err(|_| at)?;
        let (len, last) = (header.total_len(), header.last_offset());
        let end = at + len as u64;
        if last < wanted.from {
            at = end;
            continue;
        }
        let start = found.map_or(at, |found| found.0);
        let fits = end - start <= wanted.max_bytes as u64 || (found.is_none() && wanted.one);
        if last >= wanted.up_to || !fits {
            return Ok(found.map_or(Walked::Found { start: at, end: at, next: header.base_offset }, done));
        }
        if end > have {
            return Ok(found.map_or(Walked::More { position: at, len }, done));
        }
        found = Some((start, end, last.plus(1)));
        at = end;
    }
}
