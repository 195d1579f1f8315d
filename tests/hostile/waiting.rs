//! Requests that are too large for the memory, one by one or all together: they wait for it instead of being hung up on,
//! and whoever never goes on makes room for those who do.

use std::io::Write;
use std::thread;

use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ApiVersionsRequest, ProduceRequest};

use crate::bare::client::{batch, frame, topic};
use crate::bare::{Client, await_that};
use crate::rig::Rig;

/// A shard of the rig gathers requests in 8 MiB: one of `MEDIUM` batches fits, `LARGE` ones are more than all of it.
const MEDIUM: i32 = 5;
const LARGE: i32 = 24;
const VALUE_LEN: usize = 1_000_000;
const METRICS: [&str; 2] = ["--metrics-listen", "127.0.0.1:0"];

/// A produce request with a batch of 1 MB for each of so many partitions.
fn wide(partitions: i32) -> ProduceRequest {
    let value = vec![b'x'; VALUE_LEN];
    let data = |index| PartitionProduceData::default().with_index(index).with_records(Some(batch([&value[..]]).into()));
    let data =
        TopicProduceData::default().with_name(topic("wide")).with_partition_data((0..partitions).map(data).collect());
    ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(vec![data])
}

fn rig(partitions: i32) -> Rig {
    let rig = Rig::with(&METRICS);
    assert_eq!(rig.broker.client().create_topics(&["wide"], partitions), [0]);
    rig
}

#[test]
fn more_than_there_is_memory_for_at_once_succeeds_in_turn() {
    let mut rig = rig(LARGE);
    let sizes = [LARGE, MEDIUM, LARGE, MEDIUM, MEDIUM, LARGE, MEDIUM, MEDIUM, MEDIUM, MEDIUM, LARGE, MEDIUM];
    let senders: Vec<_> = sizes
        .into_iter()
        .map(|partitions| {
            let mut client = rig.broker.client();
            thread::spawn(move || {
                let request = wide(partitions);
                for _ in 0..2 {
                    let answer = client.call(&request, 11);
                    let answers = &answer.responses[0].partition_responses;
                    assert_eq!(answers.len(), partitions as usize);
                    answers.iter().for_each(|partition| assert_eq!(partition.error_code, 0));
                }
            })
        })
        .collect();
    while senders.iter().any(|sender| !sender.is_finished()) {
        rig.serves();
    }
    let answered = senders.into_iter().map(|sender| sender.join().is_ok()).filter(|answered| *answered).count();
    assert_eq!(answered, sizes.len(), "{}", rig.broker.log());
    assert!(!rig.broker.log().contains("connection closed"), "{}", rig.broker.log());
    assert_eq!((rig.metric("duramen_gather_bytes"), rig.metric("duramen_gather_waiting")), (0.0, 0.0));
    rig.is_unharmed();
}

/// Each of them holds the memory that the next one needs.
#[test]
fn half_requests_give_way_to_whole_ones() {
    let mut rig = rig(LARGE);
    for partitions in [MEDIUM, LARGE] {
        let request = frame(&wide(partitions), 11, 1);
        let stuck: Vec<Client> = (0..4)
            .map(|_| {
                let mut client = rig.broker.client();
                client.stream.write_all(&request[..3_000_000]).unwrap();
                client
            })
            .collect();
        await_that("some wait for memory", || rig.metric("duramen_gather_waiting") > 0.0);
        let mut behind: Vec<Client> = (0..2).map(|_| rig.broker.client()).collect();
        thread::scope(|scope| {
            for client in &mut behind {
                let request = wide(partitions);
                scope.spawn(move || {
                    assert_eq!(client.call(&request, 11).responses[0].partition_responses[0].error_code, 0)
                });
            }
            rig.serves();
        });
        let peers: Vec<_> = stuck.iter().map(|client| client.stream.local_addr().unwrap()).collect();
        let told = |log: &str, peer: &str| log.lines().any(|line| line.contains(peer) && line.contains("others wait"));
        let log = rig.broker.log();
        assert!(peers.iter().any(|peer| told(&log, &peer.to_string())), "{log}");
        drop(stuck);
        await_that("all memory is back", || rig.metric("duramen_gather_bytes") == 0.0);
    }
    rig.is_unharmed();
}

/// The beginning of a length pins no receive buffer, of which there are far fewer than connections.
#[test]
fn parts_of_a_length_cost_next_to_nothing() {
    const CONNECTIONS: usize = 600;
    let mut rig = Rig::start();
    let request = frame(&ApiVersionsRequest::default(), 0, 7);
    let mut begun: Vec<Client> = (0..CONNECTIONS).map(|_| rig.broker.client()).collect();
    for bytes in [0..1, 1..3] {
        begun.iter_mut().for_each(|client| client.stream.write_all(&request[bytes.clone()]).unwrap());
        for _ in 0..5 {
            rig.serves();
        }
    }
    for client in &mut begun {
        client.stream.write_all(&request[3..]).unwrap();
        let answer = client.answer().expect("an answer in the end");
        assert_eq!(answer[..4], 7_i32.to_be_bytes());
    }
    rig.is_unharmed();
}
