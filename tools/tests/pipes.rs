//! `produce` and `consume` against librdkafka's own mock cluster.

use std::io::{self, Cursor, Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Parser;
use duramen_tools::record::Record;
use duramen_tools::{Error, Exit, consume, produce};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

type Cluster = MockCluster<'static, DefaultProducerContext>;

#[derive(Parser)]
enum Cli {
    Produce(produce::Command),
    Consume(consume::Command),
}

fn cluster(topics: &[(&str, i32)]) -> Cluster {
    let cluster = MockCluster::new(1).expect("the mock cluster starts");
    for &(topic, partitions) in topics {
        cluster.create_topic(topic, partitions, 1).expect("the topic is made");
    }
    cluster
}

fn parse(servers: &str, line: &str) -> Cli {
    Cli::parse_from(["duramen"].into_iter().chain(line.split(' ')).chain(["-b", servers]))
}

fn produce(cluster: &Cluster, line: &str, input: impl Read + Send + 'static) -> Result<Exit, Error> {
    produce_to(&cluster.bootstrap_servers(), line, input)
}

fn produce_to(servers: &str, line: &str, input: impl Read + Send + 'static) -> Result<Exit, Error> {
    let Cli::Produce(command) = parse(servers, &format!("produce {line}")) else { panic!("a produce command") };
    produce::run_with(command, input)
}

fn consume(cluster: &Cluster, line: &str, output: impl Write + Send) -> Result<Exit, Error> {
    let line = format!("consume {line}");
    let Cli::Consume(command) = parse(&cluster.bootstrap_servers(), &line) else { panic!("a consume command") };
    consume::run_with(command, output)
}

fn consumed(cluster: &Cluster, line: &str) -> String {
    let mut output = Vec::new();
    assert_eq!(consume(cluster, line, &mut output).expect("consumes"), Exit::Success);
    String::from_utf8(output).expect("the test's records are text")
}

fn numbers(range: std::ops::Range<u32>) -> String {
    range.map(|number| format!("{number}\n")).collect()
}

#[test]
fn lines_arrive_as_they_were_sent() {
    let cluster = cluster(&[("t", 1)]);
    let text = format!("{}\n\nwith\ttab\r\n{}", numbers(0..5_000), "no newline at the end");
    assert_eq!(produce(&cluster, "t", Cursor::new(text.clone())).unwrap(), Exit::Success);
    assert_eq!(consumed(&cluster, "t --until-end"), text + "\n");
}

#[test]
fn json_out_and_in_again_is_the_identity() {
    let cluster = cluster(&[("a", 3), ("b", 3)]);
    let lines = [
        r#"{"partition":0,"timestamp":1600000000001,"key":null,"value":null,"headers":[]}"#,
        r#"{"partition":2,"timestamp":1600000000002,"key":"","value":"","headers":[{"key":"a","value":null},{"key":"a","value":""}]}"#,
        r#"{"partition":2,"timestamp":1600000000003,"key":{"base64":"//8="},"value":"two\nlines","headers":[{"key":{"base64":"/w=="},"value":{"base64":"AP8="}}]}"#,
        r#"{"partition":2,"timestamp":1600000000004,"key":"k","value":null,"headers":[]}"#,
    ];
    produce(&cluster, "a --json --keep-partitions", Cursor::new(lines.join("\n"))).unwrap();
    let first = consumed(&cluster, "a --json --until-end");
    produce(&cluster, "b --json --keep-partitions --compression zstd", Cursor::new(first.clone())).unwrap();
    let second = consumed(&cluster, "b --json --until-end");

    assert_eq!(sorted(&first, "a"), lines.map(|line| with_topic(line, "a")));
    assert_eq!(sorted(&second, "b"), lines.map(|line| with_topic(line, "b")));
}

/// Parses lines, drops the offsets, and orders the records by time; `topic` is what all must name.
fn sorted(lines: &str, topic: &str) -> Vec<Record<'static>> {
    let mut records: Vec<Record> = lines.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
    records.sort_by_key(|record| record.timestamp);
    for record in &mut records {
        assert!(record.topic.as_deref() == Some(topic) && record.offset.take().is_some());
    }
    records
}

fn with_topic(line: &str, topic: &str) -> Record<'static> {
    let record: Record = serde_json::from_str(line).expect("a record");
    Record { topic: Some(topic.to_owned().into()), ..record }
}

#[test]
fn keys_and_headers_of_lines() {
    let cluster = cluster(&[("t", 1)]);
    produce(&cluster, "t --key-separator = --header a=1 --partition 0", Cursor::new("k=v=w\n")).unwrap();
    assert_eq!(consumed(&cluster, "t -e --format {key}|{value}|{headers}"), "k|v=w|a=1\n");
    let error = produce(&cluster, "t --key-separator =", Cursor::new("k=v\nx\n")).unwrap_err();
    assert!(matches!(error, Error::Input { line: 2, .. }), "{error}");
    assert_eq!(consumed(&cluster, "t -e --format {key}"), "k\nk\n", "what precedes the bad line is sent");
}

#[test]
fn a_refused_record_fails_the_command() {
    let cluster = cluster(&[("t", 1)]);
    let refusals = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 3];
    cluster.request_errors(RDKafkaApiKey::Produce, &refusals);
    let error = produce(&cluster, "t", Cursor::new("a\nb\n")).unwrap_err();
    assert!(matches!(error, Error::NotAcknowledged { missing: 2, total: 2, .. }), "{error}");
    assert!(error.to_string().contains("Topic authorization failed"), "{error}");
}

/// An input that is written by the test while it is read, and ends when the sender is dropped.
struct Live(Receiver<String>);

impl Read for Live {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Ok(text) = self.0.recv() else { return Ok(0) };
        buffer[..text.len()].copy_from_slice(text.as_bytes());
        Ok(text.len())
    }
}

#[test]
fn a_broker_that_comes_back_costs_nothing() {
    let cluster = cluster(&[("t", 1)]);
    let (input, lines) = channel();
    let servers = cluster.bootstrap_servers();
    let producing = std::thread::spawn(move || produce_to(&servers, "t", Live(lines)));
    input.send(numbers(0..100)).unwrap();
    while consumed(&cluster, "t -e").lines().count() < 100 {}
    cluster.broker_down(1).unwrap();
    input.send(numbers(100..200)).unwrap();
    drop(input);
    cluster.broker_up(1).unwrap();
    assert_eq!(producing.join().unwrap().unwrap(), Exit::Success);
    assert_eq!(consumed(&cluster, "t -e"), numbers(0..200));
}

#[test]
fn a_broker_that_stays_away_is_given_up() {
    let cluster = cluster(&[("t", 1)]);
    // Refusals that pass, more than can be gone through within the timeout.
    let refusals = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS; 100];
    cluster.request_errors(RDKafkaApiKey::Produce, &refusals);
    let started = Instant::now();
    let error = produce(&cluster, "t --timeout 1", Cursor::new("a\nb\nc\n")).unwrap_err();
    assert!(matches!(error, Error::NotAcknowledged { missing: 3, total: 3, .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn a_line_that_no_request_holds_is_refused() {
    let cluster = cluster(&[("t", 1)]);
    let text = format!("short\n{}\n", "x".repeat(200_000));
    let error = produce(&cluster, "t -X message.max.bytes=100000", Cursor::new(text)).unwrap_err();
    assert!(matches!(error, Error::Input { line: 2, .. }), "{error}");
    assert_eq!(consumed(&cluster, "t -e"), "short\n");
}

/// Sends more records with the first bytes it takes.
struct Feeding {
    servers: String,
    taken: Vec<u8>,
}

impl Write for Feeding {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.taken.is_empty() {
            produce_to(&self.servers, "t", Cursor::new("late\n")).expect("the late record is sent");
        }
        self.taken.extend(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_end_is_where_it_was_at_the_start() {
    let cluster = cluster(&[("t", 1)]);
    produce(&cluster, "t", Cursor::new(numbers(0..20_000))).unwrap();
    let mut output = Feeding { servers: cluster.bootstrap_servers(), taken: Vec::new() };
    consume(&cluster, "t --until-end", &mut output).unwrap();
    assert_eq!(String::from_utf8(output.taken).unwrap(), numbers(0..20_000));
    assert_eq!(consumed(&cluster, "t -e --from -1"), "late\n");
}

#[test]
fn positions_choose_the_first_record() {
    let cluster = cluster(&[("t", 1)]);
    produce(&cluster, "t", Cursor::new(numbers(0..10))).unwrap();
    assert_eq!(consumed(&cluster, "t -e --from 7"), numbers(7..10));
    assert_eq!(consumed(&cluster, "t -e --from -2"), numbers(8..10));
    assert_eq!(consumed(&cluster, "t -e --from end"), "");
    assert_eq!(consumed(&cluster, "t --from 3 --count 2"), numbers(3..5));
}

#[test]
fn following_goes_on_until_the_count_is_reached() {
    let cluster = cluster(&[("t", 1)]);
    produce(&cluster, "t", Cursor::new("old\n")).unwrap();
    let mut output = Feeding { servers: cluster.bootstrap_servers(), taken: Vec::new() };
    consume(&cluster, "t --count 2", &mut output).unwrap();
    assert_eq!(output.taken, b"old\nlate\n");
}

/// Breaks after so many bytes, as a pipe whose reader leaves.
#[derive(Clone)]
struct Breaking {
    taken: Arc<Mutex<Vec<u8>>>,
    limit: usize,
}

impl Write for Breaking {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let mut taken = self.taken.lock().unwrap();
        let count = buffer.len().min(self.limit - taken.len());
        if count == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        taken.extend(&buffer[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_group_commits_what_the_output_took_and_no_more() {
    let cluster = cluster(&[("t", 1)]);
    produce(&cluster, "t", Cursor::new(numbers(0..1_000))).unwrap();
    // The whole of 0 to 99, and half of 100.
    let output = Breaking { taken: Arc::default(), limit: numbers(0..100).len() + 2 };
    // The mock lets a new member in only when the session of the one that left would have ended.
    let session = "-X session.timeout.ms=4000 -X heartbeat.interval.ms=500";
    let group = |group: &str, rest: &str| format!("t --group {group} {rest} {session}");
    let error = consume(&cluster, &group("g", "--until-end"), output.clone()).unwrap_err();
    assert!(matches!(&error, Error::Output(error) if error.kind() == io::ErrorKind::BrokenPipe), "{error}");
    assert_eq!(consumed(&cluster, &group("g", "--until-end")), numbers(100..1_000));
    assert_eq!(consumed(&cluster, &group("g", "--until-end")), "", "all of it is committed now");
    assert_eq!(consumed(&cluster, &group("other", "--count 1")), numbers(0..1));
    assert_eq!(consumed(&cluster, &group("other", "--count 1")), numbers(1..2), "a count commits no further");
}

#[test]
fn a_missing_topic_is_not_made_by_reading_it() {
    let cluster = cluster(&[("orders", 1)]);
    let error = consume(&cluster, "ordres", io::sink()).unwrap_err();
    assert!(matches!(&error, Error::NoTopic { nearest: Some(near), .. } if near == "orders"), "{error}");
    let error = produce(&cluster, "orders --partition 3", io::empty()).unwrap_err();
    assert!(matches!(error, Error::NoPartition { partition: 3, count: 1, .. }), "{error}");
}

#[test]
fn wrong_settings_are_errors_of_the_command_line() {
    let cluster = cluster(&[("t", 1)]);
    for line in ["t -X no.such.setting=1", "t -X linger.ms=x", "t --acks 1 --idempotent"] {
        let error = produce(&cluster, line, io::empty()).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}: {error}");
    }
    let error = consume(&cluster, "t --group g --from 5", io::sink()).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
}

#[test]
fn paced_records_take_their_time() {
    let cluster = cluster(&[("t", 1)]);
    let started = Instant::now();
    produce(&cluster, "t --rate 200 --idempotent=false", Cursor::new(numbers(0..101))).unwrap();
    assert!(started.elapsed() >= Duration::from_millis(400), "{:?}", started.elapsed());
    assert_eq!(consumed(&cluster, "t -e"), numbers(0..101));
}
