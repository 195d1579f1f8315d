//! Both directions against the crate, over all versions and any cut of the bytes.

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic, ReplicaState};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{BrokerId, FetchResponse, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::ids::{LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId};
use crate::slices::Slices;

fn topic_name(id: u128) -> String {
    format!("topic-{id}")
}

/// One of the crate's partitions, with what `version` has.
fn sent_partition(version: i16, seed: i32) -> FetchPartition {
    let mut partition = FetchPartition::default()
        .with_partition(seed)
        .with_fetch_offset(i64::from(seed) * 3)
        .with_partition_max_bytes(seed ^ 5);
    if version >= 5 {
        partition.log_start_offset = i64::from(seed) - 7;
    }
    if version >= 9 {
        partition.current_leader_epoch = seed ^ 1;
    }
    if version >= 12 {
        partition.last_fetched_epoch = seed ^ 2;
    }
    if version >= 17 {
        partition.replica_directory_id = Uuid::from_u128(seed as u128);
    }
    if version >= 18 && seed % 2 == 0 {
        partition.high_watermark = i64::from(seed) * 11;
    }
    partition
}

fn sent_request(version: i16, topics: &[(u128, Vec<i32>)], forgotten: &[(u128, Vec<i32>)]) -> FetchRequest {
    let named = |id: &u128| match version >= 13 {
        true => (StrBytes::default().into(), Uuid::from_u128(*id)),
        false => (StrBytes::from_string(topic_name(*id)).into(), Uuid::nil()),
    };
    let topic = |(id, seeds): &(u128, Vec<i32>)| {
        let (name, id) = named(id);
        let partitions = seeds.iter().map(|seed| sent_partition(version, *seed)).collect();
        FetchTopic::default().with_topic(name).with_topic_id(id).with_partitions(partitions)
    };
    let mut request = FetchRequest::default()
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_isolation_level(1)
        .with_topics(topics.iter().map(topic).collect());
    if version <= 14 {
        request.replica_id = BrokerId(7);
    } else {
        request.replica_state = ReplicaState::default().with_replica_id(BrokerId(7)).with_replica_epoch(70);
    }
    if version >= 7 {
        let forgotten = forgotten.iter().map(|(id, partitions)| {
            let (name, id) = named(id);
            ForgottenTopic::default().with_topic(name).with_topic_id(id).with_partitions(partitions.clone())
        });
        request = request.with_session_id(12).with_session_epoch(13).with_forgotten_topics_data(forgotten.collect());
    }
    if version >= 11 {
        request.rack_id = StrBytes::from_static_str("rack");
    }
    if version >= 12 {
        request = request
            .with_cluster_id(Some(StrBytes::from_static_str("cluster")))
            .with_unknown_tagged_field(99, Bytes::from_static(b"later"));
    }
    request
}

fn ids() -> impl Strategy<Value = Vec<(u128, Vec<i32>)>> {
    prop::collection::vec((any::<u128>(), prop::collection::vec(any::<i32>(), 0..5)), 0..4)
}

fn expected_topic(version: i16, id: u128, bytes: &[u8], topic: &TopicRef) {
    match topic {
        TopicRef::Name(range) => assert_eq!((&bytes[range.clone()], version < 13), (topic_name(id).as_bytes(), true)),
        TopicRef::Id(read) => assert_eq!((read.0.as_u128(), version >= 13), (id, true)),
    }
}

fn expected_partition(topic: usize, theirs: &FetchPartition) -> Partition {
    Partition {
        topic,
        index: PartitionIndex(theirs.partition),
        current_leader_epoch: LeaderEpoch(theirs.current_leader_epoch),
        fetch_offset: theirs.fetch_offset,
        last_fetched_epoch: LeaderEpoch(theirs.last_fetched_epoch),
        log_start_offset: theirs.log_start_offset,
        max_bytes: theirs.partition_max_bytes,
        replica_directory_id: theirs.replica_directory_id,
        high_watermark: theirs.high_watermark,
    }
}

proptest! {
    #[test]
    fn requests_read_as_the_crate_wrote_them(
        version in 4..=18_i16,
        topics in ids(),
        forgotten in ids(),
        before in 0_usize..9,
        cut in 1_usize..90,
    ) {
        let theirs = sent_request(version, &topics, &forgotten);
        let mut bytes = vec![0xee; before];
        theirs.encode(&mut bytes, version).unwrap();
        let pieces: Vec<&[u8]> = bytes.chunks(cut).collect();
        let mut request = Request::default();
        request.forgotten.push(Forgotten { topic: TopicRef::Name(0..0), index: PartitionIndex(0) });
        request.partitions.push(expected_partition(0, &FetchPartition::default()));
        request.parse(Slices::new(&pieces), before, version).unwrap();

        prop_assert_eq!((request.max_wait_ms, request.min_bytes, request.max_bytes), (500, 1, 1 << 20));
        prop_assert_eq!(request.isolation_level, IsolationLevel::ReadCommitted);
        prop_assert_eq!((request.replica_id, request.replica_epoch), (7, if version >= 15 { 70 } else { -1 }));
        let session = if version >= 7 { (12, 13) } else { (0, -1) };
        prop_assert_eq!((request.session_id, request.session_epoch), session);
        prop_assert_eq!(&bytes[request.rack_id], if version >= 11 { &b"rack"[..] } else { b"" });
        let cluster = request.cluster_id.map(|range| &bytes[range]);
        prop_assert_eq!(cluster, (version >= 12).then_some(&b"cluster"[..]));

        prop_assert_eq!(request.topics.len(), topics.len());
        prop_assert_eq!(request.partitions.len(), topics.iter().map(|(_, seeds)| seeds.len()).sum::<usize>());
        for (place, topic) in request.topics.iter().enumerate() {
            expected_topic(version, topics[place].0, &bytes, &topic.topic);
            let expected = theirs.topics[place].partitions.iter().map(|theirs| expected_partition(place, theirs));
            prop_assert_eq!(&request.partitions[topic.partitions.clone()], expected.collect::<Vec<_>>());
        }
        let sent = forgotten.iter().flat_map(|(id, partitions)| partitions.iter().map(|partition| (*id, *partition)));
        let sent: Vec<_> = sent.filter(|_| version >= 7).collect();
        prop_assert_eq!(request.forgotten.len(), sent.len());
        for (read, (id, partition)) in request.forgotten.iter().zip(sent) {
            expected_topic(version, id, &bytes, &read.topic);
            prop_assert_eq!(read.index.0, partition);
        }
    }

    #[test]
    fn truncated_requests_are_errors(version in 4..=18_i16, topics in ids(), at in any::<prop::sample::Index>()) {
        let mut bytes = Vec::new();
        sent_request(version, &topics, &[]).encode(&mut bytes, version).unwrap();
        let short = &bytes[..at.index(bytes.len())];
        let parsed = Request::default().parse(Slices::one(&short), 0, version);
        prop_assert!(matches!(parsed, Err(Error::Malformed(_))));
    }

    #[test]
    fn no_bytes_make_it_panic(
        version in 2..=20_i16,
        mut bytes in prop::collection::vec(any::<u8>(), 0..120),
        zeros in 0_usize..60,
    ) {
        bytes.iter_mut().take(zeros).for_each(|byte| *byte = 0);
        let parsed = Request::default().parse(Slices::one(&bytes.as_slice()), 0, version);
        prop_assert!(parsed.is_err() || (4..=18).contains(&version));
    }

    #[test]
    fn responses_read_back_through_the_crate(
        version in 4..=18_i16,
        topics in prop::collection::vec((any::<u128>(), prop::collection::vec(answer(), 0..4)), 0..4),
        endpoint in any::<bool>(),
        before in 0_usize..5,
    ) {
        let endpoints = [NodeEndpoint { node_id: 3, host: "localhost", port: 9092, rack: Some("a") }];
        let endpoints = if endpoint { &endpoints[..] } else { &[] };
        let head = ResponseHead { throttle_time_ms: 77, error_code: 5, session_id: 6 };
        let (mut out, mut splices) = (vec![0xee; before], Vec::new());
        let mut encoder = ResponseEncoder::begin(&mut out, &mut splices, version, 42, &head, topics.len());
        for (id, answers) in &topics {
            let name = topic_name(*id);
            encoder.topic(
                match version >= 13 {
                    true => TopicName::Id(TopicId(Uuid::from_u128(*id))),
                    false => TopicName::Name(name.as_bytes()),
                },
                answers.len(),
            );
            answers.iter().for_each(|answer| encoder.partition(&answer.response()));
        }
        let total = encoder.finish(endpoints);
        let answers: Vec<&Answer> = topics.iter().flat_map(|(_, answers)| answers).collect();
        prop_assert_eq!(splices.len(), answers.len());
        let frame = gather(&out, before, &splices, &answers);
        prop_assert_eq!(frame.len(), total);
        prop_assert_eq!(i32::from_be_bytes(frame[..4].try_into().unwrap()) as usize, total - 4);

        let mut rest = Bytes::from(frame).slice(4..);
        let header = ResponseHeader::decode(&mut rest, if version >= 12 { 1 } else { 0 }).unwrap();
        let response = FetchResponse::decode(&mut rest, version).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!((header.correlation_id, response.throttle_time_ms), (42, 77));
        let session = if version >= 7 { (5, 6) } else { (0, 0) };
        prop_assert_eq!((response.error_code, response.session_id), session);
        prop_assert_eq!(response.node_endpoints.len(), if version >= 16 { endpoints.len() } else { 0 });
        prop_assert_eq!(response.responses.len(), topics.len());
        for (theirs, (id, ours)) in response.responses.iter().zip(&topics) {
            match version >= 13 {
                true => prop_assert_eq!(theirs.topic_id.as_u128(), *id),
                false => prop_assert_eq!(&**theirs.topic, &topic_name(*id)),
            }
            prop_assert_eq!(theirs.partitions.len(), ours.len());
            for (theirs, ours) in theirs.partitions.iter().zip(ours) {
                compare(version, theirs, ours)?;
            }
        }
    }
}

/// What the sender does: header pieces and records in turn.
fn gather(out: &[u8], from: usize, splices: &[Splice], answers: &[&Answer]) -> Vec<u8> {
    let mut frame = Vec::new();
    let mut at = from;
    for (splice, answer) in splices.iter().zip(answers) {
        frame.extend_from_slice(&out[at..splice.at]);
        let records = answer.records.as_deref().unwrap_or_default();
        assert_eq!(records.len(), splice.len);
        frame.extend_from_slice(records);
        at = splice.at;
    }
    frame.extend_from_slice(&out[at..]);
    frame
}

/// The answer for a partition with the records that belong to it.
#[derive(Clone, Debug)]
struct Answer {
    numbers: (i32, i16, i64, i64, i64, i32),
    aborted: Option<Vec<AbortedTransaction>>,
    records: Option<Vec<u8>>,
    diverging: Option<(i32, i64)>,
    leader: Option<(i32, i32)>,
    snapshot: Option<(i64, i32)>,
}

fn answer() -> impl Strategy<Value = Answer> {
    let transaction = (any::<i64>(), any::<i64>()).prop_map(|(producer, offset)| AbortedTransaction {
        producer_id: ProducerId(producer),
        first_offset: Offset(offset),
    });
    (
        (any::<i32>(), any::<i16>(), any::<i64>(), any::<i64>(), any::<i64>(), any::<i32>()),
        prop::option::of(prop::collection::vec(transaction, 0..4)),
        prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
        prop::option::of((0..9_i32, 0..9_i64)),
        prop::option::of((0..9_i32, 0..9_i32)),
        prop::option::of((0..9_i64, 0..9_i32)),
    )
        .prop_map(|(numbers, aborted, records, diverging, leader, snapshot)| Answer {
            numbers,
            aborted,
            records,
            diverging,
            leader,
            snapshot,
        })
}

impl Answer {
    fn response(&self) -> PartitionResponse<'_> {
        let (index, error_code, high_watermark, last_stable_offset, log_start_offset, replica) = self.numbers;
        PartitionResponse {
            index: PartitionIndex(index),
            error_code,
            high_watermark,
            last_stable_offset,
            log_start_offset,
            aborted_transactions: self.aborted.as_deref(),
            preferred_read_replica: replica,
            records_len: self.records.as_ref().map(Vec::len),
            diverging_epoch: self
                .diverging
                .map(|(epoch, offset)| DivergingEpoch { epoch: LeaderEpoch(epoch), end_offset: Offset(offset) }),
            current_leader: self
                .leader
                .map(|(leader_id, epoch)| CurrentLeader { leader_id, leader_epoch: LeaderEpoch(epoch) }),
            snapshot_id: self
                .snapshot
                .map(|(offset, epoch)| SnapshotId { end_offset: Offset(offset), epoch: LeaderEpoch(epoch) }),
        }
    }
}

fn compare(version: i16, theirs: &PartitionData, ours: &Answer) -> Result<(), TestCaseError> {
    let (index, error_code, high_watermark, last_stable_offset, log_start_offset, replica) = ours.numbers;
    prop_assert_eq!((theirs.partition_index, theirs.error_code), (index, error_code));
    prop_assert_eq!((theirs.high_watermark, theirs.last_stable_offset), (high_watermark, last_stable_offset));
    prop_assert_eq!(theirs.log_start_offset, if version >= 5 { log_start_offset } else { -1 });
    prop_assert_eq!(theirs.preferred_read_replica.0, if version >= 11 { replica } else { -1 });
    prop_assert_eq!(theirs.records.as_deref(), ours.records.as_deref());
    let aborted =
        |list: &Vec<_>| list.iter().map(|t: &AbortedTransaction| (t.producer_id.0, t.first_offset.0)).collect();
    let ours_aborted: Option<Vec<(i64, i64)>> = ours.aborted.as_ref().map(aborted);
    let theirs_aborted = theirs.aborted_transactions.as_ref();
    let theirs_aborted = theirs_aborted.map(|list| list.iter().map(|t| (t.producer_id.0, t.first_offset)).collect());
    prop_assert_eq!(theirs_aborted, ours_aborted);
    let tags = version >= 12;
    let diverging = ours.diverging.filter(|_| tags).unwrap_or((-1, -1));
    prop_assert_eq!((theirs.diverging_epoch.epoch, theirs.diverging_epoch.end_offset), diverging);
    let leader = ours.leader.filter(|_| tags).unwrap_or((-1, -1));
    prop_assert_eq!((theirs.current_leader.leader_id.0, theirs.current_leader.leader_epoch), leader);
    let snapshot = ours.snapshot.filter(|_| tags).unwrap_or((-1, -1));
    prop_assert_eq!((theirs.snapshot_id.end_offset, theirs.snapshot_id.epoch), snapshot);
    Ok(())
}

const GOLDEN_ID: TopicId = TopicId(Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10));

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Bytes that Kafka 4.3.1's own classes wrote.
#[test]
fn golden_request_18() {
    let request = bytes(
        "000001f40000000100000400010000000c0000000d020102030405060708090a0b0c0d0e0f1002000000030000000400000000000000050000\
         00060000000000000008000000640200101112131415161718191a1b1c1d1e1f200108000000000000006300020102030405060708090a0b0c\
         0d0e0f100300000001000000020002720200020263010d00000007000000000000004600",
    );
    let mut read = Request::default();
    read.parse(Slices::one(&request.as_slice()), 0, 18).unwrap();
    assert_eq!((read.max_wait_ms, read.min_bytes, read.max_bytes), (500, 1, 1024));
    assert_eq!((read.replica_id, read.replica_epoch, read.session_id, read.session_epoch), (7, 70, 12, 13));
    assert_eq!((&request[read.rack_id], &request[read.cluster_id.unwrap()]), (&b"r"[..], &b"c"[..]));
    let partition = Partition {
        topic: 0,
        index: PartitionIndex(3),
        current_leader_epoch: LeaderEpoch(4),
        fetch_offset: 5,
        last_fetched_epoch: LeaderEpoch(6),
        log_start_offset: 8,
        max_bytes: 100,
        replica_directory_id: Uuid::from_u128(0x1112_1314_1516_1718_191a_1b1c_1d1e_1f20),
        high_watermark: 99,
    };
    assert_eq!((&read.topics[0].topic, &read.partitions[..]), (&TopicRef::Id(GOLDEN_ID), &[partition][..]));
    let forgotten = |index| Forgotten { topic: TopicRef::Id(GOLDEN_ID), index: PartitionIndex(index) };
    assert_eq!(read.forgotten, [forgotten(1), forgotten(2)]);
}

/// Bytes that Kafka 4.3.1's own classes wrote.
#[test]
fn golden_response_18() {
    let response = bytes(
        "00000001000200000003020102030405060708090a0b0c0d0e0f1002000000030006000000000000000a000000000000000900000000000000\
         08020000000000000005000000000000000600000000040103000d000000010000000000000002000109000000020000000900020d00000000\
         0000000300000004000001000d02000000020268000023840000",
    );
    let aborted = [AbortedTransaction { producer_id: ProducerId(5), first_offset: Offset(6) }];
    let head = ResponseHead { throttle_time_ms: 1, error_code: 2, session_id: 3 };
    let (mut out, mut splices) = (Vec::new(), Vec::new());
    let mut encoder = ResponseEncoder::begin(&mut out, &mut splices, 18, 1, &head, 1);
    encoder.topic(TopicName::Id(GOLDEN_ID), 1);
    encoder.partition(&PartitionResponse {
        high_watermark: 10,
        last_stable_offset: 9,
        log_start_offset: 8,
        aborted_transactions: Some(&aborted),
        preferred_read_replica: 4,
        diverging_epoch: Some(DivergingEpoch { epoch: LeaderEpoch(1), end_offset: Offset(2) }),
        current_leader: Some(CurrentLeader { leader_id: 2, leader_epoch: LeaderEpoch(9) }),
        snapshot_id: Some(SnapshotId { end_offset: Offset(3), epoch: LeaderEpoch(4) }),
        ..PartitionResponse::error(PartitionIndex(3), 6)
    });
    encoder.finish(&[NodeEndpoint { node_id: 2, host: "h", port: 9092, rack: None }]);
    assert_eq!(out[9..], response);
}
