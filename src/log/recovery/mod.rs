//! Bringing a data directory to order after any end of the last run: once, before any shard's log is opened.
//!
//! For each shard directory: its checkpoint (or the copy of it), then the frames of its journal and ring that carry the
//! checkpoint's generation. For each partition directory: what the checkpoint with the highest partition generation says of it is
//! trusted, and not read; what lies behind is read, every CRC checked; then the frames are replayed in offset order. What
//! remains behind the end is cut, and kept beside the log. All of it is synced before this ends, so the first checkpoint
//! of the new generation may say so, and the old frames are needed no more.
//!
//! Every step can be repeated: a crash in the middle finds the same checkpoint and the same frames.
//!
//! What is below the known stable end (checkpoint, journal frames) and not good is corruption: such a partition is not
//! touched, serves what precedes it, and refuses writes. Work is bounded by what was written since the checkpoints, plus
//! the journal and the ring.
//!
//! Where both files of a checkpoint are damaged, its statements are lost: then the partitions of which no checkpoint
//! speaks are read whole, the frames of the shard's last generation are replayed, and since nobody knows what was synced,
//! a bad batch counts as corruption, unless the frames go on from there.

mod cut;
mod partition;
mod report;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use duramen_wire::ids::{PartitionIndex, ShardId, TopicId, TopicPartitionId};

use super::checkpoint::files::{self, Kept};
use super::checkpoint::{Checkpoint, PartitionCheckpoint};
use super::disk::{Access, Disk};
use super::frame::{self, Entry};
use super::log::{Error, Result};
use super::memory::BLOCK_LEN;
use super::moves::PartitionState;
use super::paths;
use super::ring::RING_ALIGN;
use partition::Found;
pub use report::Note;
pub(super) use scan::{Item, Reader};

/// What recovery found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// All partitions, by topic and number, ready to be adopted.
    pub partitions: Vec<PartitionState>,
    /// What was done beyond reading, and what could not be.
    pub report: Vec<Note>,
    /// What each shard had attached to its checkpoint.
    pub attachments: Vec<(ShardId, String, Vec<u8>)>,
    /// Whether every shard was shut down in order.
    pub clean: bool,
    /// Bytes read from segments, journals and rings.
    pub bytes_read: u64,
    /// Batches whose CRC was checked, and frames that were replayed.
    pub batches_checked: u64,
    pub frames_replayed: u64,
}

/// One partition's part of the frames: owned copies, since the images are dropped shard by shard.
#[derive(Debug)]
pub(super) struct Framed {
    pub entry: Entry,
    pub bytes: Vec<u8>,
    /// From the journal: stable when it was acknowledged.
    pub stable: bool,
}

/// What all shard directories say together.
#[derive(Default)]
struct Statements {
    records: BTreeMap<TopicPartitionId, PartitionCheckpoint>,
    frames: BTreeMap<TopicPartitionId, Vec<Framed>>,
    /// Some shard's records are missing, and nobody knows of which partitions.
    incomplete: bool,
}

/// Recovers everything below `data_dir`. No log may be open there.
pub async fn recover<D: Disk>(disk: &D, data_dir: &Path, now_ms: i64) -> Result<Recovered> {
    let mut recovered = Recovered { clean: true, ..Recovered::default() };
    let mut reader = Reader::new(disk.clone());
    let shards = shard_dirs(disk, data_dir).await?;
    let mut checkpoints = Vec::new();
    let mut statements = Statements::default();
    for (shard, dir) in shards {
        match read_checkpoint(disk, shard, &dir, &mut recovered.report).await? {
            Kept::Whole(checkpoint) => checkpoints.push((shard, dir, checkpoint)),
            Kept::Lost { generation } => {
                statements.incomplete = true;
                checkpoints.push((shard, dir, Checkpoint::without_statements(shard, generation)));
            }
            Kept::Nothing => recovered.clean = false,
        }
    }
    for (shard, _, checkpoint) in &mut checkpoints {
        recovered.clean &= checkpoint.clean;
        for (name, bytes) in std::mem::take(&mut checkpoint.attachments) {
            recovered.attachments.push((*shard, name, bytes));
        }
        statements.add_records(checkpoint);
    }
    for (_, dir, checkpoint) in checkpoints.iter().filter(|(.., checkpoint)| !checkpoint.clean) {
        for (name, align, stable) in [("journal", BLOCK_LEN, true), ("ring", RING_ALIGN, false)] {
            let image = reader.read_whole(&dir.join(name)).await?;
            statements.add_frames(&image, align, stable, checkpoint);
        }
    }
    recover_partitions(&mut reader, data_dir, statements, now_ms, &mut recovered).await?;
    recovered.bytes_read = reader.bytes_read;
    recovered.batches_checked = reader.batches;
    Ok(recovered)
}

/// Removes what shards have left that are no more, once every partition is in the checkpoint of another.
///
/// # Errors
/// The file system refuses. Then the next start reads it again, which changes nothing.
pub async fn forget_shards<D: Disk>(disk: &D, data_dir: &Path, shards: u16) -> Result<()> {
    let former: Vec<_> = shard_dirs(disk, data_dir).await?.into_iter().filter(|(shard, _)| shard.0 >= shards).collect();
    for (_, dir) in &former {
        disk.remove_dir(dir).await.map_err(Error::io("cannot remove", dir))?;
    }
    if !former.is_empty() {
        let above = data_dir.join(paths::SHARDS);
        disk.sync_dir(&above).await.map_err(Error::io("cannot sync", &above))?;
    }
    Ok(())
}

/// What is left of a shard's checkpoint; what is damaged of it is reported, and kept.
async fn read_checkpoint<D: Disk>(disk: &D, shard: ShardId, dir: &Path, report: &mut Vec<Note>) -> Result<Kept> {
    let files::Found { kept, damaged } = files::read(disk, dir).await?;
    for damaged in damaged {
        let renamed = files::keep(disk, &damaged).await;
        report.push(Note::CheckpointDamaged { path: damaged.path, why: damaged.why, kept: renamed });
    }
    if matches!(kept, Kept::Lost { .. }) {
        report.push(Note::CheckpointLost { shard });
    }
    Ok(kept)
}

/// Sets a partition's directory aside that does not belong to the topic that the metadata knows by its name. Returns
/// the new name.
pub async fn set_aside<D: Disk>(disk: &D, data_dir: &Path, topic: &str, partition: PartitionIndex) -> Result<String> {
    let dir = paths::partition_dir(data_dir, topic, partition);
    let names: BTreeSet<_> = list(disk, data_dir).await?.into_iter().map(|entry| entry.name).collect();
    let name = format!("{topic}-{partition}");
    let aside = (0..)
        .map(|number: u32| format!("{name}.{number}{}", paths::SET_ASIDE))
        .find(|aside| !names.contains(aside))
        .expect("there are more numbers than directories");
    disk.rename(&dir, &data_dir.join(&aside)).await.map_err(Error::io("cannot rename", &dir))?;
    disk.sync_dir(data_dir).await.map_err(Error::io("cannot sync", data_dir))?;
    Ok(aside)
}

impl Statements {
    /// The record with the highest generation, and then the highest end, wins.
    fn add_records(&mut self, checkpoint: &Checkpoint) {
        for record in &checkpoint.partitions {
            let rank = |record: &PartitionCheckpoint| (record.generation, record.synced_end);
            let known = self.records.get(&record.id());
            if known.is_none_or(|known| rank(known) < rank(record)) {
                self.records.insert(record.id(), record.clone());
            }
        }
    }

    /// Takes the frames of one file that count. All records must be here already.
    fn add_frames(&mut self, image: &[u8], align: usize, stable: bool, checkpoint: &Checkpoint) {
        for frame in frame::scan(image, align, checkpoint.generation) {
            for (entry, bytes) in frame.entries() {
                let record = self.records.get(&entry.id);
                // A later generation than the record's has its record in a checkpoint that is lost.
                if record.is_none_or(|record| record.generation <= entry.generation) {
                    let framed = Framed { entry, bytes: bytes.to_vec(), stable };
                    self.frames.entry(entry.id).or_default().push(framed);
                }
            }
        }
    }
}

async fn recover_partitions<D: Disk>(
    reader: &mut Reader<D>,
    data_dir: &Path,
    mut statements: Statements,
    now_ms: i64,
    recovered: &mut Recovered,
) -> Result<()> {
    let disk = reader.disk.clone();
    let mut seen = BTreeSet::new();
    for entry in list(&disk, data_dir).await?.into_iter().filter(|entry| entry.is_dir) {
        let dir = data_dir.join(&entry.name);
        if entry.name.ends_with(paths::DELETED) {
            disk.remove_dir(&dir).await.map_err(Error::io("cannot remove", &dir))?;
            recovered.report.push(Note::DeletionFinished { directory: entry.name });
            continue;
        }
        let Some((topic, partition)) = paths::parse_partition_dir(&entry.name) else { continue };
        let id = read_metadata(&disk, &dir).await?.map(|topic| TopicPartitionId { topic, partition });
        let Some(id) = id.filter(|id| !seen.contains(id)) else {
            let note = unidentified(&disk, data_dir, &dir, topic, partition).await?;
            recovered.report.push(note);
            continue;
        };
        seen.insert(id);
        let record = statements.records.remove(&id);
        let mut frames = statements.frames.remove(&id).unwrap_or_default();
        let newest = frames.iter().map(|framed| framed.entry.generation).max();
        frames.retain(|framed| Some(framed.entry.generation) == newest);
        recovered.frames_replayed += frames.len() as u64;
        let unsure = statements.incomplete && record.is_none();
        let found = Found { id, topic, dir: &dir, record, frames, unsure, now_ms };
        recovered.partitions.push(found.recover(reader, &mut recovered.report).await?);
    }
    let missing = statements.records.into_iter().map(|(id, record)| Note::Missing { id, topic: record.topic });
    recovered.report.extend(missing);
    recovered.partitions.sort_by(|a, b| (&a.topic, a.id).cmp(&(&b.topic, b.id)));
    Ok(())
}

/// A directory that does not say which topic it belongs to, or says the same as another: removed if it holds no records,
/// else set aside.
async fn unidentified<D: Disk>(
    disk: &D,
    data_dir: &Path,
    dir: &Path,
    topic: &str,
    partition: PartitionIndex,
) -> Result<Note> {
    let directory = format!("{topic}-{partition}");
    let holds_records = list(disk, dir).await?.iter().any(|entry| paths::parse_segment(&entry.name, "log").is_some());
    if holds_records {
        let renamed = set_aside(disk, data_dir, topic, partition).await?;
        return Ok(Note::SetAside { directory, renamed });
    }
    disk.remove_dir(dir).await.map_err(Error::io("cannot remove", dir))?;
    Ok(Note::CreationUndone { directory })
}

async fn read_metadata<D: Disk>(disk: &D, dir: &Path) -> Result<Option<TopicId>> {
    let path = dir.join(paths::METADATA);
    match disk.read_small(&path, paths::METADATA_MAX).await {
        Ok(bytes) => Ok(paths::parse_metadata(&bytes)),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::io("cannot read", &path)(cause)),
    }
}

async fn shard_dirs<D: Disk>(disk: &D, data_dir: &Path) -> Result<Vec<(ShardId, PathBuf)>> {
    let above = data_dir.join(paths::SHARDS);
    let numbers = list(disk, &above).await?.into_iter().filter_map(|entry| entry.name.parse().ok().map(ShardId));
    Ok(numbers.map(|shard| (shard, paths::shard_dir(data_dir, shard))).collect())
}

/// The entries of a directory; none if it does not exist.
async fn list<D: Disk>(disk: &D, dir: &Path) -> Result<Vec<super::disk::Entry>> {
    match disk.list(dir).await {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(Error::io("cannot list", dir)),
    }
}

/// Opens a file that should exist.
async fn open<D: Disk>(disk: &D, path: &Path) -> Result<D::File> {
    disk.open(path, Access::Direct).await.map_err(Error::io("cannot open", path))
}
