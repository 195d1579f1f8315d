//! Points 18, 19, 20 and 24: joining, static members, and where a group's coordinator is.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    DescribeGroupsRequest, FindCoordinatorRequest, GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, SyncGroupRequest,
};

use crate::broker::{Broker, is_other, shared};
use crate::requests::*;
use crate::wire::{Client, text};

const JOIN: i16 = 7;
const GROUP: i8 = 0;

pub fn group_id(group: &str) -> GroupId {
    GroupId(text(group))
}

fn joining(group: &str, member: &str, instance: Option<&str>) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(Bytes::from_static(b"m"));
    JoinGroupRequest::default()
        .with_group_id(group_id(group))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_member_id(text(member))
        .with_group_instance_id(instance.map(text))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

/// What a member of unknown id is told that wants to join: it changes nothing.
pub fn join_error(client: &mut Client, group: &str) -> Option<ResponseError> {
    error(client.call(JOIN, &joining(group, "stranger", None)).error_code)
}

/// Joins with an empty member id, and again with the id that is given if the broker asks for it.
fn join(client: &mut Client, group: &str) -> JoinGroupResponse {
    let first = client.call(JOIN, &joining(group, "", None));
    assert_eq!(error(first.error_code), Some(ResponseError::MemberIdRequired));
    client.call(JOIN, &joining(group, &first.member_id, None))
}

fn sync(client: &mut Client, group: &str, joined: &JoinGroupResponse, instance: Option<&str>) -> Option<ResponseError> {
    let assignment = SyncGroupRequestAssignment::default()
        .with_member_id(joined.member_id.clone())
        .with_assignment(Bytes::from_static(b"a"));
    let request = SyncGroupRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_group_instance_id(instance.map(text))
        .with_protocol_type(Some(text("consumer")))
        .with_protocol_name(Some(text("range")))
        .with_assignments(vec![assignment]);
    let response = client.call(5, &request);
    if response.error_code == 0 {
        assert_eq!(&response.assignment[..], b"a");
    }
    error(response.error_code)
}

pub fn heartbeat(
    client: &mut Client,
    group: &str,
    generation: i32,
    member: &str,
    instance: Option<&str>,
) -> Option<ResponseError> {
    let request = HeartbeatRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id(generation)
        .with_member_id(text(member))
        .with_group_instance_id(instance.map(text));
    error(client.call(4, &request).error_code)
}

/// Joins and syncs as the only member. Returns the member id and the generation.
pub fn lone_member(client: &mut Client, group: &str) -> (String, i32) {
    let joined = join(client, group);
    assert_eq!(error(joined.error_code), None);
    assert_eq!(sync(client, group, &joined, None), None);
    (joined.member_id.to_string(), joined.generation_id)
}

pub fn leave(client: &mut Client, group: &str, member: &str) -> Option<ResponseError> {
    let identity = MemberIdentity::default().with_member_id(text(member));
    let request = LeaveGroupRequest::default().with_group_id(group_id(group)).with_members(vec![identity]);
    let response = client.call(4, &request);
    error(response.error_code).or(error(response.members[0].error_code))
}

pub fn state(client: &mut Client, group: &str) -> String {
    let request = DescribeGroupsRequest::default().with_groups(vec![group_id(group)]);
    client.call(5, &request).groups.remove(0).group_state.to_string()
}

#[test]
fn an_empty_member_id_is_given_one_to_come_back_with() {
    let broker = shared();
    let mut client = broker.connect();
    for version in 4..=9 {
        let group = group(&mut client);
        let first = client.call(version, &joining(&group, "", None).with_group_instance_id(None));
        assert_eq!(error(first.error_code), Some(ResponseError::MemberIdRequired), "version {version}");
        assert!(first.member_id.starts_with("semantics-"), "named after the client: {}", first.member_id);
        let second = client.call(version, &joining(&group, &first.member_id, None));
        assert_eq!((error(second.error_code), second.generation_id), (None, 1));
        assert_eq!((&second.leader, &second.member_id), (&first.member_id, &first.member_id));
    }
}

#[test]
fn before_version_4_an_empty_member_id_joins_at_once() {
    let broker = shared();
    let mut client = broker.connect();
    for version in 0..4 {
        let mut request = joining(&group(&mut client), "", None);
        if version == 0 {
            request.rebalance_timeout_ms = -1;
        }
        let joined = client.call(version, &request);
        assert_eq!((error(joined.error_code), joined.generation_id), (None, 1), "version {version}");
    }
}

#[test]
fn an_unknown_member_id_is_unknown() {
    let broker = shared();
    let mut client = broker.connect();
    let group = group(&mut client);
    lone_member(&mut client, &group);
    let stranger = client.call(JOIN, &joining(&group, "stranger", None));
    assert_eq!(error(stranger.error_code), Some(ResponseError::UnknownMemberId));
}

#[test]
fn a_static_member_needs_no_member_id() {
    let broker = shared();
    let mut client = broker.connect();
    let group = group(&mut client);
    let joined = client.call(JOIN, &joining(&group, "", Some("i1")));
    assert_eq!((error(joined.error_code), joined.generation_id), (None, 1));
    assert!(joined.member_id.starts_with("i1-"), "named after the instance: {}", joined.member_id);
}

#[test]
fn a_replaced_static_member_is_fenced_and_no_rebalance_follows() {
    let broker = shared();
    let mut client = broker.connect();
    let group = group(&mut client);
    let first = client.call(JOIN, &joining(&group, "", Some("i1")));
    assert_eq!(sync(&mut client, &group, &first, Some("i1")), None);
    let again = client.call(9, &joining(&group, "", Some("i1")));
    assert_eq!((error(again.error_code), again.generation_id), (None, first.generation_id), "no new generation");
    assert_ne!(again.member_id, first.member_id);
    assert_eq!(state(&mut client, &group), "Stable");
    let old = heartbeat(&mut client, &group, first.generation_id, &first.member_id, Some("i1"));
    assert_eq!(old, Some(ResponseError::FencedInstanceId));
    assert_eq!(heartbeat(&mut client, &group, again.generation_id, &again.member_id, Some("i1")), None);
    let old_join = client.call(JOIN, &joining(&group, &first.member_id, Some("i1")));
    assert_eq!(error(old_join.error_code), Some(ResponseError::FencedInstanceId));
}

#[test]
fn an_unknown_instance_is_an_unknown_member() {
    let broker = shared();
    let mut client = broker.connect();
    let group = group(&mut client);
    let (member, generation) = lone_member(&mut client, &group);
    let unknown = heartbeat(&mut client, &group, generation, &member, Some("i9"));
    assert_eq!(unknown, Some(ResponseError::UnknownMemberId));
}

#[test]
fn heartbeats_tell_generation_membership_and_rebalance() {
    let broker = shared();
    let (mut client, mut other) = (broker.connect(), broker.connect());
    let group = group(&mut client);
    let (member, generation) = lone_member(&mut client, &group);
    assert_eq!(heartbeat(&mut client, &group, generation, &member, None), None);
    let early = heartbeat(&mut client, &group, generation + 1, &member, None);
    assert_eq!(early, Some(ResponseError::IllegalGeneration));
    let stranger = heartbeat(&mut client, &group, generation, "stranger", None);
    assert_eq!(stranger, Some(ResponseError::UnknownMemberId));
    let id = other.call(JOIN, &joining(&group, "", None)).member_id;
    let sent = other.send(JOIN, &joining(&group, &id, None));
    while state(&mut client, &group) != "PreparingRebalance" {}
    let told = heartbeat(&mut client, &group, generation, &member, None);
    assert_eq!(told, Some(ResponseError::RebalanceInProgress));
    let rejoined = client.call(JOIN, &joining(&group, &member, None));
    let joined = other.receive::<JoinGroupRequest>(JOIN, sent);
    assert_eq!((rejoined.generation_id, joined.generation_id), (generation + 1, generation + 1));
    assert_eq!((rejoined.members.len(), joined.members.len()), (2, 0), "only the leader learns the members");
}

#[test]
fn protocols_that_do_not_fit_are_inconsistent() {
    let broker = shared();
    let mut client = broker.connect();
    let group = group(&mut client);
    lone_member(&mut client, &group);
    let mut other = joining(&group, "", None);
    other.protocols[0].name = text("another");
    assert_eq!(error(client.call(JOIN, &other).error_code), Some(ResponseError::InconsistentGroupProtocol));
    let other = joining(&group, "", None).with_protocol_type(text("connect"));
    assert_eq!(error(client.call(JOIN, &other).error_code), Some(ResponseError::InconsistentGroupProtocol));
}

#[test]
fn session_timeouts_have_bounds() {
    let broker = shared();
    let mut client = broker.connect();
    let group = group(&mut client);
    for timeout in [0, 5_999, 1_800_001] {
        let joined = client.call(JOIN, &joining(&group, "", None).with_session_timeout_ms(timeout));
        assert_eq!(error(joined.error_code), Some(ResponseError::InvalidSessionTimeout), "{timeout}");
    }
}

#[test]
fn an_empty_group_id_is_invalid() {
    let broker = shared();
    let mut client = broker.connect();
    assert_eq!(error(client.call(JOIN, &joining("", "", None)).error_code), Some(ResponseError::InvalidGroupId));
}

#[test]
fn the_last_member_leaves_an_empty_group() {
    let broker = shared();
    let mut client = broker.connect();
    let group = group(&mut client);
    let (member, _) = lone_member(&mut client, &group);
    assert_eq!(leave(&mut client, &group, &member), None);
    assert_eq!(state(&mut client, &group), "Empty");
    assert_eq!(leave(&mut client, &group, &member), Some(ResponseError::UnknownMemberId));
}

#[test]
fn the_initial_rebalance_waits_three_seconds_by_default() {
    if is_other() {
        return;
    }
    let broker = Broker::start(&[]);
    let mut client = broker.connect();
    let group = group(&mut client);
    let started = Instant::now();
    let joined = join(&mut client, &group);
    assert_eq!(error(joined.error_code), None);
    assert!(started.elapsed() >= Duration::from_secs(3), "{:?}", started.elapsed());
}

#[test]
fn describe_groups_6_says_that_a_group_is_not_found() {
    let broker = shared();
    let mut client = broker.connect();
    // Its coordinator is ready, and knows no such group.
    let none = group(&mut client);
    let request = DescribeGroupsRequest::default().with_groups(vec![group_id(&none)]);
    let older = client.call(5, &request).groups.remove(0);
    assert_eq!((error(older.error_code), &*older.group_state), (None, "Dead"));
    let newer = client.call(6, &request).groups.remove(0);
    assert_eq!((error(newer.error_code), &*newer.group_state), (Some(ResponseError::GroupIdNotFound), "Dead"));
    assert!(newer.error_message.is_some());
}

/// Java's `String.hashCode`, masked as Kafka does it.
pub fn partition_of(group: &str, partitions: usize) -> usize {
    let hash = group.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    (hash & i32::MAX) as usize % partitions
}

#[test]
fn the_coordinator_leads_the_partition_of_the_ids_hash() {
    let broker = shared();
    let mut client = broker.connect();
    group(&mut client);
    let partitions = offsets_topic(&mut client);
    assert_eq!(partitions.len(), 50);
    for group in ["a", "group", "console-consumer-12345", "polygenelubricants", "gr\u{fc}n", "\u{1f980}"] {
        let leader = partitions.iter().find(|(index, _)| *index == partition_of(group, 50) as i32).unwrap().1;
        assert_eq!(find(&mut client, group), leader, "{group}");
    }
}

fn find(client: &mut Client, group: &str) -> i32 {
    let request = FindCoordinatorRequest::default().with_key_type(GROUP).with_coordinator_keys(vec![text(group)]);
    client.call(4, &request).coordinators[0].node_id.0
}

/// Index and leader of each partition of the topic that keeps the groups.
fn offsets_topic(client: &mut Client) -> Vec<(i32, i32)> {
    let mut topic = describe(client, "__consumer_offsets");
    assert!(eventually(|| {
        topic = describe(client, "__consumer_offsets");
        topic.error_code == 0 && topic.partitions.iter().all(|partition| partition.error_code == 0)
    }));
    topic.partitions.iter().map(|partition| (partition.partition_index, partition.leader_id.0)).collect()
}

#[test]
fn coordinators_are_found_in_every_version() {
    let broker = shared();
    let mut client = broker.connect();
    group(&mut client);
    for version in 0..4 {
        let response = client.call(version, &FindCoordinatorRequest::default().with_key(text("g")));
        assert_eq!(error(response.error_code), None, "version {version}");
        assert!(response.port > 0 && response.node_id.0 >= 0);
    }
    for version in 4..=6 {
        let keys = vec![text("g"), text("h")];
        let response = client.call(version, &FindCoordinatorRequest::default().with_coordinator_keys(keys));
        let keys = response.coordinators.iter().map(|found| (found.error_code, &*found.key)).collect::<Vec<_>>();
        assert_eq!(keys, [(0, "g"), (0, "h")], "version {version}");
    }
}

#[test]
fn an_unknown_kind_of_coordinator_is_an_invalid_request() {
    let broker = shared();
    let mut client = broker.connect();
    let request = FindCoordinatorRequest::default().with_key_type(9).with_coordinator_keys(vec![text("g")]);
    assert_eq!(error(client.call(4, &request).coordinators[0].error_code), Some(ResponseError::InvalidRequest));
}
