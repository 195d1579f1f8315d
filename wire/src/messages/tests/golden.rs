//! The versions that the crate lacks, against bytes that Kafka 4.3.1's own classes wrote.

use uuid::Uuid;

use super::super::describe_log_dirs_response::*;
use super::super::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use super::super::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use super::super::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use super::super::*;

const TOPIC_ID: Uuid = Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn decoded(api: ApiKey, version: i16, hex: &str) -> Request {
    decode_request(api, version, Bytes::from(bytes(hex))).unwrap()
}

/// The body of an encoded frame: all of these have a header of 9 bytes.
fn encoded(response: impl Into<Response>, version: i16) -> Vec<u8> {
    let mut out = Vec::new();
    encode_response(&response.into(), version, 1, &mut out).unwrap();
    out.split_off(9)
}

#[test]
fn offset_commit_10() {
    let hex = "026700000005026d0269020102030405060708090a0b0c0d0e0f1003\
               00000003000000000000004d00000002056d65746100\
               00000004000000000000004effffffff00000000";
    let Request::OffsetCommit(request) = decoded(ApiKey::OffsetCommit, 10, hex) else { panic!("an OffsetCommit") };
    assert_eq!((&**request.group_id, request.generation_id_or_member_epoch), ("g", 5));
    assert_eq!((&*request.member_id, request.group_instance_id.as_deref()), ("m", Some("i")));
    let topic = &request.topics[0];
    assert_eq!((topic.topic_id, &**topic.name), (TOPIC_ID, ""));
    let [first, second] = &topic.partitions[..] else { panic!("two partitions") };
    assert_eq!((first.partition_index, first.committed_offset, first.committed_leader_epoch), (3, 77, 2));
    assert_eq!(first.committed_metadata.as_deref(), Some("meta"));
    assert_eq!((second.partition_index, second.committed_offset, second.committed_leader_epoch), (4, 78, -1));
    assert_eq!(second.committed_metadata, None);

    let partition = OffsetCommitResponsePartition::default().with_partition_index(3).with_error_code(9);
    let topic = OffsetCommitResponseTopic::default().with_topic_id(TOPIC_ID).with_partitions(vec![partition]);
    let response = OffsetCommitResponse::default().with_throttle_time_ms(1).with_topics(vec![topic]);
    assert_eq!(encoded(response, 10), bytes("00000001020102030405060708090a0b0c0d0e0f1002000000030009000000"));
}

#[test]
fn offset_fetch_10() {
    let hex = "030267026d00000009020102030405060708090a0b0c0d0e0f1003000000010000000200\
               0004616c6c00ffffffff00000100";
    let Request::OffsetFetch(request) = decoded(ApiKey::OffsetFetch, 10, hex) else { panic!("an OffsetFetch") };
    assert!(request.require_stable);
    let [first, second] = &request.groups[..] else { panic!("two groups") };
    assert_eq!((&**first.group_id, first.member_id.as_deref(), first.member_epoch), ("g", Some("m"), 9));
    let topics = first.topics.as_ref().unwrap();
    assert_eq!((topics[0].topic_id, &topics[0].partition_indexes[..]), (TOPIC_ID, &[1, 2][..]));
    assert_eq!((&**second.group_id, second.member_id.as_deref(), second.member_epoch), ("all", None, -1));
    assert_eq!(second.topics, None);

    let partition = OffsetFetchResponsePartitions::default()
        .with_partition_index(1)
        .with_committed_offset(50)
        .with_committed_leader_epoch(2)
        .with_metadata(Some(StrBytes::from_static_str("x")));
    let topic = OffsetFetchResponseTopics::default().with_topic_id(TOPIC_ID).with_partitions(vec![partition]);
    let group = OffsetFetchResponseGroup::default()
        .with_group_id(GroupId(StrBytes::from_static_str("g")))
        .with_topics(vec![topic]);
    let response = OffsetFetchResponse::default().with_throttle_time_ms(1).with_groups(vec![group]);
    let hex = "00000001020267020102030405060708090a0b0c0d0e0f1002\
               0000000100000000000000320000000202780000000000000000";
    assert_eq!(encoded(response, 10), bytes(hex));
}

#[test]
fn list_offsets_11() {
    let hex = "ffffffff01020274020000000100000004fffffffffffffffa0000000003e800";
    let Request::ListOffsets(request) = decoded(ApiKey::ListOffsets, 11, hex) else { panic!("a ListOffsets") };
    assert_eq!((request.isolation_level, request.timeout_ms), (1, 1000));
    let partition = &request.topics[0].partitions[0];
    assert_eq!((partition.partition_index, partition.current_leader_epoch, partition.timestamp), (1, 4, -6));

    let partition = ListOffsetsPartitionResponse::default()
        .with_partition_index(1)
        .with_timestamp(5)
        .with_offset(6)
        .with_leader_epoch(7);
    let topic = ListOffsetsTopicResponse::default()
        .with_name(TopicName(StrBytes::from_static_str("t")))
        .with_partitions(vec![partition]);
    let response = ListOffsetsResponse::default().with_throttle_time_ms(1).with_topics(vec![topic]);
    let hex = "00000001020274020000000100000000000000000005000000000000000600000007000000";
    assert_eq!(encoded(response, 11), bytes(hex));
}

#[test]
fn describe_log_dirs_5() {
    let request = decoded(ApiKey::DescribeLogDirs, 5, "0202740300000000000000010000");
    let Request::DescribeLogDirs(request) = request else { panic!("a DescribeLogDirs") };
    assert_eq!(request.topics.unwrap()[0].partitions, [0, 1]);

    let partition = DescribeLogDirsPartition::default()
        .with_partition_index(1)
        .with_partition_size(2)
        .with_offset_lag(3)
        .with_is_future_key(true);
    let topic = DescribeLogDirsTopic::default()
        .with_name(TopicName(StrBytes::from_static_str("t")))
        .with_partitions(vec![partition]);
    let result = DescribeLogDirsResult::default()
        .with_error_code(3)
        .with_log_dir(StrBytes::from_static_str("/data"))
        .with_topics(vec![topic])
        .with_total_bytes(1000)
        .with_usable_bytes(999);
    let response =
        DescribeLogDirsResponse::default().with_throttle_time_ms(1).with_error_code(2).with_results(vec![result]);
    let hex = "000000010002020003062f64617461020274020000000100000000000000020000000000000003010000\
               00000000000003e800000000000003e7000000";
    assert_eq!(encoded(response, 5), bytes(hex));
}
