//! Valid requests of every API and version with something changed. `DURAMEN_FUZZ=N` sends N instead of the default.

use std::io::Read;
use std::time::Duration;

use bytes::BytesMut;
use duramen_wire::api::ApiKey;
use kafka_protocol::messages::{self as m, RequestHeader};
use kafka_protocol::protocol::{Encodable, Request, StrBytes};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::bare::Client;
use crate::bare::client::{batch, fetch_request, frame, prefixed, produce_request, topic};
use crate::rig::Rig;

const REQUESTS: usize = 2000;
const SEED: u64 = 4;
/// How long an answer is waited for: some changed requests may wait long by right.
const WAIT: Duration = Duration::from_millis(100);
/// Follows every changed request, so that its answer tells that the one before is done with.
const MARK: i32 = 0x6d61_726b;

/// An API, and a request of it as the bytes of a version: `None` where that cannot say what the request says.
type Valid = (ApiKey, Box<dyn Fn(i16) -> Option<Vec<u8>>>);

fn valid<R: Request + Encodable + 'static>(request: R) -> Valid {
    let api = ApiKey::try_from(R::KEY).expect("an API that is offered");
    let bytes_of = move |version| {
        let header = RequestHeader::default().with_request_api_key(R::KEY).with_request_api_version(version);
        let mut bytes = BytesMut::new();
        header.encode(&mut bytes, api.request_header_version(version)).ok()?;
        request.encode(&mut bytes, version).ok()?;
        Some(bytes.to_vec())
    };
    (api, Box::new(bytes_of))
}

macro_rules! defaults {
    ($($request:ident)*) => { vec![$(valid(m::$request::default())),*] };
}

/// A request of every API, most of them as empty as they may be.
fn empty_requests() -> Vec<Valid> {
    defaults![
        ProduceRequest FetchRequest ListOffsetsRequest MetadataRequest OffsetCommitRequest OffsetFetchRequest
        FindCoordinatorRequest JoinGroupRequest HeartbeatRequest LeaveGroupRequest SyncGroupRequest
        DescribeGroupsRequest ListGroupsRequest ApiVersionsRequest CreateTopicsRequest DeleteTopicsRequest
        DeleteRecordsRequest InitProducerIdRequest OffsetForLeaderEpochRequest DescribeAclsRequest
        DescribeConfigsRequest AlterConfigsRequest DescribeLogDirsRequest CreatePartitionsRequest
        DeleteGroupsRequest IncrementalAlterConfigsRequest ListPartitionReassignmentsRequest OffsetDeleteRequest
        DescribeQuorumRequest DescribeClusterRequest ListConfigResourcesRequest DescribeTopicPartitionsRequest
    ]
}

/// Requests with something in them.
fn full_requests() -> Vec<Valid> {
    let text = || StrBytes::from_static_str("fuzz");
    let group = || m::GroupId(text());
    let metadata = m::metadata_request::MetadataRequestTopic::default().with_name(Some(topic("fuzz")));
    let created = m::create_topics_request::CreatableTopic::default()
        .with_name(topic("fuzz"))
        .with_num_partitions(1)
        .with_replication_factor(1);
    let protocol = m::join_group_request::JoinGroupRequestProtocol::default().with_name(text());
    let joining = m::JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(6_000)
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_protocols(vec![protocol]);
    let committed = m::offset_commit_request::OffsetCommitRequestPartition::default().with_committed_offset(1);
    let offsets = m::offset_commit_request::OffsetCommitRequestTopic::default()
        .with_name(topic("fuzz"))
        .with_partitions(vec![committed]);
    let described = m::describe_configs_request::DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text());
    vec![
        valid(produce_request("fuzz", 0, batch([&b"a value"[..], b"another"]))),
        valid(fetch_request("fuzz", 0, 0, 1 << 20)),
        valid(m::MetadataRequest::default().with_topics(Some(vec![metadata]))),
        valid(m::CreateTopicsRequest::default().with_topics(vec![created])),
        valid(joining),
        valid(m::OffsetCommitRequest::default().with_group_id(group()).with_topics(vec![offsets])),
        valid(m::FindCoordinatorRequest::default().with_key(text())),
        valid(m::DescribeConfigsRequest::default().with_resources(vec![described])),
    ]
}

/// Changes a request in one to three places behind its API and version, and says its length truly but for one in ten.
fn changed(random: &mut SmallRng, mut bytes: Vec<u8>) -> Vec<u8> {
    const BEHIND_VERSION: usize = 4;
    for _ in 0..random.random_range(1..=3) {
        let at = random.random_range(BEHIND_VERSION..bytes.len());
        match random.random_range(0..6) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.random_range(0..5)],
            2 => bytes.truncate(at + 1),
            3 => bytes.insert(at, random.random()),
            4 => {
                let extreme = [i32::MAX, i32::MIN, -1, 1_000_000_000, 0x0fff_ffff][random.random_range(0..5)];
                let end = bytes.len().min(at + 4);
                bytes[at..end].copy_from_slice(&extreme.to_be_bytes()[..end - at]);
            }
            _ => {
                let again = bytes[at..].to_vec();
                bytes.extend(again);
            }
        }
    }
    let mut framed = prefixed(&bytes);
    if random.random_ratio(1, 10) {
        framed[3] = framed[3].wrapping_add(random.random_range(1..16));
    }
    framed
}

/// Reads answers until that of the mark, the end of the connection or the end of the wait.
fn drain(client: &mut Client) -> Option<()> {
    client.patience(WAIT);
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match client.stream.read(&mut piece) {
            Ok(0) => return None,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(_) => return None,
        }
        if bytes.windows(4).any(|four| four == MARK.to_be_bytes()) {
            return Some(());
        }
    }
}

#[test]
fn changed_requests_of_every_api() {
    let count = std::env::var("DURAMEN_FUZZ").ok().map_or(REQUESTS, |count| count.parse().expect("a number"));
    let mut rig = Rig::with(&["--set", "duramen.partitions.max=200", "--set", "group.initial.rebalance.delay.ms=0"]);
    assert_eq!(rig.broker.client().create_topics(&["fuzz"], 1), [0]);
    let kinds: Vec<Valid> = empty_requests().into_iter().chain(full_requests()).collect();
    assert!(ApiKey::ALL.iter().all(|api| kinds.iter().any(|(of, _)| of == api)), "every API has a request");
    let valid: Vec<Vec<u8>> = kinds.iter().flat_map(|(api, bytes_of)| api.versions().filter_map(bytes_of)).collect();
    assert!(valid.len() > 100, "only {} requests can be made", valid.len());
    let mark = frame(&m::ApiVersionsRequest::default(), 0, MARK);
    let mut random = SmallRng::seed_from_u64(SEED);
    let mut answered = 0;
    for _ in 0..count {
        let chosen = valid[random.random_range(0..valid.len())].clone();
        let request = changed(&mut random, chosen);
        let mut client = rig.broker.client();
        client.send(&request);
        client.send(&mark);
        answered += usize::from(drain(&mut client).is_some());
        assert!(rig.broker.is_alive(), "seed {SEED}: {request:02x?}\n{}", rig.broker.log());
    }
    assert!(answered > count / 10, "only {answered} of {count} connections went on: the changes are too rough to tell");
    println!("{answered} of {count} connections went on");
    rig.is_unharmed();
}
