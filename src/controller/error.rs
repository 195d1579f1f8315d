//! What can be wrong with stored metadata.

use super::change::Owner;
use duramen_wire::ids::{PartitionIndex, ShardId, TopicId};

/// Why stored bytes or a change cannot be taken. All of them mean a damaged or foreign metadata log.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("metadata of {length} bytes is too short for its header")]
    TooShort { length: usize },
    #[error("this is no metadata: it starts with {found:02x?}")]
    Magic { found: [u8; 2] },
    #[error("metadata of format version {found}; this release reads up to {known}")]
    Version { found: u8, known: u8 },
    #[error("metadata of kind {found}, which this release does not know")]
    Kind { found: u8 },
    #[error("metadata is damaged: its CRC is {computed:08x}, not {stored:08x}")]
    Crc { stored: u32, computed: u32 },
    #[error("metadata is malformed: {why}")]
    Archive { why: String },
    #[error("topic {name} ({topic}) is made twice")]
    TopicExists { topic: TopicId, name: String },
    #[error("topic {topic} does not exist")]
    NoTopic { topic: TopicId },
    #[error("partition {topic}:{partition} does not exist")]
    NoPartition { topic: TopicId, partition: PartitionIndex },
    #[error("topic {topic} has {present} partitions, not {expected}")]
    PartitionCount { topic: TopicId, present: usize, expected: usize },
    #[error("shard {shard} does not exist: there are {count}")]
    NoShard { shard: ShardId, count: u16 },
    #[error("the cluster is made twice")]
    ClusterExists,
    #[error("producer ids go back from {present} to {next}")]
    ProducerIds { present: i64, next: i64 },
    #[error("settings of {owner:?} are listed twice")]
    OwnerTwice { owner: Owner },
}
