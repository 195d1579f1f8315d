//! Open files.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use crate::log::disk::Access;
use crate::runtime::pool::Pool;
use crate::runtime::semaphore::Permit;

/// An open file; clones share it, and the last one closes it.
#[derive(Clone)]
pub struct DiskFile(pub(super) Arc<OpenFile>);

impl DiskFile {
    pub(in crate::runtime) fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }
}

impl std::fmt::Debug for DiskFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "DiskFile({:?})", self.0.fd())
    }
}

/// Opens a file. Closing the last handle to a removed file frees its blocks, which takes its time, so the pool does it.
pub(super) fn open(path: &Path, access: Access, pool: Pool) -> io::Result<DiskFile> {
    let mut options = OpenOptions::new();
    match access {
        Access::Direct => options.read(true).write(true).custom_flags(libc::O_DIRECT),
        Access::CreateDirect => options.read(true).write(true).create_new(true).custom_flags(libc::O_DIRECT),
        Access::Cached => options.read(true),
    };
    Ok(DiskFile(Arc::new(OpenFile { file: Some(options.open(path)?), pool })))
}

/// What the handles share.
pub(in crate::runtime) struct OpenFile {
    /// Taken only by drop.
    file: Option<File>,
    pool: Pool,
}

impl OpenFile {
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file().as_fd()
    }

    pub fn len(&self) -> io::Result<u64> {
        Ok(self.file().metadata()?.len())
    }

    pub fn set_len(&self, len: u64) -> io::Result<()> {
        self.file().set_len(len)
    }

    fn file(&self) -> &File {
        self.file.as_ref().expect("a file is open until it is dropped")
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let file = self.file.take();
        // If the pool has no room, the file is closed right here, with the job that is given back.
        let _given_back = self.pool.try_detached(move || drop(file));
    }
}

/// A file with an operation in the ring, and the operation's place there.
pub(in crate::runtime) struct InUse {
    pub file: Arc<OpenFile>,
    #[expect(dead_code, reason = "given back when dropped")]
    pub permit: Permit,
}
