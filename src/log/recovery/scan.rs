//! Reading segment files batch by batch, every CRC checked.

use std::path::Path;

use duramen_wire::batch::{self, BatchHeader, HEADER_LEN, Limits};
use duramen_wire::ids::Offset;
use duramen_wire::slices::Slices;

use crate::log::buffer::Buffer;
use crate::log::disk::{Access, Disk};
use crate::log::log::{Error, Result};
use crate::log::memory::{BLOCK_LEN, CHUNK_LEN, ChunkPool, IoList, SLAB_LEN};

/// Bytes read at a time.
const STEP: usize = SLAB_LEN;

/// Reads files past the page cache, and counts.
pub(crate) struct Reader<D: Disk> {
    pub disk: D,
    pub bytes_read: u64,
    pub batches: u64,
    buffer: Buffer,
}

/// What lies at a position of a segment.
#[derive(Debug)]
pub(crate) enum Item {
    /// A good batch, with the next offset.
    Batch(BatchHeader),
    /// Nothing but zeros, or nothing, up to the end of the file.
    End,
    /// Something else.
    Bad { why: &'static str },
}

/// A segment file, read from a position on.
pub(crate) struct Segment<'a, D: Disk> {
    reader: &'a mut Reader<D>,
    file: D::File,
    path: &'a Path,
    len: u64,
    /// Bytes from `position` on that are in memory.
    window: Vec<u8>,
    taken: usize,
    pub position: u64,
    /// Where the file is read next.
    next: u64,
}

impl<D: Disk> Reader<D> {
    pub fn new(disk: D) -> Self {
        let mut pool = ChunkPool::new(STEP);
        let mut buffer = Buffer::default();
        (0..STEP / CHUNK_LEN).filter_map(|_| pool.take()).for_each(|chunk| buffer.push(chunk));
        Self { disk, bytes_read: 0, batches: 0, buffer }
    }

    /// Appends the bytes of `file` from block `at` on to `out`; how many there were, at most one step.
    pub async fn read_step(&mut self, file: &D::File, at: u64, path: &Path, out: &mut Vec<u8>) -> Result<usize> {
        let mut list = IoList::default();
        self.buffer.list(0..self.buffer.len(), &mut list);
        let (result, _) = self.disk.read(file, at, list).await;
        let count = result.map_err(Error::io("cannot read", path))?;
        self.bytes_read += count as u64;
        self.buffer.bytes(0..count, |bytes| out.extend_from_slice(bytes));
        Ok(count)
    }

    /// A whole file; nothing if it does not exist.
    pub async fn read_whole(&mut self, path: &Path) -> Result<Vec<u8>> {
        let file = match self.disk.open(path, Access::Direct).await {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(Error::io("cannot open", path))?,
        };
        let mut image = Vec::new();
        while self.read_step(&file, image.len() as u64, path, &mut image).await? == self.buffer.len() {}
        Ok(image)
    }

    /// Reads `path` from byte `position` on.
    pub async fn segment<'a>(&'a mut self, path: &'a Path, file: D::File, position: u64) -> Result<Segment<'a, D>> {
        let len = self.disk.len(&file).await.map_err(Error::io("cannot examine", path))?;
        let next = position / BLOCK_LEN as u64 * BLOCK_LEN as u64;
        let taken = (position - next) as usize;
        Ok(Segment { reader: self, file, path, len, window: Vec::new(), taken, position, next })
    }
}

impl<D: Disk> Segment<'_, D> {
    /// The file's length.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The batch that begins here, and moves behind it. `expected` is the offset that it must have.
    pub async fn next(&mut self, expected: Offset) -> Result<Item> {
        self.fill(HEADER_LEN).await?;
        let window = &self.window[self.taken.min(self.window.len())..];
        let Some(head) = window.first_chunk::<HEADER_LEN>() else {
            let zeros = window.iter().all(|byte| *byte == 0);
            return Ok(if zeros { Item::End } else { Item::Bad { why: "the file ends within a header" } });
        };
        if head.iter().all(|byte| *byte == 0) {
            return self.zeros().await;
        }
        let Ok(header) = BatchHeader::parse(head) else { return Ok(Item::Bad { why: "this is no batch header" }) };
        if header.base_offset != expected {
            return Ok(Item::Bad { why: "the batch has another offset than the one that follows" });
        }
        let len = header.total_len();
        if len as u64 > self.len - self.position {
            return Ok(Item::Bad { why: "the file ends within a batch" });
        }
        self.fill(len).await?;
        let Some(bytes) = self.window.get(self.taken..self.taken + len) else {
            return Ok(Item::Bad { why: "the file ends within a batch" });
        };
        if batch::validate(Slices::one(&bytes), &Limits::default()).is_err() {
            return Ok(Item::Bad { why: "the batch is damaged" });
        }
        self.reader.batches += 1;
        self.taken += len;
        self.position += len as u64;
        Ok(Item::Batch(header))
    }

    /// Whether nothing but zeros lies from here on.
    async fn zeros(&mut self) -> Result<Item> {
        loop {
            if self.window[self.taken..].iter().any(|byte| *byte != 0) {
                return Ok(Item::Bad { why: "bytes lie behind zeros" });
            }
            if self.next >= self.len {
                return Ok(Item::End);
            }
            self.position += (self.window.len() - self.taken) as u64;
            self.window.clear();
            self.taken = 0;
            self.step().await?;
        }
    }

    async fn fill(&mut self, count: usize) -> Result<()> {
        while self.window.len() < self.taken + count && self.next < self.len {
            if self.taken > STEP {
                self.window.drain(..self.taken);
                self.taken = 0;
            }
            self.step().await?;
        }
        Ok(())
    }

    async fn step(&mut self) -> Result<()> {
        let count = self.reader.read_step(&self.file, self.next, self.path, &mut self.window).await?;
        // A short read that is not the end would loop for ever; the file has ended here.
        self.next = if count == 0 { self.len } else { self.next + count as u64 };
        Ok(())
    }
}
