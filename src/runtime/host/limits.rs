//! Limits of the process.
#![expect(unsafe_code, reason = "calls getrlimit and setrlimit")]

use std::fs;
use std::io;

use super::Error;

/// Bytes of locked memory that a shard's executor insists on.
pub(super) const MEMLOCK_MIN: u64 = 512 << 10;
/// Fewer descriptors than this may become short.
pub(super) const OPEN_FILES_RECOMMENDED: u64 = 65_536;

/// Raises the limit of locked memory as far as it may, if it is too low.
pub(super) fn require_locked_memory() -> Result<(), Error> {
    let unreadable = |cause| Error::Unreadable { what: "RLIMIT_MEMLOCK", cause };
    let found = get(libc::RLIMIT_MEMLOCK).map_err(unreadable)?.rlim_cur;
    let found = if found < MEMLOCK_MIN { raise(libc::RLIMIT_MEMLOCK).map_err(unreadable)? } else { found };
    if found < MEMLOCK_MIN { Err(Error::LockedMemory { found }) } else { Ok(()) }
}

/// Raises the number of files that may be open as far as it may; returns it.
pub(super) fn raise_open_files() -> io::Result<u64> {
    raise(libc::RLIMIT_NOFILE)
}

/// Bytes of memory of the host.
pub(super) fn total_memory() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    total.map(|kib| kib << 10).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn raise(resource: libc::__rlimit_resource_t) -> io::Result<u64> {
    let mut limit = get(resource)?;
    if limit.rlim_cur < limit.rlim_max {
        let before = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: the kernel reads the limit.
        let set = unsafe { libc::setrlimit(resource, &limit) };
        return Ok(if set == 0 { limit.rlim_cur } else { before });
    }
    Ok(limit.rlim_cur)
}

fn get(resource: libc::__rlimit_resource_t) -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes the limit.
    let got = unsafe { libc::getrlimit(resource, &mut limit) };
    if got == 0 { Ok(limit) } else { Err(io::Error::last_os_error()) }
}
