//! Moves bytes in and out of the chunks of an I/O list, as a device does, and as tests do.
#![expect(unsafe_code, reason = "reads and fills the chunks of an I/O list")]

use std::sync::Arc;

use crate::log::memory::{BLOCK_LEN, CHUNK_LEN, Chunk, ChunkPool, IoList};

/// The bytes of a list. Nobody writes them at the moment.
pub fn gather(list: &IoList) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(list.len());
    for (chunk, start, len) in list.parts() {
        // SAFETY: the part lies within its chunk, and whoever asks for I/O leaves it alone until that has ended.
        bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(chunk.address(start), len) });
    }
    bytes
}

/// Fills a list from its start. Nobody else reads or writes its memory at the moment.
pub fn scatter(list: &IoList, mut bytes: &[u8]) {
    for (chunk, start, len) in list.parts() {
        let (now, later) = bytes.split_at(len.min(bytes.len()));
        // SAFETY: whoever asks for I/O leaves the list's memory to it until that has ended.
        unsafe { chunk.fill(start, now) };
        bytes = later;
    }
}

/// A list of chunks of its own with room for `len` bytes, in whole blocks, none of its parts longer than `part_max`.
///
/// # Panics
/// If the pool has not enough, or `part_max` is less than a block.
pub fn list(pool: &mut ChunkPool, len: usize, part_max: usize) -> IoList {
    let part_max = part_max.min(CHUNK_LEN) / BLOCK_LEN * BLOCK_LEN;
    assert!(part_max > 0, "a part is at least a block");
    let (mut list, mut left) = (IoList::default(), len.next_multiple_of(BLOCK_LEN));
    while left > 0 {
        let part = left.min(part_max);
        let chunk: Arc<Chunk> = pool.take().expect("the pool has a chunk left");
        list.push(chunk, CHUNK_LEN - part..CHUNK_LEN);
        left -= part;
    }
    list
}

/// A list that holds `bytes`, and zeros up to a whole block.
///
/// # Panics
/// As [`list`].
pub fn list_of(pool: &mut ChunkPool, bytes: &[u8]) -> IoList {
    let list = list(pool, bytes.len(), CHUNK_LEN);
    let mut padded = bytes.to_vec();
    padded.resize(list.len(), 0);
    scatter(&list, &padded);
    list
}
