//! A run of chunks with one owner: what is put together before it is written, or was read from the disk.
#![expect(unsafe_code, reason = "fills and reads chunks that nobody else has")]

use std::ops::Range;
use std::sync::Arc;

use super::memory::{BLOCK_LEN, CHUNK_LEN, Chunk, ChunkSlice, IoList};

/// Chunks from the pool, as one stretch of bytes. While it has them, nobody else reads or writes them, but for the I/O
/// that its owner has begun and waits for.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    chunks: Vec<Arc<Chunk>>,
}

impl Buffer {
    /// Adds a chunk that the pool has just handed out.
    pub fn push(&mut self, chunk: Arc<Chunk>) {
        assert_eq!(Arc::strong_count(&chunk), 1, "a chunk from the pool has no other holder");
        self.chunks.push(chunk);
    }

    pub fn len(&self) -> usize {
        self.chunks.len() * CHUNK_LEN
    }

    /// Copies `bytes` to byte `at`. No I/O is under way.
    pub fn copy(&mut self, mut at: usize, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let place = at % CHUNK_LEN;
            let count = bytes.len().min(CHUNK_LEN - place);
            // SAFETY: the chunk is this buffer's alone, and `&mut self` excludes slices from `bytes`.
            unsafe { self.chunks[at / CHUNK_LEN].fill(place, &bytes[..count]) };
            at += count;
            bytes = &bytes[count..];
        }
    }

    /// Writes zeros to `range`.
    pub fn clear(&mut self, range: Range<usize>) {
        for part in parts(range) {
            // SAFETY: as in `copy`.
            unsafe { self.chunks[part.0].clear(part.1) };
        }
    }

    /// Lists `range`, whole blocks, for I/O.
    pub fn list(&self, range: Range<usize>, list: &mut IoList) {
        assert!(range.start.is_multiple_of(BLOCK_LEN), "direct I/O moves whole blocks");
        list.clear();
        for (index, part) in parts(range) {
            list.push(self.chunks[index].clone(), part);
        }
    }

    /// Calls `visit` with the bytes of `range`, which were copied or read here.
    pub fn bytes(&self, range: Range<usize>, mut visit: impl FnMut(&[u8])) {
        for (index, part) in parts(range) {
            // SAFETY: the bytes are initialised memory, and nobody writes them while this buffer is borrowed.
            let slice = unsafe { ChunkSlice::new(self.chunks[index].clone(), part) };
            visit(slice.as_slice());
        }
    }

    /// The bytes of `range` as one array.
    pub fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut array = [0; N];
        let mut filled = 0;
        self.bytes(at..at + N, |bytes| {
            array[filled..filled + bytes.len()].copy_from_slice(bytes);
            filled += bytes.len();
        });
        array
    }

    /// Publishes `range`, and gives up the chunks: they belong to the slices and to whom `keep` gives them.
    pub fn publish(&mut self, range: Range<usize>, out: &mut Vec<ChunkSlice>, mut keep: impl FnMut(Arc<Chunk>)) {
        for (index, part) in parts(range) {
            // SAFETY: the bytes were read; the chunks leave this buffer, and the pool does not hand them out again while
            // a slice of them lives.
            out.push(unsafe { ChunkSlice::new(self.chunks[index].clone(), part) });
        }
        self.chunks.drain(..).for_each(&mut keep);
    }

    /// Gives up the chunks.
    pub fn drain(&mut self) -> impl Iterator<Item = Arc<Chunk>> + '_ {
        self.chunks.drain(..)
    }
}

/// The stretches of `range` in each chunk: the chunk's index, and bytes within it.
fn parts(range: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        if at >= range.end {
            return None;
        }
        let (index, place) = (at / CHUNK_LEN, at % CHUNK_LEN);
        let count = (CHUNK_LEN - place).min(range.end - at);
        at += count;
        Some((index, place..place + count))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::memory::{ChunkPool, SLAB_LEN};

    #[test]
    fn bytes_come_back_across_chunks() {
        let mut pool = ChunkPool::new(SLAB_LEN);
        let mut buffer = Buffer::default();
        (0..3).for_each(|_| buffer.push(pool.take().unwrap()));
        let bytes: Vec<u8> = (0..CHUNK_LEN + 100).map(|index| index as u8).collect();
        buffer.copy(CHUNK_LEN - 50, &bytes);
        buffer.clear(CHUNK_LEN..CHUNK_LEN + 10);
        let mut back = Vec::new();
        buffer.bytes(CHUNK_LEN - 50..CHUNK_LEN - 50 + bytes.len(), |part| back.extend_from_slice(part));
        let mut expected = bytes.clone();
        expected[50..60].fill(0);
        assert_eq!(back, expected);
        let mut slices = Vec::new();
        buffer.publish(CHUNK_LEN - 2..CHUNK_LEN + 3, &mut slices, |chunk| pool.give_back(chunk));
        assert_eq!(slices.iter().map(ChunkSlice::len).collect::<Vec<_>>(), [2, 3]);
    }
}
