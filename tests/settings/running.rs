//! Settings that are changed while the broker runs act from then on.

use std::fs;
use std::path::Path;

use crate::bare::client::batch;
use crate::bare::{Broker, Client, await_that};
use crate::change::{Owner, change};

const MESSAGE_TOO_LARGE: i16 = 10;
const OFFSET_OUT_OF_RANGE: i16 = 1;
/// Appends that are more than the broker would gather into one sync by itself, one after the other.
const APPENDS: usize = 5;

/// A broker on which retention looks often and nothing of a `replicated` topic is synced by itself while it is in use.
fn broker(data: &Path) -> Broker {
    Broker::start(
        data,
        &[
            "--metrics-listen=127.0.0.1:0",
            "--shards=1",
            "--memory=64M",
            "--set=durability=replicated",
            "--set=duramen.replicated.flush.ms=3600000",
            "--set=duramen.replicated.flush.bytes=1000000000",
            "--set=log.retention.check.interval.ms=50",
        ],
    )
}

fn produce(client: &mut Client, topic: &str, bytes: usize) -> i16 {
    client.produce(topic, 0, batch([&vec![b'x'; bytes][..]])).0
}

/// Files of segments of partition 0.
fn segments(data: &Path, topic: &str) -> usize {
    let files = fs::read_dir(data.join(format!("{topic}-0"))).unwrap();
    files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "log")).count()
}

#[test]
fn the_largest_message_of_a_topic_and_of_the_broker() {
    let root = tempfile::tempdir().unwrap();
    let broker = broker(&root.path().join("data"));
    let mut client = broker.client();
    assert_eq!(client.create_topics(&["own", "broker"], 1), [0, 0]);
    assert_eq!([produce(&mut client, "own", 5000), produce(&mut client, "broker", 5000)], [0, 0]);
    change(&mut client, Owner::Topic("own"), "max.message.bytes", Some("1000"));
    assert_eq!([produce(&mut client, "own", 5000), produce(&mut client, "broker", 5000)], [MESSAGE_TOO_LARGE, 0]);
    // What a topic says for itself stands above what the broker says for all.
    change(&mut client, Owner::Topic("own"), "max.message.bytes", Some("6000"));
    change(&mut client, Owner::AllBrokers, "message.max.bytes", Some("1000"));
    assert_eq!([produce(&mut client, "own", 5000), produce(&mut client, "broker", 5000)], [0, MESSAGE_TOO_LARGE]);
    change(&mut client, Owner::AllBrokers, "message.max.bytes", None);
    assert_eq!(produce(&mut client, "broker", 5000), 0);
    broker.stop();
}

#[test]
fn the_size_of_segments() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let broker = broker(&data);
    let mut client = broker.client();
    assert_eq!(client.create_topics(&["t"], 1), [0]);
    for _ in 0..3 {
        assert_eq!(produce(&mut client, "t", 700_000), 0);
    }
    assert!(segments(&data, "t") <= 1, "a segment of 1 GiB holds them all");
    change(&mut client, Owner::Topic("t"), "segment.bytes", Some("1048576"));
    for _ in 0..3 {
        assert_eq!(produce(&mut client, "t", 700_000), 0);
    }
    await_that("each of the later batches has a segment", || segments(&data, "t") == 4);
    broker.stop();
}

#[test]
fn retention() {
    for (setting, value) in [("retention.bytes", "1500000"), ("retention.ms", "1")] {
        let root = tempfile::tempdir().unwrap();
        let broker = broker(&root.path().join("data"));
        let mut client = broker.client();
        assert_eq!(client.create_topics(&["t"], 1), [0]);
        change(&mut client, Owner::Topic("t"), "segment.bytes", Some("1048576"));
        for _ in 0..6 {
            assert_eq!(produce(&mut client, "t", 700_000), 0);
        }
        assert_eq!(client.fetch("t", 0, 0).0, 0);
        change(&mut client, Owner::Topic("t"), setting, Some(value));
        await_that("the first segment is removed", || client.fetch("t", 0, 0).0 == OFFSET_OUT_OF_RANGE);
        assert_eq!(client.end_offset("t", 0), 6);
        broker.stop();
    }
}

#[test]
fn durability_and_its_older_names() {
    let root = tempfile::tempdir().unwrap();
    let broker = broker(&root.path().join("data"));
    let mut client = broker.client();
    assert_eq!(client.create_topics(&["t"], 1), [0]);
    let synced = |client: &mut Client| {
        let before = broker.metric("duramen_log_syncs_total{shard=\"0\"}");
        (0..APPENDS).for_each(|_| assert_eq!(produce(client, "t", 100), 0));
        broker.metric("duramen_log_syncs_total{shard=\"0\"}") - before >= APPENDS as f64
    };
    assert!(!synced(&mut client), "the kernel has it, and that is all");
    for (setting, value) in [("durability", "fsync"), ("flush.messages", "1")] {
        change(&mut client, Owner::Topic("t"), setting, Some(value));
        assert!(synced(&mut client), "each append waits for its sync: {setting}");
        change(&mut client, Owner::Topic("t"), setting, None);
        assert!(!synced(&mut client), "no longer: {setting}");
    }
    change(&mut client, Owner::AllBrokers, "durability", Some("fsync"));
    assert!(synced(&mut client), "the broker's own durability");
    broker.stop();
}

/// Never idle, a topic is synced by its time alone.
#[test]
fn the_time_until_a_sync() {
    let root = tempfile::tempdir().unwrap();
    let broker = broker(&root.path().join("data"));
    let mut client = broker.client();
    assert_eq!(client.create_topics(&["t"], 1), [0]);
    change(&mut client, Owner::Topic("t"), "flush.ms", Some("10"));
    let before = broker.metric("duramen_segment_syncs_total{shard=\"0\"}");
    await_that("the segment is synced again and again", || {
        assert_eq!(produce(&mut client, "t", 100), 0);
        broker.metric("duramen_segment_syncs_total{shard=\"0\"}") >= before + 3.0
    });
    broker.stop();
}

#[test]
fn the_number_of_connections() {
    let root = tempfile::tempdir().unwrap();
    let broker = broker(&root.path().join("data"));
    let mut client = broker.client();
    let mut second = broker.client();
    second.metadata();
    for setting in ["max.connections", "max.connections.per.ip", "listener.name.plaintext.max.connections"] {
        change(&mut client, Owner::Broker, setting, Some("2"));
        broker.client().closed();
        change(&mut client, Owner::Broker, setting, None);
        assert_eq!(broker.client().metadata().brokers.len(), 1, "{setting}");
        // Until that one is known to have gone.
        await_that("two are left", || broker.metric("duramen_connections{shard=\"0\"}") == 2.0);
    }
    assert_eq!(broker.metric("duramen_connections_refused_total{shard=\"0\"}"), 3.0);
    broker.stop();
}
