//! Reads a Produce request where it lies.

use std::ops::Range;

use super::{Error, TOPIC_IDS_SINCE, TopicRef};
use crate::api::ApiKey;
use crate::ids::PartitionIndex;
use crate::slices::{Cursor, Slices};
use crate::topic::{PARTITIONS_MAX, TOPICS_MAX, push};

/// A Produce request. Ranges are positions in the `Slices` that `parse` was given. Use one again and again: its lists
/// keep their memory.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// 0: no answer at all; 1: the leader's; -1: that of all in-sync replicas.
    pub acks: i16,
    pub timeout_ms: i32,
    /// Where the transactional id lies.
    pub transactional_id: Option<Range<usize>>,
    pub topics: Vec<Topic>,
    /// The partitions of all topics, in the request's order.
    pub partitions: Vec<Partition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub topic: TopicRef,
    /// Its part of `Request::partitions`.
    pub partitions: Range<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its topic's place in `Request::topics`.
    pub topic: usize,
    pub index: PartitionIndex,
    /// Where the record batch lies; `None` is null.
    pub records: Option<Range<usize>>,
}

impl Request {
    /// Whether the producer names a transactional id.
    pub fn is_transactional(&self) -> bool {
        self.transactional_id.is_some()
    }

    /// Reads a request of `version` whose body begins at `body`, as the header says. After an error the content is
    /// unspecified.
    pub fn parse(&mut self, request: Slices, body: usize, version: i16) -> Result<(), Error> {
        if !ApiKey::Produce.is_supported(version) {
            return Err(Error::Version(version));
        }
        self.topics.clear();
        self.partitions.clear();
        let flexible = ApiKey::Produce.is_flexible(version);
        let mut cursor = request.cursor();
        cursor.skip(body)?;
        self.transactional_id = if version >= 3 { cursor.nullable_string(flexible)? } else { None };
        self.acks = cursor.i16()?;
        self.timeout_ms = cursor.i32()?;
        for _ in 0..cursor.array(flexible)? {
            self.parse_topic(&mut cursor, version, flexible)?;
        }
        cursor.skip_tagged(flexible)?;
        Ok(())
    }

    fn parse_topic(&mut self, cursor: &mut Cursor, version: i16, flexible: bool) -> Result<(), Error> {
        let topic = TopicRef::read(cursor, version >= TOPIC_IDS_SINCE, flexible)?;
        let first = self.partitions.len();
        for _ in 0..cursor.array(flexible)? {
            let index = PartitionIndex(cursor.i32()?);
            let records = cursor.nullable_bytes(flexible)?;
            cursor.skip_tagged(flexible)?;
            let partition = Partition { topic: self.topics.len(), index, records };
            push(&mut self.partitions, partition, "partitions", PARTITIONS_MAX)?;
        }
        cursor.skip_tagged(flexible)?;
        let topic = Topic { topic, partitions: first..self.partitions.len() };
        push(&mut self.topics, topic, "topics", TOPICS_MAX)
    }
}
