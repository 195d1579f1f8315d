//! What other threads may touch of a shard: a way to wake its tasks and to end its sleep.
//!
//! A shard that is about to block sets `sleeping` and then looks once more at everything that others can hand it. Others
//! first hand over and then look at `sleeping`. Both sides put a sequentially consistent fence in between, so at least
//! one of them sees the other.
#![expect(unsafe_code, reason = "creates an eventfd")]

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::task::Header;

/// The shared half of a shard.
pub(super) struct Home {
    /// Unique in the process, so that a handle knows its own shard even after another one took its thread.
    id: u64,
    /// A descriptor of the shard's ring. Holding one here keeps its number from being reused while others may post to it.
    ring: OwnedFd,
    eventfd: File,
    sleeping: AtomicBool,
    has_wakes: AtomicBool,
    wakes: Mutex<Vec<Arc<Header>>>,
}

impl Home {
    pub fn new(ring: OwnedFd) -> io::Result<Self> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        // SAFETY: a system call without pointers.
        let eventfd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if eventfd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            ring,
            // SAFETY: the descriptor is fresh and owned by nobody else.
            eventfd: File::from(unsafe { OwnedFd::from_raw_fd(eventfd) }),
            sleeping: AtomicBool::new(false),
            has_wakes: AtomicBool::new(false),
            wakes: Mutex::new(Vec::new()),
        })
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn ring_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }

    pub fn eventfd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }

    /// Wakes a task of this shard from a foreign thread. At most one entry per task is queued.
    pub fn wake(&self, task: Arc<Header>) {
        self.lock().push(task);
        self.has_wakes.store(true, Ordering::Release);
        self.notify();
    }

    /// Ends the shard's sleep, from a thread that has no ring.
    pub fn notify(&self) {
        if self.claim_sleeper() {
            // The counter cannot overflow, and a failed wake is bounded by the shard's longest sleep.
            let _written = (&self.eventfd).write(&1_u64.to_ne_bytes());
        }
    }

    /// Whether the shard sleeps and nobody else is waking it. Call after handing something over.
    pub fn claim_sleeper(&self) -> bool {
        fence(Ordering::SeqCst);
        self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::AcqRel)
    }

    /// Announces sleep. The shard looks at its inputs once more before it blocks.
    pub fn prepare_sleep(&self) {
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    pub fn end_sleep(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    pub fn has_wakes(&self) -> bool {
        self.has_wakes.load(Ordering::Acquire)
    }

    /// Swaps the queued wakes with `into`, which is empty.
    pub fn take_wakes(&self, into: &mut Vec<Arc<Header>>) {
        if self.has_wakes.swap(false, Ordering::AcqRel) {
            std::mem::swap(&mut *self.lock(), into);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Header>>> {
        // Nothing that panics runs under this lock.
        self.wakes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
