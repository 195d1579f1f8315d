//! The shard's own io_uring: entries in, completions out, and the one place where the thread waits.
//!
//! The ring is made, entered and dropped on its shard's thread only (SINGLE_ISSUER). Completions are posted only while
//! the thread is inside `enter` (DEFER_TASKRUN), so nothing interrupts a running task.
#![expect(unsafe_code, reason = "hands descriptions of memory to the kernel")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, Probe, cqueue, squeue};

/// A shard's ring.
pub(super) struct Ring {
    uring: IoUring,
    /// System calls made to enter the ring.
    enters: u64,
}

/// What the kernel says about one operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Completion {
    pub token: u64,
    /// The result, or a negated errno.
    pub result: i32,
    flags: u32,
}

impl Completion {
    /// Whether further completions of the same operation follow.
    pub fn more(&self) -> bool {
        cqueue::more(self.flags)
    }

    /// Bytes received into a provided buffer, if it is about that.
    pub fn received(&self) -> Option<usize> {
        self.buffer().and(usize::try_from(self.result).ok())
    }

    /// The provided buffer that the kernel filled.
    pub fn buffer(&self) -> Option<u16> {
        cqueue::buffer_select(self.flags)
    }
}

impl Ring {
    /// A ring for `entries` submissions at a time and eight times as many completions.
    pub fn new(entries: u32) -> io::Result<Self> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_clamp()
            .setup_cqsize(entries.saturating_mul(8))
            .build(entries)?;
        Ok(Self { uring, enters: 0 })
    }

    /// Keeps `file` open for as long as the kernel works on anything that was queued here.
    pub fn hold(&self, file: &File) -> io::Result<()> {
        self.uring.submitter().register_files(&[file.as_raw_fd()])
    }

    /// Ends what `hold` began.
    pub fn let_go(&self) -> io::Result<()> {
        self.uring.submitter().unregister_files()
    }

    /// Another descriptor of this ring, by which other shards post completions to it.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        // SAFETY: the ring owns the descriptor and outlives this borrow.
        unsafe { BorrowedFd::borrow_raw(self.uring.as_raw_fd()) }.try_clone_to_owned()
    }

    /// Makes room for an entry.
    pub fn reserve(&mut self) -> io::Result<()> {
        for _ in 0..PUSH_ATTEMPTS_MAX {
            let queue = self.uring.submission();
            if !queue.is_full() {
                return Ok(());
            }
            drop(queue);
            self.enter(false)?;
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "the submission queue of the ring does not drain"))
    }

    /// Queues an entry; submits what is queued when there is no room.
    ///
    /// # Safety
    /// Whatever the entry points to stays valid and, where the kernel writes, untouched until its last completion.
    pub unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        self.reserve()?;
        // SAFETY: passed on to the caller.
        let pushed = unsafe { self.uring.submission().push(entry) };
        assert!(pushed.is_ok(), "there is the room that was reserved");
        Ok(())
    }

    /// Submits what is queued and collects what has completed, without waiting; no system call if there is neither.
    pub fn poll(&mut self) -> io::Result<()> {
        let queue = self.uring.submission();
        let idle = queue.is_empty() && !queue.taskrun() && !queue.cq_overflow();
        drop(queue);
        if idle { Ok(()) } else { self.enter(true) }
    }

    /// Submits what is queued, without collecting.
    pub fn submit(&mut self) -> io::Result<()> {
        let empty = self.uring.submission().is_empty();
        if empty { Ok(()) } else { self.enter(false) }
    }

    /// Submits what is queued and waits for a completion, at most for `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        self.wait_with(1, &SubmitArgs::new().timespec(&Timespec::from(timeout)))
    }

    /// As `wait`, but within the first `patience` only `wanted` completions end it.
    pub fn wait_for_more(&mut self, timeout: Duration, wanted: usize, patience: Duration) -> io::Result<()> {
        let patience = patience.min(timeout).as_micros() as u32;
        self.wait_with(wanted, &SubmitArgs::new().timespec(&Timespec::from(timeout)).min_wait_usec(patience))
    }

    /// Whether the kernel offers `wait_for_more`.
    pub fn can_wait_for_more(&self) -> bool {
        self.uring.params().is_feature_min_timeout()
    }

    fn wait_with(&mut self, wanted: usize, args: &SubmitArgs<'_, '_>) -> io::Result<()> {
        self.enters += 1;
        ignore_transient(self.uring.submitter().submit_with_args(wanted, args))
    }

    pub fn next_completion(&mut self) -> Option<Completion> {
        let entry = self.uring.completion().next()?;
        Some(Completion { token: entry.user_data(), result: entry.result(), flags: entry.flags() })
    }

    pub fn enters(&self) -> u64 {
        self.enters
    }

    /// Registers a ring of provided buffers as group `group`.
    ///
    /// # Safety
    /// `address` points to `entries` zeroed entries that stay valid until the group is unregistered or the ring closed.
    pub unsafe fn register_buffers(&self, address: u64, entries: u16, group: u16) -> io::Result<()> {
        // SAFETY: passed on to the caller.
        unsafe { self.uring.submitter().register_buf_ring_with_flags(address, entries, group, 0) }
    }

    pub fn unregister_buffers(&self, group: u16) -> io::Result<()> {
        self.uring.submitter().unregister_buf_ring(group)
    }

    /// Which operations the kernel offers.
    pub fn probe(&self) -> io::Result<Probe> {
        let mut probe = Probe::new();
        self.uring.submitter().register_probe(&mut probe)?;
        Ok(probe)
    }

    fn enter(&mut self, collect: bool) -> io::Result<()> {
        self.enters += 1;
        let queued = self.uring.submission().len();
        let flags = if collect { EnterFlags::GETEVENTS.bits() } else { 0 };
        // SAFETY: every queued entry was pushed under the contract of `push`; no argument is passed.
        ignore_transient(unsafe { self.uring.submitter().enter::<()>(queued as u32, 0, flags, None) })
    }
}

/// How often a full submission queue is submitted before giving up: the kernel refuses only when it is out of memory or
/// completions overflow, and the latter are collected by the next pass.
const PUSH_ATTEMPTS_MAX: usize = 4;

/// An interrupted or expired wait, or a full completion queue, is no failure: the next pass goes on.
fn ignore_transient(result: io::Result<usize>) -> io::Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error() {
            Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN) => Ok(()),
            _ => Err(error),
        },
    }
}
