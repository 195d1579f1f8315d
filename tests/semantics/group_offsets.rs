//! Points 21 and 23: commits with and without a generation, and what a restart leaves of them.

use bytes::{BufMut, Bytes};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponsePartitions;
use kafka_protocol::messages::{DeleteGroupsRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest};
use uuid::Uuid;

use crate::broker::{Broker, is_other, shared};
use crate::groups::{group_id, leave, lone_member, partition_of};
use crate::requests::*;
use crate::wire::{Client, text};

const COMMIT: i16 = 8;
const FETCH_OFFSETS: i16 = 8;
pub const NO_GENERATION: i32 = -1;

fn committing(group: &str, member: &str, generation: i32, topic: &str, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default()
        .with_committed_offset(offset)
        .with_committed_leader_epoch(0)
        .with_committed_metadata(Some(text("meta")));
    let topic = OffsetCommitRequestTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_member_id(text(member))
        .with_generation_id_or_member_epoch(generation)
        .with_topics(vec![topic])
}

pub fn commit(
    client: &mut Client,
    group: &str,
    member: (&str, i32),
    topic: &str,
    offset: i64,
) -> Option<ResponseError> {
    let request = committing(group, member.0, member.1, topic, offset);
    error(client.call(COMMIT, &request).topics[0].partitions[0].error_code)
}

/// Commits the same offset for so many partitions, with as much metadata as there may be.
pub fn commit_wide(
    client: &mut Client,
    group: &str,
    member: (&str, i32),
    topic: &str,
    offset: i64,
    partitions: i32,
) -> Option<ResponseError> {
    let mut request = committing(group, member.0, member.1, topic, offset);
    let metadata = text(&"m".repeat(4000));
    let one = request.topics[0].partitions.remove(0).with_committed_metadata(Some(metadata));
    request.topics[0].partitions = (0..partitions).map(|index| one.clone().with_partition_index(index)).collect();
    error(client.call(COMMIT, &request).topics[0].partitions[0].error_code)
}

/// Whether the coordinator has yet to load, which clients wait for.
pub fn is_settling(code: Option<ResponseError>) -> bool {
    use ResponseError::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator};
    matches!(code, Some(CoordinatorLoadInProgress | CoordinatorNotAvailable | NotCoordinator))
}

fn fetching(group: &str, topic: &str) -> OffsetFetchRequest {
    let topic = OffsetFetchRequestTopics::default().with_name(topic_name(topic)).with_partition_indexes(vec![0]);
    let asked = OffsetFetchRequestGroup::default().with_group_id(group_id(group)).with_topics(Some(vec![topic]));
    OffsetFetchRequest::default().with_groups(vec![asked])
}

pub fn committed(client: &mut Client, group: &str, topic: &str) -> OffsetFetchResponsePartitions {
    let request = fetching(group, topic);
    let mut answer = client.call(FETCH_OFFSETS, &request).groups.remove(0);
    assert_eq!(error(answer.error_code), None);
    answer.topics.remove(0).partitions.remove(0)
}

/// The committed offset, unless the coordinator is on its way.
pub fn try_committed(client: &mut Client, group: &str, topic: &str) -> Option<i64> {
    let answer = client.call(FETCH_OFFSETS, &fetching(group, topic)).groups.remove(0);
    assert!(answer.error_code == 0 || is_settling(error(answer.error_code)), "{answer:?}");
    (answer.error_code == 0).then(|| answer.topics[0].partitions[0].committed_offset)
}

/// The topics that a group has something committed in.
pub fn committed_topics(client: &mut Client, group: &str) -> Vec<String> {
    let asked = OffsetFetchRequestGroup::default().with_group_id(group_id(group)).with_topics(None);
    let answer = client.call(FETCH_OFFSETS, &OffsetFetchRequest::default().with_groups(vec![asked]));
    assert_eq!(error(answer.groups[0].error_code), None);
    answer.groups[0].topics.iter().map(|topic| topic.name.to_string()).collect()
}

#[test]
fn generation_minus_1_commits_to_an_empty_group() {
    let broker = shared();
    let mut client = broker.connect();
    let (topic, group) = (topic(&mut client), group(&mut client));
    assert_eq!(commit(&mut client, &group, ("", NO_GENERATION), &topic, 17), None);
    let stored = committed(&mut client, &group, &topic);
    assert_eq!((stored.committed_offset, stored.committed_leader_epoch), (17, 0));
    assert_eq!(stored.metadata.as_deref(), Some("meta"));
}

#[test]
fn generation_minus_1_is_refused_while_there_are_members() {
    let broker = shared();
    let mut client = broker.connect();
    let (topic, group) = (topic(&mut client), group(&mut client));
    let (member, generation) = lone_member(&mut client, &group);
    let simple = commit(&mut client, &group, ("", NO_GENERATION), &topic, 1);
    assert_eq!(simple, Some(ResponseError::UnknownMemberId));
    assert_eq!(commit(&mut client, &group, (&member, generation), &topic, 2), None);
    assert_eq!(leave(&mut client, &group, &member), None);
    assert_eq!(commit(&mut client, &group, ("", NO_GENERATION), &topic, 3), None, "empty again");
}

#[test]
fn another_generation_or_member_cannot_commit() {
    let broker = shared();
    let mut client = broker.connect();
    let (topic, group) = (topic(&mut client), group(&mut client));
    let (member, generation) = lone_member(&mut client, &group);
    let later = commit(&mut client, &group, (&member, generation + 1), &topic, 1);
    assert_eq!(later, Some(ResponseError::IllegalGeneration));
    let stranger = commit(&mut client, &group, ("stranger", generation), &topic, 1);
    assert_eq!(stranger, Some(ResponseError::UnknownMemberId));
    assert_eq!(committed(&mut client, &group, &topic).committed_offset, -1);
}

#[test]
fn a_generation_for_a_group_that_is_not_there_is_illegal() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let group = group(&mut client);
    let code = commit(&mut client, &group, ("stranger", 1), &topic, 1);
    assert_eq!(code, Some(ResponseError::IllegalGeneration));
}

#[test]
fn nothing_committed_is_offset_minus_1() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let group = group(&mut client);
    let stored = committed(&mut client, &group, &topic);
    assert_eq!((stored.committed_offset, stored.committed_leader_epoch), (-1, -1));
    assert_eq!(stored.metadata.as_deref(), Some(""));
}

#[test]
fn metadata_of_a_commit_has_a_limit() {
    let broker = shared();
    let mut client = broker.connect();
    let (topic, group) = (topic(&mut client), group(&mut client));
    assert_eq!(commit(&mut client, &group, ("", NO_GENERATION), &topic, 1), None);
    let mut request = committing(&group, "", NO_GENERATION, &topic, 2);
    request.topics[0].partitions[0].committed_metadata = Some(text(&"m".repeat(4097)));
    let code = error(client.call(COMMIT, &request).topics[0].partitions[0].error_code);
    assert_eq!(code, Some(ResponseError::OffsetMetadataTooLarge));
    assert_eq!(committed(&mut client, &group, &topic).committed_offset, 1);
}

#[test]
fn a_commit_for_an_unknown_topic_is_refused() {
    let broker = shared();
    let mut client = broker.connect();
    let group = group(&mut client);
    let code = commit(&mut client, &group, ("", NO_GENERATION), &fresh("none"), 1);
    assert_eq!(code, Some(ResponseError::UnknownTopicOrPartition));
}

#[test]
fn a_groups_offsets_lie_in_the_partition_of_its_hash() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    // The hash of the first is the least int32; that of the others is positive or negative.
    for group in ["polygenelubricants", "a", "a-much-longer-name", "console-consumer-12345"] {
        await_coordinator(&mut client, group);
        let partition = partition_of(group, 50) as i32;
        let before = offsets_end(&mut client, partition);
        assert_eq!(commit(&mut client, group, ("", NO_GENERATION), &topic, 1), None);
        assert!(offsets_end(&mut client, partition) > before, "{group}");
    }
}

/// The high watermark of a partition of the topic that keeps the offsets.
fn offsets_end(client: &mut Client, partition: i32) -> i64 {
    let topic = fetch_topic("__consumer_offsets", vec![fetch_partition(partition, 0)]);
    client.call(FETCH, &fetch_request(vec![topic])).responses[0].partitions[0].high_watermark
}

#[test]
fn offsets_survive_a_kill() {
    if is_other() {
        return;
    }
    let mut broker = Broker::start(&["group.initial.rebalance.delay.ms=0"]);
    let mut client = broker.connect();
    let topic = topic(&mut client);
    await_coordinator(&mut client, "g");
    assert_eq!(commit(&mut client, "g", ("", NO_GENERATION), &topic, 17), None);
    broker.kill_and_restart();
    let mut client = broker.connect();
    // Until they are replayed, the coordinator says so; it never says that there are none.
    let request = fetching("g", &topic);
    let mut answer = client.call(FETCH_OFFSETS, &request).groups.remove(0);
    assert!(eventually(|| {
        answer = client.call(FETCH_OFFSETS, &request).groups.remove(0);
        assert!(answer.error_code == 0 || is_settling(error(answer.error_code)), "{answer:?}");
        answer.error_code == 0
    }));
    assert_eq!(answer.topics[0].partitions[0].committed_offset, 17);
}

#[test]
fn deleted_offsets_and_groups_are_gone() {
    let broker = shared();
    let mut client = broker.connect();
    let (topic, group) = (topic(&mut client), group(&mut client));
    assert_eq!(commit(&mut client, &group, ("", NO_GENERATION), &topic, 17), None);
    let named = OffsetDeleteRequestTopic::default()
        .with_name(topic_name(&topic))
        .with_partitions(vec![OffsetDeleteRequestPartition::default()]);
    let request = OffsetDeleteRequest::default().with_group_id(group_id(&group)).with_topics(vec![named]);
    let deleted = client.call(0, &request);
    assert_eq!(error(deleted.error_code), None);
    assert_eq!(committed(&mut client, &group, &topic).committed_offset, -1);
    let none = crate::requests::group(&mut client);
    let delete = DeleteGroupsRequest::default().with_groups_names(vec![group_id(&none)]);
    assert_eq!(error(client.call(2, &delete).results[0].error_code), Some(ResponseError::GroupIdNotFound));
}

#[test]
fn a_group_with_members_cannot_be_deleted() {
    let broker = shared();
    let mut client = broker.connect();
    let group = group(&mut client);
    let (member, _) = lone_member(&mut client, &group);
    let delete = DeleteGroupsRequest::default().with_groups_names(vec![group_id(&group)]);
    assert_eq!(error(client.call(2, &delete).results[0].error_code), Some(ResponseError::NonEmptyGroup));
    assert_eq!(leave(&mut client, &group, &member), None);
    assert_eq!(error(client.call(2, &delete).results[0].error_code), None);
}

#[test]
fn version_10_names_topics_by_id() {
    let broker = shared();
    let mut client = broker.connect();
    let (topic, group) = (topic(&mut client), group(&mut client));
    let id = topic_id(&mut client, &topic);
    assert_eq!(commit(&mut client, &group, ("", NO_GENERATION), &topic, 1), None);
    assert_eq!(commit_10(&mut client, &group, id, 23), (id, 0));
    assert_eq!(committed(&mut client, &group, &topic).committed_offset, 23);
    assert_eq!(fetch_10(&mut client, &group, id), (id, 23, 0));
    let none = Uuid::from_u128(0xdead);
    let unknown = ResponseError::UnknownTopicId.code();
    assert_eq!(commit_10(&mut client, &group, none, 23), (none, unknown));
    assert_eq!(fetch_10(&mut client, &group, none), (none, -1, unknown));
}

/// Commits for partition 0 of a topic by its id: the answer's topic and error. The crate stops at version 9.
fn commit_10(client: &mut Client, group: &str, topic: Uuid, offset: i64) -> (Uuid, i16) {
    let mut body = Vec::new();
    compact(&mut body, group);
    body.put_i32(NO_GENERATION);
    compact(&mut body, "");
    body.put_u8(0); // no instance id
    body.put_u8(2);
    body.put_slice(topic.as_bytes());
    body.put_u8(2);
    body.put_i32(0);
    body.put_i64(offset);
    body.put_i32(-1);
    body.put_u8(0); // no metadata
    body.put_slice(&[0, 0, 0]); // no tagged fields: partition, topic, request
    client.send_body(8, 10, 2, &body);
    let answer = client.frame().unwrap();
    // Correlation id, tags, throttle time, one topic.
    assert_eq!((answer[4], answer[9]), (0, 2));
    let id = Uuid::from_slice(&answer[10..26]).unwrap();
    // One partition, its index.
    assert_eq!(answer[26], 2);
    (id, i16::from_be_bytes([answer[31], answer[32]]))
}

/// Asks for partition 0 of a topic by its id: the answer's topic, offset and error.
fn fetch_10(client: &mut Client, group: &str, topic: Uuid) -> (Uuid, i64, i16) {
    let mut body = Vec::new();
    body.put_u8(2);
    compact(&mut body, group);
    body.put_u8(0); // no member id
    body.put_i32(-1);
    body.put_u8(2);
    body.put_slice(topic.as_bytes());
    body.put_u8(2);
    body.put_i32(0);
    body.put_slice(&[0, 0]); // no tagged fields: topic, group
    body.put_u8(0); // need not be stable
    body.put_u8(0);
    client.send_body(9, 10, 2, &body);
    let answer: Bytes = client.frame().unwrap();
    // Correlation id, tags, throttle time, one group, its id, one topic.
    let topics_at = 10 + 1 + group.len();
    assert_eq!((answer[9], answer[topics_at]), (2, 2));
    let at = topics_at + 1;
    let id = Uuid::from_slice(&answer[at..at + 16]).unwrap();
    assert_eq!(answer[at + 16], 2);
    let partition = &answer[at + 17..];
    let offset = i64::from_be_bytes(partition[4..12].try_into().unwrap());
    // Leader epoch, then metadata, which is empty or null where nothing is committed.
    let metadata = usize::from(partition[16]).saturating_sub(1);
    let code = &partition[17 + metadata..];
    (id, offset, i16::from_be_bytes([code[0], code[1]]))
}

fn compact(out: &mut Vec<u8>, string: &str) {
    out.put_u8(u8::try_from(string.len() + 1).unwrap());
    out.put_slice(string.as_bytes());
}
