//! System calls that no crate in use offers safely.
#![expect(unsafe_code, reason = "calls the kernel")]

use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Takes a descriptor that a completion brought.
pub(super) fn accepted(fd: i32) -> OwnedFd {
    assert!(fd >= 0, "a completed accept names a descriptor");
    // SAFETY: the kernel made the descriptor for whoever reads the completion.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Sends up to `len` bytes of a file from `at` on to a nonblocking socket.
pub(super) fn send_file(socket: BorrowedFd<'_>, file: BorrowedFd<'_>, at: u64, len: usize) -> io::Result<usize> {
    let mut offset = i64::try_from(at).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the kernel reads and writes `offset` only.
    let sent = unsafe { libc::sendfile(socket.as_raw_fd(), file.as_raw_fd(), &mut offset, len) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Whether a socket has failed or is closed in both directions: its peer is gone for good. Does not block.
pub(super) fn is_hung_up(socket: BorrowedFd<'_>) -> bool {
    let mut asked = libc::pollfd { fd: socket.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: the kernel reads and writes this one structure.
    let ready = unsafe { libc::poll(&raw mut asked, 1, 0) };
    ready > 0 && asked.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0
}

/// Pages of a range that the page cache holds (cachestat(2), Linux 6.5).
pub(super) fn cached_pages(file: BorrowedFd<'_>, range: &Range<u64>) -> io::Result<u64> {
    // x86-64, and every architecture with the common numbers.
    const SYS_CACHESTAT: libc::c_long = 451;
    #[repr(C)]
    struct CachestatRange {
        offset: u64,
        len: u64,
    }
    #[repr(C)]
    #[derive(Default)]
    struct Cachestat {
        cached: u64,
        dirty: u64,
        writeback: u64,
        evicted: u64,
        recently_evicted: u64,
    }
    let range = CachestatRange { offset: range.start, len: range.end - range.start };
    let mut stat = Cachestat::default();
    // SAFETY: the kernel reads the range and writes the figures, both of the layout that it defines.
    let done = unsafe { libc::syscall(SYS_CACHESTAT, file.as_raw_fd(), &raw const range, &raw mut stat, 0) };
    if done == 0 { Ok(stat.cached) } else { Err(io::Error::last_os_error()) }
}
