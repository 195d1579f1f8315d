//! Points 6, 7 and 9: acks, the order of answers, and the in-sync replicas that a topic asks for.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest, ProduceRequest};

use crate::broker::shared;
use crate::requests::*;

const PIPELINED: usize = 50;

#[test]
fn acks_0_gets_no_answer() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    client.send(PRODUCE, &produce_request(0, &topic, 0, Some(batch(1))));
    // The next answer on the connection is that of the next request.
    client.call(4, &MetadataRequest::default());
    assert_eq!(append(&mut client, &topic, batch(1)), 1, "the silent one was appended");
}

#[test]
fn min_insync_replicas_beyond_the_replicas_refuses_nothing() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic_with(&mut client, 1, &[("min.insync.replicas", "2")]);
    assert_eq!(append(&mut client, &topic, batch(1)), 0, "acks=all, on a topic of one replica");
}

#[test]
fn an_error_under_acks_0_closes_the_connection() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let mut bad = batch(1);
    let last = bad.len() - 1;
    bad[last] ^= 1;
    client.send(PRODUCE, &produce_request(0, &topic, 0, Some(bad)));
    assert!(client.is_closed());
}

#[test]
fn an_unknown_topic_under_acks_0_closes_the_connection() {
    let broker = shared();
    let mut client = broker.connect();
    client.send(PRODUCE, &produce_request(0, &fresh("none"), 0, Some(batch(1))));
    assert!(client.is_closed());
}

#[test]
fn other_acks_are_invalid() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    for acks in [-2, 2, 100] {
        let response = client.call(PRODUCE, &produce_request(acks, &topic, 0, Some(batch(1))));
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(error(answer.error_code), Some(ResponseError::InvalidRequiredAcks), "acks {acks}");
    }
}

#[test]
fn pipelined_produces_are_answered_in_order() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic_with(&mut client, 4, &[]);
    let request = |index: usize| produce_request(-1, &topic, index as i32 % 4, Some(batch(1 + index % 3)));
    let sent = (0..PIPELINED).map(|index| client.send(PRODUCE, &request(index))).collect::<Vec<_>>();
    let mut expected = [0; 4];
    for (index, id) in sent.into_iter().enumerate() {
        let response = client.receive::<ProduceRequest>(PRODUCE, id);
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!((error(answer.error_code), answer.index), (None, index as i32 % 4));
        assert_eq!(answer.base_offset, expected[index % 4], "appended in the order sent");
        expected[index % 4] += 1 + index as i64 % 3;
    }
}

#[test]
fn unlike_requests_are_answered_in_order_too() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let produced = client.send(PRODUCE, &produce_request(-1, &topic, 0, Some(batch(1))));
    let asked = client.send(2, &ApiVersionsRequest::default());
    let again = client.send(PRODUCE, &produce_request(1, &topic, 0, Some(batch(1))));
    client.receive::<ProduceRequest>(PRODUCE, produced);
    client.receive::<ApiVersionsRequest>(2, asked);
    let last = client.receive::<ProduceRequest>(PRODUCE, again);
    assert_eq!(last.responses[0].partition_responses[0].base_offset, 1);
}

#[test]
fn producing_does_not_make_a_topic() {
    let broker = shared();
    let mut client = broker.connect();
    let name = fresh("none");
    assert_eq!(refusal(&mut client, &name, batch(1)), Some(ResponseError::UnknownTopicOrPartition));
    assert_eq!(error(describe(&mut client, &name).error_code), Some(ResponseError::UnknownTopicOrPartition));
}

#[test]
fn produce_13_names_topics_by_id() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let mut request = produce_request(-1, "", 0, Some(batch(1)));
    request.topic_data[0].topic_id = topic_id(&mut client, &topic);
    let response = client.call(13, &request);
    assert_eq!(error(response.responses[0].partition_responses[0].error_code), None);
    request.topic_data[0].topic_id = uuid::Uuid::from_u128(0xdead);
    let response = client.call(13, &request);
    let code = response.responses[0].partition_responses[0].error_code;
    assert_eq!(error(code), Some(ResponseError::UnknownTopicId));
}

/// There cannot be more in-sync replicas than replicas, so a topic is not held to that (KIP-966).
#[test]
fn more_in_sync_replicas_than_there_are_are_not_waited_for() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic_with(&mut client, 1, &[("min.insync.replicas", "2")]);
    assert_eq!(append(&mut client, &topic, batch(1)), 0);
}
