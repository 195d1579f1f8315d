//! librdkafka against the live broker, with one shard, with two and with five.

mod support;

use support::Broker;
use support::kafka::{self, Record};

#[test]
fn what_is_produced_is_read() {
    for shards in [1, 2, 5] {
        let mut broker = Broker::start(shards, &[]);
        kafka::create_topic(&broker, "t", 3, &[]);
        let records: Vec<Record> = (0..30).map(record).collect();
        let sent = kafka::produce(&broker, "t", &records, &[]);
        broker.kill();
        broker.restart();
        for partition in 0..3 {
            let of_partition: Vec<Record> =
                sent.iter().filter(|record| record.partition == partition).cloned().collect();
            assert_eq!(kafka::read_partition(&broker, "t", partition, 0), of_partition);
        }
        broker.stop();
    }
}

fn record(number: i32) -> Record {
    Record {
        partition: number % 3,
        offset: -1,
        timestamp: kafka::now_ms() + i64::from(number),
        key: (number % 4 != 0).then(|| format!("key {number}").into_bytes()),
        value: (number % 5 != 0).then(|| format!("value {number}").into_bytes()),
        headers: vec![("h".into(), (number % 2 == 0).then(|| b"x".to_vec()))],
    }
}
