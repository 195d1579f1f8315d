//! Point 8: what is known of a producer, and what that refuses.

use kafka_protocol::ResponseError;

use crate::broker::{Broker, is_other, shared};
use crate::requests::*;

#[test]
fn an_exact_duplicate_is_acknowledged_with_its_original_offset() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let producer = producer(&mut client);
    let first = idempotent(producer, 0, 3);
    assert_eq!(append(&mut client, &topic, first.clone()), 0);
    assert_eq!(append(&mut client, &topic, idempotent(producer, 3, 2)), 3);
    assert_eq!(append(&mut client, &topic, first), 0);
    assert_eq!(fetch(&mut client, &topic, 0).high_watermark, 5);
}

#[test]
fn the_last_five_batches_are_known() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let producer = producer(&mut client);
    for sequence in 0..6 {
        assert_eq!(append(&mut client, &topic, idempotent(producer, sequence, 1)), i64::from(sequence));
    }
    for sequence in 1..6 {
        assert_eq!(append(&mut client, &topic, idempotent(producer, sequence, 1)), i64::from(sequence));
    }
    let forgotten = refusal(&mut client, &topic, idempotent(producer, 0, 1));
    assert_eq!(forgotten, Some(ResponseError::OutOfOrderSequenceNumber));
}

#[test]
fn a_gap_is_out_of_order() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let producer = producer(&mut client);
    append(&mut client, &topic, idempotent(producer, 0, 1));
    let gap = refusal(&mut client, &topic, idempotent(producer, 2, 1));
    assert_eq!(gap, Some(ResponseError::OutOfOrderSequenceNumber));
    assert_eq!(append(&mut client, &topic, idempotent(producer, 1, 1)), 1, "what fills the gap is taken");
}

#[test]
fn an_overlapping_batch_is_no_duplicate() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let producer = producer(&mut client);
    append(&mut client, &topic, idempotent(producer, 0, 3));
    let overlap = refusal(&mut client, &topic, idempotent(producer, 0, 2));
    assert_eq!(overlap, Some(ResponseError::OutOfOrderSequenceNumber));
}

#[test]
fn sequences_wrap_at_the_int32_maximum() {
    let broker = shared();
    let mut client = broker.connect();
    let producer = producer(&mut client);
    // The wrap falls between two batches, then into one.
    let between = topic(&mut client);
    append(&mut client, &between, idempotent(producer, i32::MAX - 1, 2));
    assert_eq!(append(&mut client, &between, idempotent(producer, 0, 1)), 2);
    let within = topic(&mut client);
    append(&mut client, &within, idempotent(producer, i32::MAX, 2));
    assert_eq!(append(&mut client, &within, idempotent(producer, 1, 1)), 2);
}

#[test]
fn a_new_epoch_starts_at_0() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let (id, epoch) = producer(&mut client);
    append(&mut client, &topic, idempotent((id, epoch), 0, 1));
    let elsewhere = refusal(&mut client, &topic, idempotent((id, epoch + 1), 1, 1));
    assert_eq!(elsewhere, Some(ResponseError::OutOfOrderSequenceNumber));
    assert_eq!(append(&mut client, &topic, idempotent((id, epoch + 1), 0, 1)), 1);
}

#[test]
fn an_older_epoch_is_invalid() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let (id, epoch) = producer(&mut client);
    append(&mut client, &topic, idempotent((id, epoch + 1), 0, 1));
    let older = refusal(&mut client, &topic, idempotent((id, epoch), 0, 1));
    assert_eq!(older, Some(ResponseError::InvalidProducerEpoch));
}

#[test]
fn a_producer_without_state_may_start_at_any_sequence() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let producer = producer(&mut client);
    assert_eq!(append(&mut client, &topic, idempotent(producer, 41, 1)), 0);
    assert_eq!(append(&mut client, &topic, idempotent(producer, 42, 1)), 1);
}

#[test]
fn every_producer_gets_an_id_of_its_own() {
    let broker = shared();
    let mut clients = [broker.connect(), broker.connect(), broker.connect()];
    let mut ids = (0..30).map(|index| producer(&mut clients[index % 3])).collect::<Vec<_>>();
    assert!(ids.iter().all(|&(id, epoch)| id >= 0 && epoch == 0));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 30);
}

#[test]
fn state_and_ids_survive_a_kill() {
    if is_other() {
        return;
    }
    let mut broker = Broker::start(&[]);
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let before = producer(&mut client);
    append(&mut client, &topic, idempotent(before, 0, 2));
    broker.kill_and_restart();
    let mut client = broker.connect();
    assert_eq!(append(&mut client, &topic, idempotent(before, 0, 2)), 0, "still known as a duplicate");
    let gap = refusal(&mut client, &topic, idempotent(before, 3, 1));
    assert_eq!(gap, Some(ResponseError::OutOfOrderSequenceNumber));
    assert_eq!(append(&mut client, &topic, idempotent(before, 2, 1)), 2);
    assert!(producer(&mut client).0 > before.0, "no id is used twice");
}

#[test]
fn state_expires_after_producer_id_expiration_ms() {
    if is_other() {
        return;
    }
    let settings = ["producer.id.expiration.ms=200", "producer.id.expiration.check.interval.ms=50"];
    let broker = Broker::start(&settings);
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let producer = producer(&mut client);
    append(&mut client, &topic, idempotent(producer, 0, 1));
    // Once it is forgotten, a sequence after a gap is as good as any.
    let taken = eventually(|| refusal(&mut client, &topic, idempotent(producer, 7, 1)).is_none());
    assert!(taken);
}
