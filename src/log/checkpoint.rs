//! The checkpoint file, format version 1: an rkyv archive behind a header of 16 bytes (magic u32, version u32, CRC-32C
//! u32, 4 zeros; little-endian).

use duramen_wire::ids::{PartitionIndex, TopicId, TopicPartitionId};
use rkyv::rancor;

use super::producers::ProducerState;

const MAGIC: u32 = 0x504b_4344;
const VERSION: u32 = 1;
const HEADER_LEN: usize = 16;

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
    pub attachments: Vec<(String, Vec<u8>)>,
}

/// What is known of one partition.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct PartitionCheckpoint {
    pub topic_id: [u8; 16],
    pub partition: i32,
    pub topic: String,
    pub generation: u32,
    pub log_start: i64,
    /// Records below it are synced in the segments.
    pub synced_end: i64,
    pub epoch: i32,
    /// By base offset; the last one's length is what is synced of it.
    pub segments: Vec<SegmentCheckpoint>,
    pub epochs: Vec<(i32, i64)>,
    pub producers: Vec<ProducerState>,
}

/// What is known of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct SegmentCheckpoint {
    pub base: i64,
    pub len: u64,
    pub max_timestamp: i64,
    pub first_timestamp: i64,
}

impl PartitionCheckpoint {
    pub fn id(&self) -> TopicPartitionId {
        let topic = TopicId(uuid::Uuid::from_bytes(self.topic_id));
        TopicPartitionId { topic, partition: PartitionIndex(self.partition) }
    }
}

impl Checkpoint {
    pub fn encode(&self) -> Vec<u8> {
        let archive = rkyv::to_bytes::<rancor::Error>(self).expect("plain data can be archived");
        let mut bytes = Vec::with_capacity(HEADER_LEN + archive.len());
        for field in [MAGIC, VERSION, crc32c::crc32c(&archive), 0] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&archive);
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let damaged = |what| Error::Damaged { what };
        let (header, archive) = bytes.split_at_checked(HEADER_LEN).ok_or_else(|| damaged("too short"))?;
        let field = |at: usize| u32::from_le_bytes(*header[at..].first_chunk().expect("a field of the header"));
        if field(0) != MAGIC {
            return Err(damaged("not a checkpoint"));
        }
        if field(4) > VERSION {
            return Err(Error::NewerFormat { found: field(4), known: VERSION });
        }
        if field(8) != crc32c::crc32c(archive) {
            return Err(damaged("its CRC does not match"));
        }
        let mut aligned = rkyv::util::AlignedVec::<16>::with_capacity(archive.len());
        aligned.extend_from_slice(archive);
        rkyv::from_bytes::<Self, rancor::Error>(&aligned).map_err(|_| damaged("its archive is not valid"))
    }
}
