//! Files in the forms that are published become the plans they mean; slips are told.

use std::fs;

use super::*;
use crate::plan::Compression;

struct Tree(tempfile::TempDir);

impl Tree {
    fn new(files: &[(&str, &str)]) -> Tree {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Tree(directory)
    }

    fn read(&self, workload: &str, driver: Option<&str>) -> Result<(Plan, Vec<String>), String> {
        let mut plan = Plan::new("mixed", "h:1");
        let driver = driver.map(|name| self.0.path().join(name));
        let notes =
            read(&mut plan, &self.0.path().join(workload), driver.as_deref()).map_err(|error| error.to_string())?;
        Ok((plan, notes))
    }
}

const WORKLOAD: &str = "
name: 1-topic-16-partitions-1kb

topics: 1
partitionsPerTopic: 16
keyDistributor: \"NO_KEY\"
messageSize: 1024
payloadFile: \"payload/payload-1Kb.data\"
subscriptionsPerTopic: 1
consumerPerSubscription: 2
producersPerTopic: 4
producerRate: 50000
consumerBacklogSizeGB: 0
testDurationMinutes: 15
";

#[test]
fn a_published_workload_becomes_its_plan() {
    let tree = Tree::new(&[("workloads/w.yaml", WORKLOAD), ("payload/payload-1Kb.data", "x")]);
    let (plan, notes) = tree.read("workloads/w.yaml", None).unwrap();
    let Topics::Own { count, partitions, .. } = plan.topics else { panic!("its topics are its own") };
    assert_eq!((count, partitions), (1, 16));
    let produce = plan.produce.unwrap();
    assert_eq!(produce.pace, Pace::Open { records_per_second: 50_000.0 });
    assert_eq!((produce.producers, produce.sizes, produce.keys), (4, Sizes::Fixed(1024), None));
    assert!(matches!(produce.payload, Payload::File(file) if file.ends_with("payload/payload-1Kb.data")));
    let consume = plan.consume.unwrap();
    assert_eq!((consume.consumers, consume.subscriptions, consume.backlog_bytes), (2, 1, 0));
    assert_eq!((plan.duration, plan.warm_up), (Some(Duration::from_secs(900)), Duration::from_secs(60)));
    assert_eq!(notes, ["workload: 1-topic-16-partitions-1kb"]);
}

#[test]
fn rates_to_search_keys_backlogs_and_variables_are_told() {
    let text = "
topics: ${TOPICS:-3}
partitionsPerTopic: 1
keyDistributor: KEY_ROUND_ROBIN
messageSize: 100
useRandomizedPayloads: true
randomBytesRatio: 0.5
randomizedPayloadPoolSize: 1000
producersPerTopic: 2
producerRate: 0
producerStartRate: 10000
producerPauseMs: 5
consumerBacklogSizeGB: 2
warmupDurationMinutes: 0
testDurationMinutes: 1
";
    let (plan, notes) = Tree::new(&[("w.yaml", text)]).read("w.yaml", None).unwrap();
    let (produce, consume) = (plan.produce.unwrap(), plan.consume.unwrap());
    assert_eq!((produce.producers, produce.pace), (6, Pace::Closed));
    assert_eq!(produce.payload, Payload::PartlyRandom { share: 0.5, pool: 1_000 });
    assert_eq!(produce.keys, Some(Keys { count: 10_000, skew: 0.0 }));
    assert_eq!((consume.backlog_bytes, consume.consumers, plan.warm_up), (2 << 30, 3, Duration::ZERO));
    let told = ["closed loop", "10000 keys", "producerStartRate", "producerPauseMs"];
    assert!(told.iter().all(|word| notes.iter().any(|note| note.contains(word))), "{notes:?}");
}

#[test]
fn a_workload_without_consumers_only_produces() {
    let text = "topics: 1\nproducerRate: 5\nsubscriptionsPerTopic: 0\n";
    let (plan, _) = Tree::new(&[("w.yaml", text)]).read("w.yaml", None).unwrap();
    assert_eq!((plan.command.as_str(), plan.consume), ("produce", None));
}

#[test]
fn a_driver_sets_clients_and_topics() {
    let driver = "
name: Kafka
driverClass: io.openmessaging.benchmark.driver.kafka.KafkaBenchmarkDriver
replicationFactor: 3
topicConfig: |
  min.insync.replicas=2
commonConfig: |
  bootstrap.servers=somewhere:9092
producerConfig: |
  acks=all
  linger.ms=1
  batch.size=131072
  compression.type=lz4
  max.in.flight.requests.per.connection=50
  buffer.memory=1000000
consumerConfig: |
  auto.offset.reset=earliest
  max.partition.fetch.bytes=10485760
";
    let tree = Tree::new(&[("w.yaml", "producerRate: 5"), ("d.yaml", driver)]);
    let (plan, notes) = tree.read("w.yaml", Some("d.yaml")).unwrap();
    let (produce, consume) = (plan.produce.unwrap(), plan.consume.unwrap());
    assert_eq!((produce.acks, produce.linger, produce.batch_bytes), (-1, Duration::from_millis(1), 131_072));
    assert_eq!((produce.compression, produce.in_flight, produce.idempotence), (Compression::Lz4, 50, false));
    assert_eq!(consume.partition_bytes, 10 << 20);
    let Topics::Own { replication_factor, configs, .. } = plan.topics else { panic!("its topics are its own") };
    assert_eq!((replication_factor, configs), (3, vec![("min.insync.replicas".to_owned(), "2".to_owned())]));
    let told = ["commonConfig", "buffer.memory", "auto.offset.reset"];
    assert!(told.iter().all(|word| notes.iter().any(|note| note.contains(word))), "{notes:?}");
}

#[test]
fn slips_and_wrong_values_are_told() {
    for (text, words) in [
        ("topcis: 1\nproducerRate: 5", "did you mean topics?"),
        ("somethingElse: 1\nproducerRate: 5", "nobody knows somethingElse"),
        ("topics: 1", "producerRate is missing"),
        ("producerRate: many", "must be a number"),
        ("producerRate: 5\ntopics: 0", "must be a whole number from 1"),
        ("producerRate: 5\nkeyDistributor: ALL", "NO_KEY"),
        ("producerRate: 5\npayloadFile: nowhere.data", "is not there"),
        ("- a\n- b", "not YAML of named values"),
    ] {
        let error = Tree::new(&[("w.yaml", text)]).read("w.yaml", None).unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
    let wrong = Tree::new(&[("w.yaml", "producerRate: 5"), ("d.yaml", "producerConfig: |\n  acks=2\n")]);
    assert!(wrong.read("w.yaml", Some("d.yaml")).unwrap_err().contains("acks=2: expected 0, 1 or all"));
}
