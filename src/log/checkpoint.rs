//! The checkpoint file, format version 1: what one shard knows to be synced, so that recovery need not read it.
//!
//! ```text
//! header, 16 bytes   magic u32, format u32, CRC-32C of the archive u32, length of the archive u32; little-endian
//! archive            rkyv
//! ```
//!
//! The file is replaced whole, and kept twice (see `files`). Everything in it is a statement about bytes that were synced
//! before it was written; it may be older than the truth, and never newer.

pub(super) mod files;

use duramen_wire::ids::{PartitionIndex, ShardId, TopicId, TopicPartitionId};
use rkyv::rancor;
use rkyv::util::AlignedVec;

use super::producers::ProducerState;

/// "DuCp".
const MAGIC: u32 = u32::from_le_bytes(*b"DuCp");
/// The format that this build writes.
pub const FORMAT: u32 = 1;
pub(super) const HEADER_LEN: usize = 16;

/// Why bytes are not a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("it has format {found}, this build knows {known}")]
    NewerFormat { found: u32, known: u32 },
    #[error("it is damaged: {what}")]
    Damaged { what: &'static str },
}

/// What one shard knows to be synced.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Checkpoint {
    pub shard: u16,
    /// Frames of journal and ring count if they carry it.
    pub generation: u64,
    /// Written by a shutdown: journal and ring hold nothing that the segments lack.
    pub clean: bool,
    pub partitions: Vec<PartitionCheckpoint>,
    /// State of others that rides along, by name.
    pub attachments: Vec<(String, Vec<u8>)>,
}

/// What is known of one partition.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct PartitionCheckpoint {
    pub topic_id: [u8; 16],
    pub partition: i32,
    pub topic: String,
    /// How often it was adopted by a shard.
    pub generation: u32,
    pub log_start: i64,
    /// Records below it are synced in the segments.
    pub synced_end: i64,
    pub epoch: i32,
    /// By base offset; the last one's length is what is synced of it.
    pub segments: Vec<SegmentCheckpoint>,
    /// Leader epochs and where they begin.
    pub epochs: Vec<(i32, i64)>,
    pub producers: Vec<ProducerState>,
}

/// What is known of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct SegmentCheckpoint {
    pub base: i64,
    pub len: u64,
    /// -1 if there is none.
    pub max_timestamp: i64,
    pub first_timestamp: i64,
}

impl PartitionCheckpoint {
    pub fn id(&self) -> TopicPartitionId {
        let topic = TopicId(uuid::Uuid::from_bytes(self.topic_id));
        TopicPartitionId { topic, partition: PartitionIndex(self.partition) }
    }

    fn check(&self) -> Result<(), Error> {
        let damaged = |what| Err(Error::Damaged { what });
        if !self.segments.windows(2).all(|pair| pair[0].base < pair[1].base) {
            return damaged("the segments of a partition are out of order");
        }
        if !self.epochs.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1) {
            return damaged("the leader epochs of a partition are out of order");
        }
        if self.log_start < 0 || self.synced_end < 0 || self.segments.iter().any(|segment| segment.base < 0) {
            return damaged("an offset is negative");
        }
        Ok(())
    }
}

impl Checkpoint {
    /// What is known where all but the generation is lost.
    pub(super) fn without_statements(shard: ShardId, generation: u64) -> Self {
        Self { shard: shard.0, generation, clean: false, partitions: Vec::new(), attachments: Vec::new() }
    }

    /// The bytes of the file.
    ///
    /// # Panics
    /// If they are 4 GiB or more, or a partition's statement contradicts itself.
    pub fn encode(&self) -> Vec<u8> {
        self.check().expect("a checkpoint is written as it can be read");
        let archive = rkyv::to_bytes::<rancor::Error>(self).expect("plain data can be archived");
        let len = u32::try_from(archive.len()).expect("a checkpoint is smaller than 4 GiB");
        let mut bytes = Vec::with_capacity(HEADER_LEN + archive.len());
        for field in [MAGIC, FORMAT, crc32c::crc32c(&archive), len] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&archive);
        bytes
    }

    /// Reads and checks the bytes of the file.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let damaged = |what| Error::Damaged { what };
        let (header, archive) = bytes.split_at_checked(HEADER_LEN).ok_or_else(|| damaged("it is too short"))?;
        let field = |at: usize| u32::from_le_bytes(*header[at..].first_chunk().expect("a field of the header"));
        if field(0) != MAGIC {
            return Err(damaged("it is not a checkpoint"));
        }
        match field(4) {
            FORMAT => {}
            found if found > FORMAT => return Err(Error::NewerFormat { found, known: FORMAT }),
            _ => return Err(damaged("its format never existed")),
        }
        if field(12) as usize != archive.len() {
            return Err(damaged("its length is not what it says"));
        }
        if field(8) != crc32c::crc32c(archive) {
            return Err(damaged("its CRC does not match"));
        }
        let mut aligned = AlignedVec::<16>::with_capacity(archive.len());
        aligned.extend_from_slice(archive);
        let checkpoint: Self =
            rkyv::from_bytes::<_, rancor::Error>(&aligned).map_err(|_| damaged("its archive is not valid"))?;
        checkpoint.check()?;
        Ok(checkpoint)
    }

    fn check(&self) -> Result<(), Error> {
        self.partitions.iter().try_for_each(PartitionCheckpoint::check)
    }
}

#[cfg(test)]
mod tests;
