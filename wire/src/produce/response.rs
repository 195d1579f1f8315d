//! Writes a Produce response, as a whole frame.

use super::{CurrentLeader, NodeEndpoint, TOPIC_IDS_SINCE, TopicName};
use crate::api::ApiKey;
use crate::encode::Writer;
use crate::header::{begin_response, end_frame};
use crate::ids::PartitionIndex;

/// The version since which an answer names the current leader.
const LEADER_SINCE: i16 = 10;

/// The answer for one partition. What a version does not carry is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionResponse<'a> {
    pub index: PartitionIndex,
    pub error_code: i16,
    /// The offset of the first record, -1 on an error.
    pub base_offset: i64,
    /// -1 unless the topic has LogAppendTime.
    pub log_append_time_ms: i64,
    pub log_start_offset: i64,
    pub error_message: Option<&'a str>,
    pub current_leader: Option<CurrentLeader>,
}

impl PartitionResponse<'_> {
    /// An error without a message.
    pub fn error(index: PartitionIndex, error_code: i16) -> Self {
        Self {
            index,
            error_code,
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
            error_message: None,
            current_leader: None,
        }
    }
}

/// Writes one response at the end of a buffer: `begin`, then each topic followed by its partitions, then `finish`. The
/// counts that were announced must be kept; anything else is a broken invariant.
pub struct ResponseEncoder<'o> {
    writer: Writer<'o>,
    start: usize,
    version: i16,
    topics_left: usize,
    partitions_left: usize,
}

impl<'o> ResponseEncoder<'o> {
    pub fn begin(out: &'o mut Vec<u8>, version: i16, correlation_id: i32, topic_count: usize) -> Self {
        let start = begin_response(out, ApiKey::Produce, version, correlation_id);
        let mut writer = Writer::new(out, ApiKey::Produce.is_flexible(version));
        writer.array(topic_count);
        Self { writer, start, version, topics_left: topic_count, partitions_left: 0 }
    }

    pub fn topic(&mut self, topic: TopicName, partition_count: usize) {
        assert!(self.partitions_left == 0 && self.topics_left > 0, "the announced counts are kept");
        self.topics_left -= 1;
        self.partitions_left = partition_count;
        topic.write(&mut self.writer, self.version >= TOPIC_IDS_SINCE);
        self.writer.array(partition_count);
        self.end_topic();
    }

    pub fn partition(&mut self, partition: &PartitionResponse) {
        assert!(self.partitions_left > 0, "the announced counts are kept");
        self.partitions_left -= 1;
        let version = self.version;
        let writer = &mut self.writer;
        writer.i32(partition.index.0);
        writer.i16(partition.error_code);
        writer.i64(partition.base_offset);
        if version >= 2 {
            writer.i64(partition.log_append_time_ms);
        }
        if version >= 5 {
            writer.i64(partition.log_start_offset);
        }
        if version >= 8 {
            writer.array(0);
            writer.string(partition.error_message.map(str::as_bytes));
        }
        match partition.current_leader {
            Some(leader) if version >= LEADER_SINCE => {
                writer.tags(1);
                leader.write(0, writer);
            }
            _ => writer.no_tags(),
        }
        self.end_topic();
    }

    /// Ends the response and returns the length of its frame.
    pub fn finish(mut self, throttle_time_ms: i32, endpoints: &[NodeEndpoint]) -> usize {
        assert!(self.topics_left == 0 && self.partitions_left == 0, "the announced counts are kept");
        if self.version >= 1 {
            self.writer.i32(throttle_time_ms);
        }
        let endpoints = if self.version >= LEADER_SINCE { endpoints } else { &[] };
        NodeEndpoint::write_all(endpoints, &mut self.writer);
        end_frame(self.writer.out, self.start, 0)
    }

    fn end_topic(&mut self) {
        if self.partitions_left == 0 {
            self.writer.no_tags();
        }
    }
}
