//! What recovery tells the operator.

use std::fmt;
use std::path::PathBuf;

use duramen_wire::ids::{Offset, ShardId, TopicPartitionId};

/// Something that recovery did beyond reading, or could not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Bytes behind the last good batch were cut off and kept in `kept`.
    Cut {
        topic: String,
        id: TopicPartitionId,
        segment: Offset,
        position: u64,
        bytes: u64,
        kept: String,
        /// Good batches among the bytes that were cut.
        batches_beyond: u64,
        why: &'static str,
    },
    /// A segment does not follow the one before it, and was kept under another name.
    Detached { topic: String, id: TopicPartitionId, segment: Offset, expected: Offset, kept: String },
    /// A frame does not connect to what is in the segments.
    Unconnected { topic: String, id: TopicPartitionId, base: Offset, log_end: Offset },
    /// Records that were known to be stable are not there or not good. The partition refuses writes.
    Corrupt {
        topic: String,
        id: TopicPartitionId,
        segment: Offset,
        position: u64,
        known_end: Offset,
        why: &'static str,
    },
    /// A directory does not say which topic it belongs to.
    SetAside { directory: String, renamed: String },
    /// A partition whose creation did not end.
    CreationUndone { directory: String },
    /// A partition whose deletion did not end.
    DeletionFinished { directory: String },
    /// A file of a checkpoint is damaged; its content was kept in the same directory, if it could be read.
    CheckpointDamaged { path: PathBuf, why: String, kept: Option<String> },
    /// Neither file of a shard's checkpoint can be used.
    CheckpointLost { shard: ShardId },
    /// A checkpoint knows a partition that has no directory: it was deleted since, or its directory is lost.
    Missing { id: TopicPartitionId, topic: String },
}

impl fmt::Display for Note {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut { topic, id, segment, position, bytes, kept, batches_beyond, why } => write!(
                out,
                "{topic}-{}: cut {bytes} bytes from byte {position} of segment {segment}: {why}; {batches_beyond} good \
                 batches lay beyond; kept as {kept}",
                id.partition
            ),
            Self::Detached { topic, id, segment, expected, kept } => write!(
                out,
                "{topic}-{}: segment {segment} does not follow, expected was {expected}; kept as {kept}",
                id.partition
            ),
            Self::Unconnected { topic, id, base, log_end } => write!(
                out,
                "{topic}-{}: unsynced records from offset {base} are of no use, since the log ends at {log_end}",
                id.partition
            ),
            Self::Corrupt { topic, id, segment, position, known_end, why } => write!(
                out,
                "{topic}-{}: corrupt at byte {position} of segment {segment}: {why}, though records up to {known_end} \
                 were synced; it is served up to there and refuses writes until it is repaired",
                id.partition
            ),
            Self::SetAside { directory, renamed } => {
                write!(out, "{directory} does not name its topic, or not alone; it is now {renamed}")
            }
            Self::CreationUndone { directory } => write!(out, "{directory} was never finished and is removed"),
            Self::DeletionFinished { directory } => write!(out, "{directory} was being deleted and is removed"),
            Self::CheckpointDamaged { path, why, kept } => {
                let kept = kept.as_ref().map_or("not kept".to_owned(), |name| format!("kept as {name}"));
                write!(out, "{} cannot be used: {why}; {kept}", path.display())
            }
            Self::CheckpointLost { shard } => write!(
                out,
                "shard {shard} has no checkpoint that can be used: its partitions are read whole, records that were \
                 deleted may be back, and any bad batch counts as corruption"
            ),
            Self::Missing { id, topic } => write!(out, "{topic}-{} has no directory", id.partition),
        }
    }
}
