//! Reading what is in memory, and deciding where the rest is read from.
//!
//! A read returns whole batches of one run: from the batch that holds the offset asked for, as many as fit, and if asked
//! for, the first one whatever its size. Where a batch begins is known in memory from the first batch of each chunk, on
//! disk from the segment's index; from there headers are walked.

use std::cell::Cell;

use duramen_wire::ids::Offset;

use super::disk::Disk;
use super::memory::ChunkSlice;
use super::partition::{Partition, State};
use super::tail::{Mark, extent};

/// Ends of hot reads that a partition remembers.
const READ_ENDS: usize = 8;

/// What a read found; reused by its owner, so that reading allocates nothing.
#[derive(Debug, Default)]
pub struct ReadOut {
    /// The bytes, in order.
    pub slices: Vec<ChunkSlice>,
    /// Bytes in all slices.
    pub bytes: usize,
}

impl ReadOut {
    pub fn clear(&mut self) {
        self.slices.clear();
        self.bytes = 0;
    }
}

/// Where the bytes are.
#[derive(Debug)]
pub enum ReadKind<D: Disk> {
    /// In memory; `ReadOut` has them. None at all if there is nothing to read yet.
    Hot,
    /// In a sealed segment and in the page cache: whole batches, to be sent by sendfile.
    File { file: D::File, range: std::ops::Range<u64> },
    /// On the disk: `read_cold` gets them.
    Cold,
}

/// Where hot reads have ended lately, so that who reads on finds his place at once.
#[derive(Debug, Default)]
pub(super) struct ReadEnds(Cell<[Mark; READ_ENDS]>, Cell<usize>);

impl ReadEnds {
    fn note(&self, end: Mark) {
        if self.find(end.offset).is_none() {
            let mut ends = self.0.get();
            ends[self.1.get() % READ_ENDS] = end;
            self.0.set(ends);
            self.1.set(self.1.get() + 1);
        }
    }

    fn find(&self, offset: Offset) -> Option<Mark> {
        self.0.get().into_iter().find(|end| end.offset == offset)
    }
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("offset {asked} is not between {log_start} and {log_end}")]
    OutOfRange { asked: Offset, log_start: Offset, log_end: Offset },
    #[error("segment {segment} cannot be read")]
    Io { segment: Offset, source: std::io::Error },
    #[error("segment {segment} has no good batch at byte {position}")]
    Corrupt { segment: Offset, position: u64 },
    #[error("no memory for a read from the disk now")]
    Busy,
    #[error("the partition is closed")]
    Closed,
}

impl<D: Disk> Partition<D> {
    /// Reads whole batches from the one that holds `from`, none that reaches `up_to`, and together at most `max_bytes`,
    /// unless `min_one_batch` and the first alone is larger.
    ///
    /// `up_to` is the caller's bound on what may be seen, usually `committed`.
    pub fn read(
        &self,
        from: Offset,
        max_bytes: usize,
        up_to: Offset,
        min_one_batch: bool,
        out: &mut ReadOut,
    ) -> Result<ReadKind<D>, Error> {
        out.clear();
        let state = self.0.state.borrow();
        let limit = state.check_range(from, up_to)?;
        if from >= limit {
            return Ok(ReadKind::Hot);
        }
        if let Some((range, next)) = state.find_hot(from, max_bytes, limit, min_one_batch) {
            state.read_ends.note(Mark { pos: range.end, offset: next });
            let shard = &self.0.shard;
            if let Some(offered_at) = state.tail.offered_at(range.start).filter(|_| !range.is_empty()) {
                shard.has_read_hot(shard.counters.bytes_appended.get() - offered_at);
            }
            out.bytes = state.tail.slices(range, &mut out.slices);
            shard.counters.bytes_read_hot.add(out.bytes as u64);
            return Ok(ReadKind::Hot);
        }
        Ok(ReadKind::Cold)
    }
}

impl State {
    /// The offset that a read may not reach.
    pub(super) fn check_range(&self, from: Offset, up_to: Offset) -> Result<Offset, Error> {
        let (log_start, log_end) = (self.log_start, self.appended.offset);
        if from < log_start || from > log_end {
            return Err(Error::OutOfRange { asked: from, log_start, log_end });
        }
        Ok(up_to.min(log_end))
    }

    /// The stream positions of the bytes to return, and the offset behind them, if the first batch is in memory.
    fn find_hot(
        &self,
        from: Offset,
        max_bytes: usize,
        limit: Offset,
        one: bool,
    ) -> Option<(std::ops::Range<u64>, Offset)> {
        let start = self.locate_hot(from)?;
        let end = match limit {
            limit if limit == self.appended.offset => self.appended.pos,
            limit if limit == self.committed.offset => self.committed.pos,
            limit => self.locate_hot(limit)?,
        };
        let most = start + max_bytes as u64;
        if end <= most {
            return Some((start..end.max(start), limit));
        }
        // The last batch boundary that is not beyond `most`.
        let noted = self.tail.noted_before(most).filter(|mark| mark.pos > start);
        let mut mark = noted.unwrap_or(Mark { pos: start, offset: from });
        loop {
            let next = self.batch_end(mark.pos);
            if next.pos > most && mark.pos == start && one {
                return Some((start..next.pos, next.offset));
            }
            if next.pos > most {
                return Some((start..mark.pos, mark.offset));
            }
            mark = next;
        }
    }

    /// The stream position of the batch that holds `offset`, or at which it will be appended, if that is in memory.
    fn locate_hot(&self, offset: Offset) -> Option<u64> {
        if offset == self.appended.offset {
            return Some(self.appended.pos);
        }
        let noted = self.tail.noted_for(offset)?;
        let Mark { mut pos, .. } = self.read_ends.find(offset).filter(|end| end.pos > noted.pos).unwrap_or(noted);
        pos = self.behind(pos);
        loop {
            let (_, len, last) = extent(&self.tail.header(pos));
            if offset <= last {
                return Some(pos);
            }
            pos = self.behind(pos + len);
        }
    }

    fn batch_end(&self, pos: u64) -> Mark {
        let (_, len, last) = extent(&self.tail.header(pos));
        Mark { pos: self.behind(pos + len), offset: last.plus(1) }
    }

    /// The position of what follows `pos`: `pos`, or the next segment's start where one ends there.
    fn behind(&self, pos: u64) -> u64 {
        // Before the first segment's start there is nothing that could end here.
        if pos <= self.segments[0].start {
            return pos;
        }
        let index = self.segment_at(pos - 1);
        match self.segments.get(index + 1) {
            Some(next) if pos == self.segments[index].end() => next.start,
            _ => pos,
        }
    }
}
