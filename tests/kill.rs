//! `kill -9` at random moments, on one directory again and again, with clients that stay connected: what was
//! acknowledged is there afterwards, in order, once with idempotence and at least once without; what was deleted stays so.
//!
//! The moments come from a seed that is printed; `DURAMEN_SEED` sets it.

#[path = "kill/deeds.rs"]
mod deeds;
#[path = "kill/flow.rs"]
mod flow;
mod process;
#[path = "kill/reading.rs"]
mod reading;
mod support;
#[path = "kill/trimming.rs"]
mod trimming;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rdkafka::consumer::Consumer;

use self::deeds::{Committer, Deeds};
use self::flow::{Acknowledged, Lane, Traffic};
use self::reading::Reading;
use self::support::Broker;
use self::support::kafka::{self, PATIENCE};
use self::trimming::Trimmer;

/// Kills for each number of shards; three times this is at least 200.
const KILLS: u32 = 70;
const ALIVE_MS: std::ops::Range<u64> = 50..300;
/// Checkpoints often, so that some kills fall into them; retention looks all the time.
const SETTINGS: [&str; 3] = [
    "duramen.checkpoint.interval.bytes=4194304",
    "duramen.journal.bytes=8388608",
    "log.retention.check.interval.ms=100",
];

#[test]
fn kills_with_one_shard() {
    kill_again_and_again(1);
}

#[test]
fn kills_with_two_shards() {
    kill_again_and_again(2);
}

#[test]
fn kills_with_five_shards() {
    kill_again_and_again(5);
}

fn kill_again_and_again(shards: u16) {
    let seed: u64 =
        std::env::var("DURAMEN_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().expect("a number"));
    say(&format!("{shards} shards: DURAMEN_SEED={seed}"));
    let mut random = SmallRng::seed_from_u64(seed ^ u64::from(shards));
    let began = Instant::now();
    let mut broker = Broker::start(shards, &SETTINGS);
    let mut traffic = Traffic::start(&broker);
    let lanes = traffic.lanes.clone();
    let (trimmed, whole): (Vec<_>, Vec<_>) = lanes.iter().cloned().partition(|lane| lane.flow.trimmed);
    let mut reading = Reading::start(&broker, &whole);
    let committer = Committer::start(&broker);
    // The others are left to retention alone.
    let deleted: Vec<_> = trimmed.iter().filter(|lane| lane.partition == 0).cloned().collect();
    let trimmer = Trimmer::start(&broker, &deleted);
    let mut deeds = Deeds::default();
    let mut down = Duration::ZERO;
    for kill in 1..=KILLS {
        deeds.begin(&broker, shards, &mut random);
        reading.follow(Duration::from_millis(random.random_range(ALIVE_MS)));
        broker.kill();
        let (promised, committed, starts) = (promises(&lanes), committer.acknowledged(), trimmer.confirmed());
        let killed = Instant::now();
        broker.restart();
        down += killed.elapsed();
        check_ends(&broker, &promised);
        trimming::check(&broker, &starts);
        committer.check(&broker, committed);
        reading.reach(&promised);
        deeds.settle(&broker);
        lanes.iter().for_each(|lane| lane.check());
        if kill % 10 == 0 {
            let (records, repeated) = reading.counts();
            say(&format!(
                "{shards} shards: {kill} kills in {} s, {} ms down each; {records} records, {repeated} repeated; {:?}",
                began.elapsed().as_secs(),
                down.as_millis() / u128::from(kill),
                deeds.done,
            ));
        }
    }
    traffic.finish();
    let promised = promises(&lanes);
    reading.reach(&promised);
    let starts = trimmer.finish();
    assert!(starts.values().any(|start| *start > 0), "no record was deleted: {starts:?}");
    broker.stop();
    broker.restart();
    trimming::check(&broker, &starts);
    Reading::start(&broker, &whole).reach(&promised);
    check_trimmed(&broker, &trimmed, &promised);
    say(&format!("{shards} shards: all read again after {} s", began.elapsed().as_secs()));
    assert!(committer.acknowledged() > 0, "no offset was committed at all");
}

/// What is left of the trimmed partitions begins above 0 and ends with what was acknowledged last.
fn check_trimmed(broker: &Broker, trimmed: &[Arc<Lane>], promised: &Promises) {
    let first = |lane: &Lane| kafka::watermarks(broker, lane.flow.topic, lane.partition).0;
    assert!(trimmed.iter().any(|lane| lane.partition > 0 && first(lane) > 0), "retention removed nothing");
    Reading::start_at(broker, trimmed, first).reach(promised);
}

type Promises = BTreeMap<(String, i32), Acknowledged>;

fn promises(lanes: &[Arc<Lane>]) -> Promises {
    lanes.iter().map(|lane| ((lane.flow.topic.to_string(), lane.partition), lane.acknowledged())).collect()
}

/// Every partition ends beyond the last offset that was acknowledged in it.
fn check_ends(broker: &Broker, promised: &Promises) {
    let consumer = kafka::reader(broker, &[]);
    for ((topic, partition), acknowledged) in promised {
        let (_, end) = consumer.fetch_watermarks(topic, *partition, PATIENCE).expect("the watermarks");
        assert!(end > acknowledged.offset, "{topic}-{partition} ends at {end}, acknowledged were {acknowledged:?}");
    }
}

/// A line of progress that is seen while the test runs.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("stderr is open");
}
