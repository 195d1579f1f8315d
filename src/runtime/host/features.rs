//! Features of the running kernel.

use std::fs::File;
use std::os::fd::AsFd;

use crate::runtime::sys;

/// Whether the kernel tells what the page cache holds (Linux 6.5, and not filtered out by a container).
pub fn has_cachestat() -> bool {
    File::open("/proc/self/exe").is_ok_and(|file| sys::cached_pages(file.as_fd(), &(0..1)).is_ok())
}
