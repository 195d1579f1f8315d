//! Files in memory.
#![expect(unsafe_code, reason = "writes to mapped memory")]

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::runtime::map::Map;

/// A file mapped into memory and shared with it: what is stored here is the kernel's at once.
pub struct Mapping {
    map: Map,
}

impl Mapping {
    /// Maps the first `len` bytes, after writing zeros where the file ends before.
    pub(super) fn open(path: &Path, len: usize) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        lengthen(&file, len as u64)?;
        Ok(Self { map: Map::shared_file(file.as_fd(), len)? })
    }

    pub(super) fn store(&self, at: usize, pieces: &[&[u8]]) {
        let total: usize = pieces.iter().map(|piece| piece.len()).sum();
        let end = at.checked_add(total);
        assert!(end.is_some_and(|end| end <= self.map.len()), "a store stays within its mapping");
        let mut at = at;
        for piece in pieces {
            // SAFETY: the range lies within the mapping, which nobody reads or writes through a reference.
            unsafe { self.map.start().as_ptr().add(at).copy_from_nonoverlapping(piece.as_ptr(), piece.len()) };
            at += piece.len();
        }
    }
}

/// Writes zeros up to `len`, so that storing there never has to allocate, and makes them stable with the length.
fn lengthen(file: &File, len: u64) -> io::Result<()> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut at = file.metadata()?.len();
    if at >= len {
        return Ok(());
    }
    while at < len {
        let step = (len - at).min(ZEROS.len() as u64) as usize;
        file.write_all_at(&ZEROS[..step], at)?;
        at += step as u64;
    }
    file.sync_all()
}

/// Reads a range of a file into the page cache, without copying it.
pub(super) fn read_in(file: BorrowedFd<'_>, range: Range<u64>) -> io::Result<()> {
    const PAGE: u64 = 4096;
    if range.is_empty() {
        return Ok(());
    }
    let start = range.start / PAGE * PAGE;
    let offset = i64::try_from(start).map_err(|_| io::ErrorKind::InvalidInput)?;
    let len = usize::try_from(range.end - start).map_err(|_| io::ErrorKind::InvalidInput)?;
    Map::view_file(file, offset, len)?.populate()
}
