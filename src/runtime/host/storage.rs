//! Whether the data directory can hold a log.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Error;
use crate::log::memory::BLOCK_LEN;

#[repr(align(4096))]
struct Block([u8; BLOCK_LEN]);

/// Writes a block past the page cache to an unnamed file, which is gone when closed, and returns it.
pub(super) fn require_direct_io(data_dir: &Path) -> Result<File, Error> {
    let path = nearest(data_dir);
    let open = |flags| OpenOptions::new().read(true).write(true).custom_flags(flags).open(&path);
    match open(libc::O_TMPFILE | libc::O_DIRECT) {
        Ok(file) => {
            let block = Block([0; BLOCK_LEN]);
            file.write_all_at(&block.0, 0).map_err(|cause| classify(path, cause))?;
            Ok(file)
        }
        Err(cause) => Err(classify(path, cause)),
    }
}

fn classify(path: PathBuf, cause: io::Error) -> Error {
    match cause.raw_os_error() {
        Some(libc::EINVAL | libc::EOPNOTSUPP | libc::EISDIR) => Error::DirectIo { path, cause },
        Some(libc::ENOSPC | libc::EDQUOT) => Error::Full { path, cause },
        _ => Error::DataDir { path, cause },
    }
}

/// The directory itself, or the nearest one above it that exists.
fn nearest(directory: &Path) -> PathBuf {
    let existing = directory.ancestors().find(|path| path.is_dir());
    match existing {
        Some(path) if !path.as_os_str().is_empty() => path.to_owned(),
        _ => PathBuf::from("."),
    }
}
