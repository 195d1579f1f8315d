//! Cutting a partition at its first bad batch.
//!
//! Order of steps: the bytes behind the end are copied to a file of their own, and that is synced; the segment is cut and
//! synced; segments behind it are renamed; last, the checkpoint says how far the log goes now, with a higher partition
//! generation, so that older statements and journal frames no longer count. Stopped in between, it can be run again.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use duramen_wire::ids::{Offset, TopicPartitionId};

use super::verify::{GoodEnd, Problem, Verified, good_end};
use super::{Error, PartitionDir, Result, entries, partitions};
use crate::log::checkpoint::files::{CHECKPOINT, COPY};
use crate::log::checkpoint::{Checkpoint, PartitionCheckpoint, SegmentCheckpoint};
use crate::log::paths;

/// What was done to one partition.
#[derive(Debug)]
pub struct Repaired {
    pub topic: String,
    pub partition: i32,
    /// What was wrong, unless the log was only shorter than a checkpoint says.
    pub problem: Option<Problem>,
    pub log_end: Offset,
    /// Files that hold what was cut.
    pub kept: Vec<PathBuf>,
}

/// Cuts the partitions that `dir` is or holds where they are not good, and keeps what is cut. Those that are good, and as
/// long as the checkpoints say, are left alone.
pub fn repair(dir: &Path) -> Result<Vec<Repaired>> {
    let mut repaired = Vec::new();
    for partition in partitions(dir)? {
        let end = good_end(&partition, &mut Verified::default())?;
        let mut checkpoints = Checkpoints::read(&partition)?;
        if end.problem.is_none() && checkpoints.known_end() <= end.offset {
            continue;
        }
        let kept = cut(&partition, &end)?;
        checkpoints.write(&partition, &end)?;
        let (topic, number) = (partition.topic.clone(), partition.partition.0);
        repaired.push(Repaired { topic, partition: number, problem: end.problem, log_end: end.offset, kept });
    }
    Ok(repaired)
}

fn cut(partition: &PartitionDir, end: &GoodEnd) -> Result<Vec<PathBuf>> {
    let mut kept = Vec::new();
    for (index, base) in partition.segments.iter().enumerate() {
        let path = paths::segment(&partition.path, *base, "log");
        let to = free_name(&partition.path, &path)?;
        if index == end.segment && !end.segments.is_empty() {
            if keep_tail(&path, end.position, &to)? {
                kept.push(to);
            }
        } else if index > end.segment || end.segments.is_empty() {
            std::fs::rename(&path, &to).map_err(Error::io("rename", &path))?;
            kept.push(to);
        } else {
            continue;
        }
        for extension in ["index", "timeindex"] {
            let index = paths::segment(&partition.path, *base, extension);
            match std::fs::remove_file(&index) {
                Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
                other => other.map_err(Error::io("remove", &index))?,
            }
        }
    }
    sync_dir(&partition.path)?;
    Ok(kept)
}

/// Moves the bytes from `position` on to `to`. False if there are none.
fn keep_tail(path: &Path, position: u64, to: &Path) -> Result<bool> {
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(Error::io("open", path))?;
    let len = file.metadata().map_err(Error::io("examine", path))?.len();
    if len > position {
        file.seek(SeekFrom::Start(position)).map_err(Error::io("read", path))?;
        let mut copy = OpenOptions::new().write(true).create_new(true).open(to).map_err(Error::io("create", to))?;
        std::io::copy(&mut Read::by_ref(&mut file).take(len - position), &mut copy).map_err(Error::io("write", to))?;
        copy.sync_all().map_err(Error::io("sync", to))?;
        sync_dir(to.parent().unwrap_or(to))?;
        file.set_len(position).map_err(Error::io("cut", path))?;
    }
    file.sync_all().map_err(Error::io("sync", path))?;
    Ok(len > position)
}

fn free_name(dir: &Path, segment: &Path) -> Result<PathBuf> {
    let count = entries(dir)?.iter().filter(|path| path.to_string_lossy().contains(".cut-")).count();
    let names = (count..).map(|number| segment.with_extension(format!("cut-{number}")));
    Ok(names.into_iter().find(|name| !name.exists()).expect("there are more numbers than files"))
}

fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::io("sync", dir))
}

/// What the shards' checkpoints say of one partition, by the shards' directories.
struct Checkpoints {
    id: Option<TopicPartitionId>,
    files: Vec<(PathBuf, Checkpoint)>,
}

impl Checkpoints {
    fn read(partition: &PartitionDir) -> Result<Self> {
        let shards = partition.path.parent().unwrap_or(&partition.path).join(paths::SHARDS);
        let id = partition.topic_id.map(|topic| TopicPartitionId { topic, partition: partition.partition });
        let mut files = Vec::new();
        for dir in if shards.is_dir() { entries(&shards)? } else { Vec::new() } {
            if let Some(checkpoint) = read_either(&dir)? {
                files.push((dir, checkpoint));
            }
        }
        Ok(Self { id, files })
    }

    fn records(&mut self) -> impl Iterator<Item = &mut PartitionCheckpoint> {
        let id = self.id;
        self.files.iter_mut().flat_map(|(_, file)| &mut file.partitions).filter(move |record| Some(record.id()) == id)
    }

    /// The end that the newest record knows to be synced.
    fn known_end(&mut self) -> Offset {
        let newest = self.records().max_by_key(|record| (record.generation, record.synced_end));
        newest.map_or(Offset(0), |record| Offset(record.synced_end))
    }

    /// Makes the newest record say that the log ends at `end`. Without a record, the first checkpoint gets one.
    fn write(&mut self, partition: &PartitionDir, end: &GoodEnd) -> Result<()> {
        let Some(id) = self.id else { return Ok(()) };
        let newest = self.records().map(|record| record.generation).max();
        let index = self.files.iter().position(|(_, file)| {
            newest.is_none() || file.partitions.iter().any(|each| each.id() == id && Some(each.generation) == newest)
        });
        let Some((dir, file)) = index.map(|index| &mut self.files[index]) else { return Ok(()) };
        let old = file.partitions.iter().position(|each| each.id() == id).map(|at| file.partitions.remove(at));
        let mut record = old.unwrap_or_else(|| PartitionCheckpoint {
            topic_id: *id.topic.0.as_bytes(),
            partition: id.partition.0,
            topic: partition.topic.clone(),
            generation: 1,
            log_start: 0,
            synced_end: 0,
            epoch: 0,
            segments: Vec::new(),
            epochs: Vec::new(),
            producers: Vec::new(),
        });
        shorten(&mut record, partition, end);
        file.partitions.push(record);
        let bytes = file.encode();
        [CHECKPOINT, COPY].iter().try_for_each(|name| write_whole(&dir.join(name), &bytes))
    }
}

/// A shard's checkpoint, from the first of its files that can be used.
fn read_either(dir: &Path) -> Result<Option<Checkpoint>> {
    let mut damaged = None;
    for path in [CHECKPOINT, COPY].map(|name| dir.join(name)).into_iter().filter(|path| path.is_file()) {
        let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
        match Checkpoint::decode(&bytes) {
            Ok(checkpoint) => return Ok(Some(checkpoint)),
            Err(source) => damaged = damaged.or(Some(Error::Checkpoint { path, source })),
        }
    }
    damaged.map_or(Ok(None), Err)
}

/// The record of a log that ends at `end`, and that nothing said before counts against.
fn shorten(record: &mut PartitionCheckpoint, partition: &PartitionDir, end: &GoodEnd) {
    record.generation += 1;
    record.synced_end = end.offset.0;
    record.log_start = record.log_start.min(end.offset.0);
    let bases = partition.segments.iter().zip(&end.segments);
    let segments = bases.map(|(base, (len, max_timestamp, first_timestamp))| SegmentCheckpoint {
        base: base.0,
        len: *len,
        max_timestamp: *max_timestamp,
        first_timestamp: *first_timestamp,
    });
    record.segments = segments.collect();
    record.epochs.retain(|(_, start)| *start < end.offset.0);
    for producer in &mut record.producers {
        producer.batches.retain(|batch| batch.last_offset < end.offset.0);
    }
    record.producers.retain(|producer| !producer.batches.is_empty());
}

/// Replaces a small file: the old bytes or the new ones, after any crash.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let aside = path.with_extension("repair");
    let mut file = File::create(&aside).map_err(Error::io("create", &aside))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(Error::io("write", &aside))?;
    std::fs::rename(&aside, path).map_err(Error::io("rename", &aside))?;
    sync_dir(path.parent().unwrap_or(path))
}
