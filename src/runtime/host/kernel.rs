//! The running kernel and its io_uring.

use std::fmt;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::time::Duration;

use io_uring::opcode;

use super::Error;
use crate::runtime::ring::Ring;
use crate::runtime::sys;

/// DEFER_TASKRUN and multishot receives into provided buffers came with it.
pub(super) const MINIMUM: KernelVersion = KernelVersion { major: 6, minor: 1 };

/// What the runtime does in its rings.
const OPERATIONS: [(u8, &str); 10] = [
    (opcode::RecvMulti::CODE, "RECV"),
    (opcode::AcceptMulti::CODE, "ACCEPT"),
    (opcode::PollAdd::CODE, "POLL_ADD"),
    (opcode::AsyncCancel::CODE, "ASYNC_CANCEL"),
    (opcode::MsgRingData::CODE, "MSG_RING"),
    (opcode::Readv::CODE, "READV"),
    (opcode::Writev::CODE, "WRITEV"),
    (opcode::Write::CODE, "WRITE"),
    (opcode::Fsync::CODE, "FSYNC"),
    (opcode::Fallocate::CODE, "FALLOCATE"),
];

/// A version of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion {
    pub major: u32,
    pub minor: u32,
}

impl KernelVersion {
    /// Of a release as `uname -r` prints it.
    fn parse(release: &str) -> Option<Self> {
        let mut numbers = release.trim().split(|character: char| !character.is_ascii_digit());
        let mut next = || numbers.next()?.parse().ok();
        Some(Self { major: next()?, minor: next()? })
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

pub(super) fn require_version() -> Result<KernelVersion, Error> {
    let what = "the kernel's version";
    let release =
        fs::read_to_string("/proc/sys/kernel/osrelease").map_err(|cause| Error::Unreadable { what, cause })?;
    let found = KernelVersion::parse(&release)
        .ok_or_else(|| Error::Unreadable { what, cause: std::io::ErrorKind::InvalidData.into() })?;
    new_enough(found)
}

fn new_enough(found: KernelVersion) -> Result<KernelVersion, Error> {
    if found < MINIMUM { Err(Error::Kernel { found, minimum: MINIMUM }) } else { Ok(found) }
}

/// Makes a ring as a shard does, enters it, and asks it for the operations that a shard needs. Each of the three is a
/// system call of its own, which a container may allow or not.
pub(super) fn require_ring() -> Result<(), Error> {
    let mut ring = Ring::new(8).map_err(|cause| match cause.raw_os_error() {
        Some(libc::ENOSYS | libc::EPERM | libc::EACCES) => Error::RingForbidden { cause },
        _ => Error::Ring { cause },
    })?;
    let forbidden = |cause| Error::RingForbidden { cause };
    ring.wait(Duration::ZERO).map_err(forbidden)?;
    let supported = ring.probe().map_err(forbidden)?;
    let missing: Vec<_> =
        OPERATIONS.iter().filter(|(code, _)| !supported.is_supported(*code)).map(|(_, name)| *name).collect();
    if missing.is_empty() { Ok(()) } else { Err(Error::Operations { missing: missing.join(", ") }) }
}

/// Whether the kernel tells what the page cache holds of a file of ours (Linux 6.5, and not filtered out by a container).
/// Of files that the user may not write it tells nothing.
pub(super) fn has_cachestat(own: &File) -> bool {
    sys::cached_pages(own.as_fd(), &(0..1)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_as_distributions_write_them() {
        let version = |major, minor| Some(KernelVersion { major, minor });
        assert_eq!(KernelVersion::parse("6.18.44-fc-v657\n"), version(6, 18));
        assert_eq!(KernelVersion::parse("5.15.0-1051-aws"), version(5, 15));
        assert_eq!(KernelVersion::parse("6.1"), version(6, 1));
        assert_eq!(KernelVersion::parse("six"), None);
    }

    #[test]
    fn kernels_before_6_1_are_refused() {
        for (release, good) in [("5.19.17", false), ("6.0.19-generic", false), ("6.1.0", true), ("10.0", true)] {
            let refused = new_enough(KernelVersion::parse(release).unwrap()).err();
            assert_eq!(refused.is_none(), good, "{release}");
            if let Some(error) = refused {
                assert!(error.to_string().contains("6.1"), "the remedy names the kernel to run: {error}");
            }
        }
    }
}
