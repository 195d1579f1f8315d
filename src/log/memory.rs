//! The shard's memory for record bytes: aligned chunks from a budget, shared by handle and reused.
//!
//! A [`Chunk`] is filled from its start to its end by the one shard that owns the pool. Bytes below what its owner has
//! published never change while a [`ChunkSlice`] to them exists, which is what lets the kernel, a device and other
//! shards read them at the same time as the owner appends behind them. Only the owner hands chunks out and takes them
//! back; other shards merely drop their handles, and the pool notices when it is the last holder.
//!
//! Memory is mapped and pre-faulted in steps of [`SLAB_LEN`] as load grows, never beyond the budget.
#![expect(unsafe_code, reason = "maps aligned memory and shares its written part while the rest is still written")]

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

/// Bytes of one chunk; a chunk covers one such stretch of a segment file, at the same alignment.
pub const CHUNK_LEN: usize = 64 << 10;
/// The unit of direct I/O: file positions, lengths and memory addresses are multiples of it.
pub const BLOCK_LEN: usize = 4 << 10;
/// How much is mapped and pre-faulted at a time: a huge page, where the host gives those. It costs a fraction of as many
/// small ones to fault in, and to hand to a device.
pub const SLAB_LEN: usize = 2 << 20;

/// [`CHUNK_LEN`] bytes, aligned to [`BLOCK_LEN`].
#[derive(Debug)]
pub struct Chunk {
    start: NonNull<u8>,
    _slab: Arc<Slab>,
}

// SAFETY: a chunk is plain memory. Writing goes through `Chunk::fill`, whose contract allows one writer and no reader of
// the same bytes.
unsafe impl Send for Chunk {}
// SAFETY: as above.
unsafe impl Sync for Chunk {}

impl Chunk {
    /// Copies `bytes` to `at`.
    ///
    /// # Safety
    /// The caller is the chunk's only writer, and nobody holds a slice of, or does I/O on, the bytes that are written.
    pub unsafe fn fill(&self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= CHUNK_LEN, "a write stays within its chunk");
        // SAFETY: the range lies within the chunk, and the caller vouches for exclusivity.
        unsafe { self.start.as_ptr().add(at).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) }
    }

    /// Writes zeros to `range`.
    ///
    /// # Safety
    /// As for [`Chunk::fill`].
    pub unsafe fn clear(&self, range: Range<usize>) {
        assert!(range.start <= range.end && range.end <= CHUNK_LEN, "a write stays within its chunk");
        // SAFETY: the range lies within the chunk, and the caller vouches for exclusivity.
        unsafe { self.start.as_ptr().add(range.start).write_bytes(0, range.len()) }
    }

    /// The address of byte `at`, for a device or a system call.
    pub fn address(&self, at: usize) -> *mut u8 {
        assert!(at <= CHUNK_LEN, "an address stays within its chunk");
        // SAFETY: `at` is within the chunk or one past its end.
        unsafe { self.start.as_ptr().add(at) }
    }
}

/// A handle to published bytes of a chunk. Dropping it on any shard is fine.
#[derive(Clone, Debug)]
pub struct ChunkSlice {
    chunk: Arc<Chunk>,
    start: u32,
    len: u32,
}

impl ChunkSlice {
    /// # Safety
    /// The bytes of `range` are written, and are not written again while this handle or a clone of it lives.
    pub unsafe fn new(chunk: Arc<Chunk>, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= CHUNK_LEN, "a slice stays within its chunk");
        Self { chunk, start: range.start as u32, len: range.len() as u32 }
    }

    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `new` promises that these bytes are written and stay as they are.
        unsafe { std::slice::from_raw_parts(self.chunk.address(self.start as usize), self.len as usize) }
    }

    pub fn len(&self) -> usize {
        self.len as usize
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn chunk(&self) -> &Arc<Chunk> {
        &self.chunk
    }

    /// The part of this slice that `range` names.
    pub fn sub(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len(), "a part lies within its slice");
        Self { chunk: self.chunk.clone(), start: self.start + range.start as u32, len: range.len() as u32 }
    }
}

/// What one read or write moves: parts of chunks, in order. Kept and reused by its owner, so that steady I/O allocates
/// nothing. Every part starts at a multiple of [`BLOCK_LEN`] and has such a length.
#[derive(Debug, Default)]
pub struct IoList {
    parts: Vec<(Arc<Chunk>, u32, u32)>,
    iovecs: Vec<libc::iovec>,
}

// SAFETY: the iovecs only repeat addresses of the chunks that `parts` keeps alive.
unsafe impl Send for IoList {}

impl IoList {
    pub fn push(&mut self, chunk: Arc<Chunk>, range: Range<usize>) {
        assert!(range.end <= CHUNK_LEN && !range.is_empty(), "a part lies within its chunk");
        assert!(
            range.start.is_multiple_of(BLOCK_LEN) && range.len().is_multiple_of(BLOCK_LEN),
            "direct I/O moves whole blocks"
        );
        self.iovecs.push(libc::iovec { iov_base: chunk.address(range.start).cast(), iov_len: range.len() });
        self.parts.push((chunk, range.start as u32, range.len() as u32));
    }

    pub fn clear(&mut self) {
        self.iovecs.clear();
        self.parts.clear();
    }

    /// Bytes in all parts together.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|(_, _, len)| *len as usize).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub fn iovecs(&self) -> &[libc::iovec] {
        &self.iovecs
    }

    /// Each part as (chunk, start within it, length), all in bytes.
    pub fn parts(&self) -> impl Iterator<Item = (&Arc<Chunk>, usize, usize)> {
        self.parts.iter().map(|(chunk, start, len)| (chunk, *start as usize, *len as usize))
    }
}

/// The chunks of one shard, within a budget.
#[derive(Debug)]
pub struct ChunkPool {
    free: Vec<Arc<Chunk>>,
    /// Given back while another holder (a send in flight, another shard) still had a handle.
    in_use_elsewhere: VecDeque<Arc<Chunk>>,
    mapped: usize,
    budget: usize,
}

impl ChunkPool {
    /// A pool that maps at most `budget` bytes, and none until asked.
    pub fn new(budget: usize) -> Self {
        Self { free: Vec::new(), in_use_elsewhere: VecDeque::new(), mapped: 0, budget }
    }

    /// A chunk with unspecified content, or `None` when the budget is spent.
    pub fn take(&mut self) -> Option<Arc<Chunk>> {
        self.take_free().or_else(|| if self.grow() { self.free.pop() } else { None })
    }

    /// The same from what is mapped already.
    pub fn take_free(&mut self) -> Option<Arc<Chunk>> {
        if self.free.is_empty() {
            self.reclaim();
        }
        self.free.pop()
    }

    /// Takes a chunk back. It is handed out again once nobody else holds it.
    pub fn give_back(&mut self, chunk: Arc<Chunk>) {
        if Arc::strong_count(&chunk) == 1 { self.free.push(chunk) } else { self.in_use_elsewhere.push_back(chunk) }
    }

    /// Bytes mapped so far.
    pub fn mapped(&self) -> usize {
        self.mapped
    }

    /// Of these, bytes of chunks that no other holder keeps from being used again.
    pub fn mapped_here(&self) -> usize {
        self.mapped - self.in_use_elsewhere.len() * CHUNK_LEN
    }

    pub fn budget(&self) -> usize {
        self.budget
    }

    /// Chunks that `take` can hand out without waiting for anybody.
    pub fn available(&self) -> usize {
        self.free.len() + self.budget.saturating_sub(self.mapped) / SLAB_LEN * (SLAB_LEN / CHUNK_LEN)
    }

    /// Takes up again what other holders have dropped by now.
    pub fn reclaim(&mut self) {
        for _ in 0..self.in_use_elsewhere.len() {
            let Some(chunk) = self.in_use_elsewhere.pop_front() else { return };
            self.give_back(chunk);
        }
    }

    /// Maps one more slab, if the budget allows it.
    pub fn grow(&mut self) -> bool {
        if self.mapped + SLAB_LEN > self.budget {
            return false;
        }
        // Out of memory is the same to the caller as a spent budget: it waits for a chunk to come back.
        let Ok(slab) = Slab::map(SLAB_LEN) else { return false };
        let slab = Arc::new(slab);
        self.mapped += SLAB_LEN;
        for index in 0..SLAB_LEN / CHUNK_LEN {
            // SAFETY: the offset lies within the slab.
            let start = unsafe { slab.start.add(index * CHUNK_LEN) };
            self.free.push(Arc::new(Chunk { start, _slab: slab.clone() }));
        }
        true
    }
}

/// One mapping, unmapped when its last chunk is gone.
#[derive(Debug)]
struct Slab {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a slab is only an address range; its bytes are governed by the chunks.
unsafe impl Send for Slab {}
// SAFETY: as above.
unsafe impl Sync for Slab {}

impl Slab {
    /// Maps `len` bytes, a multiple of [`SLAB_LEN`], aligned to it, and faults them in.
    fn map(len: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let (room, access) = (len + SLAB_LEN, libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing that exists.
        let mapped = unsafe { libc::mmap(std::ptr::null_mut(), room, access, flags, -1, 0) };
        if mapped == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let before = mapped.align_offset(SLAB_LEN);
        // SAFETY: the aligned part and what lies before and behind it are whole pages of this mapping.
        unsafe {
            let start = mapped.byte_add(before);
            unmap(mapped, before);
            unmap(start.byte_add(len), room - before - len);
            let slab = Self {
                start: NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mmap returned the null address"))?,
                len,
            };
            // Without huge pages it works the same.
            libc::madvise(start, len, libc::MADV_HUGEPAGE);
            match libc::madvise(start, len, libc::MADV_POPULATE_WRITE) {
                0 => Ok(slab),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }
}

/// # Safety
/// The range is whole pages of a mapping of the caller's, which nobody uses any more.
unsafe fn unmap(start: *mut libc::c_void, len: usize) {
    if len > 0 {
        // SAFETY: the caller vouches for the range.
        let unmapped = unsafe { libc::munmap(start, len) };
        assert!(unmapped == 0, "munmap of an own mapping succeeds");
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, whole, and its last chunk is gone.
        unsafe { unmap(self.start.as_ptr().cast(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_stays_within_its_budget_and_reuses_chunks() {
        let mut pool = ChunkPool::new(SLAB_LEN);
        let mut chunks: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(chunks.len(), SLAB_LEN / CHUNK_LEN);
        assert_eq!(pool.mapped(), SLAB_LEN);
        pool.give_back(chunks.pop().unwrap());
        assert!(pool.take().is_some());
        assert!(pool.take().is_none());
    }

    #[test]
    fn a_chunk_that_another_holds_is_not_handed_out() {
        let mut pool = ChunkPool::new(SLAB_LEN);
        let chunks: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        let kept = chunks[0].clone();
        for chunk in chunks {
            pool.give_back(chunk);
        }
        let again: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(again.len(), SLAB_LEN / CHUNK_LEN - 1);
        assert!(!again.iter().any(|chunk| Arc::ptr_eq(chunk, &kept)));
        drop(kept);
        assert!(pool.take().is_some());
    }
}
