//! One segment of an open partition: what is known of its file without reading it.

use duramen_wire::ids::Offset;

use super::index::IndexBuilder;
use super::memory::CHUNK_LEN;
use super::reindex::Unindexed;
use super::tail::Mark;

/// A stretch of a partition in one file.
#[derive(Debug)]
pub(super) struct Segment {
    /// The offset of the first record, and the file's name.
    pub base: Offset,
    /// The stream position of its first byte, a multiple of [`CHUNK_LEN`].
    pub start: u64,
    /// Bytes of records, in memory or in the file.
    pub len: u64,
    /// The largest record timestamp, or -1.
    pub max_timestamp: i64,
    /// The largest timestamp of the first batch.
    pub first_timestamp: Option<i64>,
    pub stage: Stage,
    /// The index while it is in memory; afterwards it is read from its files.
    pub index: Option<IndexBuilder>,
    /// What that index lacks: after recovery, the batches that were not read.
    pub unindexed: Option<Unindexed>,
    /// When it was last read from the disk, and before that.
    pub read_ms: [i64; 2],
    /// Whether the file exists, maybe not yet its name on stable storage.
    pub created: bool,
    /// Bytes of the file that are records or zeros on the disk.
    pub zeroed: u64,
}

/// Where a segment is in its life; it only moves forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Appends go here.
    Active,
    /// Another segment follows; the file may lack bytes, and may be longer than its data.
    Rolled,
    /// Written, cut to its data and synced: never written again.
    Sealed,
    /// As sealed, and its index files are written.
    Indexed,
}

impl Segment {
    pub fn new(base: Offset, start: u64, index: IndexBuilder) -> Self {
        assert!(start.is_multiple_of(CHUNK_LEN as u64), "a segment starts with a chunk");
        Self {
            base,
            start,
            len: 0,
            max_timestamp: -1,
            first_timestamp: None,
            stage: Stage::Active,
            index: Some(index),
            unindexed: None,
            read_ms: [i64::MIN; 2],
            created: false,
            zeroed: 0,
        }
    }

    /// The stream position behind its last byte.
    pub fn end(&self) -> u64 {
        self.start + self.len
    }

    /// Where its first byte lies.
    pub fn first_mark(&self) -> Mark {
        Mark { pos: self.start, offset: self.base }
    }
}

/// The stream position at which the segment after one that ends at `end` starts.
pub(super) fn next_start(end: u64) -> u64 {
    end.next_multiple_of(CHUNK_LEN as u64)
}
