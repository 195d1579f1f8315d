//! The metadata on disk: a snapshot and the changes since, in `DATA_DIR/metadata/`.
//!
//! ```text
//! NUMBER.snapshot    the image as the changes before it made it; absent for number 0
//! NUMBER.log         the changes since, one frame after the other, and then zeros
//!
//! frame:  length u32 LE | CRC-32C of the change u32 LE | the change
//! ```
//!
//! A change counts once its frame is on stable storage, and nobody learns of it before. When the log has grown long, the
//! next snapshot is written, then the next log is made, then the old pair is removed: after a crash between any two of
//! these steps the newest snapshot with its log, which may be missing, says the same as the old pair did.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::log::disk::{Access, Disk, Persist};
use crate::log::memory::{BLOCK_LEN, CHUNK_LEN, Chunk, ChunkPool, IoList, SLAB_LEN};

/// Bytes before the change in a frame.
const HEADER_LEN: usize = 8;
/// No log or snapshot grows beyond this.
const FILE_LEN_MAX: usize = 256 << 20;
/// A log that has grown beyond this is replaced by a snapshot at the next start or change.
const SNAPSHOT_AFTER: u64 = 4 << 20;
/// The largest change.
const CHANGE_LEN_MAX: usize = (1 << 20) - CHUNK_LEN - HEADER_LEN;

/// Why the metadata cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is corrupt at byte {position}, and valid changes lie beyond: restore it from a backup", path.display())]
    Corrupt { path: PathBuf, position: usize },
    #[error("a change of {len} bytes is more than {CHANGE_LEN_MAX}")]
    TooLarge { len: usize },
    #[error("a write of the metadata failed earlier; restart the broker")]
    Failed,
}

/// What was found at the start.
pub struct Found {
    pub snapshot: Option<Vec<u8>>,
    /// In order.
    pub changes: Vec<Vec<u8>>,
    /// Bytes of a change that was being written when the broker ended.
    pub torn: usize,
}

/// The open log.
pub struct Store<D: Disk> {
    disk: D,
    dir: PathBuf,
    number: u64,
    file: D::File,
    end: u64,
    /// Holds the last block of the log, and what is being written behind it.
    memory: Vec<Arc<Chunk>>,
    list: IoList,
    failed: bool,
}

impl<D: Disk> Store<D> {
    /// Opens the metadata in `dir`, which is made if it is missing.
    pub async fn open(disk: D, dir: &Path) -> Result<(Self, Found), Error> {
        let at = |path: &Path| {
            let path = path.to_path_buf();
            move |source| Error::Io { path, source }
        };
        disk.create_dir(dir).await.map_err(at(dir))?;
        let names = disk.list(dir).await.map_err(at(dir))?;
        let numbers = |ending: &str| {
            let of = |name: &str| name.strip_suffix(ending).and_then(|number| number.parse::<u64>().ok());
            names.iter().filter_map(|entry| of(&entry.name)).max()
        };
        let number = numbers(".snapshot").unwrap_or(0);
        let snapshot = match numbers(".snapshot") {
            None => None,
            Some(number) => {
                let path = file_name(dir, number, "snapshot");
                Some(disk.read_small(&path, FILE_LEN_MAX).await.map_err(at(&path))?)
            }
        };
        let path = file_name(dir, number, "log");
        let known = names.iter().any(|entry| path.ends_with(&entry.name));
        let bytes = if known { disk.read_small(&path, FILE_LEN_MAX).await.map_err(at(&path))? } else { Vec::new() };
        let (changes, end) = read_frames(&path, &bytes)?;
        let torn = bytes[end..].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let access = if known { Access::Direct } else { Access::CreateDirect };
        let file = disk.open(&path, access).await.map_err(at(&path))?;
        if !known {
            disk.sync_dir(dir).await.map_err(at(dir))?;
        }
        let mut pool = ChunkPool::new(SLAB_LEN);
        let memory = std::iter::from_fn(|| pool.take()).collect();
        let mut store =
            Self { disk, dir: dir.to_path_buf(), number, file, end: 0, memory, list: IoList::default(), failed: false };
        store.take_up(&bytes[..end]);
        store.clear_torn(end + torn).await.map_err(at(&path))?;
        store.remove_old(names.iter().map(|entry| entry.name.as_str())).await.map_err(at(dir))?;
        Ok((store, Found { snapshot, changes, torn }))
    }

    /// Bytes of changes since the snapshot.
    pub fn len(&self) -> u64 {
        self.end
    }

    pub fn is_empty(&self) -> bool {
        self.end == 0
    }

    /// Whether it is time for [`Store::snapshot`].
    pub fn is_long(&self) -> bool {
        self.end > SNAPSHOT_AFTER
    }

    /// Adds a change; when this returns it is on stable storage. After a failure nothing more is taken.
    pub async fn append(&mut self, change: &[u8]) -> Result<(), Error> {
        if self.failed {
            return Err(Error::Failed);
        }
        if change.len() > CHANGE_LEN_MAX {
            return Err(Error::TooLarge { len: change.len() });
        }
        let length = u32::try_from(change.len()).expect("a change is shorter than 4 GiB");
        let mut header = [0; HEADER_LEN];
        header[..4].copy_from_slice(&length.to_le_bytes());
        header[4..].copy_from_slice(&crc32c::crc32c(change).to_le_bytes());
        let within = (self.end % BLOCK_LEN as u64) as usize;
        let len = within + HEADER_LEN + change.len();
        fill(&self.memory, within, &header);
        fill(&self.memory, within + HEADER_LEN, change);
        let result = self.write(self.end - within as u64, len).await;
        self.failed = result.is_err();
        result.map_err(|source| Error::Io { path: file_name(&self.dir, self.number, "log"), source })?;
        self.end += (HEADER_LEN + change.len()) as u64;
        move_block(&self.memory, len / BLOCK_LEN * BLOCK_LEN, len % BLOCK_LEN);
        Ok(())
    }

    /// Replaces the log so far by an image of what it makes.
    pub async fn snapshot(&mut self, image: Vec<u8>) -> Result<(), Error> {
        let result = self.write_snapshot(image).await;
        self.failed |= result.is_err();
        result.map_err(|source| Error::Io { path: self.dir.clone(), source })
    }

    async fn write_snapshot(&mut self, image: Vec<u8>) -> io::Result<()> {
        let number = self.number + 1;
        self.disk.write_small(&file_name(&self.dir, number, "snapshot"), image).await?;
        self.file = self.disk.open(&file_name(&self.dir, number, "log"), Access::CreateDirect).await?;
        self.disk.sync_dir(&self.dir).await?;
        self.number = number;
        self.end = 0;
        let names = self.disk.list(&self.dir).await?;
        self.remove_old(names.iter().map(|entry| entry.name.as_str())).await
    }

    /// Writes the first `len` bytes of the memory to byte `at`, both filled up with zeros to whole blocks.
    async fn write(&mut self, at: u64, len: usize) -> io::Result<()> {
        let whole = len.next_multiple_of(BLOCK_LEN);
        clear(&self.memory, len, whole - len);
        let mut list = std::mem::take(&mut self.list);
        list.clear();
        for (index, chunk) in self.memory.iter().enumerate().take(whole.div_ceil(CHUNK_LEN)) {
            list.push(chunk.clone(), 0..(whole - index * CHUNK_LEN).min(CHUNK_LEN));
        }
        let (result, list) = self.disk.write(&self.file, at, list, Persist::Stable).await;
        self.list = list;
        self.list.clear();
        result
    }

    /// Keeps the last, partial block of what was read.
    fn take_up(&mut self, bytes: &[u8]) {
        let within = bytes.len() % BLOCK_LEN;
        fill(&self.memory, 0, &bytes[bytes.len() - within..]);
        self.end = bytes.len() as u64;
    }

    /// Overwrites what a torn write left behind the end, so that a later change never makes it look valid.
    async fn clear_torn(&mut self, torn_end: usize) -> io::Result<()> {
        let within = self.end as usize % BLOCK_LEN;
        let mut at = self.end as usize - within;
        if torn_end <= self.end as usize {
            return Ok(());
        }
        self.write(at as u64, within.max(1)).await?;
        at += BLOCK_LEN;
        while at < torn_end {
            clear(&self.memory, CHUNK_LEN, BLOCK_LEN);
            let mut list = std::mem::take(&mut self.list);
            list.push(self.memory[1].clone(), 0..BLOCK_LEN);
            let (result, list) = self.disk.write(&self.file, at as u64, list, Persist::Stable).await;
            self.list = list;
            self.list.clear();
            result?;
            at += BLOCK_LEN;
        }
        Ok(())
    }

    async fn remove_old(&self, names: impl Iterator<Item = &str>) -> io::Result<()> {
        for name in names {
            let number = name.split('.').next().and_then(|number| number.parse::<u64>().ok());
            if number.is_some_and(|number| number < self.number) {
                self.disk.remove(&self.dir.join(name)).await?;
            }
        }
        Ok(())
    }
}

fn file_name(dir: &Path, number: u64, ending: &str) -> PathBuf {
    dir.join(format!("{number:020}.{ending}"))
}

/// The changes of a log, and where they end.
fn read_frames(path: &Path, bytes: &[u8]) -> Result<(Vec<Vec<u8>>, usize), Error> {
    let mut changes = Vec::new();
    let mut at = 0;
    while let Some(change) = frame_at(bytes, at) {
        at += HEADER_LEN + change.len();
        changes.push(change.to_vec());
    }
    // What is torn is the last thing that was written. A bad frame with a good one right behind it is not torn.
    let beyond =
        bytes.get(at..at + 4).map(|length| u32::from_le_bytes(length.try_into().expect("four bytes")) as usize);
    match beyond {
        Some(length) if length > 0 && frame_at(bytes, at + HEADER_LEN + length).is_some() => {
            Err(Error::Corrupt { path: path.to_path_buf(), position: at })
        }
        _ => Ok((changes, at)),
    }
}

fn frame_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let header = bytes.get(at..at + HEADER_LEN)?;
    let length = u32::from_le_bytes(header[..4].try_into().expect("four bytes")) as usize;
    let crc = u32::from_le_bytes(header[4..].try_into().expect("four bytes"));
    let start = at + HEADER_LEN;
    let change = bytes.get(start..start.checked_add(length)?)?;
    (length > 0 && crc32c::crc32c(change) == crc).then_some(change)
}

mod bytes_of_chunks {
    //! Access to chunks that one store owns alone, by position over all of them.
    #![expect(unsafe_code, reason = "fills chunks that nobody else holds and no I/O is under way on")]

    use super::*;

    pub fn fill(memory: &[Arc<Chunk>], mut at: usize, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let within = at % CHUNK_LEN;
            let here = bytes.len().min(CHUNK_LEN - within);
            // SAFETY: the store holds these chunks alone, and does no I/O while it fills them.
            unsafe { memory[at / CHUNK_LEN].fill(within, &bytes[..here]) };
            (at, bytes) = (at + here, &bytes[here..]);
        }
    }

    pub fn clear(memory: &[Arc<Chunk>], mut at: usize, mut len: usize) {
        while len > 0 {
            let within = at % CHUNK_LEN;
            let here = len.min(CHUNK_LEN - within);
            // SAFETY: as in `fill`.
            unsafe { memory[at / CHUNK_LEN].clear(within..within + here) };
            (at, len) = (at + here, len - here);
        }
    }

    /// Copies `len` bytes, less than a block, from a block's start to the start of the memory.
    pub fn move_block(memory: &[Arc<Chunk>], from: usize, len: usize) {
        if from == 0 || len == 0 {
            return;
        }
        let mut block = [0; BLOCK_LEN];
        let source = memory[from / CHUNK_LEN].address(from % CHUNK_LEN);
        // SAFETY: the block lies within one chunk, which the store holds alone.
        unsafe { source.cast_const().copy_to_nonoverlapping(block.as_mut_ptr(), len) };
        fill(memory, 0, &block[..len]);
    }
}

use bytes_of_chunks::{clear, fill, move_block};
