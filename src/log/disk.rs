//! What the log asks of a disk, and nothing more. The real side is in `runtime`, the simulated one in `log::sim`; both
//! pass the same conformance suite.
//!
//! What a crash may take, and what not:
//! - a finished [`Disk::write`] with [`Persist::Kernel`], and any [`Disk::store`], survives the death of the process but
//!   not of the host;
//! - a finished write with [`Persist::Stable`], and everything written to a file before a finished [`Disk::sync`] of it
//!   began, survives both;
//! - a name (created, renamed, removed) survives the death of the host only after [`Disk::sync_dir`] of its directory;
//!   a length only after a sync of the file.
//!
//! A failed write or sync says nothing about which bytes arrived: its log is poisoned, never retried.

use std::future::Future;
use std::io;
use std::ops::Range;
use std::path::Path;

use super::memory::IoList;

/// How far a write has come when its future ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persist {
    /// The kernel has it: it survives the death of the process.
    Kernel,
    /// Stable storage has it: it survives the loss of power.
    Stable,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read and write past the page cache; the file must exist.
    Direct,
    /// As [`Access::Direct`], and the file is made; it must not exist.
    CreateDirect,
    /// Read through the page cache, for sending sealed segments and reading small files.
    Cached,
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub name: String,
    pub is_dir: bool,
}

/// One host's storage, seen from one shard. Clones share it. Futures may be dropped: what they started goes on, with the
/// memory that it needs.
pub trait Disk: Clone + 'static {
    /// An open file; the last clone closes it.
    type File: Clone + Send + 'static;
    /// A shared mapping of a file; the pages belong to the kernel.
    type Mapping: 'static;

    fn open(&self, path: &Path, access: Access) -> impl Future<Output = io::Result<Self::File>>;
    /// Length in bytes.
    fn len(&self, file: &Self::File) -> impl Future<Output = io::Result<u64>>;
    /// Writes the whole list at byte `at`, a multiple of the block length, growing the file if need be.
    fn write(
        &self,
        file: &Self::File,
        at: u64,
        list: IoList,
        persist: Persist,
    ) -> impl Future<Output = (io::Result<()>, IoList)>;
    /// Fills the list from byte `at` on; fewer bytes than asked for only at the end of the file.
    fn read(&self, file: &Self::File, at: u64, list: IoList) -> impl Future<Output = (io::Result<usize>, IoList)>;
    /// fdatasync.
    fn sync(&self, file: &Self::File) -> impl Future<Output = io::Result<()>>;
    /// Makes `range` (whole blocks) allocated, written zeros, growing the file if need be. Not yet stable.
    fn zero(&self, file: &Self::File, range: Range<u64>) -> impl Future<Output = io::Result<()>>;
    /// Cuts the file, or lengthens it with a hole.
    fn set_len(&self, file: &Self::File, len: u64) -> impl Future<Output = io::Result<()>>;

    fn rename(&self, from: &Path, to: &Path) -> impl Future<Output = io::Result<()>>;
    fn remove(&self, path: &Path) -> impl Future<Output = io::Result<()>>;
    /// Makes a directory and those above it that are missing; one that exists is fine.
    fn create_dir(&self, path: &Path) -> impl Future<Output = io::Result<()>>;
    /// Removes a directory and all that is in it.
    fn remove_dir(&self, path: &Path) -> impl Future<Output = io::Result<()>>;
    /// The entries of a directory, sorted by name.
    fn list(&self, path: &Path) -> impl Future<Output = io::Result<Vec<Entry>>>;
    fn sync_dir(&self, path: &Path) -> impl Future<Output = io::Result<()>>;

    /// A whole small file; an error if it is longer than `max` bytes.
    fn read_small(&self, path: &Path, max: usize) -> impl Future<Output = io::Result<Vec<u8>>>;
    /// Replaces a small file: afterwards, and after any crash, it holds the old bytes or the new ones, and once the
    /// future has ended, the new ones.
    fn write_small(&self, path: &Path, bytes: Vec<u8>) -> impl Future<Output = io::Result<()>>;

    /// Maps the first `len` bytes of a file, which is made or lengthened with written zeros as needed.
    fn map(&self, path: &Path, len: usize) -> impl Future<Output = io::Result<Self::Mapping>>;
    /// Copies `pieces`, one after the other, to byte `at` of the mapping. The kernel has them when this returns.
    fn store(&self, mapping: &Self::Mapping, at: usize, pieces: &[&[u8]]);

    /// Whether the page cache holds the whole range now.
    fn is_cached(&self, file: &Self::File, range: Range<u64>) -> bool;
    /// Reads the range into the page cache.
    fn fill_cache(&self, file: &Self::File, range: Range<u64>) -> impl Future<Output = io::Result<()>>;
}
