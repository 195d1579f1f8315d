//! Settings that are given at the start.

use std::path::Path;

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::{CreateTopicsRequest, FindCoordinatorRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::bare::client::{batch, frame, produce_request};
use crate::bare::{Broker, await_that};

const TOPIC_DELETION_DISABLED: i16 = 73;

fn with(data: &Path, settings: &[&str]) -> Broker {
    let settings: Vec<String> = settings.iter().map(|setting| format!("--set={setting}")).collect();
    let mut arguments = vec!["--metrics-listen=127.0.0.1:0", "--memory=128M"];
    arguments.extend(settings.iter().map(String::as_str));
    Broker::start(data, &arguments)
}

#[test]
fn idle_connections_are_closed() {
    let root = tempfile::tempdir().unwrap();
    let broker = with(&root.path().join("data"), &["connections.max.idle.ms=200", "duramen.shards=1"]);
    let mut idle = broker.client();
    idle.metadata();
    let mut busy = broker.client();
    await_that("the idle one is gone, and the busy one is not", || {
        busy.metadata();
        broker.metric("duramen_connections{shard=\"0\"}") == 1.0
    });
    idle.closed();
    broker.stop();
}

#[test]
fn topics_that_cannot_be_deleted() {
    let root = tempfile::tempdir().unwrap();
    let broker = with(&root.path().join("data"), &["delete.topic.enable=false"]);
    let mut client = broker.client();
    assert_eq!(client.create_topics(&["kept"], 1), [0]);
    assert_eq!(client.delete_topic("kept"), TOPIC_DELETION_DISABLED);
    assert_eq!(client.metadata().topics.len(), 1);
    broker.stop();
}

#[test]
fn partitions_of_topics_that_name_no_number() {
    let root = tempfile::tempdir().unwrap();
    let broker = with(&root.path().join("data"), &["num.partitions=3", "offsets.topic.num.partitions=5"]);
    let mut client = broker.client();
    let name = TopicName(StrBytes::from_static_str("t"));
    let topic = CreatableTopic::default().with_name(name).with_num_partitions(-1).with_replication_factor(-1);
    let made = client.call(&CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000), 5);
    assert_eq!((made.topics[0].error_code, made.topics[0].num_partitions), (0, 3));
    let coordinator = FindCoordinatorRequest::default().with_key(StrBytes::from_static_str("g"));
    await_that("there is a coordinator", || client.call(&coordinator, 3).error_code == 0);
    let topics = client.metadata().topics;
    let of = |name: &str| {
        let topic = topics.iter().find(|topic| topic.name.as_ref().is_some_and(|found| found.as_str() == name));
        topic.map(|topic| topic.partitions.len())
    };
    assert_eq!((of("t"), of("__consumer_offsets")), (Some(3), Some(5)));
    broker.stop();
}

#[test]
fn a_bound_on_what_a_fetch_answers() {
    let root = tempfile::tempdir().unwrap();
    let broker = with(&root.path().join("data"), &["fetch.max.bytes=1024"]);
    let mut client = broker.client();
    assert_eq!(client.create_topics(&["t"], 1), [0]);
    for offset in 0..3 {
        assert_eq!(client.produce("t", 0, batch([&[b'x'; 1000][..]])), (0, offset));
    }
    let (code, records) = client.fetch("t", 0, 0);
    assert_eq!(code, 0);
    assert!((1000..2000).contains(&records.len()), "the first batch whole, and no more: {}", records.len());
    broker.stop();
}

/// Rings of 16 messages between shards, and more requests at once than go into them.
#[test]
fn the_smallest_rings_between_shards() {
    const REQUESTS: usize = 300;
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let broker = Broker::start(&data, &["--shards=3", "--memory=128M", "--set=duramen.shard.ring.slots=16"]);
    let mut client = broker.client();
    assert_eq!(client.create_topics(&["t"], 6), [0]);
    let mut others: Vec<_> = (0..6).map(|_| broker.client()).collect();
    for (partition, other) in (0..6).zip(&mut others) {
        let request = produce_request("t", partition, batch([&b"x"[..]]));
        let frames: Vec<u8> = (0..REQUESTS).flat_map(|_| frame(&request, 11, 1)).collect();
        other.send(&frames);
    }
    for other in &mut others {
        (0..REQUESTS).for_each(|_| assert!(other.answer().is_some(), "each request has its answer"));
    }
    for partition in 0..6 {
        assert_eq!(client.end_offset("t", partition), REQUESTS as i64);
    }
    broker.stop();
}
