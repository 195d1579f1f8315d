//! fallocate, which the standard library does not offer.
#![expect(unsafe_code, reason = "one system call without a safe wrapper")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Allocates `len` bytes of `file` from byte `at` on, growing it. They read as zeros, and count as unwritten.
pub fn allocate(file: &File, at: u64, len: u64) -> io::Result<()> {
    let wide = |value: u64| libc::off_t::try_from(value).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
    let (at, len) = (wide(at)?, wide(len)?);
    // SAFETY: the call takes no pointer, and the descriptor is open for as long as `file` is borrowed.
    let result = unsafe { libc::fallocate(file.as_raw_fd(), 0, at, len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
