//! Writes a Fetch response, as a whole frame but for the record bytes.

use super::{CurrentLeader, NodeEndpoint, TOPIC_IDS_SINCE, TopicName};
use crate::api::ApiKey;
use crate::encode::Writer;
use crate::header::{begin_response, end_frame};
use crate::ids::{LeaderEpoch, Offset, PartitionIndex, ProducerId};

/// The version since which partitions have tagged fields.
const TAGS_SINCE: i16 = 12;

/// The version since which a response says where leaders can be reached.
const ENDPOINTS_SINCE: i16 = 16;

/// What stands before the topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseHead {
    pub throttle_time_ms: i32,
    /// An error of the whole request, that of the session for example.
    pub error_code: i16,
    pub session_id: i32,
}

/// The answer for one partition, without its records. What a version does not carry is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionResponse<'a> {
    pub index: PartitionIndex,
    pub error_code: i16,
    pub high_watermark: i64,
    /// -1 if unknown.
    pub last_stable_offset: i64,
    /// -1 if unknown.
    pub log_start_offset: i64,
    /// `None` is null, which read_uncommitted gets.
    pub aborted_transactions: Option<&'a [AbortedTransaction]>,
    /// A replica to ask instead, -1 if none (KIP-392).
    pub preferred_read_replica: i32,
    /// Bytes of records; `None` is null.
    pub records_len: Option<usize>,
    pub diverging_epoch: Option<DivergingEpoch>,
    pub current_leader: Option<CurrentLeader>,
    pub snapshot_id: Option<SnapshotId>,
}

/// A transaction whose records read_committed must drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
}

/// Where a follower's log leaves the leader's (KIP-595).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DivergingEpoch {
    pub epoch: LeaderEpoch,
    pub end_offset: Offset,
}

/// The snapshot to load instead (KIP-630).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotId {
    pub end_offset: Offset,
    pub epoch: LeaderEpoch,
}

/// Where record bytes belong: `len` of them before the byte at `at` of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Splice {
    pub at: usize,
    pub len: usize,
}

impl PartitionResponse<'_> {
    /// An error, with empty records as Kafka answers.
    pub fn error(index: PartitionIndex, error_code: i16) -> Self {
        Self {
            index,
            error_code,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            aborted_transactions: None,
            preferred_read_replica: -1,
            records_len: Some(0),
            diverging_epoch: None,
            current_leader: None,
            snapshot_id: None,
        }
    }
}

/// Writes one response at the end of a buffer: `begin`, then each topic followed by its partitions, then `finish`. The
/// counts that were announced must be kept; anything else is a broken invariant.
pub struct ResponseEncoder<'o> {
    writer: Writer<'o>,
    splices: &'o mut Vec<Splice>,
    start: usize,
    records_len: usize,
    version: i16,
    topics_left: usize,
    partitions_left: usize,
}

impl<'o> ResponseEncoder<'o> {
    /// `splices` gets one entry for each partition, in order, of length 0 where there are no records.
    pub fn begin(
        out: &'o mut Vec<u8>,
        splices: &'o mut Vec<Splice>,
        version: i16,
        correlation_id: i32,
        head: &ResponseHead,
        topic_count: usize,
    ) -> Self {
        let start = begin_response(out, ApiKey::Fetch, version, correlation_id);
        let mut writer = Writer::new(out, ApiKey::Fetch.is_flexible(version));
        writer.i32(head.throttle_time_ms);
        if version >= 7 {
            writer.i16(head.error_code);
            writer.i32(head.session_id);
        }
        writer.array(topic_count);
        Self { writer, splices, start, records_len: 0, version, topics_left: topic_count, partitions_left: 0 }
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
        let writer = &mut self.writer;
        writer.i32(partition.index.0);
        writer.i16(partition.error_code);
        writer.i64(partition.high_watermark);
        writer.i64(partition.last_stable_offset);
        if self.version >= 5 {
            writer.i64(partition.log_start_offset);
        }
        write_aborted(writer, partition.aborted_transactions);
        if self.version >= 11 {
            writer.i32(partition.preferred_read_replica);
        }
        writer.length(partition.records_len);
        let len = partition.records_len.unwrap_or(0);
        self.splices.push(Splice { at: writer.out.len(), len });
        self.records_len += len;
        if self.version >= TAGS_SINCE {
            write_tags(writer, partition);
        }
        self.end_topic();
    }

    /// Ends the response and returns the length of its frame, records included.
    pub fn finish(mut self, endpoints: &[NodeEndpoint]) -> usize {
        assert!(self.topics_left == 0 && self.partitions_left == 0, "the announced counts are kept");
        let endpoints = if self.version >= ENDPOINTS_SINCE { endpoints } else { &[] };
        NodeEndpoint::write_all(endpoints, &mut self.writer);
        end_frame(self.writer.out, self.start, self.records_len)
    }

    fn end_topic(&mut self) {
        if self.partitions_left == 0 {
            self.writer.no_tags();
        }
    }
}

fn write_aborted(writer: &mut Writer, aborted: Option<&[AbortedTransaction]>) {
    writer.length(aborted.map(<[_]>::len));
    for transaction in aborted.unwrap_or_default() {
        writer.i64(transaction.producer_id.0);
        writer.i64(transaction.first_offset.0);
        writer.no_tags();
    }
}

/// The tagged fields of a partition, in the order of their tags.
fn write_tags(writer: &mut Writer, partition: &PartitionResponse) {
    const EPOCH_AND_OFFSET_LEN: usize = 4 + 8 + 1;
    let PartitionResponse { diverging_epoch, current_leader, snapshot_id, .. } = partition;
    let present = [diverging_epoch.is_some(), current_leader.is_some(), snapshot_id.is_some()];
    writer.tags(present.into_iter().map(u32::from).sum());
    if let Some(diverging) = diverging_epoch {
        writer.tag(0, EPOCH_AND_OFFSET_LEN);
        writer.i32(diverging.epoch.0);
        writer.i64(diverging.end_offset.0);
        writer.no_tags();
    }
    if let Some(leader) = current_leader {
        leader.write(1, writer);
    }
    if let Some(snapshot) = snapshot_id {
        writer.tag(2, EPOCH_AND_OFFSET_LEN);
        writer.i64(snapshot.end_offset.0);
        writer.i32(snapshot.epoch.0);
        writer.no_tags();
    }
}
