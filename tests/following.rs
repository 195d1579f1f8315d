//! A connection that uses the partitions of one shard is served by that shard, whichever accepted it, and nobody notices:
//! requests that were under way, or half received, at the moment of the change are answered in order.

mod bare;
mod process;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bare::client::{batch, frame, produce_request};
use bare::{Broker, Client};
use kafka_protocol::messages::{ProduceResponse, ResponseHeader};
use kafka_protocol::protocol::Decodable;

const PRODUCE: i16 = 11;
const PRODUCE_RESPONSE_HEADER: i16 = 1;
/// Requests under way at a time.
const WINDOW: i32 = 24;
const VALUE_LEN: usize = 700;
/// Bytes sent at a time: no divisor of a request's length, so that requests are cut anywhere.
const PIECE: usize = 997;
/// A connection moves after 100 ms at the earliest.
const BUSY_FOR: Duration = Duration::from_millis(1500);

/// A sum over all shards.
fn counted(broker: &Broker, metric: &str) -> f64 {
    let line = broker.banner.iter().find_map(|line| line.strip_prefix("metrics on http://")).expect("it is printed");
    let mut stream = TcpStream::connect(line.split('/').next().unwrap()).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page.lines()
        .filter(|line| line.starts_with(&format!("{metric}{{")))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

/// Correlation id and base offset of an answer.
fn read_answer(client: &mut Client) -> (i32, i64) {
    let mut answer = bytes::Bytes::from(client.answer().expect("the connection is not closed"));
    let header = ResponseHeader::decode(&mut answer, PRODUCE_RESPONSE_HEADER).unwrap();
    let response = ProduceResponse::decode(&mut answer, PRODUCE).unwrap();
    let partition = &response.responses[0].partition_responses[0];
    assert_eq!(partition.error_code, 0);
    (header.correlation_id, partition.base_offset)
}

/// Keeps requests under way for a while; returns how many there were.
fn produce_in_pieces(client: &mut Client, partition: i32) -> i32 {
    let begun = Instant::now();
    let (mut asked, mut answered) = (0, 0);
    let mut bytes = Vec::new();
    while begun.elapsed() < BUSY_FOR {
        while asked - answered < WINDOW {
            let value = format!("{partition} {asked:08} ").repeat(VALUE_LEN / 11);
            bytes.extend(frame(&produce_request("t", partition, batch([value.as_bytes()])), PRODUCE, asked));
            asked += 1;
        }
        while bytes.len() > PIECE {
            client.send(&bytes.drain(..PIECE).collect::<Vec<u8>>());
        }
        while asked - answered > WINDOW / 2 {
            assert_eq!(read_answer(client), (answered, i64::from(answered)));
            answered += 1;
        }
    }
    client.send(&bytes);
    for expected in answered..asked {
        assert_eq!(read_answer(client), (expected, i64::from(expected)));
    }
    asked
}

#[test]
fn a_busy_connection_moves_to_its_partition_and_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let arguments = ["--shards", "2", "--metrics-listen", "127.0.0.1:0", "--set", "durability=replicated"];
    let broker = Broker::start(&root.path().join("data"), &arguments);
    assert_eq!(broker.client().create_topics(&["t"], 2), [0]);
    // One of the two shards accepts, and the partitions lie on both: one connection or the other has to move.
    let mut client = broker.client();
    let counts = [0, 1].map(|partition| produce_in_pieces(&mut client, partition));
    assert!(counted(&broker, "duramen_connections_moved_total") >= 1.0);
    assert_eq!(counted(&broker, "duramen_connections_failed_total"), 0.0);
    for (partition, count) in [0, 1].into_iter().zip(counts) {
        assert_eq!(client.end_offset("t", partition), i64::from(count));
    }
    drop(client);
    broker.stop();
}
