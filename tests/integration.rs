//! librdkafka against the live broker, with one shard, with two and with five.

mod process;
mod support;

use std::process::Stdio;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};

use support::Broker;
use support::kafka::{self, PATIENCE, Record};

const SHARDS: [u16; 3] = [1, 2, 5];
/// Groups do not wait for more members than come.
const NO_DELAY: &str = "group.initial.rebalance.delay.ms=0";
const COMPRESSIONS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// Every compression, with idempotence and without, at both durability levels: by the topic's setting or the broker's.
#[test]
fn what_is_produced_is_read_whatever_the_compression() {
    for shards in SHARDS {
        let mut broker = Broker::start(shards, &["durability=replicated"]);
        let mut sent = Vec::new();
        for compression in COMPRESSIONS {
            for (idempotent, durability) in [("true", "default"), ("false", "fsync")] {
                let topic = format!("{compression}-{idempotent}");
                kafka::create_topic(&broker, &topic, 3, &[("durability", durability)]);
                let records: Vec<Record> = (0..60).map(|number| record(number, 3)).collect();
                let settings = [("compression.type", compression), ("enable.idempotence", idempotent)];
                let records = kafka::produce(&broker, &topic, &records, &settings);
                sent.push((topic, records));
            }
        }
        for _ in 0..2 {
            sent.iter().for_each(|(topic, records)| assert_reads(&broker, topic, records, 3));
            broker.kill();
            broker.restart();
        }
        broker.stop();
    }
}

/// A topic is made by the first record for it, with the broker's number of partitions, and all of them take records.
#[test]
fn first_use_makes_a_topic_of_many_partitions() {
    const PARTITIONS: i32 = 40;
    for shards in SHARDS {
        let mut broker = Broker::start(shards, &[&format!("num.partitions={PARTITIONS}")]);
        kafka::produce(&broker, "t", &[record(0, PARTITIONS)], &[]);
        assert_eq!(kafka::partition_count(&broker, "t"), PARTITIONS as usize);
        let records: Vec<Record> = (PARTITIONS..5 * PARTITIONS).map(|number| record(number, PARTITIONS)).collect();
        let sent = kafka::produce(&broker, "t", &records, &[]);
        for partition in 1..PARTITIONS {
            let expected: Vec<&Record> = sent.iter().filter(|record| record.partition == partition).collect();
            let read = kafka::read_partition(&broker, "t", partition, 0);
            assert!(read.iter().eq(expected.iter().copied()), "partition {partition}");
        }
        broker.stop();
    }
}

/// Clean restarts with another number of shards keep records and committed offsets.
#[test]
fn restarts_with_other_numbers_of_shards_keep_everything() {
    let mut broker = Broker::start(2, &[NO_DELAY]);
    kafka::create_topic(&broker, "t", 6, &[]);
    let mut sent = Vec::new();
    for (round, shards) in [2, 5, 1, 2].into_iter().enumerate() {
        if round > 0 {
            broker.stop();
            broker.restart_with_shards(shards);
            assert_eq!(committed(&broker, "g", "t", 0), Offset::Offset(round as i64));
        }
        let records: Vec<Record> = (0..60).map(|number| record(number, 6)).collect();
        sent.extend(kafka::produce(&broker, "t", &records, &[("enable.idempotence", "true")]));
        assert_reads(&broker, "t", &sent, 6);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("t", 0, Offset::Offset(round as i64 + 1)).unwrap();
        kafka::reader(&broker, &[("group.id", "g")]).commit(&list, CommitMode::Sync).expect("commits");
    }
    broker.stop();
}

/// Two members share a topic; when one leaves, the other gets all of it.
#[test]
fn a_group_of_two_rebalances() {
    for shards in SHARDS {
        let mut broker = Broker::start(shards, &[NO_DELAY]);
        kafka::create_topic(&broker, "t", 4, &[]);
        let member = || {
            let settings = [("group.id", "g"), ("auto.offset.reset", "earliest"), ("heartbeat.interval.ms", "200")];
            let consumer = kafka::reader(&broker, &settings);
            consumer.subscribe(&["t"]).expect("subscribes");
            consumer
        };
        let (first, second) = (member(), member());
        await_assignments(&[&first, &second], &[2, 2]);
        drop(second);
        await_assignments(&[&first], &[4]);
        let records: Vec<Record> = (0..40).map(|number| record(number, 4)).collect();
        kafka::produce(&broker, "t", &records, &[]);
        let mut count = 0;
        kafka::poll_until(&first, PATIENCE, |_| {
            count += 1;
            count == records.len()
        });
        first.commit_consumer_state(CommitMode::Sync).expect("commits");
        broker.stop();
        broker.restart();
        for partition in 0..4 {
            assert_eq!(committed(&broker, "g", "t", partition), Offset::Offset(10));
        }
    }
}

#[test]
fn a_time_leads_to_the_first_record_that_is_not_older() {
    for shards in SHARDS {
        let broker = Broker::start(shards, &[]);
        kafka::create_topic(&broker, "t", 1, &[]);
        let records: Vec<Record> = (0..50).map(|number| record(number, 1)).collect();
        kafka::produce(&broker, "t", &records, &[("batch.num.messages", "7")]);
        let consumer = kafka::reader(&broker, &[]);
        for index in [0, 1, 6, 7, 30, 49] {
            let mut list = TopicPartitionList::new();
            list.add_partition_offset("t", 0, Offset::Offset(records[index].timestamp)).unwrap();
            let found = consumer.offsets_for_times(list, PATIENCE).expect("offsets");
            assert_eq!(found.elements()[0].offset(), Offset::Offset(index as i64));
        }
    }
}

/// Partitions move between shards while they are written and read: nothing is lost, nothing comes twice.
#[test]
fn moves_change_nothing_for_clients() {
    const MOVES: i32 = 12;
    for shards in [2, 5] {
        let mut broker = Broker::start(shards, &[]);
        kafka::create_topic(&broker, "t", 2, &[]);
        let mut sent = Vec::new();
        for number in 0..MOVES {
            let line = format!("topic move t:{} --shard {}", number % 2, number / 2 % i32::from(shards));
            let mut moving = broker.command(&line).stdout(Stdio::null()).spawn().expect("the command's process starts");
            let status = loop {
                let records: Vec<Record> = (0..50).map(|number| record(number, 2)).collect();
                sent.extend(kafka::produce(&broker, "t", &records, &[("enable.idempotence", "true")]));
                if let Some(status) = moving.try_wait().expect("the child is ours") {
                    break status;
                }
            };
            assert!(status.success(), "duramen {line}: {status}");
        }
        assert_reads(&broker, "t", &sent, 2);
        broker.stop();
    }
}

/// A move to a shard that cannot take the partition is refused, and changes nothing; the next one succeeds.
#[test]
fn a_move_that_cannot_end_leaves_the_partition_where_it_was() {
    let mut broker = Broker::start(2, &[]);
    kafka::create_topic(&broker, "t", 1, &[]);
    broker.run("topic move t:0 --shard 0");
    let records = |from: i32| (from..from + 50).map(|number| record(number, 1)).collect::<Vec<Record>>();
    let mut sent = kafka::produce(&broker, "t", &records(0), &[]);
    // A checkpoint is first written to this name.
    let in_the_way = broker.data_dir().join("shards/1/checkpoint.tmp");
    std::fs::create_dir(&in_the_way).expect("nothing has the name");
    let refused = broker.command("topic move t:0 --shard 1").output().expect("the command's process starts");
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && told.contains("shard 1 cannot take it"), "{}: {told}", refused.status);
    sent.extend(kafka::produce(&broker, "t", &records(50), &[]));
    assert_reads(&broker, "t", &sent, 1);
    std::fs::remove_dir(&in_the_way).expect("it is there");
    broker.run("topic move t:0 --shard 1");
    sent.extend(kafka::produce(&broker, "t", &records(100), &[]));
    broker.kill();
    broker.restart();
    assert_reads(&broker, "t", &sent, 1);
    broker.stop();
}

fn assert_reads(broker: &Broker, topic: &str, sent: &[Record], partitions: i32) {
    for partition in 0..partitions {
        let expected: Vec<Record> = sent.iter().filter(|record| record.partition == partition).cloned().collect();
        assert_eq!(kafka::read_partition(broker, topic, partition, 0), expected, "{topic}-{partition}");
    }
}

fn committed(broker: &Broker, group: &str, topic: &str, partition: i32) -> Offset {
    let consumer = kafka::reader(broker, &[("group.id", group)]);
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    consumer.committed_offsets(list, PATIENCE).expect("the offsets").elements()[0].offset()
}

/// Lets the members poll until each has as many partitions as expected.
fn await_assignments(members: &[&BaseConsumer], expected: &[usize]) {
    let counts = support::until(PATIENCE, || {
        for member in members {
            if let Some(polled) = member.poll(Duration::from_millis(20)) {
                panic!("nothing is there to be polled: {:?}", polled.map(|message| message.offset()));
            }
        }
        let count = |member: &&BaseConsumer| member.assignment().expect("an assignment").count();
        let counts: Vec<usize> = members.iter().map(count).collect();
        (counts == expected).then_some(())
    });
    counts.expect("the group comes to rest");
}

/// A record with or without key, value and headers.
fn record(number: i32, partitions: i32) -> Record {
    Record {
        partition: number % partitions,
        offset: -1,
        timestamp: kafka::now_ms() - 100_000 + i64::from(number) * 1000,
        key: (number % 4 != 0).then(|| format!("key {number}").into_bytes()),
        value: (number % 5 != 0).then(|| format!("value {number} ").repeat(20).into_bytes()),
        headers: vec![("h".into(), (number % 2 == 0).then(|| b"x".to_vec())), ("h".into(), Some(Vec::new()))],
    }
}
