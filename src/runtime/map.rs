//! Mapped memory, unmapped when its owner is dropped.
#![expect(unsafe_code, reason = "maps memory")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

/// A mapping of this process.
#[derive(Debug)]
pub(super) struct Map {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping is only an address range; who reads and writes it is its user's affair.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    /// Zeroed memory of the process, present from the start.
    pub fn anonymous(len: usize) -> io::Result<Self> {
        Self::new(
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
            -1,
            0,
        )
    }

    /// As `anonymous`, in huge pages where `len` is a multiple of theirs and the host gives them. A device takes their
    /// addresses for a fraction of the CPU.
    pub fn huge(len: usize) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let map = Self::new(len, access, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)?;
        // SAFETY: the range is ours, whole. Without huge pages it works the same.
        let populated = unsafe {
            libc::madvise(map.start.as_ptr().cast(), len, libc::MADV_HUGEPAGE);
            libc::madvise(map.start.as_ptr().cast(), len, libc::MADV_POPULATE_WRITE)
        };
        if populated == 0 { Ok(map) } else { Err(io::Error::last_os_error()) }
    }

    /// The first `len` bytes of a file, shared with it, present from the start.
    pub fn shared_file(file: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        Self::new(len, libc::PROT_READ | libc::PROT_WRITE, flags, file.as_raw_fd(), 0)
    }

    /// Bytes of a file from `offset` on, a multiple of the page length, not yet present.
    pub fn view_file(file: BorrowedFd<'_>, offset: i64, len: usize) -> io::Result<Self> {
        Self::new(len, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), offset)
    }

    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Reads every page of the mapping in.
    pub fn populate(&self) -> io::Result<()> {
        // SAFETY: the range is ours, whole.
        let done = unsafe { libc::madvise(self.start.as_ptr().cast(), self.len, libc::MADV_POPULATE_READ) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn new(len: usize, protection: i32, flags: i32, file: i32, offset: i64) -> io::Result<Self> {
        // SAFETY: a mapping at an address of the kernel's choice touches nothing that exists.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, file, offset) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mmap returned the null address"))?;
        Ok(Self { start, len })
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, whole, and its owner is gone.
        let unmapped = unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
        assert!(unmapped == 0, "munmap of an own mapping succeeds");
    }
}
