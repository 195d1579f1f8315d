//! The main job: a web server's access log goes in line by line, comes out byte for byte, and a `kill -9` of the broker
//! on the way changes nothing.

mod process;
mod support;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use support::kafka::{self, PATIENCE};
use support::{Broker, LOOK, until};

const LINES: usize = 10_000;
/// The acknowledgement at which the broker is killed is one of these.
const KILLED_AT: std::ops::Range<usize> = 2_000..8_000;
const LINES_PER_SECOND: usize = 4_000;
/// Lines from here on are sent after the kill: on a busy machine, all might be acknowledged before it otherwise.
const SENT_AFTER_KILL: usize = 9_000;

#[test]
fn the_access_log_survives_a_kill_with_one_shard() {
    access_log_through_a_kill(1);
}

#[test]
fn the_access_log_survives_a_kill_with_two_shards() {
    access_log_through_a_kill(2);
}

#[test]
fn the_access_log_survives_a_kill_with_five_shards() {
    access_log_through_a_kill(5);
}

fn access_log_through_a_kill(shards: u16) {
    let log = access_log();
    let lines: Vec<Vec<u8>> = log.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    assert_eq!(lines.len(), LINES);
    let mut broker = Broker::start(shards, &[]);
    let acknowledged = Arc::new(Acknowledged::default());
    let killed = Arc::new(AtomicBool::new(false));
    let sender = thread::spawn({
        let killed = killed.clone();
        let config = kafka::config(&broker, &[("enable.idempotence", "true"), ("linger.ms", "1")]);
        let producer = config.create_with_context(Reports(acknowledged.clone())).expect("a producer");
        move || send(&producer, &lines, &killed)
    });
    let moment = rand::random_range(KILLED_AT);
    until(PATIENCE, || (acknowledged.count() >= moment).then_some(())).expect("lines are acknowledged");
    broker.kill();
    killed.store(true, Ordering::Relaxed);
    let at_kill = acknowledged.count();
    assert!((moment..LINES).contains(&at_kill), "killed on the way, not after {at_kill} acknowledgements");
    broker.restart();
    sender.join().expect("all lines are sent");
    assert_eq!(acknowledged.count(), LINES, "killed after {at_kill}");
    let output = broker.command("consume access-log --from beginning --until-end").output().expect("the consumer runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout == log, "killed after {at_kill}: {} bytes in, {} out", log.len(), output.stdout.len());
}

/// Sends each line without its end, as `duramen produce` does.
fn send(producer: &ThreadedProducer<Reports>, lines: &[Vec<u8>], killed: &AtomicBool) {
    let began = Instant::now();
    for (number, line) in lines.iter().enumerate() {
        let due = Duration::from_secs_f64(number as f64 / LINES_PER_SECOND as f64);
        while began.elapsed() < due || (number >= SENT_AFTER_KILL && !killed.load(Ordering::Relaxed)) {
            thread::sleep(LOOK);
        }
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let record: BaseRecord<'_, (), [u8]> = BaseRecord::to("access-log").payload(text);
        producer.send(record).map_err(|(error, _)| error).expect("the queue has room");
    }
    producer.flush(PATIENCE).expect("all is acknowledged in time");
}

fn access_log() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/access.log.gz");
    let output = Command::new("gzip").args(["-dc", path]).output().expect("gzip runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[derive(Default)]
struct Acknowledged(AtomicUsize);

impl Acknowledged {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

struct Reports(Arc<Acknowledged>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        // A line that fails is missing in the count at the end.
        if result.is_ok() {
            self.0.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}
