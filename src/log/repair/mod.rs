//! Looking at partition directories while no broker runs: for `duramen log dump`, `verify` and `repair`.
//!
//! Plain blocking file access, batch by batch; a directory may be one partition's or a whole data directory. Only
//! [`repair`] changes anything. The caller makes sure that no broker has the data directory.

mod dump;
mod fix;
mod verify;
mod walk;

use std::io;
use std::path::{Path, PathBuf};

use duramen_wire::ids::{Offset, PartitionIndex, TopicId};

use super::{checkpoint, paths};

pub use dump::dump;
pub use fix::{Repaired, repair};
pub use verify::{Problem, Verified, verify};

/// Why a directory could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {what} {path}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} is no segment: these are named OFFSET.log")]
    NoSegment { path: PathBuf },
    #[error("{path} is no partition directory and holds none")]
    NoPartition { path: PathBuf },
    #[error("the checkpoint {path} cannot be used")]
    Checkpoint { path: PathBuf, source: checkpoint::Error },
    #[error("cannot write what was found")]
    Output(#[source] io::Error),
}

impl Error {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

pub type Result<T> = std::result::Result<T, Error>;

/// A partition's directory.
#[derive(Debug)]
struct PartitionDir {
    path: PathBuf,
    topic: String,
    partition: PartitionIndex,
    topic_id: Option<TopicId>,
    /// Base offsets of the segments.
    segments: Vec<Offset>,
}

/// The partition directories that `dir` is or holds, sorted by name.
fn partitions(dir: &Path) -> Result<Vec<PartitionDir>> {
    if let Some(partition) = open(dir)? {
        return Ok(vec![partition]);
    }
    let mut found = Vec::new();
    for path in entries(dir)? {
        if path.is_dir()
            && let Some(partition) = open(&path)?
        {
            found.push(partition);
        }
    }
    if found.is_empty() { Err(Error::NoPartition { path: dir.to_owned() }) } else { Ok(found) }
}

/// `path` as a partition directory, if its name is one's and it holds what one holds.
fn open(path: &Path) -> Result<Option<PartitionDir>> {
    let resolved = path.canonicalize().map_err(Error::io("open", path))?;
    let name = resolved.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((topic, partition)) = paths::parse_partition_dir(name) else { return Ok(None) };
    let metadata = std::fs::read(resolved.join(paths::METADATA)).ok();
    let names = entries(&resolved)?;
    let names = names.iter().filter_map(|path| path.file_name()?.to_str());
    let segments: Vec<Offset> = names.filter_map(|name| paths::parse_segment(name, "log")).collect();
    if metadata.is_none() && segments.is_empty() {
        return Ok(None);
    }
    Ok(Some(PartitionDir {
        topic: topic.to_owned(),
        partition,
        topic_id: metadata.and_then(|bytes| paths::parse_metadata(&bytes)),
        segments,
        path: resolved,
    }))
}

/// The entries of a directory, sorted.
fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).map_err(Error::io("list", dir))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(Error::io("list", dir))?.path());
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests;
