//! A client that has said all it had to say, and still reads: it gets every answer, and then the end.

use std::time::{Duration, Instant};

use kafka_protocol::messages::{FetchRequest, ProduceRequest};

use crate::broker::shared;
use crate::requests::*;

#[test]
fn all_answers_come_and_then_the_end() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let request = produce_request(-1, &topic, 0, Some(batch(1)));
    let sent: Vec<i32> = (0..5).map(|_| client.send(PRODUCE, &request)).collect();
    client.half_close();
    for (offset, sent) in (0..).zip(sent) {
        let answer = client.receive::<ProduceRequest>(PRODUCE, sent);
        assert_eq!(answer.responses[0].partition_responses[0].base_offset, offset);
    }
    assert!(client.is_closed());
}

#[test]
fn a_long_poll_goes_on() {
    let broker = shared();
    let mut writer = broker.connect();
    let topic = topic(&mut writer);
    for found in [0, 1] {
        let mut client = broker.connect();
        let asked = fetch_request(vec![fetch_topic(&topic, vec![fetch_partition(0, 0)])]).with_min_bytes(1);
        let started = Instant::now();
        let sent = client.send(FETCH, &asked.with_max_wait_ms(if found == 0 { 700 } else { 20_000 }));
        client.half_close();
        if found == 1 {
            append(&mut writer, &topic, batch(1));
        }
        let answer = client.receive::<FetchRequest>(FETCH, sent);
        let records = answer.responses[0].partitions[0].records.clone().unwrap_or_default();
        assert_eq!(records.is_empty(), found == 0);
        assert_eq!(started.elapsed() >= Duration::from_millis(700), found == 0, "{:?}", started.elapsed());
        assert!(client.is_closed());
    }
}
