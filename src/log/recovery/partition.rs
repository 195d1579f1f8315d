//! Recovery of one partition: trust what is recorded, read the rest, replay the frames, cut what is left over.
//!
//! Nothing is changed before all has been read and the result is known. Then, in this order: bytes to be cut are copied
//! to a file of their own and synced; the segment is cut; segments that do not follow are renamed; replayed records are
//! written; every file that was changed is synced, then the directory.

use std::path::{Path, PathBuf};

use duramen_wire::batch::{self, BatchHeader, HEADER_LEN, Limits};
use duramen_wire::ids::{LeaderEpoch, Offset, TopicPartitionId};
use duramen_wire::slices::Slices;

use super::cut;
use super::scan::{Item, Reader};
use super::{Framed, Note, list, open};
use crate::log::append::note_batch;
use crate::log::checkpoint::{PartitionCheckpoint, SegmentCheckpoint};
use crate::log::config::PartitionConfig;
use crate::log::disk::Disk;
use crate::log::epochs::Epochs;
use crate::log::index::IndexBuilder;
use crate::log::log::{Error, Result};
use crate::log::moves::PartitionState;
use crate::log::paths;
use crate::log::producers::Producers;
use crate::log::reindex::Unindexed;
use crate::log::segment::{Segment, Stage};

/// A partition directory, and what is said of it elsewhere.
pub(super) struct Found<'a> {
    pub id: TopicPartitionId,
    pub topic: &'a str,
    pub dir: &'a Path,
    pub record: Option<PartitionCheckpoint>,
    /// Of one generation.
    pub frames: Vec<Framed>,
    /// What was said of it may be lost: any of it may have been synced.
    pub unsure: bool,
    pub now_ms: i64,
}

/// The partition as far as it has been read.
struct Progress {
    state: PartitionState,
    /// What does not belong to the log behind its end.
    torn: Option<Torn>,
    /// Segments that do not follow.
    detached: Vec<Offset>,
    /// Bytes that were replayed, by segment and position; each follows what is there before it.
    replayed: Vec<(Offset, u64, Vec<u8>)>,
    /// The record's stable end, and that of the journal's frames.
    known_end: Offset,
}

/// Where a segment stops being good.
struct Torn {
    segment: Offset,
    position: u64,
    why: &'static str,
}

impl Found<'_> {
    pub async fn recover<D: Disk>(mut self, reader: &mut Reader<D>, report: &mut Vec<Note>) -> Result<PartitionState> {
        let names = list(&reader.disk, self.dir).await?;
        let bases: Vec<Offset> = names.iter().filter_map(|entry| paths::parse_segment(&entry.name, "log")).collect();
        let mut progress = self.begin(&bases);
        let removable = self.record.as_ref().map_or(0, |record| record.log_start.min(record.synced_end));
        let kept = self.remove_below(&reader.disk, &bases, Offset(removable)).await?;
        self.read_segments(reader, &kept, &mut progress).await?;
        self.replay(&mut progress, report);
        if self.unsure && progress.is_broken() {
            // Something lies behind the end, and may have been synced.
            progress.known_end = progress.known_end.max(progress.state.log_end.plus(1));
        }
        if progress.state.log_end < progress.known_end {
            return Ok(self.corrupt(progress, report));
        }
        let numbered = names.iter().filter(|entry| entry.name.contains(".cut-")).count();
        self.bring_to_order(reader, &mut progress, numbered, report).await?;
        Ok(progress.state)
    }

    fn begin(&mut self, bases: &[Offset]) -> Progress {
        let record = self.record.as_ref();
        let first = bases.first().copied().unwrap_or_default();
        let log_start = record.map_or(first, |record| Offset(record.log_start));
        let mut state = PartitionState::empty(self.id, self.topic, log_start, &PartitionConfig::default());
        state.segments.clear();
        let mut known_end = Offset(0);
        if let Some(record) = record {
            known_end = Offset(record.synced_end);
            state.generation = record.generation;
            state.epoch = LeaderEpoch(record.epoch);
            state.producers = Producers::restore(record.producers.clone());
            let epochs = record.epochs.iter().map(|(epoch, start)| (LeaderEpoch(*epoch), Offset(*start)));
            state.epochs = Epochs::restore(epochs.collect());
        } else if let Some(framed) = self.frames.first() {
            state.generation = framed.entry.generation;
        }
        // What a journal frame begins with follows something that was stable then, and so is the frame itself.
        let journaled = self.frames.iter().filter(|framed| framed.stable).map(|framed| framed.entry.end);
        known_end = journaled.fold(known_end, Offset::max);
        self.frames.sort_by_key(|framed| (framed.entry.base, framed.entry.end));
        Progress { state, torn: None, detached: Vec::new(), replayed: Vec::new(), known_end }
    }

    /// Ends a removal by retention: segments that lie wholly below the log start go, as far as the record has what is
    /// derived from them.
    async fn remove_below<D: Disk>(&self, disk: &D, bases: &[Offset], removable: Offset) -> Result<Vec<Offset>> {
        let first = bases.iter().rposition(|base| *base <= removable).unwrap_or(0);
        for base in &bases[..first] {
            for extension in ["index", "timeindex", "log"] {
                let path = paths::segment(self.dir, *base, extension);
                match disk.remove(&path).await {
                    Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
                    other => other.map_err(Error::io("cannot remove", &path))?,
                }
            }
        }
        Ok(bases[first..].to_vec())
    }

    async fn read_segments<D: Disk>(
        &self,
        reader: &mut Reader<D>,
        bases: &[Offset],
        progress: &mut Progress,
    ) -> Result<()> {
        let first = bases.first().copied().unwrap_or(progress.state.log_start);
        progress.state.log_end = first.min(progress.state.log_start);
        if let Some(start) = bases.first().filter(|first| **first > progress.state.log_start) {
            // The log start lies before all that is here: what is missing is missed below, against the known end.
            progress.detached.push(*start);
            progress.detached.extend(&bases[1..]);
            return Ok(());
        }
        for (number, base) in bases.iter().enumerate() {
            if *base != progress.state.log_end || progress.torn.is_some() {
                progress.detached.extend(&bases[number..]);
                return Ok(());
            }
            self.read_segment(reader, *base, progress).await?;
        }
        Ok(())
    }

    /// Reads one segment behind what is recorded of it.
    async fn read_segment<D: Disk>(&self, reader: &mut Reader<D>, base: Offset, progress: &mut Progress) -> Result<()> {
        let path = paths::segment(self.dir, base, "log");
        let file = open(&reader.disk, &path).await?;
        let mut segment = new_segment(base);
        segment.created = true;
        let recorded = self.recorded(base);
        if let Some((recorded, end)) = recorded {
            let len = reader.disk.len(&file).await.map_err(Error::io("cannot examine", &path))?;
            if len < recorded.len {
                progress.torn = Some(Torn { segment: base, position: len, why: "the file is shorter than it was" });
                progress.push(segment);
                return Ok(());
            }
            segment.len = recorded.len;
            segment.unindexed = (recorded.len > 0).then_some(Unindexed { len: recorded.len, end });
            segment.max_timestamp = recorded.max_timestamp;
            segment.first_timestamp = Some(recorded.first_timestamp).filter(|_| recorded.len > 0);
            progress.state.log_end = end;
        }
        let mut scan = reader.segment(&path, file, segment.len).await?;
        loop {
            match scan.next(progress.state.log_end).await? {
                Item::Batch(header) => progress.take(&mut segment, &header, self.now_ms),
                Item::End => break,
                Item::Bad { why } => {
                    progress.torn = Some(Torn { segment: base, position: segment.len, why });
                    break;
                }
            }
        }
        segment.zeroed = scan.len();
        progress.push(segment);
        Ok(())
    }

    /// What the checkpoint says of a segment, and the offset behind it.
    fn recorded(&self, base: Offset) -> Option<(SegmentCheckpoint, Offset)> {
        let record = self.record.as_ref()?;
        let index = record.segments.iter().position(|segment| segment.base == base.0)?;
        let end = record.segments.get(index + 1).map_or(record.synced_end, |next| next.base);
        Some((record.segments[index], Offset(end)))
    }

    /// Takes the frames that connect.
    fn replay(&self, progress: &mut Progress, report: &mut Vec<Note>) {
        for framed in &self.frames {
            let (entry, log_end) = (&framed.entry, progress.state.log_end);
            if entry.end <= log_end {
                continue;
            }
            if entry.base > log_end || !progress.replay(framed, self.now_ms) {
                let topic = self.topic.to_owned();
                report.push(Note::Unconnected { topic, id: self.id, base: entry.base, log_end });
            }
        }
    }

    fn corrupt(&self, mut progress: Progress, report: &mut Vec<Note>) -> PartitionState {
        let (segment, position, why) = match &progress.torn {
            Some(torn) => (torn.segment, torn.position, torn.why),
            None => {
                let last = progress.state.segments.last().map(|segment| (segment.base, segment.len));
                let (segment, len) = last.unwrap_or((progress.state.log_start, 0));
                (segment, len, "the log ends here")
            }
        };
        // What was replayed is not written: the partition stays as it was found.
        if let Some((base, position, _)) = progress.replayed.first() {
            progress.state.truncate_to(*base, *position);
        }
        progress.ensure_segment();
        progress.state.corrupt = Some((segment, position));
        progress.state.statement = Some(self.statement(&progress));
        let (topic, known_end) = (self.topic.to_owned(), progress.known_end);
        report.push(Note::Corrupt { topic, id: self.id, segment, position, known_end, why });
        progress.state
    }

    /// What the checkpoint goes on saying of a corrupt partition: that records up to `known_end` were there.
    fn statement(&self, progress: &Progress) -> PartitionCheckpoint {
        let known_end = progress.known_end;
        match &self.record {
            Some(record) if record.synced_end == known_end.0 => record.clone(),
            // The journal knew of more than the record: then nothing is trusted, and all is read again.
            record => PartitionCheckpoint {
                topic_id: *self.id.topic.0.as_bytes(),
                partition: self.id.partition.0,
                topic: self.topic.to_owned(),
                generation: 0,
                log_start: progress.state.log_start.0,
                synced_end: known_end.0,
                epoch: record.as_ref().map_or(0, |record| record.epoch),
                segments: Vec::new(),
                epochs: Vec::new(),
                producers: Vec::new(),
            },
        }
    }

    async fn bring_to_order<D: Disk>(
        &self,
        reader: &mut Reader<D>,
        progress: &mut Progress,
        mut numbered: usize,
        report: &mut Vec<Note>,
    ) -> Result<()> {
        let disk = reader.disk.clone();
        if let Some(torn) = progress.torn.take() {
            let path = paths::segment(self.dir, torn.segment, "log");
            let kept = cut::keep(reader, &path, torn.position, numbered).await?;
            numbered += 1;
            if let Some(kept) = kept {
                let (topic, id, segment, position) = (self.topic.to_owned(), self.id, torn.segment, torn.position);
                let cut::Kept { name, bytes, batches_beyond } = kept;
                report.push(Note::Cut {
                    topic,
                    id,
                    segment,
                    position,
                    bytes,
                    kept: name,
                    batches_beyond,
                    why: torn.why,
                });
            }
        }
        let expected = progress.state.log_end;
        for segment in std::mem::take(&mut progress.detached) {
            let path = paths::segment(self.dir, segment, "log");
            let kept = cut::name(&path, numbered);
            numbered += 1;
            disk.rename(&path, &kept).await.map_err(Error::io("cannot rename", &path))?;
            let (topic, kept) = (self.topic.to_owned(), file_name(&kept));
            report.push(Note::Detached { topic, id: self.id, segment, expected, kept });
        }
        progress.ensure_segment();
        let replayed = std::mem::take(&mut progress.replayed);
        for segment in &mut progress.state.segments {
            let path = paths::segment(self.dir, segment.base, "log");
            let base = segment.base;
            let pieces = replayed.iter().filter(|(of, ..)| *of == base);
            let recorded = self.recorded(segment.base).is_some_and(|(recorded, _)| recorded.len == segment.len);
            if recorded && segment.zeroed == segment.len {
                continue;
            }
            cut::write_and_sync(reader, &path, segment, pieces.map(|(_, position, bytes)| (*position, &bytes[..])))
                .await?;
        }
        disk.sync_dir(self.dir).await.map_err(Error::io("cannot sync", self.dir))
    }
}

impl Progress {
    /// A batch that follows in `segment`.
    fn take(&mut self, segment: &mut Segment, header: &BatchHeader, now_ms: i64) {
        note_batch(segment, &mut self.state.epochs, &mut self.state.producers, header, now_ms);
        self.state.epoch = self.state.epoch.max(header.leader_epoch);
        self.state.log_end = header.last_offset().plus(1);
    }

    /// Whether something lies behind the end that no frame goes on from.
    fn is_broken(&self) -> bool {
        (self.torn.is_some() && self.replayed.is_empty()) || !self.detached.is_empty()
    }

    /// Adds a segment; those before it are sealed.
    fn push(&mut self, segment: Segment) {
        if let Some(last) = self.state.segments.last_mut() {
            // Of a segment that a checkpoint has as sealed, the index files were written, or will be missed when asked for.
            let read = last.unindexed.is_none() && last.len > 0;
            last.stage = if read { Stage::Sealed } else { Stage::Indexed };
            last.index = last.index.take().filter(|_| read);
        }
        self.state.segments.push(segment);
    }

    fn ensure_segment(&mut self) {
        if self.state.segments.is_empty() {
            self.state.segments.push(new_segment(self.state.log_end));
        }
    }

    /// Appends what a frame has behind the log end. False if it does not fit.
    fn replay(&mut self, framed: &Framed, now_ms: i64) -> bool {
        let entry = &framed.entry;
        let last = self.state.segments.last().map(|segment| segment.base);
        if last != Some(entry.segment) {
            if entry.segment != self.state.log_end || entry.position != 0 || last > Some(entry.segment) {
                return false;
            }
            self.push(new_segment(entry.segment));
        }
        let mut rest = &framed.bytes[..];
        let mut position = u64::from(entry.position);
        while let Some((batch, header)) = first_batch(rest) {
            let mut segment = self.state.segments.pop().expect("the frame's segment is here");
            let follows = header.base_offset == self.state.log_end && position == segment.len;
            if follows {
                self.replayed.push((entry.segment, position, batch.to_vec()));
                self.take(&mut segment, &header, now_ms);
            }
            self.state.segments.push(segment);
            if !follows && header.base_offset >= self.state.log_end {
                return false;
            }
            position += batch.len() as u64;
            rest = &rest[batch.len()..];
        }
        rest.is_empty()
    }
}

impl PartitionState {
    /// Forgets what lies at and behind `position` of segment `base`; its offsets are those that the file still holds.
    fn truncate_to(&mut self, base: Offset, position: u64) {
        self.segments.retain(|segment| segment.base < base || (segment.base == base && segment.created));
        if let Some(segment) = self.segments.last_mut().filter(|segment| segment.base == base) {
            segment.len = position;
        }
    }
}

/// The first batch of what a frame holds, if it is good.
fn first_batch(bytes: &[u8]) -> Option<(&[u8], BatchHeader)> {
    let len = batch::peek_len(bytes.first_chunk()?).ok().filter(|len| *len >= HEADER_LEN)?;
    let bytes = bytes.get(..len)?;
    let header = batch::validate(Slices::one(&bytes), &Limits::default()).ok()?;
    Some((bytes, header))
}

fn new_segment(base: Offset) -> Segment {
    let config = PartitionConfig::default();
    Segment::new(base, 0, IndexBuilder::new(base, config.index_interval_bytes, config.segment_index_bytes))
}

pub(super) fn file_name(path: &Path) -> String {
    PathBuf::from(path.file_name().unwrap_or_default()).to_string_lossy().into_owned()
}
