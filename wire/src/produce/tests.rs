//! Both directions against the crate, over all versions and any cut of the bytes.

use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::{self, ProduceResponse, ResponseHeader, TransactionalId};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::ids::{LeaderEpoch, PartitionIndex, TopicId};
use crate::slices::Slices;
use crate::topic::PARTITIONS_MAX;

type Records = Option<Vec<u8>>;

/// Name, id, and for each partition its index and records.
type SentTopic = (String, u128, Vec<(i32, Records)>);

fn topics() -> impl Strategy<Value = Vec<SentTopic>> {
    let records = prop::option::of(prop::collection::vec(any::<u8>(), 0..300));
    let partitions = prop::collection::vec((any::<i32>(), records), 0..4);
    prop::collection::vec(("[a-z.]{0,20}", any::<u128>(), partitions), 0..4)
}

fn by_the_crate(version: i16, transactional_id: Option<&str>, acks: i16, topics: &[SentTopic]) -> Vec<u8> {
    let partition = |(index, records): &(i32, Records)| {
        PartitionProduceData::default().with_index(*index).with_records(records.clone().map(Bytes::from))
    };
    let topic = |(name, id, partitions): &SentTopic| {
        let topic = TopicProduceData::default().with_partition_data(partitions.iter().map(partition).collect());
        match version >= 13 {
            true => topic.with_topic_id(Uuid::from_u128(*id)),
            false => topic.with_name(StrBytes::from_string(name.clone()).into()),
        }
    };
    let mut request = ProduceRequest::default()
        .with_transactional_id(transactional_id.map(|id| TransactionalId(StrBytes::from_string(id.to_string()))))
        .with_acks(acks)
        .with_timeout_ms(1234)
        .with_topic_data(topics.iter().map(topic).collect());
    if version >= 9 {
        request = request.with_unknown_tagged_field(77, Bytes::from_static(b"later"));
    }
    let mut bytes = Vec::new();
    request.encode(&mut bytes, version).unwrap();
    bytes
}

proptest! {
    #[test]
    fn requests_read_as_the_crate_wrote_them(
        version in 3..=13_i16,
        topics in topics(),
        acks in -1..=1_i16,
        transactional in any::<bool>(),
        before in 0_usize..9,
        cut in 1_usize..90,
    ) {
        let id = transactional.then_some("tx");
        let bytes = [vec![0xee; before], by_the_crate(version, id, acks, &topics)].concat();
        let pieces: Vec<&[u8]> = bytes.chunks(cut).collect();
        let mut request = Request::default();
        request.partitions.push(Partition { topic: 9, index: PartitionIndex(9), records: None });
        request.parse(Slices::new(&pieces), before, version).unwrap();
        prop_assert_eq!((request.acks, request.timeout_ms), (acks, 1234));
        prop_assert_eq!(request.transactional_id.clone().map(|range| &bytes[range]), id.map(str::as_bytes));
        prop_assert_eq!(request.is_transactional(), transactional);
        let read: Vec<_> = request.topics.iter().enumerate().map(|(place, topic)| {
            let (name, id) = match &topic.topic {
                TopicRef::Name(range) => (String::from_utf8(bytes[range.clone()].to_vec()).unwrap(), None),
                TopicRef::Id(id) => (String::new(), Some(id.0.as_u128())),
            };
            let partitions: Vec<(i32, Records)> = request.partitions[topic.partitions.clone()].iter().map(|partition| {
                assert_eq!(partition.topic, place);
                (partition.index.0, partition.records.clone().map(|range| bytes[range].to_vec()))
            }).collect();
            (name, id, partitions)
        }).collect();
        let sent: Vec<_> = topics.into_iter().map(|(name, id, partitions)| match version >= 13 {
            true => (String::new(), Some(id), partitions),
            false => (name, None, partitions),
        }).collect();
        prop_assert_eq!(request.partitions.len(), sent.iter().map(|(_, _, partitions)| partitions.len()).sum::<usize>());
        prop_assert_eq!(read, sent);
    }

    #[test]
    fn truncated_requests_are_errors(version in 3..=13_i16, topics in topics(), at in any::<prop::sample::Index>()) {
        let bytes = by_the_crate(version, None, 1, &topics);
        let short = &bytes[..at.index(bytes.len())];
        let parsed = Request::default().parse(Slices::one(&short), 0, version);
        prop_assert!(matches!(parsed, Err(Error::Malformed(_))));
    }

    #[test]
    fn no_bytes_make_it_panic(
        version in -1..=15_i16,
        mut bytes in prop::collection::vec(any::<u8>(), 0..100),
        body in 0_usize..20,
        zeros in 0_usize..20,
    ) {
        bytes.iter_mut().take(zeros).for_each(|byte| *byte = 0);
        let mut request = Request::default();
        let parsed = request.parse(Slices::one(&bytes.as_slice()), body, version);
        if parsed.is_ok() {
            prop_assert!((0..=13).contains(&version));
            prop_assert!(request.partitions.len() <= bytes.len() / 5);
        }
    }

    #[test]
    fn responses_read_back_through_the_crate(
        version in 3..=13_i16,
        topics in prop::collection::vec((any::<u128>(), prop::collection::vec(partition(), 0..4)), 0..4),
        endpoint in any::<bool>(),
        before in 0_usize..5,
    ) {
        let rack = "r".repeat(200);
        let endpoints = [
            NodeEndpoint { node_id: 3, host: "localhost", port: 9092, rack: None },
            NodeEndpoint { node_id: 4, host: "::1", port: 65_535, rack: Some(&rack) },
        ];
        let endpoints = if endpoint { &endpoints[..] } else { &[] };
        let mut out = vec![0xee; before];
        let mut encoder = ResponseEncoder::begin(&mut out, version, 42, topics.len());
        for (id, partitions) in &topics {
            encoder.topic(name(version, *id, id.to_string().as_bytes()), partitions.len());
            partitions.iter().for_each(|partition| encoder.partition(partition));
        }
        prop_assert_eq!(encoder.finish(77, endpoints), out.len() - before);
        let frame = &out[before..];
        prop_assert_eq!(i32::from_be_bytes(frame[..4].try_into().unwrap()) as usize, frame.len() - 4);
        let mut rest = &frame[4..];
        let header = ResponseHeader::decode(&mut rest, if version >= 9 { 1 } else { 0 }).unwrap();
        let response = ProduceResponse::decode(&mut rest, version).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!((header.correlation_id, response.throttle_time_ms), (42, 77));
        prop_assert_eq!(response.node_endpoints.len(), if version >= 10 { endpoints.len() } else { 0 });
        for (theirs, ours) in response.node_endpoints.iter().zip(endpoints) {
            prop_assert_eq!((theirs.node_id.0, &*theirs.host, theirs.port), (ours.node_id, ours.host, ours.port));
            prop_assert_eq!(theirs.rack.as_deref(), ours.rack);
        }
        prop_assert_eq!(response.responses.len(), topics.len());
        for (theirs, (id, ours)) in response.responses.iter().zip(&topics) {
            match version >= 13 {
                true => prop_assert_eq!(theirs.topic_id.as_u128(), *id),
                false => prop_assert_eq!(theirs.name.to_string(), id.to_string()),
            }
            prop_assert_eq!(theirs.partition_responses.len(), ours.len());
            for (theirs, ours) in theirs.partition_responses.iter().zip(ours) {
                compare(version, theirs, ours)?;
            }
        }
    }
}

fn name(version: i16, id: u128, name: &[u8]) -> TopicName<'_> {
    if version >= 13 { TopicName::Id(TopicId(Uuid::from_u128(id))) } else { TopicName::Name(name) }
}

fn partition() -> impl Strategy<Value = PartitionResponse<'static>> {
    let message = prop::option::of(Just("what went wrong"));
    let leader = prop::option::of((0..99_i32, 0..99_i32));
    let numbers = (any::<i32>(), any::<i16>(), any::<i64>(), any::<i64>(), any::<i64>());
    (numbers, message, leader).prop_map(|(numbers, error_message, leader)| PartitionResponse {
        index: PartitionIndex(numbers.0),
        error_code: numbers.1,
        base_offset: numbers.2,
        log_append_time_ms: numbers.3,
        log_start_offset: numbers.4,
        error_message,
        current_leader: leader.map(|(leader_id, epoch)| CurrentLeader { leader_id, leader_epoch: LeaderEpoch(epoch) }),
    })
}

fn compare(
    version: i16,
    theirs: &messages::produce_response::PartitionProduceResponse,
    ours: &PartitionResponse,
) -> Result<(), TestCaseError> {
    prop_assert_eq!((theirs.index, theirs.error_code), (ours.index.0, ours.error_code));
    prop_assert_eq!((theirs.base_offset, theirs.log_append_time_ms), (ours.base_offset, ours.log_append_time_ms));
    prop_assert_eq!(theirs.log_start_offset, if version >= 5 { ours.log_start_offset } else { -1 });
    prop_assert_eq!(theirs.error_message.as_deref(), ours.error_message.filter(|_| version >= 8));
    prop_assert!(theirs.record_errors.is_empty());
    let leader = ours.current_leader.filter(|_| version >= 10);
    prop_assert_eq!(theirs.current_leader.leader_id.0, leader.map_or(-1, |leader| leader.leader_id));
    prop_assert_eq!(theirs.current_leader.leader_epoch, leader.map_or(-1, |leader| leader.leader_epoch.0));
    Ok(())
}

/// Versions 0 to 2 as their schemas say, since the crate has them no more.
#[test]
fn the_oldest_versions_are_read_and_answered() {
    let request = [&[0, 1, 0, 0, 0, 9][..], &[0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1], &[0, 0, 0, 5, 0, 0, 0, 2, 7, 7]];
    for version in 0..=2 {
        let mut read = Request::default();
        read.parse(Slices::new(&request), 0, version).unwrap();
        assert_eq!(read.partitions, [Partition { topic: 0, index: PartitionIndex(5), records: Some(25..27) }]);
        let mut out = Vec::new();
        let mut encoder = ResponseEncoder::begin(&mut out, version, 1, 1);
        encoder.topic(TopicName::Name(b"t"), 1);
        encoder.partition(&PartitionResponse::error(PartitionIndex(5), 87));
        encoder.finish(3, &[]);
        let body = [0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 5, 0, 87];
        let time: &[u8] = if version == 2 { &[0xff; 8] } else { &[] };
        let throttle: &[u8] = if version >= 1 { &[0, 0, 0, 3] } else { &[] };
        assert_eq!(out[8..], [&body, &[0xff; 8][..], time, throttle].concat());
    }
}

#[test]
fn partitions_are_bounded_over_all_topics() {
    let topics: Vec<_> = (0..3).map(|topic| (format!("t{topic}"), 0, vec![(0, None); PARTITIONS_MAX / 2])).collect();
    let bytes = by_the_crate(9, None, 1, &topics);
    let parsed = Request::default().parse(Slices::one(&bytes.as_slice()), 0, 9);
    assert_eq!(parsed, Err(Error::TooMany { what: "partitions", limit: PARTITIONS_MAX }));
}

#[test]
#[should_panic(expected = "the announced counts are kept")]
fn a_response_keeps_its_counts() {
    let mut out = Vec::new();
    let mut encoder = ResponseEncoder::begin(&mut out, 9, 1, 1);
    encoder.topic(TopicName::Name(b"t"), 1);
    encoder.finish(0, &[]);
}

const GOLDEN_ID: TopicId = TopicId(Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10));

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Bytes that Kafka 4.3.1's own classes wrote.
#[test]
fn golden_version_13() {
    let request = bytes("037478ffff000003e8020102030405060708090a0b0c0d0e0f10020000000304010203000000");
    let mut read = Request::default();
    read.parse(Slices::one(&request.as_slice()), 0, 13).unwrap();
    assert_eq!((read.transactional_id, read.acks, read.timeout_ms), (Some(1..3), -1, 1000));
    assert_eq!(read.topics, [Topic { topic: TopicRef::Id(GOLDEN_ID), partitions: 0..1 }]);
    assert_eq!(request[read.partitions[0].records.clone().unwrap()], [1, 2, 3]);

    let response = bytes(
        "020102030405060708090a0b0c0d0e0f1002000000030006ffffffffffffffffffffffffffffffffffffffffffffffff01066d6f766564\
         010009000000020000000900000000000401000e0200000002026800002384027200",
    );
    let mut out = Vec::new();
    let mut encoder = ResponseEncoder::begin(&mut out, 13, 1, 1);
    encoder.topic(TopicName::Id(GOLDEN_ID), 1);
    encoder.partition(&PartitionResponse {
        error_message: Some("moved"),
        current_leader: Some(CurrentLeader { leader_id: 2, leader_epoch: LeaderEpoch(9) }),
        ..PartitionResponse::error(PartitionIndex(3), 6)
    });
    encoder.finish(4, &[NodeEndpoint { node_id: 2, host: "h", port: 9092, rack: Some("r") }]);
    assert_eq!(out[9..], response);
}
