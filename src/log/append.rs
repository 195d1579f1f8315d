//! Appending a batch: check, place, copy once. Synchronous, and without allocation once buffers have grown.

use duramen_wire::batch::{self, BatchHeader, Compression, Limits, Records, TimestampType};
use duramen_wire::ids::Offset;
use duramen_wire::slices::Slices;

use super::config::PartitionConfig;
use super::disk::Disk;
use super::epochs::Epochs;
use super::index::IndexBuilder;
use super::partition::{Health, Inner, Partition, State};
use super::producers::{self, BatchSummary, Producers, Verdict};
use super::segment::{Segment, Stage, next_start};

/// Bytes of a record batch before what is copied as it is: base offset, length, leader epoch.
const PLACED_LEN: usize = 16;
/// Most bytes that a compressed batch of a compacted topic may hold, when it is opened to look for null keys.
const DECOMPRESSED_MAX: usize = 64 << 20;

/// Who appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A producer: no control batches, no transactions.
    Client,
    /// A coordinator of this broker.
    Coordinator,
}

/// Where a batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: Offset,
    pub last_offset: Offset,
    /// It may be acknowledged once `committed` is here or beyond.
    pub end: Offset,
    /// It was here before, and nothing was appended.
    pub duplicate: bool,
}

/// Why a batch was not appended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the batch is not valid")]
    Invalid(#[from] batch::Error),
    #[error("{len} bytes are more than max.message.bytes, {max}")]
    TooLarge { len: usize, max: u32 },
    #[error("{len} bytes are more than segment.bytes, {max}")]
    BeyondSegment { len: usize, max: u32 },
    #[error("clients do not write control batches")]
    Control,
    #[error("transactional batches are not accepted")]
    Transactional,
    #[error("clients do not set LogAppendTime")]
    TimestampType,
    #[error("a record of a compacted topic has no key")]
    NullKey,
    /// Clients number the records of a batch from 0; the log gives them their offsets.
    #[error("the batch begins at offset {0}, not at 0")]
    BaseOffset(Offset),
    #[error(transparent)]
    Producer(#[from] producers::Error),
    #[error("no memory for {len} bytes now")]
    Busy { len: usize },
    #[error("the disk is full")]
    DiskFull,
    #[error("the log is corrupt at byte {position} of segment {segment}")]
    Corrupt { segment: Offset, position: u64 },
    #[error("a write or sync of this log has failed")]
    Poisoned,
    #[error("the partition is closed")]
    Closed,
}

impl<D: Disk> Partition<D> {
    /// Appends one batch, given in any number of pieces. It may be acknowledged when `committed` reaches `end`.
    pub fn append(&self, batch: Slices<'_>, origin: Origin, now_ms: i64) -> Result<Appended, Error> {
        self.0.shard.now_ms.set(now_ms);
        let header = self.0.check(batch, origin, now_ms)?;
        let summary = summary(&header);
        let verdict = self.0.check_producer(&summary, now_ms)?;
        if let Verdict::Duplicate { base_offset, last_offset, .. } = verdict {
            return Ok(Appended { base_offset, last_offset, end: last_offset.plus(1), duplicate: true });
        }
        let len = batch.len();
        self.0.roll_if_due(&header, len as u64);
        let needed = {
            let state = self.0.state.borrow();
            state.tail.chunks_needed(state.appended.pos, len)
        };
        // One more than needed: making room may take this partition's open chunk.
        if !self.0.shard.take_chunks(needed + 1) {
            return Err(Error::Busy { len });
        }
        let appended = self.0.place(&header, batch, now_ms);
        self.0.shard.give_back_taken();
        self.0.settle();
        self.0.shard.appended(&self.0, len as u64);
        Ok(appended)
    }
}

impl<D: Disk> Inner<D> {
    fn check(&self, batch: Slices<'_>, origin: Origin, now_ms: i64) -> Result<BatchHeader, Error> {
        let state = self.state.borrow();
        check_health(&state.health)?;
        if state.closing {
            return Err(Error::Closed);
        }
        let config = &state.config;
        if batch.len() > config.max_message_bytes as usize && origin == Origin::Client {
            return Err(Error::TooLarge { len: batch.len(), max: config.max_message_bytes });
        }
        if batch.len() > config.segment_bytes as usize {
            return Err(Error::BeyondSegment { len: batch.len(), max: config.segment_bytes });
        }
        let limits = match origin {
            Origin::Client => Limits {
                require_key: config.compact,
                timestamp_min: now_ms.saturating_sub(config.timestamp_before_max_ms),
                timestamp_max: now_ms.saturating_add(config.timestamp_after_max_ms),
            },
            Origin::Coordinator => Limits::default(),
        };
        let header = batch::validate(batch, &limits)?;
        if origin == Origin::Client {
            check_client(&header, batch, config)?;
        }
        Ok(header)
    }

    /// Whether a batch follows what is remembered of its producer. Who was silent for too long is a stranger again.
    fn check_producer(&self, batch: &BatchSummary, now_ms: i64) -> Result<Verdict, producers::Error> {
        let mut state = self.state.borrow_mut();
        let expiration_ms = state.config.producer_id_expiration_ms;
        if state.producers.is_silent(batch.producer_id, now_ms, expiration_ms) {
            state.producers.expire(now_ms, expiration_ms);
        }
        state.producers.check(batch)
    }

    /// Begins a new segment where the active one has no room for the batch, or has become too old.
    fn roll_if_due(&self, header: &BatchHeader, len: u64) {
        let mut state = self.state.borrow_mut();
        let last = state.appended.offset.plus(i64::from(header.last_offset_delta));
        let base = state.active().base;
        let (segment_bytes, age_max_ms) =
            (u64::from(state.config.segment_bytes), state.config.segment_age_max_ms(self.id, base));
        let active = state.active();
        if active.len == 0 {
            return;
        }
        let full = active.len + len > segment_bytes || last.0 - active.base.0 > i64::from(i32::MAX);
        let old = active.first_timestamp.is_some_and(|first| header.max_timestamp.saturating_sub(first) > age_max_ms);
        let index_full = active.index.as_ref().is_some_and(IndexBuilder::is_full);
        if full || old || index_full {
            state.roll();
        }
    }

    /// Copies the batch to the end, and notes it everywhere.
    fn place(&self, header: &BatchHeader, batch: Slices<'_>, now_ms: i64) -> Appended {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let at = state.appended;
        let (len, epoch) = (batch.len() as u64, state.epoch);
        let mut placed = batch.array::<PLACED_LEN>(0);
        batch::set_base_offset_and_epoch(&mut placed, at.offset, epoch);
        let pieces = std::iter::once(&placed[..]).chain(batch.pieces(PLACED_LEN..batch.len()));
        let mut taken = self.shard.memory.taken.borrow_mut();
        state.tail.append(at, pieces, || taken.pop().expect("the chunks were counted before"));
        let placed = BatchHeader { base_offset: at.offset, leader_epoch: epoch, ..*header };
        state.note(&placed, now_ms);
        self.shard.counters.bytes_appended.add(len);
        let last_offset = placed.last_offset();
        Appended { base_offset: at.offset, last_offset, end: last_offset.plus(1), duplicate: false }
    }
}

impl State {
    /// Begins a new segment. Its file is made when its first bytes are written.
    pub(super) fn roll(&mut self) {
        let (end, base) = (self.appended.pos, self.appended.offset);
        let config = &self.config;
        let index = IndexBuilder::new(base, config.index_interval_bytes, config.segment_index_bytes);
        let active = self.active();
        assert!(active.len > 0 && active.end() == end, "a segment that is rolled has records");
        active.stage = Stage::Rolled;
        self.segments.push_back(Segment::new(base, next_start(end), index));
        self.appended.pos = next_start(end);
    }

    /// Counts a batch that now lies at `appended` as appended.
    fn note(&mut self, header: &BatchHeader, now_ms: i64) {
        let active = self.segments.back_mut().expect("a partition has a segment");
        note_batch(active, &mut self.epochs, &mut self.producers, header, now_ms);
        self.appended.pos += header.total_len() as u64;
        self.appended.offset = header.last_offset().plus(1);
        self.last_append_ms = now_ms;
        self.unsynced_since_ms.get_or_insert(now_ms);
    }
}

/// Takes a batch that lies at the end of `segment` into everything that is derived from batches.
pub(super) fn note_batch(
    segment: &mut Segment,
    epochs: &mut Epochs,
    producers: &mut Producers,
    header: &BatchHeader,
    now_ms: i64,
) {
    let (base, last, len) = (header.base_offset, header.last_offset(), header.total_len());
    if epochs.latest() != Some(header.leader_epoch) {
        epochs.assign(header.leader_epoch, base);
    }
    if header.has_producer() {
        producers.record(&summary(header), base, now_ms);
    }
    let index = segment.index.as_mut().expect("a segment that grows has its index in memory");
    index.append(base, segment.len as u32, header.max_timestamp, last, len as u32);
    segment.max_timestamp = segment.max_timestamp.max(header.max_timestamp);
    segment.first_timestamp.get_or_insert(header.max_timestamp);
    segment.len += len as u64;
}

/// What idempotence needs to know of a batch.
fn summary(header: &BatchHeader) -> BatchSummary {
    BatchSummary {
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        last_sequence: header.last_sequence(),
        last_offset_delta: header.last_offset_delta,
        max_timestamp: header.max_timestamp,
    }
}

fn check_health(health: &Health) -> Result<(), Error> {
    match *health {
        Health::Good => Ok(()),
        Health::DiskFull { .. } => Err(Error::DiskFull),
        Health::Corrupt { segment, position } => Err(Error::Corrupt { segment, position }),
        Health::Poisoned => Err(Error::Poisoned),
        Health::Closed => Err(Error::Closed),
    }
}

fn check_client(header: &BatchHeader, batch: Slices<'_>, config: &PartitionConfig) -> Result<(), Error> {
    if header.base_offset != Offset(0) {
        return Err(Error::BaseOffset(header.base_offset));
    }
    if header.is_control() {
        return Err(Error::Control);
    }
    if header.is_transactional() {
        return Err(Error::Transactional);
    }
    if header.timestamp_type() != TimestampType::CreateTime {
        return Err(Error::TimestampType);
    }
    if config.compact && header.compression()? != Compression::None {
        let records = batch::decompress(header, batch, DECOMPRESSED_MAX)?;
        for record in Records::new(&records, header.record_count) {
            record?.key.ok_or(Error::NullKey)?;
        }
    }
    Ok(())
}
