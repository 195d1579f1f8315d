//! Workload files of the OpenMessaging Benchmark, and what can be told of its driver files, as plans.
//!
//! Published workloads can be repeated: what is in a file and means nothing here is told, and what nobody knows is an
//! error.

mod driver;
mod reader;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Error;
use crate::plan::{Begin, Consume, Keys, Pace, Payload, Plan, Produce, Sizes, Topics};
use reader::Fields;

const KNOWN: [&str; 16] = [
    "name",
    "topics",
    "partitionsPerTopic",
    "keyDistributor",
    "messageSize",
    "useRandomizedPayloads",
    "randomBytesRatio",
    "randomizedPayloadPoolSize",
    "payloadFile",
    "subscriptionsPerTopic",
    "consumerPerSubscription",
    "producersPerTopic",
    "producerRate",
    "consumerBacklogSizeGB",
    "testDurationMinutes",
    "warmupDurationMinutes",
];
/// Of a fork's search for the rate that can be kept; the last two are prefixes.
const NOT_APPLIED: [&str; 4] = ["producerStartRate", "acceptableBacklog", "producerIncrement", "producerPause"];
/// OpenMessaging Benchmark's, where a file says nothing.
const WARM_UP_MINUTES: f64 = 1.0;
/// Keys that it draws from, round-robin or at random.
const KEYS: u64 = 10_000;
const MINUTES_MAX: f64 = 60.0 * 24.0 * 365.0;

/// Lays a workload, and a driver's settings, over a plan. Gives what is to be told of it.
pub fn read(plan: &mut Plan, file: &Path, driver: Option<&Path>) -> Result<Vec<String>, Error> {
    let mut notes = Vec::new();
    let fields = Fields::of(file, &KNOWN, &NOT_APPLIED)?;
    notes.extend(fields.text("name")?.map(|name| format!("workload: {name}")));
    load(plan, &fields, file, &mut notes)?;
    notes.extend(fields.not_applied().map(|key| format!("not applied: {key} of the workload")));
    if let Some(driver) = driver {
        driver::apply(plan, driver, &mut notes)?;
    }
    Ok(notes)
}

fn load(plan: &mut Plan, fields: &Fields, file: &Path, notes: &mut Vec<String>) -> Result<(), Error> {
    let topics = fields.whole("topics", 1..=100_000)?.unwrap_or(1);
    let partitions = fields.whole("partitionsPerTopic", 1..=1_000_000)?.unwrap_or(1);
    let count = u32::try_from(topics).expect("it is bounded");
    let partitions = i32::try_from(partitions).expect("it is bounded");
    plan.topics = Topics::Own { count, partitions, replication_factor: 1, configs: Vec::new(), keep: false };
    plan.produce = Some(produce(fields, file, count, notes)?);
    plan.consume = consume(fields, count)?;
    if plan.consume.is_none() {
        "produce".clone_into(&mut plan.command);
    }
    let minutes = |minutes: f64| Duration::from_millis((minutes * 60_000.0).round() as u64);
    let test = fields.number("testDurationMinutes", 0.0..=MINUTES_MAX)?;
    plan.duration = test.filter(|&test| test > 0.0).map(minutes).or(plan.duration);
    let warm_up = fields.number("warmupDurationMinutes", 0.0..=MINUTES_MAX)?;
    plan.warm_up = minutes(warm_up.unwrap_or(WARM_UP_MINUTES));
    Ok(())
}

fn produce(fields: &Fields, file: &Path, topics: u32, notes: &mut Vec<String>) -> Result<Produce, Error> {
    let mut produce = Produce::default();
    let producers = fields.whole("producersPerTopic", 1..=1_000_000)?.unwrap_or(1);
    produce.producers = u32::try_from(producers).expect("it is bounded").saturating_mul(topics);
    produce.pace = match fields.number("producerRate", 0.0..=1e9)? {
        Some(0.0) => {
            notes.push("producerRate 0: a closed loop, where OpenMessaging Benchmark searches for a rate".to_owned());
            Pace::Closed
        }
        Some(records_per_second) => Pace::Open { records_per_second },
        None => return Err(fields.wrong("producerRate", "is missing")),
    };
    if let Some(size) = fields.whole("messageSize", 0..=256 << 20)? {
        produce.sizes = Sizes::Fixed(u32::try_from(size).expect("it is bounded"));
    }
    produce.keys = keys(fields, notes)?;
    produce.payload = payload(fields, file, notes)?;
    Ok(produce)
}

fn keys(fields: &Fields, notes: &mut Vec<String>) -> Result<Option<Keys>, Error> {
    match fields.text("keyDistributor")?.as_deref() {
        None | Some("NO_KEY") => Ok(None),
        Some(name @ ("KEY_ROUND_ROBIN" | "RANDOM_NANO")) => {
            notes.push(format!("keyDistributor {name}: {KEYS} keys, drawn uniformly"));
            Ok(Some(Keys { count: KEYS, skew: 0.0 }))
        }
        Some(other) => {
            let known = "NO_KEY, KEY_ROUND_ROBIN and RANDOM_NANO are known";
            Err(fields.wrong("keyDistributor", &format!("is {other}, and {known}")))
        }
    }
}

fn payload(fields: &Fields, file: &Path, notes: &mut Vec<String>) -> Result<Payload, Error> {
    if fields.flag("useRandomizedPayloads")?.unwrap_or(false) {
        let share = fields.number("randomBytesRatio", 0.0..=1.0)?.unwrap_or(0.0);
        let pool = fields.whole("randomizedPayloadPoolSize", 1..=1_000_000)?.unwrap_or(1);
        return Ok(Payload::PartlyRandom { share, pool: u32::try_from(pool).expect("it is bounded") });
    }
    let Some(named) = fields.text("payloadFile")? else {
        notes.push("no payloadFile: values are letters".to_owned());
        return Ok(Payload::Letters);
    };
    let wrong = |why: String| fields.wrong("payloadFile", &why);
    let found = beside(file, Path::new(&named)).ok_or_else(|| wrong(format!("is {named}, which is not there")))?;
    let length = found.metadata().map_err(|error| wrong(format!("is {named}: {error}")))?.len();
    if length == 0 {
        return Err(wrong(format!("is {named}, which is empty")));
    }
    Ok(Payload::File(found))
}

/// Relative to the workload, then to the directory above it, as published trees have it.
fn beside(workload: &Path, named: &Path) -> Option<PathBuf> {
    let directory = workload.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
    let above = directory.join("..");
    [directory, above].into_iter().map(|directory| directory.join(named)).find(|found| found.is_file())
}

fn consume(fields: &Fields, topics: u32) -> Result<Option<Consume>, Error> {
    let subscriptions = fields.whole("subscriptionsPerTopic", 0..=10_000)?.unwrap_or(1);
    let consumers = fields.whole("consumerPerSubscription", 0..=1_000_000)?.unwrap_or(1);
    let backlog = fields.number("consumerBacklogSizeGB", 0.0..=1e6)?.unwrap_or(0.0);
    if subscriptions == 0 || consumers == 0 {
        return Ok(None);
    }
    Ok(Some(Consume {
        consumers: u32::try_from(consumers).expect("it is bounded").saturating_mul(topics),
        subscriptions: u32::try_from(subscriptions).expect("it is bounded"),
        from: Begin::End,
        backlog_bytes: (backlog * f64::from(1 << 30)) as u64,
        ..Consume::default()
    }))
}

#[cfg(test)]
mod tests;
