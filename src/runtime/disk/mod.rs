//! The real side of [`Disk`]: reads, writes and syncs go through the shard's ring, everything else through the pool.

mod file;
mod mapping;
mod small;
mod zeros;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

pub use file::DiskFile;
pub(super) use file::InUse;
pub use mapping::Mapping;
pub(super) use zeros::{ZERO_STEP, zeros};

use super::entries::{self, Transfer};
use super::op::OpFuture;
use super::reactor::Reactor;
use super::semaphore::{Permit, Semaphore};
use super::sys;
use crate::log::disk::{Access, Disk, Entry, Persist};
use crate::log::memory::{BLOCK_LEN, IoList};

/// Reads, writes and syncs of one shard in the ring at a time.
pub const DISK_DEPTH: usize = 64;

/// The host's storage, seen from one shard. Clones share the bound on what is in flight.
#[derive(Clone)]
pub struct RealDisk {
    reactor: Reactor,
    depth: Rc<Semaphore>,
    /// Held while a small file is replaced, so that two replacements of one file do not share their temporary file.
    replacing: Arc<Mutex<()>>,
}

impl RealDisk {
    pub fn new(reactor: &Reactor) -> Self {
        Self {
            reactor: reactor.clone(),
            depth: Rc::new(Semaphore::new(DISK_DEPTH)),
            replacing: Arc::new(Mutex::new(())),
        }
    }

    async fn in_use(&self, file: &DiskFile) -> InUse {
        InUse { file: file.0.clone(), permit: Permit::acquire(&self.depth).await }
    }

    async fn on_path<T: Send + 'static>(
        &self,
        path: &Path,
        call: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let path = path.to_owned();
        self.reactor.blocking(move || call(&path)).await
    }

    /// Moves the whole list by as many steps as it takes; returns the bytes moved.
    async fn move_list<F>(
        &self,
        file: &DiskFile,
        at: u64,
        mut list: IoList,
        step: impl Fn(Transfer) -> F,
    ) -> (io::Result<usize>, IoList)
    where
        F: Future<Output = (io::Result<usize>, IoList)>,
    {
        let (total, mut done) = (list.len(), 0);
        while done < total {
            let result;
            let file = self.in_use(file).await;
            (result, list) = step(Transfer { file, at: at + done as u64, list, skip: done }).await;
            match result {
                Ok(0) => break,
                Ok(bytes) => {
                    done += bytes;
                    // Direct I/O goes on at a block; less than that is the end of the file.
                    if !done.is_multiple_of(BLOCK_LEN) {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (Err(error), list),
            }
        }
        (Ok(done), list)
    }

    async fn read_step(&self, transfer: Transfer) -> (io::Result<usize>, IoList) {
        finish(entries::read(&self.reactor.0, transfer)).await
    }

    async fn write_step(&self, transfer: Transfer, persist: Persist) -> (io::Result<usize>, IoList) {
        finish(entries::write(&self.reactor.0, transfer, persist)).await
    }
}

impl Disk for RealDisk {
    type File = DiskFile;
    type Mapping = Mapping;

    async fn open(&self, path: &Path, access: Access) -> io::Result<DiskFile> {
        let pool = self.reactor.pool().clone();
        self.on_path(path, move |path| file::open(path, access, pool)).await
    }

    async fn len(&self, file: &DiskFile) -> io::Result<u64> {
        file.0.len()
    }

    async fn write(&self, file: &DiskFile, at: u64, list: IoList, persist: Persist) -> (io::Result<()>, IoList) {
        let total = list.len();
        let result = self.move_list(file, at, list, |transfer| self.write_step(transfer, persist)).await;
        match result {
            (Ok(done), list) if done < total => (Err(io::ErrorKind::WriteZero.into()), list),
            (result, list) => (result.map(drop), list),
        }
    }

    async fn read(&self, file: &DiskFile, at: u64, list: IoList) -> (io::Result<usize>, IoList) {
        self.move_list(file, at, list, |transfer| self.read_step(transfer)).await
    }

    async fn sync(&self, file: &DiskFile) -> io::Result<()> {
        let (result, _) = entries::sync(&self.reactor.0, self.in_use(file).await)?.await;
        moved(result).map(drop)
    }

    async fn zero(&self, file: &DiskFile, range: Range<u64>) -> io::Result<()> {
        let shared = &self.reactor.0;
        let zeros = zeros()?;
        let len = range.end.saturating_sub(range.start);
        if len == 0 {
            return Ok(());
        }
        let (result, _) = entries::allocate(shared, self.in_use(file).await, range.start, len)?.await;
        moved(result)?;
        let mut at = range.start;
        while at < range.end {
            let step = (range.end - at).min(ZERO_STEP as u64) as usize;
            let (result, _) = entries::write_zeros(shared, self.in_use(file).await, zeros, at, step)?.await;
            match moved(result)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => at += written as u64,
            }
        }
        Ok(())
    }

    async fn set_len(&self, file: &DiskFile, len: u64) -> io::Result<()> {
        let file = file.clone();
        self.reactor.blocking(move || file.0.set_len(len)).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let to = to.to_owned();
        self.on_path(from, move |from| std::fs::rename(from, to)).await
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        self.on_path(path, |path| std::fs::remove_file(path)).await
    }

    async fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.on_path(path, |path| std::fs::create_dir_all(path)).await
    }

    async fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.on_path(path, |path| std::fs::remove_dir_all(path)).await
    }

    async fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.on_path(path, small::list).await
    }

    async fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.on_path(path, small::sync_dir).await
    }

    async fn read_small(&self, path: &Path, max: usize) -> io::Result<Vec<u8>> {
        self.on_path(path, move |path| small::read(path, max)).await
    }

    async fn write_small(&self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        let replacing = self.replacing.clone();
        self.on_path(path, move |path| small::replace(path, &bytes, &replacing)).await
    }

    async fn map(&self, path: &Path, len: usize) -> io::Result<Mapping> {
        self.on_path(path, move |path| Mapping::open(path, len)).await
    }

    fn store(&self, mapping: &Mapping, at: usize, pieces: &[&[u8]]) {
        mapping.store(at, pieces);
    }

    fn is_cached(&self, file: &DiskFile, range: Range<u64>) -> bool {
        const PAGE: u64 = 4096;
        if range.is_empty() {
            return true;
        }
        let pages = range.end.div_ceil(PAGE) - range.start / PAGE;
        // Without cachestat (before Linux 6.5) nothing counts as cached.
        sys::cached_pages(file.0.fd(), &range).is_ok_and(|cached| cached >= pages)
    }

    async fn fill_cache(&self, file: &DiskFile, range: Range<u64>) -> io::Result<()> {
        let file = file.clone();
        self.reactor.blocking(move || mapping::read_in(file.0.fd(), range)).await
    }
}

/// The end of a read or write, if it began.
async fn finish(operation: Result<OpFuture, (io::Error, IoList)>) -> (io::Result<usize>, IoList) {
    match operation {
        Ok(operation) => {
            let (result, keep) = operation.await;
            (moved(result), keep.into_list())
        }
        Err((error, list)) => (Err(error), list),
    }
}

/// Bytes moved, or the error that a completion reports.
fn moved(result: i32) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}

/// The directory that a file lies in.
fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
