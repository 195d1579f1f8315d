//! Changing a segment file during recovery: keep what is cut, cut, write what was replayed, sync.

use std::path::{Path, PathBuf};

use duramen_wire::batch::{self, HEADER_LEN, Limits};
use duramen_wire::slices::Slices;

use super::open;
use super::partition::file_name;
use super::scan::Reader;
use crate::log::buffer::Buffer;
use crate::log::disk::{Access, Disk, Persist};
use crate::log::log::{Error, Result};
use crate::log::memory::{BLOCK_LEN, CHUNK_LEN, ChunkPool, IoList, SLAB_LEN};
use crate::log::segment::Segment;

const BLOCK: u64 = BLOCK_LEN as u64;
/// Bytes written at a time.
const STEP: usize = SLAB_LEN;

/// What was cut from a segment.
pub(super) struct Kept {
    pub name: String,
    pub bytes: u64,
    /// Good batches in it.
    pub batches_beyond: u64,
}

/// The name that bytes cut from a segment get.
pub(super) fn name(segment: &Path, number: usize) -> PathBuf {
    segment.with_extension(format!("cut-{number}"))
}

/// Copies the bytes of a segment from `position` to the last block that is not all zeros into a file of their own, and syncs it. A
/// copy that a crash has left half done is written again.
pub(super) async fn keep<D: Disk>(
    reader: &mut Reader<D>,
    path: &Path,
    position: u64,
    number: usize,
) -> Result<Option<Kept>> {
    let file = open(&reader.disk, path).await?;
    let mut bytes = Vec::new();
    let mut at = position / BLOCK * BLOCK;
    loop {
        let count = reader.read_step(&file, at, path, &mut bytes).await?;
        at += count as u64;
        if count < STEP {
            break;
        }
    }
    let from = ((position % BLOCK) as usize).min(bytes.len());
    // A batch may end with zeros, so what is kept goes on to the end of the block.
    let last = bytes.iter().rposition(|byte| *byte != 0).filter(|last| *last >= from);
    let end = last.map_or(from, |last| (last + 1).next_multiple_of(BLOCK_LEN).min(bytes.len()));
    let cut = &bytes[from..end];
    if cut.is_empty() {
        return Ok(None);
    }
    let kept = name(path, number);
    write_new(&reader.disk, &kept, cut).await?;
    let (name, batches_beyond) = (file_name(&kept), count_batches(cut));
    Ok(Some(Kept { name, bytes: cut.len() as u64, batches_beyond }))
}

/// Cuts a segment's file to what is good, writes what was replayed behind it, and syncs the file.
pub(super) async fn write_and_sync<'a, D: Disk>(
    reader: &mut Reader<D>,
    path: &Path,
    segment: &mut Segment,
    pieces: impl Iterator<Item = (u64, &'a [u8])>,
) -> Result<()> {
    let mut bytes = Vec::new();
    let mut from = segment.len;
    for (position, piece) in pieces {
        from = from.min(position);
        bytes.extend_from_slice(piece);
    }
    let disk = reader.disk.clone();
    if !segment.created && bytes.is_empty() {
        return Ok(());
    }
    let file = match segment.created {
        true => open(&disk, path).await?,
        false => disk.open(path, Access::CreateDirect).await.map_err(Error::io("cannot create", path))?,
    };
    segment.created = true;
    disk.set_len(&file, from).await.map_err(Error::io("cannot cut", path))?;
    let block = from / BLOCK * BLOCK;
    if !bytes.is_empty() && from > block {
        let mut head = Vec::new();
        reader.read_step(&file, block, path, &mut head).await?;
        head.truncate((from - block) as usize);
        head.extend_from_slice(&bytes);
        bytes = head;
    }
    write_at(&disk, &file, block, &bytes, path).await?;
    disk.set_len(&file, segment.len).await.map_err(Error::io("cannot cut", path))?;
    segment.zeroed = segment.len;
    disk.sync(&file).await.map_err(Error::io("cannot sync", path))
}

async fn write_new<D: Disk>(disk: &D, path: &Path, bytes: &[u8]) -> Result<()> {
    let file = disk.open(path, Access::CreateDirect).await.map_err(Error::io("cannot create", path))?;
    write_at(disk, &file, 0, bytes, path).await?;
    disk.set_len(&file, bytes.len() as u64).await.map_err(Error::io("cannot cut", path))?;
    disk.sync(&file).await.map_err(Error::io("cannot sync", path))?;
    let dir = path.parent().unwrap_or(path);
    disk.sync_dir(dir).await.map_err(Error::io("cannot sync", dir))
}

/// Writes `bytes` from block `at` on, with zeros to the end of the last block.
async fn write_at<D: Disk>(disk: &D, file: &D::File, at: u64, bytes: &[u8], path: &Path) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let mut pool = ChunkPool::new(STEP);
    let mut buffer = Buffer::default();
    (0..STEP / CHUNK_LEN).filter_map(|_| pool.take()).for_each(|chunk| buffer.push(chunk));
    for (index, step) in bytes.chunks(STEP).enumerate() {
        let len = step.len().next_multiple_of(BLOCK_LEN);
        buffer.copy(0, step);
        buffer.clear(step.len()..len);
        let mut list = IoList::default();
        buffer.list(0..len, &mut list);
        let (result, _) = disk.write(file, at + (index * STEP) as u64, list, Persist::Kernel).await;
        result.map_err(Error::io("cannot write", path))?;
    }
    Ok(())
}

/// Good batches anywhere in `bytes`.
fn count_batches(bytes: &[u8]) -> u64 {
    let (mut at, mut count) = (0, 0);
    while at + HEADER_LEN <= bytes.len() {
        let rest = &bytes[at..];
        let len = rest.first_chunk().and_then(|head| batch::peek_len(head).ok()).filter(|len| *len <= rest.len());
        let good = len.filter(|len| batch::validate(Slices::one(&&rest[..*len]), &Limits::default()).is_ok());
        count += u64::from(good.is_some());
        at += good.unwrap_or(1);
    }
    count
}
