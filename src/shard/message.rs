//! What travels between shards. A message is a handle: buffers are never copied on the way, and each box goes back to
//! the shard that made it, with the answers in it, to be used again.

use std::any::Any;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use duramen_wire::ids::{LeaderEpoch, Offset, ShardId, TopicPartitionId};

use super::Shard;
use super::request_bytes::RequestBytes;
use crate::log::{ReadOut, append, read};

/// From one shard to another; each is answered by exactly one [`Reply`].
pub enum Request {
    Append(Box<AppendBatch>),
    Read(Box<ReadBatch>),
    /// Ends the wait of a read that is under way; the read itself answers early.
    CancelRead(ReplyTo),
    Call(CallId, CallBody),
}

pub enum Reply {
    Append(Box<AppendBatch>),
    Read(Box<ReadBatch>),
    ReadCancelled,
    Call(CallId, Box<dyn Any + Send>),
}

/// Work to be done on another shard. It runs there as a task of its own.
pub type CallBody = Box<dyn FnOnce(Rc<Shard>) -> Pin<Box<dyn Future<Output = Box<dyn Any + Send>>>> + Send>;

/// A call that waits for its answer, by its place among those of the calling shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallId(pub usize);

/// Where the answer to a client's request belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyTo {
    pub shard: ShardId,
    /// The connection, by its place among those of its shard.
    pub connection: usize,
    /// The exchange on that connection; never reused, so that a late answer finds nothing.
    pub exchange: u64,
}

/// The batches of one produce request that belong to one shard.
pub struct AppendBatch {
    pub reply_to: ReplyTo,
    /// The shard that owns the partitions.
    pub owner: ShardId,
    /// Whether to answer only once the records are durable at the topic's level.
    pub wait_for_commit: bool,
    /// The request that the batches lie in; gone once the answer has been read.
    pub input: Option<Arc<RequestBytes>>,
    pub items: Vec<AppendItem>,
    /// Items that still wait for their commit.
    pub(super) unresolved: usize,
    /// The next item to append.
    pub(super) next: usize,
}

pub struct AppendItem {
    pub partition: TopicPartitionId,
    /// Which partition entry of the request this answers.
    pub entry: usize,
    /// The record batch within the request.
    pub records: Range<usize>,
    pub result: Result<Appended, AppendRefusal>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: Offset,
    pub log_start: Offset,
}

/// Why a batch was not appended, or cannot be acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum AppendRefusal {
    #[error("not yet answered")]
    Pending,
    #[error("this shard does not hold the partition")]
    NotHere,
    #[error(transparent)]
    Log(#[from] append::Error),
    #[error("the log of this partition failed; see the broker's log")]
    Poisoned,
}

/// The partitions of one fetch that belong to one shard.
pub struct ReadBatch {
    pub reply_to: ReplyTo,
    /// The shard that owns the partitions.
    pub owner: ShardId,
    /// Answer when this many bytes are there, an item fails, or the wait ends. 0 answers at once.
    pub bytes_min: usize,
    /// Bytes for all items together; the first batch comes whole all the same (KIP-74).
    pub bytes_max: usize,
    /// How long to wait for `bytes_min`.
    pub wait_ms: u32,
    pub items: Vec<ReadItem>,
    /// Bytes found so far.
    pub bytes: usize,
    /// Used items, whose lists keep their memory.
    spare: Vec<ReadItem>,
}

pub struct ReadItem {
    pub partition: TopicPartitionId,
    /// Which partition of the fetch this answers.
    pub entry: usize,
    pub from: Offset,
    pub bytes_max: usize,
    /// The epoch that the client believes in, if it says so (KIP-320).
    pub current_leader_epoch: Option<LeaderEpoch>,
    /// The epoch of the last record the client has, if it says so (KIP-595).
    pub last_fetched_epoch: Option<LeaderEpoch>,
    pub result: Result<Found, ReadRefusal>,
    pub data: Data,
}

/// What a reader is told beside the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub high_watermark: Offset,
    pub log_start: Offset,
    /// Where the reader's log and this one part ways, if they do.
    pub diverging: Option<(LeaderEpoch, Offset)>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadRefusal {
    #[error("this shard does not hold the partition")]
    NotHere,
    #[error("the client's leader epoch is older than the partition's")]
    FencedLeaderEpoch,
    #[error("the client's leader epoch is newer than the partition's")]
    UnknownLeaderEpoch,
    #[error(transparent)]
    Log(#[from] read::Error),
}

/// Record bytes on their way to a socket. The list is reused.
#[derive(Default)]
pub struct Data {
    pub out: ReadOut,
    pub file: Option<(crate::runtime::disk::DiskFile, Range<u64>)>,
    pub tier: Tier,
}

/// Where the bytes of an answer came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tier {
    /// The tail buffer.
    #[default]
    Hot,
    /// The page cache, by sendfile.
    Cached,
    /// The disk, past the page cache.
    Cold,
}

impl Data {
    pub fn len(&self) -> usize {
        match &self.file {
            Some((_, range)) => (range.end - range.start) as usize,
            None => self.out.bytes,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn clear(&mut self) {
        self.out.clear();
        self.file = None;
    }
}

impl AppendBatch {
    /// An empty box, to be filled for one request after the other.
    pub fn new(reply_to: ReplyTo, owner: ShardId) -> Box<Self> {
        Box::new(Self {
            reply_to,
            owner,
            wait_for_commit: true,
            input: None,
            items: Vec::new(),
            unresolved: 0,
            next: 0,
        })
    }

    /// Makes a used box ready for another request.
    pub fn reset(&mut self, reply_to: ReplyTo, owner: ShardId) {
        self.reply_to = reply_to;
        self.owner = owner;
        self.clear();
    }

    /// Lets go of the request.
    pub fn clear(&mut self) {
        self.input = None;
        self.items.clear();
        self.unresolved = 0;
        self.next = 0;
    }
}

impl ReadBatch {
    /// An empty box, to be filled for one request after the other.
    pub fn new(reply_to: ReplyTo, owner: ShardId) -> Box<Self> {
        let (items, spare) = (Vec::new(), Vec::new());
        Box::new(Self { reply_to, owner, bytes_min: 0, bytes_max: 0, wait_ms: 0, items, bytes: 0, spare })
    }

    /// Lets go of the records.
    pub fn clear(&mut self) {
        self.items.iter_mut().for_each(|item| item.data.clear());
        self.spare.append(&mut self.items);
        self.bytes = 0;
    }

    /// Drops what was found so far: it is read again when the wait ends, and would pin memory for as long.
    pub(super) fn let_go(&mut self) {
        self.items.iter_mut().for_each(|item| item.data.clear());
    }

    /// Adds an item, and returns its place and the item, whose position and bounds the caller sets.
    pub fn add(&mut self, partition: TopicPartitionId, entry: usize) -> (usize, &mut ReadItem) {
        let mut item = self.spare.pop().unwrap_or_else(|| ReadItem::new(partition));
        item.partition = partition;
        item.entry = entry;
        item.result = Ok(Found::default());
        self.items.push(item);
        let at = self.items.len() - 1;
        (at, &mut self.items[at])
    }

    /// Whether what was found is what the wait was for.
    pub fn ends_wait(&self) -> bool {
        self.bytes >= self.bytes_min || self.has_error()
    }

    /// Whether an item calls for an answer without records.
    pub fn has_error(&self) -> bool {
        self.items.iter().any(|item| !matches!(&item.result, Ok(found) if found.diverging.is_none()))
    }
}

impl ReadItem {
    fn new(partition: TopicPartitionId) -> Self {
        Self {
            partition,
            entry: 0,
            from: Offset(0),
            bytes_max: 0,
            current_leader_epoch: None,
            last_fetched_epoch: None,
            result: Ok(Found::default()),
            data: Data::default(),
        }
    }
}
