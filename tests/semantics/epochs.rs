//! Point 17: leader epochs fence clients (KIP-320) and tell where a log was cut (KIP-101).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::{BrokerId, OffsetForLeaderEpochRequest};

use crate::broker::{Broker, is_other, shared};
use crate::requests::*;
use crate::wire::Client;

/// Asks for the end of an epoch, being in `current`: error, epoch and end offset.
fn end_of(client: &mut Client, topic: &str, epoch: i32, current: i32) -> (Option<ResponseError>, i32, i64) {
    let partition = OffsetForLeaderPartition::default().with_leader_epoch(epoch).with_current_leader_epoch(current);
    let topic = OffsetForLeaderTopic::default().with_topic(topic_name(topic)).with_partitions(vec![partition]);
    let request = OffsetForLeaderEpochRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
    let answer = client.call(4, &request).topics.remove(0).partitions.remove(0);
    (error(answer.error_code), answer.leader_epoch, answer.end_offset)
}

fn fetch_in(client: &mut Client, topic: &str, epoch: i32) -> Option<ResponseError> {
    let partition = fetch_partition(0, 0).with_current_leader_epoch(epoch);
    let request = fetch_request(vec![fetch_topic(topic, vec![partition])]);
    error(client.call(FETCH, &request).responses[0].partitions[0].error_code)
}

#[test]
fn an_epoch_to_come_is_unknown() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    append(&mut client, &topic, batch(3));
    assert_eq!(fetch_in(&mut client, &topic, -1), None);
    assert_eq!(fetch_in(&mut client, &topic, 0), None);
    assert_eq!(fetch_in(&mut client, &topic, 1), Some(ResponseError::UnknownLeaderEpoch));
    assert_eq!(end_of(&mut client, &topic, 0, 1).0, Some(ResponseError::UnknownLeaderEpoch));
}

#[test]
fn the_current_epoch_ends_at_the_log_end() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    append(&mut client, &topic, batch(3));
    assert_eq!(end_of(&mut client, &topic, 0, 0), (None, 0, 3));
    assert_eq!(end_of(&mut client, &topic, 0, -1), (None, 0, 3));
    assert_eq!(end_of(&mut client, &topic, 5, -1), (None, -1, -1), "one that never was has no end");
}

#[test]
fn an_unclean_restart_raises_the_epoch_and_fences_the_old_one() {
    if is_other() {
        return;
    }
    let mut broker = Broker::start(&[]);
    let mut client = broker.connect();
    let topic = topic(&mut client);
    append(&mut client, &topic, batch(3));
    broker.kill_and_restart();
    let mut client = broker.connect();
    let epoch = describe(&mut client, &topic).partitions[0].leader_epoch;
    assert!(epoch > 0, "{epoch}");
    assert_eq!(append(&mut client, &topic, batch(2)), 3, "what was acknowledged is there");
    assert_eq!(end_of(&mut client, &topic, 0, epoch), (None, 0, 3));
    assert_eq!(end_of(&mut client, &topic, epoch, epoch), (None, epoch, 5));
    assert_eq!(fetch_in(&mut client, &topic, 0), Some(ResponseError::FencedLeaderEpoch));
    assert_eq!(end_of(&mut client, &topic, 0, 0).0, Some(ResponseError::FencedLeaderEpoch));
    assert_eq!(fetch_in(&mut client, &topic, epoch), None);
    let batches = fetch(&mut client, &topic, 3).records.unwrap();
    assert_eq!(batches[12..16], epoch.to_be_bytes(), "batches carry the epoch they were appended in");
}

#[test]
fn a_fetch_from_a_later_epoch_than_its_offset_has_diverged() {
    if is_other() {
        return;
    }
    let mut broker = Broker::start(&[]);
    let mut client = broker.connect();
    let topic = topic(&mut client);
    append(&mut client, &topic, batch(3));
    broker.kill_and_restart();
    let mut client = broker.connect();
    append(&mut client, &topic, batch(2));
    // The client has read four records of epoch 0, of which the broker knows three.
    let partition = fetch_partition(0, 4).with_last_fetched_epoch(0);
    let request = fetch_request(vec![fetch_topic(&topic, vec![partition])]);
    let answer = client.call(FETCH, &request).responses.remove(0).partitions.remove(0);
    assert_eq!(error(answer.error_code), None);
    assert_eq!((answer.diverging_epoch.epoch, answer.diverging_epoch.end_offset), (0, 3));
    assert!(answer.records.is_none_or(|records| records.is_empty()));
}
