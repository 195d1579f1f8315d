//! /metrics and /readyz of a running broker, seen by a scraper.

#[path = "metrics/broker.rs"]
mod broker;
#[path = "metrics/page.rs"]
mod page;
mod process;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use broker::{Broker, get};
use page::Page;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes records to partition 0, each of which is its offset with leading zeros.
fn produce(broker: &Broker, topic: &str, records: usize, bytes: usize) {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", broker.address())
        .set("linger.ms", "20")
        .set("batch.size", "65536")
        .set("enable.idempotence", "true");
    let producer: BaseProducer = config.create().unwrap();
    for number in 0..records {
        let value = format!("{number:0bytes$}");
        let mut record = BaseRecord::<(), _>::to(topic).partition(0).payload(&value);
        while let Err((_, back)) = producer.send(record) {
            producer.poll(Duration::from_millis(10));
            record = back;
        }
    }
    producer.flush(PATIENCE).unwrap();
}

/// Reads partition 0 from `from` until `count` records have come, and checks what they say.
fn consume(broker: &Broker, topic: &str, from: Offset, count: usize) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.address()).set("group.id", "readers").set("enable.auto.commit", "false");
    config.set("fetch.wait.max.ms", "100").set("fetch.message.max.bytes", "262144");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, from).unwrap();
    consumer.assign(&assignment).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut seen = 0;
    while seen < count {
        assert!(Instant::now() < deadline, "{seen} of {count} records came");
        if let Some(message) = consumer.poll(Duration::from_millis(200)) {
            let message = message.unwrap();
            let number = std::str::from_utf8(message.payload().unwrap()).unwrap();
            assert_eq!(number.parse::<i64>().unwrap(), message.offset());
            seen += 1;
        }
    }
    consumer
}

#[test]
fn a_scrape_shows_what_was_done() {
    let broker = Broker::start(&["--shards", "2", "--set", "auto.create.topics.enable=true"]);
    assert_eq!(get(&broker.metrics, "/readyz").0, 200);
    let before = broker.scrape();
    assert_eq!(before.sum("duramen_topics", &[]), 0.0);

    produce(&broker, "t", 100, 100);
    let consumer = consume(&broker, "t", Offset::Beginning, 100);
    let mut committed = TopicPartitionList::new();
    committed.add_partition_offset("t", 0, Offset::Offset(60)).unwrap();
    consumer.commit(&committed, CommitMode::Sync).unwrap();

    let page = broker.scrape();
    assert!(page.sum("duramen_log_appended_bytes_total", &[]) >= 100.0 * 100.0);
    assert!(page.sum("duramen_log_syncs_total", &[]) >= 1.0, "durability is fsync by default");
    assert!(page.sum("duramen_fetch_sent_bytes_total", &[("tier", "hot")]) >= 100.0 * 100.0);
    assert_eq!(page.sum("duramen_fetch_sent_bytes_total", &[("tier", "cached")]), 0.0);
    for api in ["Produce", "Fetch", "OffsetCommit"] {
        let count = page.sum("duramen_request_seconds_count", &[("api", api)]);
        assert!(count >= 1.0, "{api}");
        assert!(page.sum("duramen_request_seconds_sum", &[("api", api)]) > 0.0, "{api}");
        assert!(page.sum("duramen_request_seconds", &[("api", api), ("quantile", "0.99")]) > 0.0, "{api}");
    }
    let lag = [("group", "readers"), ("topic", "t"), ("partition", "0")];
    assert_eq!(page.sum("duramen_group_lag", &lag), 40.0);
    assert_eq!(page.sum("duramen_group_committed_offset", &lag), 60.0);
    assert!(page.sum("duramen_connections", &[]) >= 1.0);
    assert_eq!(page.sum("duramen_topics", &[]), 2.0, "the topic, and __consumer_offsets");
    let partitions = page.sum("duramen_partitions", &[]);
    assert_eq!(partitions, page.sum("duramen_partition_health", &[("health", "good")]));
    for shard in ["0", "1"] {
        let busy = page.sum("duramen_shard_busy_seconds_total", &[("shard", shard)]);
        assert!(busy > before.sum("duramen_shard_busy_seconds_total", &[("shard", shard)]), "shard {shard}");
        let memory = page.sum("duramen_log_memory_bytes", &[("shard", shard)]);
        assert!(memory <= page.sum("duramen_log_memory_budget_bytes", &[("shard", shard)]), "shard {shard}");
    }
}

/// By number alone the third topic would go to the first shard, where there is traffic.
#[test]
fn new_topics_keep_away_from_traffic() {
    let broker = Broker::start(&["--shards=2", "--set=num.partitions=1", "--set=auto.create.topics.enable=true"]);
    produce(&broker, "busy", 500, 2000);
    let on_shards = |page: &Page| ["0", "1"].map(|shard| page.sum("duramen_partitions", &[("shard", shard)]));
    assert_eq!(on_shards(&broker.scrape()), [1.0, 0.0]);
    produce(&broker, "quiet", 1, 10);
    produce(&broker, "calm", 1, 10);
    assert_eq!(on_shards(&broker.scrape()), [1.0, 2.0]);
}

/// 24 MiB in segments of 1 MiB, on a shard with little memory: the beginning is on the disk alone. Who reads it again and
/// again gets it from the disk first, and by sendfile once the broker has read it into the page cache.
#[test]
fn bytes_go_out_in_all_three_tiers() {
    let broker = Broker::start(&[
        "--shards=1",
        "--memory=32M",
        "--set=log.segment.bytes=1048576",
        "--set=durability=replicated",
        "--set=num.partitions=1",
    ]);
    let (count, bytes) = (1_500, 16 << 10);
    produce(&broker, "big", count, bytes);
    consume(&broker, "big", Offset::OffsetTail(1), 1);
    consume(&broker, "big", Offset::Beginning, 200);
    let sent = |page: &Page, tier| page.sum("duramen_fetch_sent_bytes_total", &[("tier", tier)]);
    let page = broker.scrape();
    assert!(sent(&page, "hot") >= bytes as f64, "the last record is in memory");
    assert!(sent(&page, "cold") >= bytes as f64, "the first records are on the disk alone");
    let deadline = Instant::now() + PATIENCE;
    while sent(&broker.scrape(), "cached") == 0.0 {
        assert!(Instant::now() < deadline, "a range that is read again and again is never sent by sendfile");
        consume(&broker, "big", Offset::Beginning, 200);
    }
}

/// What is served and what docs/OPERATIONS.md explains, in the first column of its tables, is the same.
#[test]
fn every_metric_is_explained_in_a_line() {
    let broker = Broker::start(&["--shards", "1"]);
    let manual = include_str!("../docs/OPERATIONS.md");
    let name = |line: &str| Some(line.strip_prefix("| `duramen_")?.split_once('`')?.0.to_string());
    let mut explained = BTreeSet::new();
    for name in manual.lines().filter_map(name) {
        assert!(explained.insert(format!("duramen_{name}")), "duramen_{name} is explained twice");
    }
    assert_eq!(broker.scrape().families(), &explained);
}

#[test]
fn other_requests_are_refused_politely() {
    let broker = Broker::start(&["--shards", "1"]);
    let (status, body) = get(&broker.metrics, "/");
    assert_eq!((status, body.contains("/metrics")), (404, true));
    assert_eq!(broker::request(&broker.metrics, b"POST /metrics HTTP/1.1\r\n\r\n").0, 405);
    assert_eq!(broker::request(&broker.metrics, b"\x16\x03\x01\x02\r\n\r\n").0, 400);
    let mut long = b"GET /metrics HTTP/1.1\r\nX: ".to_vec();
    long.resize(9 << 10, b'x');
    assert_eq!(broker::request(&broker.metrics, &long).0, 431);
    assert_eq!(get(&broker.metrics, "/readyz?x=1"), (200, "ready\n".to_string()));
}

#[test]
fn an_address_that_others_can_reach_is_refused() {
    let refused = broker::refused(&["--metrics-listen", "0.0.0.0:0"]);
    assert!(refused.contains("loopback only") && refused.contains("localhost"), "{refused}");
}

#[test]
fn log_lines_can_be_json() {
    let broker = Broker::start(&["--shards", "1", "--log-format", "json"]);
    let lines = broker.stop();
    assert!(!lines.is_empty());
    for line in lines.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert!(value["level"].is_string() && value["fields"]["message"].is_string(), "{line}");
    }
    assert!(lines.contains("stopped"), "{lines}");
}
