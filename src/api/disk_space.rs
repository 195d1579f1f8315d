//! How much room a file system has: one call of the C library.
#![expect(unsafe_code, reason = "the standard library has no call for the room on a file system")]

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Bytes of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub total: u64,
    /// What a process without privileges can still write.
    pub usable: u64,
}

/// Asks for the file system that `path` lies on. The call may block.
pub fn of(path: &Path) -> io::Result<Space> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut found = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends with a zero byte, and the structure is as large as the call writes.
    let result = unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has succeeded, so it has filled the structure.
    let found = unsafe { found.assume_init() };
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Space { total: bytes(found.f_blocks), usable: bytes(found.f_bavail) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_has_room_and_a_missing_path_has_none() {
        let space = of(Path::new("/")).expect("there is a root");
        assert!(space.total > 0 && space.usable <= space.total);
        assert_eq!(of(Path::new("/nowhere/at/all")).expect_err("missing").kind(), io::ErrorKind::NotFound);
        assert_eq!(of(Path::new("a\0b")).expect_err("no path").kind(), io::ErrorKind::InvalidInput);
    }
}
