//! Point 13: fetch sessions (KIP-227).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchTopic, ForgottenTopic};
use kafka_protocol::messages::{FetchRequest, FetchResponse};

use crate::broker::shared;
use crate::requests::*;
use crate::wire::Client;

const FULL: i32 = 0;

fn in_session(session: i32, epoch: i32, topics: Vec<FetchTopic>) -> FetchRequest {
    fetch_request(topics).with_session_id(session).with_session_epoch(epoch)
}

/// Opens a session on two partitions, each with one record.
fn open(client: &mut Client) -> (String, i32) {
    let topic = topic_with(client, 2, &[]);
    for partition in [0, 1] {
        client.call(PRODUCE, &produce_request(-1, &topic, partition, Some(batch(1))));
    }
    let all = fetch_topic(&topic, vec![fetch_partition(0, 0), fetch_partition(1, 0)]);
    let opened = client.call(FETCH, &in_session(0, FULL, vec![all]));
    assert_eq!(error(opened.error_code), None);
    assert_eq!(partitions_of(&opened), [0, 1]);
    (topic, opened.session_id)
}

fn partitions_of(response: &FetchResponse) -> Vec<i32> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| partition.partition_index).collect()
}

#[test]
fn a_full_fetch_opens_a_session() {
    let broker = shared();
    let mut client = broker.connect();
    let (_, session) = open(&mut client);
    assert_ne!(session, 0);
}

#[test]
fn epoch_minus_1_without_a_session_opens_none() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let once = client.call(FETCH, &in_session(0, -1, vec![fetch_topic(&topic, vec![fetch_partition(0, 0)])]));
    assert_eq!((error(once.error_code), once.session_id), (None, 0));
}

#[test]
fn unchanged_partitions_are_omitted() {
    let broker = shared();
    let mut client = broker.connect();
    let (topic, session) = open(&mut client);
    // Both partitions move to their ends, where nothing is new.
    let moved = fetch_topic(&topic, vec![fetch_partition(0, 1), fetch_partition(1, 1)]);
    assert!(client.call(FETCH, &in_session(session, 1, vec![moved])).responses.is_empty());
    client.call(PRODUCE, &produce_request(-1, &topic, 1, Some(batch(1))));
    let incremental = client.call(FETCH, &in_session(session, 2, Vec::new()));
    assert_eq!(incremental.session_id, session);
    assert_eq!(partitions_of(&incremental), [1], "only the one with news");
}

#[test]
fn a_partition_with_data_is_repeated_until_it_moves() {
    let broker = shared();
    let mut client = broker.connect();
    let (_, session) = open(&mut client);
    let mut again = partitions_of(&client.call(FETCH, &in_session(session, 1, Vec::new())));
    again.sort_unstable();
    assert_eq!(again, [0, 1]);
}

#[test]
fn forgotten_partitions_are_not_fetched() {
    let broker = shared();
    let mut client = broker.connect();
    let (topic, session) = open(&mut client);
    let forgotten = ForgottenTopic::default().with_topic(topic_name(&topic)).with_partitions(vec![0]);
    let request = in_session(session, 1, Vec::new()).with_forgotten_topics_data(vec![forgotten]);
    assert_eq!(partitions_of(&client.call(FETCH, &request)), [1]);
}

#[test]
fn partitions_can_be_added() {
    let broker = shared();
    let mut client = broker.connect();
    let (_, session) = open(&mut client);
    let other = topic(&mut client);
    append(&mut client, &other, batch(1));
    let added = in_session(session, 1, vec![fetch_topic(&other, vec![fetch_partition(0, 0)])]);
    assert_eq!(partitions_of(&client.call(FETCH, &added)).len(), 3);
}

#[test]
fn a_wrong_epoch_is_invalid() {
    let broker = shared();
    let mut client = broker.connect();
    let (_, session) = open(&mut client);
    for epoch in [2, 7] {
        let wrong = client.call(FETCH, &in_session(session, epoch, Vec::new()));
        assert_eq!(error(wrong.error_code), Some(ResponseError::InvalidFetchSessionEpoch));
        assert!(wrong.responses.is_empty());
    }
    assert_eq!(error(client.call(FETCH, &in_session(session, 1, Vec::new())).error_code), None);
}

#[test]
fn a_repeated_epoch_is_invalid() {
    let broker = shared();
    let mut client = broker.connect();
    let (_, session) = open(&mut client);
    assert_eq!(error(client.call(FETCH, &in_session(session, 1, Vec::new())).error_code), None);
    let again = client.call(FETCH, &in_session(session, 1, Vec::new()));
    assert_eq!(error(again.error_code), Some(ResponseError::InvalidFetchSessionEpoch));
}

#[test]
fn an_unknown_session_is_not_found() {
    let broker = shared();
    let mut client = broker.connect();
    let unknown = client.call(FETCH, &in_session(1_234_567, 1, Vec::new()));
    assert_eq!(error(unknown.error_code), Some(ResponseError::FetchSessionIdNotFound));
    assert_eq!(unknown.session_id, 0);
}

#[test]
fn epoch_minus_1_ends_a_session() {
    let broker = shared();
    let mut client = broker.connect();
    let (topic, session) = open(&mut client);
    let last = fetch_topic(&topic, vec![fetch_partition(0, 0)]);
    let ended = client.call(FETCH, &in_session(session, -1, vec![last]));
    assert_eq!((error(ended.error_code), ended.session_id), (None, 0));
    let after = client.call(FETCH, &in_session(session, 1, Vec::new()));
    assert_eq!(error(after.error_code), Some(ResponseError::FetchSessionIdNotFound));
}

#[test]
fn a_full_fetch_replaces_the_session_it_names() {
    let broker = shared();
    let mut client = broker.connect();
    let (topic, session) = open(&mut client);
    let all = fetch_topic(&topic, vec![fetch_partition(0, 0)]);
    let renewed = client.call(FETCH, &in_session(session, FULL, vec![all]));
    assert!(renewed.session_id != 0 && renewed.session_id != session);
    let after = client.call(FETCH, &in_session(session, 1, Vec::new()));
    assert_eq!(error(after.error_code), Some(ResponseError::FetchSessionIdNotFound));
}

#[test]
fn an_error_is_repeated_in_every_answer() {
    let broker = shared();
    let mut client = broker.connect();
    let (topic, session) = open(&mut client);
    let missing = fetch_topic(&topic, vec![fetch_partition(9, 0), fetch_partition(0, 1), fetch_partition(1, 1)]);
    let first = client.call(FETCH, &in_session(session, 1, vec![missing]));
    let second = client.call(FETCH, &in_session(session, 2, Vec::new()));
    for response in [first, second] {
        assert_eq!(partitions_of(&response), [9]);
        let code = response.responses[0].partitions[0].error_code;
        assert_eq!(error(code), Some(ResponseError::UnknownTopicOrPartition));
    }
}
