//! The versions of Kafka 4.3 that the crate lacks. Where only the number is new, the version before it does.

use bytes::Bytes;

use super::{
    ApiKey, Cause, DescribeLogDirsResponse, GroupId, OffsetCommitRequest, OffsetFetchRequest, Request, StrBytes,
    describe_log_dirs_response::{DescribeLogDirsResult, DescribeLogDirsTopic},
    offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
};
use crate::encode::Writer;
use crate::slices::{self, Cursor, Slices};

/// Tells whether a directory is cordoned (KIP-1066).
pub(super) const DESCRIBE_LOG_DIRS_5: i16 = 5;

/// The version that the crate reads and writes in place of `version`.
pub(super) fn version_of_the_crate(api: ApiKey, version: i16) -> i16 {
    match (api, version) {
        // A new meaning of a timestamp (-6), but the same bytes.
        (ApiKey::ListOffsets, 11) => 10,
        // Only the response has changed.
        (ApiKey::DescribeLogDirs, DESCRIBE_LOG_DIRS_5) => 4,
        _ => version,
    }
}

/// Decodes a request that the crate has no version for. The guard has seen the bytes.
pub(super) fn decode_request(api: ApiKey, version: i16, body: &Bytes) -> Option<Result<Request, Cause>> {
    let bytes = &body[..];
    let mut reader = Reader { cursor: Slices::one(&bytes).cursor(), body };
    match (api, version) {
        (ApiKey::OffsetCommit, 10) => Some(reader.offset_commit().map(Request::OffsetCommit)),
        (ApiKey::OffsetFetch, 10) => Some(reader.offset_fetch().map(Request::OffsetFetch)),
        _ => None,
    }
}

/// Reads the crate's structures from flexible versions.
struct Reader<'a> {
    cursor: Cursor<'a>,
    body: &'a Bytes,
}

impl Reader<'_> {
    /// Version 10 names topics by id (KIP-848).
    fn offset_commit(&mut self) -> Result<OffsetCommitRequest, Cause> {
        let mut request = OffsetCommitRequest::default();
        request.group_id = GroupId(self.string()?);
        request.generation_id_or_member_epoch = self.cursor.i32()?;
        request.member_id = self.string()?;
        request.group_instance_id = self.nullable_string()?;
        // The guard has counted what is there.
        let topics = self.cursor.array(true)?;
        request.topics.reserve_exact(topics);
        for _ in 0..topics {
            let mut topic = OffsetCommitRequestTopic::default();
            topic.topic_id = self.cursor.uuid()?;
            let partitions = self.cursor.array(true)?;
            topic.partitions.reserve_exact(partitions);
            for _ in 0..partitions {
                topic.partitions.push(self.offset_commit_partition()?);
            }
            self.cursor.skip_tagged(true)?;
            request.topics.push(topic);
        }
        self.cursor.skip_tagged(true)?;
        Ok(request)
    }

    fn offset_commit_partition(&mut self) -> Result<OffsetCommitRequestPartition, Cause> {
        let mut partition = OffsetCommitRequestPartition::default();
        partition.partition_index = self.cursor.i32()?;
        partition.committed_offset = self.cursor.i64()?;
        partition.committed_leader_epoch = self.cursor.i32()?;
        partition.committed_metadata = self.nullable_string()?;
        self.cursor.skip_tagged(true)?;
        Ok(partition)
    }

    /// Version 10 names topics by id (KIP-848).
    fn offset_fetch(&mut self) -> Result<OffsetFetchRequest, Cause> {
        let mut request = OffsetFetchRequest::default();
        let groups = self.cursor.array(true)?;
        request.groups.reserve_exact(groups);
        for _ in 0..groups {
            let mut group = OffsetFetchRequestGroup::default();
            group.group_id = GroupId(self.string()?);
            group.member_id = self.nullable_string()?;
            group.member_epoch = self.cursor.i32()?;
            group.topics = self.offset_fetch_topics()?;
            self.cursor.skip_tagged(true)?;
            request.groups.push(group);
        }
        request.require_stable = self.cursor.bool()?;
        self.cursor.skip_tagged(true)?;
        Ok(request)
    }

    fn offset_fetch_topics(&mut self) -> Result<Option<Vec<OffsetFetchRequestTopics>>, Cause> {
        let Some(count) = self.cursor.nullable_array(true)? else { return Ok(None) };
        let mut topics = Vec::with_capacity(count);
        for _ in 0..count {
            let mut topic = OffsetFetchRequestTopics::default();
            topic.topic_id = self.cursor.uuid()?;
            let partitions = self.cursor.array(true)?;
            topic.partition_indexes.reserve_exact(partitions);
            for _ in 0..partitions {
                topic.partition_indexes.push(self.cursor.i32()?);
            }
            self.cursor.skip_tagged(true)?;
            topics.push(topic);
        }
        Ok(Some(topics))
    }

    fn string(&mut self) -> Result<StrBytes, Cause> {
        let position = self.cursor.position();
        self.nullable_string()?.ok_or_else(|| slices::Error::Null { position }.into())
    }

    fn nullable_string(&mut self) -> Result<Option<StrBytes>, Cause> {
        let Some(range) = self.cursor.nullable_string(true)? else { return Ok(None) };
        Ok(Some(StrBytes::from_utf8(self.body.slice(range))?))
    }
}

/// Writes the body of version 5, in which each directory says that it is not cordoned.
pub(super) fn encode_describe_log_dirs_5(response: &DescribeLogDirsResponse, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out, true);
    writer.i32(response.throttle_time_ms);
    writer.i16(response.error_code);
    writer.array(response.results.len());
    for result in &response.results {
        write_log_dir(&mut writer, result);
    }
    writer.no_tags();
}

fn write_log_dir(writer: &mut Writer, result: &DescribeLogDirsResult) {
    const NOT_CORDONED: u8 = 0;
    writer.i16(result.error_code);
    writer.string(Some(result.log_dir.as_bytes()));
    writer.array(result.topics.len());
    for topic in &result.topics {
        write_log_dir_topic(writer, topic);
    }
    writer.i64(result.total_bytes);
    writer.i64(result.usable_bytes);
    writer.out.push(NOT_CORDONED);
    writer.no_tags();
}

fn write_log_dir_topic(writer: &mut Writer, topic: &DescribeLogDirsTopic) {
    writer.string(Some(topic.name.as_bytes()));
    writer.array(topic.partitions.len());
    for partition in &topic.partitions {
        writer.i32(partition.partition_index);
        writer.i64(partition.partition_size);
        writer.i64(partition.offset_lag);
        writer.out.push(partition.is_future_key.into());
        writer.no_tags();
    }
    writer.no_tags();
}
