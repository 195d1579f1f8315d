//! Receive buffers: a ring of them lies with the kernel, which fills one for each receive; a [`Received`] holds it until
//! it is dropped, anywhere.
//!
//! A buffer dropped on its own shard goes straight back to the kernel. Dropped elsewhere, it sets its bit in a shared
//! bitmap, which the owner's pump empties; the owner is woken only if connections wait for buffers. Buffers are mapped
//! and pre-faulted in steps of [`GROW_STEP`] when the kernel runs out, up to a bound, and kept.
#![expect(unsafe_code, reason = "shares memory with the kernel")]

use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};

use io_uring::types::BufRingEntry;

use super::home::Home;
use super::map::Map;
use super::reactor::with_current;
use super::ring::Ring;

/// Bytes of one receive buffer.
pub const RECEIVE_BUFFER_LEN: usize = 64 << 10;
/// The group of buffers in the shard's ring.
pub(super) const GROUP: u16 = 0;
/// Buffers that are added at a time.
const GROW_STEP: usize = 4;
/// The most buffers of a shard: a quarter of a GiB.
pub const RECEIVE_BUFFERS_MAX: usize = 4096;

/// Received bytes. Empty only at the end of the stream. Holds a receive buffer of the shard that received it, so it is
/// to be dropped soon; it may travel to another shard.
pub struct Received {
    start: NonNull<u8>,
    len: u32,
    buffer: u16,
    owner: Option<Arc<Owner>>,
}

// SAFETY: the bytes are written by the kernel before this is made and not again until it is dropped.
unsafe impl Send for Received {}
// SAFETY: as above.
unsafe impl Sync for Received {}

impl Received {
    /// The end of the stream.
    pub(super) fn end() -> Self {
        Self { start: NonNull::dangling(), len: 0, buffer: 0, owner: None }
    }
}

impl Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the kernel wrote `len` bytes there, and the buffer is ours until drop.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len as usize) }
    }
}

impl std::fmt::Debug for Received {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Received({} bytes)", self.len)
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        let Some(owner) = self.owner.take() else { return };
        let at_home = with_current(|shared| {
            let at_home = shared.home.id() == owner.home.id();
            if at_home {
                shared.buffers.borrow_mut().recycle(self.buffer);
            }
            at_home
        });
        if at_home != Some(true) {
            owner.give_back(self.buffer);
        }
    }
}

/// What handles to buffers share: where to return to, and the memory itself.
struct Owner {
    home: Arc<Home>,
    /// One bit per buffer that was dropped on a foreign thread.
    returned: Box<[AtomicU64]>,
    any_returned: AtomicBool,
    /// Connections of the owner wait for buffers.
    starving: AtomicBool,
    /// Keeps the buffers mapped as long as anybody has one.
    maps: Mutex<Vec<Map>>,
}

impl Owner {
    fn give_back(&self, buffer: u16) {
        self.returned[usize::from(buffer / 64)].fetch_or(1 << (buffer % 64), Ordering::Release);
        self.any_returned.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        if self.starving.load(Ordering::Relaxed) {
            self.home.notify();
        }
    }
}

/// The owner's side.
pub(super) struct Buffers {
    owner: Arc<Owner>,
    /// The ring of entries that the kernel takes buffers from.
    entries: Map,
    mask: u16,
    tail: u16,
    starts: Vec<NonNull<u8>>,
    max: usize,
    /// Buffers that a `Received` holds.
    out: usize,
}

impl Buffers {
    /// Registers an empty ring of buffers with `ring` and fills it with `initial` buffers.
    pub fn register(ring: &Ring, home: Arc<Home>, initial: usize, max: usize) -> io::Result<Self> {
        let max = max.clamp(1, RECEIVE_BUFFERS_MAX);
        let count = max.next_power_of_two();
        let entries = Map::anonymous((count * size_of::<BufRingEntry>()).next_multiple_of(4096))?;
        // SAFETY: the entries are zeroed and outlive the registration: `unregister` is called before they are dropped.
        unsafe { ring.register_buffers(entries.start().as_ptr() as u64, count as u16, GROUP)? };
        let owner = Owner {
            home,
            returned: (0..count.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
            any_returned: AtomicBool::new(false),
            starving: AtomicBool::new(false),
            maps: Mutex::new(Vec::new()),
        };
        let starts = Vec::with_capacity(max);
        let mut buffers =
            Self { owner: Arc::new(owner), entries, mask: count as u16 - 1, tail: 0, starts, max, out: 0 };
        if initial > 0 {
            buffers.add(initial)?;
        }
        Ok(buffers)
    }

    /// Adds a step of buffers; says whether there was room below the bound.
    pub fn grow(&mut self) -> io::Result<bool> {
        if self.starts.len() == self.max {
            return Ok(false);
        }
        self.add(GROW_STEP)?;
        Ok(true)
    }

    /// Buffers that lie with the kernel.
    pub fn free(&self) -> usize {
        self.starts.len() - self.out
    }

    /// Buffers that a receive can still get without anybody giving one back.
    pub fn available(&self) -> usize {
        self.max - self.out
    }

    /// Buffers that received data holds.
    pub fn held(&self) -> usize {
        self.out
    }

    pub fn mapped_bytes(&self) -> usize {
        self.starts.len() * RECEIVE_BUFFER_LEN
    }

    /// Takes the buffer that the kernel has filled with `len` bytes.
    pub fn take(&mut self, buffer: u16, len: usize) -> Received {
        assert!(len <= RECEIVE_BUFFER_LEN, "the kernel fills one buffer at a time");
        self.out += 1;
        let start = self.starts[usize::from(buffer)];
        Received { start, len: len as u32, buffer, owner: Some(self.owner.clone()) }
    }

    /// Gives a buffer, back or for the first time, to the kernel.
    pub fn recycle(&mut self, buffer: u16) {
        self.out -= 1;
        self.provide(buffer);
    }

    /// Takes in what was dropped on other threads; says whether there was any.
    pub fn collect_returned(&mut self) -> bool {
        if !self.owner.any_returned.swap(false, Ordering::AcqRel) {
            return false;
        }
        let owner = self.owner.clone();
        for (word, bits) in owner.returned.iter().enumerate() {
            let mut bits = bits.swap(0, Ordering::Acquire);
            while bits != 0 {
                self.recycle((word * 64) as u16 + bits.trailing_zeros() as u16);
                bits &= bits - 1;
            }
        }
        true
    }

    pub fn has_returned(&self) -> bool {
        self.owner.any_returned.load(Ordering::Acquire)
    }

    /// Says whether a return from another thread must wake the shard.
    pub fn set_starving(&self, starving: bool) {
        self.owner.starving.store(starving, Ordering::Relaxed);
    }

    /// Takes all buffers from the kernel, before the ring or this is dropped.
    pub fn unregister(&self, ring: &Ring) -> io::Result<()> {
        ring.unregister_buffers(GROUP)
    }

    fn add(&mut self, count: usize) -> io::Result<()> {
        let count = count.min(self.max - self.starts.len());
        let map = Map::anonymous(count * RECEIVE_BUFFER_LEN)?;
        for index in 0..count {
            // SAFETY: the offset lies within the mapping.
            self.starts.push(unsafe { map.start().add(index * RECEIVE_BUFFER_LEN) });
            self.provide((self.starts.len() - 1) as u16);
        }
        // Nothing that panics runs under this lock.
        self.owner.maps.lock().unwrap_or_else(PoisonError::into_inner).push(map);
        Ok(())
    }

    fn provide(&mut self, buffer: u16) {
        let base = self.entries.start().cast::<BufRingEntry>();
        // SAFETY: the index is masked to the number of entries, and only this thread writes them.
        let entry = unsafe { base.add(usize::from(self.tail & self.mask)).as_mut() };
        entry.set_addr(self.starts[usize::from(buffer)].as_ptr() as u64);
        entry.set_len(RECEIVE_BUFFER_LEN as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail lies in the first entry, which is mapped; the kernel reads it as an atomic.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(base.as_ptr()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}
