//! The newest bytes of a partition, in memory: what is not yet in a segment file, and behind it what is still hot.
//!
//! Stream positions count a partition's bytes across its segments. Each segment starts at a multiple of [`CHUNK_LEN`],
//! so that a chunk covers the same stretch of its file, block for block; the unused rest of a segment's last chunk is a
//! gap in the positions. Positions live as long as the partition is open, offsets for ever.
//!
//! Invariant: bytes below `TailChunk::to` never change while the chunk is here.
#![expect(unsafe_code, reason = "fills chunks behind the bytes that others read")]

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use duramen_wire::batch::{self, HEADER_LEN};
use duramen_wire::ids::Offset;

use super::memory::{BLOCK_LEN, CHUNK_LEN, Chunk, ChunkSlice, IoList};

const CHUNK: u64 = CHUNK_LEN as u64;
const BLOCK: u64 = BLOCK_LEN as u64;

/// A stream position between two batches, and the offset of the batch behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub pos: u64,
    pub offset: Offset,
}

impl Mark {
    /// The later of two.
    pub fn max(self, other: Mark) -> Mark {
        if other.pos > self.pos { other } else { self }
    }
}

/// The chunks of a partition: consecutive, the last one open.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// The number of the first chunk: its stream position divided by [`CHUNK_LEN`].
    first: u64,
    chunks: VecDeque<TailChunk>,
}

#[derive(Debug)]
pub(super) struct TailChunk {
    pub chunk: Arc<Chunk>,
    /// The bytes that are here; what lies before `from` is in the file only.
    from: u32,
    to: u32,
    /// The first batch that begins in this chunk: its place within the chunk, and its base offset.
    first_batch: Option<(u32, Offset)>,
    /// What the shard had appended, in bytes, when this became safe to evict.
    offered_at: Option<u64>,
}

impl Tail {
    /// Chunks to take from the pool before `len` bytes can be appended at `pos`.
    pub fn chunks_needed(&self, pos: u64, len: usize) -> usize {
        let last = (pos + len as u64 - 1) / CHUNK;
        let have = if self.chunks.is_empty() { pos / CHUNK } else { self.first + self.chunks.len() as u64 };
        (last + 1).saturating_sub(have) as usize
    }

    /// Appends one batch at stream position `pos`; `spare` gives the chunks that `chunks_needed` has counted.
    pub fn append<'a>(
        &mut self,
        at: Mark,
        pieces: impl Iterator<Item = &'a [u8]>,
        mut spare: impl FnMut() -> Arc<Chunk>,
    ) {
        let mut pos = at.pos;
        self.open(pos, &mut spare);
        let start = self.chunks.back_mut().expect("a chunk was opened");
        if start.first_batch.is_none() {
            start.first_batch = Some(((pos % CHUNK) as u32, at.offset));
        }
        for mut piece in pieces {
            while !piece.is_empty() {
                self.open(pos, &mut spare);
                let tail = self.chunks.back_mut().expect("a chunk was opened");
                let place = (pos % CHUNK) as usize;
                let count = piece.len().min(CHUNK_LEN - place);
                // SAFETY: this shard alone appends, and bytes at and after `to` were never published.
                unsafe { tail.chunk.fill(place, &piece[..count]) };
                tail.to = (place + count) as u32;
                pos += count as u64;
                piece = &piece[count..];
            }
        }
    }

    fn open(&mut self, pos: u64, spare: &mut impl FnMut() -> Arc<Chunk>) {
        let number = pos / CHUNK;
        if self.chunks.is_empty() {
            self.first = number;
        }
        let have = self.first + self.chunks.len() as u64;
        if number < have {
            assert_eq!(number + 1, have, "a batch goes behind the last one");
            return;
        }
        assert_eq!(number, have, "chunks are consecutive");
        let place = (pos % CHUNK) as u32;
        self.chunks.push_back(TailChunk {
            chunk: spare(),
            from: place,
            to: place,
            first_batch: None,
            offered_at: None,
        });
    }

    /// Notes that the chunk with this number became safe to evict when the shard had appended `appended` bytes.
    pub fn offer(&mut self, number: u64, appended: u64) {
        self.chunks[(number - self.first) as usize].offered_at = Some(appended);
    }

    /// What was noted so for the chunk at `pos`, which must be here.
    pub fn offered_at(&self, pos: u64) -> Option<u64> {
        self.chunk(pos).offered_at
    }

    /// The number of the first chunk that is here, and how many there are.
    pub fn numbers(&self) -> Range<u64> {
        self.first..self.first + self.chunks.len() as u64
    }

    /// The stream position of the first byte that is here.
    pub fn start(&self) -> Option<u64> {
        self.chunks.front().map(|chunk| self.first * CHUNK + u64::from(chunk.from))
    }

    /// Takes out the first chunk.
    pub fn pop_front(&mut self) -> Option<Arc<Chunk>> {
        let chunk = self.chunks.pop_front()?;
        self.first += 1;
        Some(chunk.chunk)
    }

    /// Calls `visit` with each contiguous stretch of the bytes in `range`, which must be here.
    pub fn visit(&self, range: Range<u64>, mut visit: impl FnMut(&Arc<Chunk>, Range<usize>)) {
        let mut pos = range.start;
        while pos < range.end {
            let tail = self.chunk(pos);
            let base = pos / CHUNK * CHUNK;
            let to = range.end.min(base + u64::from(tail.to));
            if pos < to {
                assert!(pos >= base + u64::from(tail.from), "the bytes are in memory");
                visit(&tail.chunk, (pos - base) as usize..(to - base) as usize);
            }
            pos = base + CHUNK;
        }
    }

    /// Pushes handles to the bytes in `range`, and returns how many bytes they are.
    pub fn slices(&self, range: Range<u64>, out: &mut Vec<ChunkSlice>) -> usize {
        let mut bytes = 0;
        self.visit(range, |chunk, part| {
            bytes += part.len();
            // SAFETY: bytes below `to` are written and do not change.
            out.push(unsafe { ChunkSlice::new(chunk.clone(), part) });
        });
        bytes
    }

    /// The bytes of `range`, which must be here, in contiguous pieces.
    pub fn pieces(&self, range: Range<u64>) -> impl Iterator<Item = &[u8]> {
        let mut pos = range.start;
        std::iter::from_fn(move || {
            while pos < range.end {
                let tail = self.chunk(pos);
                let base = pos / CHUNK * CHUNK;
                let (from, to) = ((pos - base) as usize, (range.end - base).min(u64::from(tail.to)) as usize);
                pos = base + CHUNK;
                if from < to {
                    assert!(from >= tail.from as usize, "the bytes are in memory");
                    // SAFETY: bytes between `from` and `to` of a chunk are written and do not change while it is here,
                    // and it is here as long as `self` is borrowed.
                    return Some(unsafe { std::slice::from_raw_parts(tail.chunk.address(from), to - from) });
                }
            }
            None
        })
    }

    /// Lists what a direct write of `range` moves: from the block of its first byte to the end of its last, whole
    /// blocks straight from the chunks. A last block that is not full goes through `bounce`. Returns the bytes copied.
    ///
    /// The block of the first byte must be here as a whole: see `head_missing`.
    pub fn blocks(&self, range: Range<u64>, bounce: &Arc<Chunk>, list: &mut IoList) -> usize {
        let mut pos = range.start / BLOCK * BLOCK;
        let mut copied = 0;
        while pos < range.end {
            let tail = self.chunk(pos);
            let base = pos / CHUNK * CHUNK;
            let from = (pos - base) as usize;
            assert!(from as u32 >= tail.from, "the first block is here as a whole");
            let to = (range.end - base).min(CHUNK) as usize;
            let direct = to.next_multiple_of(BLOCK_LEN).min(tail.to as usize / BLOCK_LEN * BLOCK_LEN);
            if from < direct {
                list.push(tail.chunk.clone(), from..direct);
            }
            let rest = from.max(direct);
            if rest < to {
                copied += to - rest;
                tail.copy_padded(rest..to, bounce);
                list.push(bounce.clone(), 0..BLOCK_LEN);
            }
            pos = base + CHUNK;
        }
        copied
    }

    /// The bytes before `pos` in its block that are in the file only: they have to be read before it can be written.
    pub fn head_missing(&self, pos: u64) -> Option<Range<u64>> {
        let block = pos / BLOCK * BLOCK;
        let tail = self.chunk(pos);
        let from = pos / CHUNK * CHUNK + u64::from(tail.from);
        (from > block).then_some(block..from)
    }

    /// Puts the bytes that `head_missing` named, read to the start of `block`, in front of those that are here.
    pub fn fill_head(&mut self, missing: Range<u64>, block: &Arc<Chunk>) {
        let index = (missing.start / CHUNK - self.first) as usize;
        let tail = &mut self.chunks[index];
        let (at, count) = ((missing.start % CHUNK) as usize, (missing.end - missing.start) as usize);
        assert_eq!(at + count, tail.from as usize, "the bytes end where those here begin");
        // SAFETY: bytes before `from` were never published, and this shard is the chunk's only writer; `block` is the
        // caller's own, and the read into it has ended.
        unsafe {
            let bytes = ChunkSlice::new(block.clone(), 0..count);
            tail.chunk.fill(at, bytes.as_slice());
        }
        tail.from = at as u32;
    }

    /// The last batch boundary that is noted at or before `pos`, and not before what is here.
    pub fn noted_before(&self, pos: u64) -> Option<Mark> {
        let mut number = (pos / CHUNK).min(self.numbers().end.checked_sub(1)?);
        while number >= self.first && !self.chunks.is_empty() {
            if let Some(mark) = self.noted(number)
                && mark.pos <= pos
            {
                return Some(mark);
            }
            number = number.checked_sub(1)?;
        }
        None
    }

    /// The last noted boundary whose offset is not beyond `offset`.
    pub fn noted_for(&self, offset: Offset) -> Option<Mark> {
        // Chunks that no batch begins in are few (inside large batches), so the search looks at the next that has one.
        let (mut low, mut high) = (0, self.chunks.len());
        let mut best = None;
        while low < high {
            let middle = (low + high) / 2;
            match (middle..high).find(|index| self.chunks[*index].first_batch.is_some()) {
                None => high = middle,
                Some(index) => {
                    let mark = self.noted(self.first + index as u64).expect("found just now");
                    if mark.offset <= offset {
                        best = Some(mark);
                        low = index + 1;
                    } else {
                        high = middle;
                    }
                }
            }
        }
        best
    }

    /// The bytes of the batch header at `pos`, which must be here.
    pub fn header(&self, pos: u64) -> [u8; HEADER_LEN] {
        let mut header = [0; HEADER_LEN];
        let mut filled = 0;
        for bytes in self.pieces(pos..pos + HEADER_LEN as u64) {
            header[filled..filled + bytes.len()].copy_from_slice(bytes);
            filled += bytes.len();
        }
        assert_eq!(filled, HEADER_LEN, "a header lies within its segment");
        header
    }

    fn noted(&self, number: u64) -> Option<Mark> {
        let (place, offset) = self.chunks.get(number.checked_sub(self.first)? as usize)?.first_batch?;
        Some(Mark { pos: number * CHUNK + u64::from(place), offset })
    }

    fn chunk(&self, pos: u64) -> &TailChunk {
        let index = (pos / CHUNK).checked_sub(self.first).expect("the position is in memory");
        &self.chunks[index as usize]
    }
}

impl TailChunk {
    /// Copies `part`, less than a block, to the start of `bounce` and fills the block with zeros.
    fn copy_padded(&self, part: Range<usize>, bounce: &Arc<Chunk>) {
        // SAFETY: `part` is written and does not change; the bounce chunk belongs to the caller, with no I/O on it.
        unsafe {
            let bytes = ChunkSlice::new(self.chunk.clone(), part.clone());
            bounce.fill(0, bytes.as_slice());
            bounce.clear(part.len()..BLOCK_LEN);
        }
    }
}

/// Base offset, bytes and last offset of the batch that begins with `header`, which this log has checked before.
pub(super) fn extent(header: &[u8; HEADER_LEN]) -> (Offset, u64, Offset) {
    let header = batch::BatchHeader::parse(header).expect("a batch in memory was checked when it was appended");
    (header.base_offset, header.total_len() as u64, header.last_offset())
}
