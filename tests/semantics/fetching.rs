//! Points 11, 12, 14 and 15: when a fetch is answered, and with what.

use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::{DeleteRecordsRequest, FetchRequest};

use crate::broker::{is_other, shared};
use crate::requests::*;
use crate::wire::Client;

/// Long enough that an answer before it was not waited for.
const LONG_MS: i32 = 20_000;

fn at_once(started: Instant) -> bool {
    started.elapsed() < Duration::from_millis(LONG_MS as u64 / 2)
}

fn waiting(topic: &str, offset: i64, min_bytes: i32, max_wait_ms: i32) -> FetchRequest {
    fetch_request(vec![fetch_topic(topic, vec![fetch_partition(0, offset)])])
        .with_min_bytes(min_bytes)
        .with_max_wait_ms(max_wait_ms)
}

#[test]
fn min_bytes_waits_for_max_wait() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    append(&mut client, &topic, batch(1));
    let started = Instant::now();
    let response = client.call(FETCH, &waiting(&topic, 0, 1 << 20, 300));
    assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
    let records = response.responses[0].partitions[0].records.as_ref().unwrap();
    assert!(!records.is_empty(), "what is there comes when the time is over");
}

#[test]
fn data_that_arrives_ends_the_wait() {
    let broker = shared();
    let (mut client, mut other) = (broker.connect(), broker.connect());
    let topic = topic(&mut client);
    let started = Instant::now();
    let sent = client.send(FETCH, &waiting(&topic, 0, 1, LONG_MS));
    let records = batch(2);
    append(&mut other, &topic, records.clone());
    let response = client.receive::<FetchRequest>(FETCH, sent);
    assert!(at_once(started));
    assert_eq!(response.responses[0].partitions[0].records.as_ref().unwrap().len(), records.len());
}

#[test]
fn the_wait_ends_with_the_batch_that_fills_min_bytes() {
    let broker = shared();
    let (mut client, mut other) = (broker.connect(), broker.connect());
    let topic = topic(&mut client);
    let records = batch(1);
    let started = Instant::now();
    let min_bytes = 2 * records.len() as i32 + 1;
    let sent = client.send(FETCH, &waiting(&topic, 0, min_bytes, LONG_MS));
    (0..3).for_each(|_| {
        append(&mut other, &topic, records.clone());
    });
    let response = client.receive::<FetchRequest>(FETCH, sent);
    assert!(at_once(started));
    assert!(response.responses[0].partitions[0].records.as_ref().unwrap().len() > min_bytes as usize - 1);
}

#[test]
fn min_bytes_counts_all_partitions_together() {
    let broker = shared();
    let (mut client, mut other) = (broker.connect(), broker.connect());
    let topic = topic_with(&mut client, 2, &[]);
    let records = batch(1);
    let partitions = vec![fetch_partition(0, 0), fetch_partition(1, 0)];
    let request = fetch_request(vec![fetch_topic(&topic, partitions)])
        .with_min_bytes(2 * records.len() as i32)
        .with_max_wait_ms(LONG_MS);
    let started = Instant::now();
    let sent = client.send(FETCH, &request);
    for partition in [0, 1] {
        other.call(PRODUCE, &produce_request(-1, &topic, partition, Some(records.clone())));
    }
    let response = client.receive::<FetchRequest>(FETCH, sent);
    assert!(at_once(started));
    assert_eq!(response.responses[0].partitions.len(), 2);
}

#[test]
fn an_error_on_any_partition_answers_at_once() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic_with(&mut client, 2, &[]);
    let mut request = waiting(&topic, 0, 1, LONG_MS);
    request.topics[0].partitions.push(fetch_partition(1, 5));
    let started = Instant::now();
    let response = client.call(FETCH, &request);
    assert!(at_once(started));
    let mut codes =
        response.responses.iter().flat_map(|topic| &topic.partitions).map(|partition| error(partition.error_code));
    assert!(codes.any(|code| code == Some(ResponseError::OffsetOutOfRange)));
}

/// Kafka waits here, if another partition could be read.
#[test]
fn an_unknown_partition_answers_at_once_too() {
    if is_other() {
        return;
    }
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let mut request = waiting(&topic, 0, 1, LONG_MS);
    request.topics[0].partitions.push(fetch_partition(7, 0));
    let started = Instant::now();
    client.call(FETCH, &request);
    assert!(at_once(started));
}

#[test]
fn min_bytes_0_does_not_wait() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let started = Instant::now();
    client.call(FETCH, &waiting(&topic, 0, 0, LONG_MS));
    assert!(at_once(started));
}

/// Bytes of records in an answer.
fn record_bytes(client: &mut Client, request: &FetchRequest) -> Vec<usize> {
    let response = client.call(FETCH, request);
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| partition.records.as_ref().map_or(0, |records| records.len())).collect()
}

#[test]
fn the_first_batch_comes_even_if_it_is_larger_than_max_bytes() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let records = batch(100);
    append(&mut client, &topic, records.clone());
    let mut request = waiting(&topic, 0, 1, 0).with_max_bytes(10);
    assert_eq!(record_bytes(&mut client, &request), [records.len()]);
    request.max_bytes = 1 << 20;
    request.topics[0].partitions[0].partition_max_bytes = 10;
    assert_eq!(record_bytes(&mut client, &request), [records.len()]);
}

#[test]
fn only_the_first_partition_with_data_exceeds_max_bytes() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic_with(&mut client, 2, &[]);
    let records = batch(100);
    for partition in [0, 1] {
        client.call(PRODUCE, &produce_request(-1, &topic, partition, Some(records.clone())));
    }
    let partitions = vec![fetch_partition(0, 0), fetch_partition(1, 0)];
    let request = fetch_request(vec![fetch_topic(&topic, partitions)]).with_max_bytes(10);
    let mut lengths = record_bytes(&mut client, &request);
    lengths.sort_unstable();
    assert_eq!(lengths, [0, records.len()]);
}

#[test]
fn max_bytes_bounds_what_follows_the_first_batch() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let records = batch(10);
    (0..10).for_each(|_| {
        append(&mut client, &topic, records.clone());
    });
    let limit = 3 * records.len() + 50;
    let lengths = record_bytes(&mut client, &waiting(&topic, 0, 1, 0).with_max_bytes(limit as i32));
    // The last batch may be cut; clients leave an incomplete one alone.
    assert!((3 * records.len()..=limit).contains(&lengths[0]), "{lengths:?}");
}

#[test]
fn a_fetch_inside_a_batch_begins_with_that_batch() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    append(&mut client, &topic, batch(5));
    append(&mut client, &topic, batch(5));
    let records = fetch(&mut client, &topic, 7).records.unwrap();
    assert_eq!(records[..8], 5_i64.to_be_bytes());
}

#[test]
fn both_isolation_levels_read_to_the_high_watermark_without_transactions() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    append(&mut client, &topic, batch(3));
    for isolation_level in [0, 1] {
        let request = waiting(&topic, 0, 1, 0).with_isolation_level(isolation_level);
        let response = client.call(FETCH, &request);
        let partition = &response.responses[0].partitions[0];
        assert_eq!((partition.high_watermark, partition.last_stable_offset), (3, 3));
        // Kafka has a list of none under read_committed, and null under read_uncommitted.
        assert_eq!(partition.aborted_transactions.as_ref().map(Vec::len), (isolation_level == 1).then_some(0));
        assert!(!partition.records.as_ref().unwrap().is_empty());
    }
}

#[test]
fn beyond_either_end_is_out_of_range() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    append(&mut client, &topic, batch(3));
    let mut code = |offset| error(fetch(&mut client, &topic, offset).error_code);
    assert_eq!(code(3), None, "the end itself is what a consumer waits at");
    assert_eq!(code(4), Some(ResponseError::OffsetOutOfRange));
    assert_eq!(code(-1), Some(ResponseError::OffsetOutOfRange));
}

fn delete_records(client: &mut Client, topic: &str, offset: i64) -> (i64, Option<ResponseError>) {
    let partition = DeleteRecordsPartition::default().with_partition_index(0).with_offset(offset);
    let topic = DeleteRecordsTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
    let response = client.call(2, &request);
    let answer = &response.topics[0].partitions[0];
    (answer.low_watermark, error(answer.error_code))
}

#[test]
fn delete_records_moves_the_log_start() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    append(&mut client, &topic, batch(5));
    assert_eq!(delete_records(&mut client, &topic, 3), (3, None));
    let below = fetch(&mut client, &topic, 2);
    assert_eq!(error(below.error_code), Some(ResponseError::OffsetOutOfRange));
    assert_eq!(below.log_start_offset, -1, "an error tells no offsets");
    let above = fetch(&mut client, &topic, 3);
    assert_eq!((error(above.error_code), above.log_start_offset), (None, 3));
    assert_eq!(produce(&mut client, &topic, batch(1)).log_start_offset, 3);
    assert_eq!(delete_records(&mut client, &topic, 1), (3, None), "the start never moves back");
}

#[test]
fn delete_records_knows_the_high_watermark() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    append(&mut client, &topic, batch(5));
    assert_eq!(delete_records(&mut client, &topic, 6), (-1, Some(ResponseError::OffsetOutOfRange)));
    assert_eq!(delete_records(&mut client, &topic, -2), (-1, Some(ResponseError::OffsetOutOfRange)));
    assert_eq!(delete_records(&mut client, &topic, -1), (5, None), "-1 is the high watermark");
    assert_eq!(fetch(&mut client, &topic, 5).log_start_offset, 5);
}
