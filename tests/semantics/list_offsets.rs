//! Point 16: ListOffsets, by timestamp and by the markers -1 to -6.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use kafka_protocol::messages::{BrokerId, ListOffsetsRequest, ListOffsetsResponse, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable};
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};

use crate::broker::shared;
use crate::requests::*;
use crate::wire::Client;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// The newest version, one more than the crate has; its bytes are those of the one before.
const NEWEST: i16 = 11;
const OF_THE_CRATE: i16 = 10;
const KEY: i16 = 2;

fn list(client: &mut Client, version: i16, topic: &str, timestamp: i64) -> ListOffsetsPartitionResponse {
    list_in(client, version, topic, timestamp, -1)
}

fn list_in(
    client: &mut Client,
    version: i16,
    topic: &str,
    timestamp: i64,
    leader_epoch: i32,
) -> ListOffsetsPartitionResponse {
    let partition = ListOffsetsPartition::default().with_timestamp(timestamp).with_current_leader_epoch(leader_epoch);
    let topic = ListOffsetsTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
    let known = version.min(OF_THE_CRATE);
    let mut body = Vec::new();
    request.encode(&mut body, known).unwrap();
    client.send_body(KEY, version, if version >= 6 { 2 } else { 1 }, &body);
    let mut answer = client.frame().unwrap();
    ResponseHeader::decode(&mut answer, if version >= 6 { 1 } else { 0 }).unwrap();
    let mut response = ListOffsetsResponse::decode(&mut answer, known).unwrap();
    response.topics.remove(0).partitions.remove(0)
}

/// Offset, timestamp and error of an answer.
fn found(answer: &ListOffsetsPartitionResponse) -> (i64, i64, Option<ResponseError>) {
    (answer.offset, answer.timestamp, error(answer.error_code))
}

#[test]
fn latest_and_earliest_in_every_version() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    append(&mut client, &topic, batch(4));
    for version in 1..=NEWEST {
        assert_eq!(found(&list(&mut client, version, &topic, LATEST)), (4, -1, None), "version {version}");
        assert_eq!(found(&list(&mut client, version, &topic, EARLIEST)), (0, -1, None), "version {version}");
    }
}

#[test]
fn an_offset_comes_with_the_epoch_of_its_leader() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    append(&mut client, &topic, batch(4));
    assert_eq!(list(&mut client, 4, &topic, LATEST).leader_epoch, 0);
    assert_eq!(list(&mut client, 4, &topic, EARLIEST).leader_epoch, 0);
    assert_eq!(list(&mut client, 4, &topic, 1).leader_epoch, 0);
}

#[test]
fn a_timestamp_finds_the_first_record_not_older() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let start = now_ms() - 10_000;
    append(&mut client, &topic, batch_at(&[start, start + 10, start + 20]));
    append(&mut client, &topic, batch_at(&[start + 30, start + 40]));
    let mut at = |ms: i64| found(&list(&mut client, 7, &topic, start + ms));
    assert_eq!(at(-5), (0, start, None));
    assert_eq!(at(10), (1, start + 10, None));
    assert_eq!(at(11), (2, start + 20, None));
    assert_eq!(at(35), (4, start + 40, None));
    assert_eq!(at(41), (-1, -1, None), "no such record");
}

#[test]
fn a_timestamp_is_found_inside_a_compressed_batch() {
    let broker = shared();
    let mut client = broker.connect();
    let start = now_ms() - 10_000;
    for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let topic = topic(&mut client);
        append(&mut client, &topic, compressed_at(compression, &[start, start + 10, start + 5]));
        assert_eq!(found(&list(&mut client, 7, &topic, start + 1)), (1, start + 10, None), "{compression:?}");
        assert_eq!(found(&list(&mut client, 7, &topic, MAX_TIMESTAMP)), (1, start + 10, None), "{compression:?}");
    }
}

fn compressed_at(compression: Compression, timestamps: &[i64]) -> Vec<u8> {
    let records = timestamps.iter().enumerate().map(|(index, &timestamp)| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset: index as i64,
        sequence: index as i32 - 1,
        timestamp,
        key: None,
        value: Some(Bytes::from_static(b"value")),
        headers: Default::default(),
    });
    let mut out = bytes::BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression };
    RecordBatchEncoder::encode(&mut out, &records.collect::<Vec<_>>(), &options).unwrap();
    out.to_vec()
}

#[test]
fn max_timestamp_names_the_first_record_that_has_it() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    assert_eq!(found(&list(&mut client, 7, &topic, MAX_TIMESTAMP)), (-1, -1, None), "an empty log");
    let start = now_ms() - 10_000;
    append(&mut client, &topic, batch_at(&[start, start + 50, start + 20]));
    append(&mut client, &topic, batch_at(&[start + 30]));
    assert_eq!(found(&list(&mut client, 7, &topic, MAX_TIMESTAMP)), (1, start + 50, None));
}

#[test]
fn markers_are_known_from_the_version_that_brought_them() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    append(&mut client, &topic, batch(2));
    for (marker, since) in [(MAX_TIMESTAMP, 7), (EARLIEST_LOCAL, 8), (LATEST_TIERED, 9), (EARLIEST_PENDING_UPLOAD, 11)]
    {
        for version in 1..=NEWEST {
            let answer = list(&mut client, version, &topic, marker);
            let expected = (version < since).then_some(ResponseError::UnsupportedVersion);
            assert_eq!(error(answer.error_code), expected, "marker {marker}, version {version}");
        }
    }
}

#[test]
fn without_tiers_the_local_start_is_the_start_and_nothing_is_tiered() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    append(&mut client, &topic, batch(2));
    assert_eq!(found(&list(&mut client, NEWEST, &topic, EARLIEST_LOCAL)), (0, -1, None));
    assert_eq!(found(&list(&mut client, NEWEST, &topic, LATEST_TIERED)), (-1, -1, None));
    assert_eq!(found(&list(&mut client, NEWEST, &topic, EARLIEST_PENDING_UPLOAD)), (-1, -1, None));
}

#[test]
fn unknown_partitions_and_epochs_are_told() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let none = fresh("none");
    let mut code = |topic: &str, epoch| error(list_in(&mut client, 5, topic, LATEST, epoch).error_code);
    assert_eq!(code(&none, -1), Some(ResponseError::UnknownTopicOrPartition));
    assert_eq!(code(&topic, 0), None);
    assert_eq!(code(&topic, 1), Some(ResponseError::UnknownLeaderEpoch));
}
