//! Reads a Fetch request where it lies.

use std::ops::Range;

use uuid::Uuid;

use super::{Error, TOPIC_IDS_SINCE, TopicRef};
use crate::api::ApiKey;
use crate::ids::{LeaderEpoch, PartitionIndex};
use crate::slices::{self, Cursor, Slices};
use crate::topic::{PARTITIONS_MAX, TOPICS_MAX, push};

/// A Fetch request. Ranges are positions in the `Slices` that `parse` was given. Use one again and again: its lists
/// keep their memory. What a version does not carry has Kafka's default.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The follower that asks, -1 for a consumer.
    pub replica_id: i32,
    /// The epoch of that follower's registration, -1 if unknown (KIP-903).
    pub replica_epoch: i64,
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    pub max_bytes: i32,
    pub isolation_level: IsolationLevel,
    /// 0 outside a session (KIP-227).
    pub session_id: i32,
    /// 0 opens a session, -1 closes it or asks outside of one.
    pub session_epoch: i32,
    pub topics: Vec<Topic>,
    /// The partitions of all topics, in the request's order.
    pub partitions: Vec<Partition>,
    /// What leaves the session.
    pub forgotten: Vec<Forgotten>,
    /// Where the consumer's rack lies; empty if it has none (KIP-392).
    pub rack_id: Range<usize>,
    /// Where the cluster id lies, by which followers make sure.
    pub cluster_id: Option<Range<usize>>,
}

/// Up to where a consumer reads (KIP-98).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IsolationLevel {
    /// The high watermark.
    #[default]
    ReadUncommitted,
    /// The last stable offset.
    ReadCommitted,
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
    /// The epoch that the asker believes in, -1 if none (KIP-320).
    pub current_leader_epoch: LeaderEpoch,
    pub fetch_offset: i64,
    /// The epoch of the last record that the asker has, -1 if none (KIP-595).
    pub last_fetched_epoch: LeaderEpoch,
    /// A follower's log start, -1 for a consumer.
    pub log_start_offset: i64,
    pub max_bytes: i32,
    /// The directory of a follower's replica (KIP-853).
    pub replica_directory_id: Uuid,
    /// The high watermark that a follower knows; i64::MAX if it says nothing (KIP-1166).
    pub high_watermark: i64,
}

/// One partition that leaves the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    pub topic: TopicRef,
    pub index: PartitionIndex,
}

impl Request {
    /// Reads a request of `version` whose body begins at `body`, as the header says. After an error the content is
    /// unspecified.
    pub fn parse(&mut self, request: Slices, body: usize, version: i16) -> Result<(), Error> {
        if !ApiKey::Fetch.is_supported(version) {
            return Err(Error::Version(version));
        }
        let flexible = ApiKey::Fetch.is_flexible(version);
        let mut cursor = request.cursor();
        cursor.skip(body)?;
        self.parse_head(&mut cursor, version)?;
        self.topics.clear();
        self.partitions.clear();
        for _ in 0..cursor.array(flexible)? {
            self.parse_topic(&mut cursor, version, flexible)?;
        }
        self.forgotten.clear();
        if version >= 7 {
            for _ in 0..cursor.array(flexible)? {
                self.parse_forgotten(&mut cursor, version, flexible)?;
            }
        }
        self.rack_id = if version >= 11 { cursor.string(flexible)? } else { 0..0 };
        self.parse_tags(&mut cursor, version)
    }

    fn parse_head(&mut self, cursor: &mut Cursor, version: i16) -> Result<(), Error> {
        self.replica_id = if version <= 14 { cursor.i32()? } else { -1 };
        self.replica_epoch = -1;
        self.max_wait_ms = cursor.i32()?;
        self.min_bytes = cursor.i32()?;
        self.max_bytes = cursor.i32()?;
        self.isolation_level = match cursor.i8()? {
            0 => IsolationLevel::ReadUncommitted,
            1 => IsolationLevel::ReadCommitted,
            level => return Err(Error::IsolationLevel(level)),
        };
        (self.session_id, self.session_epoch) = if version >= 7 { (cursor.i32()?, cursor.i32()?) } else { (0, -1) };
        Ok(())
    }

    fn parse_topic(&mut self, cursor: &mut Cursor, version: i16, flexible: bool) -> Result<(), Error> {
        let topic = TopicRef::read(cursor, version >= TOPIC_IDS_SINCE, flexible)?;
        let first = self.partitions.len();
        for _ in 0..cursor.array(flexible)? {
            let partition = Partition::read(cursor, self.topics.len(), version, flexible)?;
            push(&mut self.partitions, partition, "partitions", PARTITIONS_MAX)?;
        }
        cursor.skip_tagged(flexible)?;
        let topic = Topic { topic, partitions: first..self.partitions.len() };
        push(&mut self.topics, topic, "topics", TOPICS_MAX)
    }

    fn parse_forgotten(&mut self, cursor: &mut Cursor, version: i16, flexible: bool) -> Result<(), Error> {
        let topic = TopicRef::read(cursor, version >= TOPIC_IDS_SINCE, flexible)?;
        for _ in 0..cursor.array(flexible)? {
            let forgotten = Forgotten { topic: topic.clone(), index: PartitionIndex(cursor.i32()?) };
            push(&mut self.forgotten, forgotten, "forgotten partitions", PARTITIONS_MAX)?;
        }
        cursor.skip_tagged(flexible)?;
        Ok(())
    }

    fn parse_tags(&mut self, cursor: &mut Cursor, version: i16) -> Result<(), Error> {
        self.cluster_id = None;
        cursor.tagged(ApiKey::Fetch.is_flexible(version), |tag, value| {
            match tag {
                0 => self.cluster_id = value.nullable_string(true)?,
                1 if version >= 15 => (self.replica_id, self.replica_epoch) = (value.i32()?, value.i64()?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(())
    }
}

impl Partition {
    fn read(cursor: &mut Cursor, topic: usize, version: i16, flexible: bool) -> Result<Self, slices::Error> {
        let index = PartitionIndex(cursor.i32()?);
        let current_leader_epoch = LeaderEpoch(if version >= 9 { cursor.i32()? } else { -1 });
        let fetch_offset = cursor.i64()?;
        let last_fetched_epoch = LeaderEpoch(if version >= 12 { cursor.i32()? } else { -1 });
        let log_start_offset = if version >= 5 { cursor.i64()? } else { -1 };
        let max_bytes = cursor.i32()?;
        let mut replica_directory_id = Uuid::nil();
        let mut high_watermark = i64::MAX;
        cursor.tagged(flexible, |tag, value| {
            match tag {
                0 if version >= 17 => replica_directory_id = value.uuid()?,
                1 if version >= 18 => high_watermark = value.i64()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(Self {
            topic,
            index,
            current_leader_epoch,
            fetch_offset,
            last_fetched_epoch,
            log_start_offset,
            max_bytes,
            replica_directory_id,
            high_watermark,
        })
    }
}
