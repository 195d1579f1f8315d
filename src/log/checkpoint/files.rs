//! Where a shard keeps its checkpoint: twice, and beside it the generation by itself.
//!
//! ```text
//! checkpoint         written first
//! checkpoint.copy    the same bytes, written next; only then is anybody told that the checkpoint is durable
//! generation         written once in each life, after its first checkpoint and before the journal and the ring are used
//!                    magic u32, format u32, CRC-32C of the rest u32, generation u64; little-endian
//! ```
//!
//! The first of the two that can be read counts. It is never older than the other, and the other has everything that
//! anybody relies on: so whichever of them is damaged, nothing is lost. If both are, their statements are lost, and the
//! generation still tells which frames of the journal and the ring count.

use std::io;
use std::path::{Path, PathBuf};

use super::{Checkpoint, Error as FormatError};
use crate::log::disk::Disk;
use crate::log::log::{Error, Result};

/// The file that counts if it can be read, and the one that is written after it.
pub(in crate::log) const CHECKPOINT: &str = "checkpoint";
pub(in crate::log) const COPY: &str = "checkpoint.copy";
const GENERATION: &str = "generation";
/// Longest checkpoint that is read.
const CHECKPOINT_MAX: usize = 1 << 30;

/// "DuGe".
const MAGIC: u32 = u32::from_le_bytes(*b"DuGe");
const FORMAT: u32 = 1;
const GENERATION_LEN: usize = 20;

/// What was found in a shard's directory.
#[derive(Debug)]
pub(in crate::log) struct Found {
    pub kept: Kept,
    /// Files that were looked at in vain.
    pub damaged: Vec<Damaged>,
}

/// What is left of a shard's checkpoint.
#[derive(Debug)]
pub(in crate::log) enum Kept {
    /// The shard has not written one yet.
    Nothing,
    Whole(Checkpoint),
    /// There was one, and its statements are lost.
    Lost {
        generation: u64,
    },
}

/// A file that cannot be used.
#[derive(Debug)]
pub(in crate::log) struct Damaged {
    pub path: PathBuf,
    pub why: String,
    /// Its content, where it can be read.
    pub bytes: Option<Vec<u8>>,
}

/// Reads what the shard directory `dir` has.
///
/// # Errors
/// The file system refuses; a file has a newer format; or nothing of what is there can be used, not even the generation.
pub(in crate::log) async fn read<D: Disk>(disk: &D, dir: &Path) -> Result<Found> {
    let mut damaged = Vec::new();
    for name in [CHECKPOINT, COPY] {
        let path = dir.join(name);
        let (why, bytes) = match disk.read_small(&path, CHECKPOINT_MAX).await {
            Ok(bytes) => match Checkpoint::decode(&bytes) {
                Ok(checkpoint) => return Ok(Found { kept: Kept::Whole(checkpoint), damaged }),
                Err(source @ FormatError::NewerFormat { .. }) => return Err(Error::Checkpoint { path, source }),
                Err(source) => (source.to_string(), Some(bytes)),
            },
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
            // The medium is at fault. Anything else is a fault of the start, and another one may succeed.
            Err(cause) if cause.raw_os_error() == Some(libc::EIO) => (cause.to_string(), None),
            Err(cause) => return Err(Error::io("cannot read", &path)(cause)),
        };
        damaged.push(Damaged { path, why, bytes });
    }
    let kept = match read_generation(disk, dir).await? {
        Some(generation) => Kept::Lost { generation },
        None if damaged.is_empty() => Kept::Nothing,
        None => {
            let path = dir.to_owned();
            let source = FormatError::Damaged { what: "neither of its files can be read, nor the generation" };
            return Err(Error::Checkpoint { path, source });
        }
    };
    Ok(Found { kept, damaged })
}

/// Replaces both files, one after the other. Once this has ended, each of them says what `bytes` say.
pub(in crate::log) async fn write<D: Disk>(disk: &D, dir: &Path, bytes: Vec<u8>) -> Result<()> {
    for (name, bytes) in [(CHECKPOINT, bytes.clone()), (COPY, bytes)] {
        let path = dir.join(name);
        disk.write_small(&path, bytes).await.map_err(Error::io("cannot write", &path))?;
    }
    Ok(())
}

/// Keeps the content of a damaged file beside it, for people. The same content gets the same name. The new name, if it
/// could be kept.
pub(in crate::log) async fn keep<D: Disk>(disk: &D, damaged: &Damaged) -> Option<String> {
    let bytes = damaged.bytes.clone()?;
    let name = format!("{}.damaged-{:08x}", damaged.path.file_name()?.to_str()?, crc32c::crc32c(&bytes));
    disk.write_small(&damaged.path.with_file_name(&name), bytes).await.ok()?;
    Some(name)
}

/// Says which generation begins now.
pub(in crate::log) async fn write_generation<D: Disk>(disk: &D, dir: &Path, generation: u64) -> Result<()> {
    let path = dir.join(GENERATION);
    let mut bytes = Vec::with_capacity(GENERATION_LEN);
    for field in [MAGIC, FORMAT, crc32c::crc32c(&generation.to_le_bytes())] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.extend_from_slice(&generation.to_le_bytes());
    disk.write_small(&path, bytes).await.map_err(Error::io("cannot write", &path))
}

/// `None` if there is no such file, or it is damaged.
async fn read_generation<D: Disk>(disk: &D, dir: &Path) -> Result<Option<u64>> {
    let path = dir.join(GENERATION);
    match disk.read_small(&path, GENERATION_LEN).await {
        Ok(bytes) => Ok(decode_generation(&bytes)),
        Err(cause) => match (cause.kind(), cause.raw_os_error()) {
            (io::ErrorKind::NotFound | io::ErrorKind::FileTooLarge, _) | (_, Some(libc::EIO)) => Ok(None),
            _ => Err(Error::io("cannot read", &path)(cause)),
        },
    }
}

fn decode_generation(bytes: &[u8]) -> Option<u64> {
    let bytes: &[u8; GENERATION_LEN] = bytes.try_into().ok()?;
    let field = |at: usize| bytes[at..].first_chunk().map(|field| u32::from_le_bytes(*field));
    let generation = bytes[12..].first_chunk::<8>()?;
    let whole = field(0) == Some(MAGIC) && field(4) == Some(FORMAT) && field(8) == Some(crc32c::crc32c(generation));
    whole.then(|| u64::from_le_bytes(*generation))
}
