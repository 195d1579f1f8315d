//! What a driver file of the OpenMessaging Benchmark says of Kafka's clients and topics.

use std::path::Path;
use std::time::Duration;

use super::reader::Fields;
use crate::Error;
use crate::options::produce::IDEMPOTENT_IN_FLIGHT_MAX;
use crate::options::units;
use crate::plan::{Compression, Consume, Plan, Produce, Topics};

const KNOWN: [&str; 4] = ["replicationFactor", "topicConfig", "producerConfig", "consumerConfig"];
const NOT_APPLIED: [&str; 4] = ["name", "driverClass", "commonConfig", "reset"];
const MILLISECONDS_MAX: u64 = 86_400_000;

/// Lays replication, topic settings, and the clients' known settings over a plan.
pub fn apply(plan: &mut Plan, file: &Path, notes: &mut Vec<String>) -> Result<(), Error> {
    let fields = Fields::of(file, &KNOWN, &NOT_APPLIED)?;
    if let Topics::Own { replication_factor, configs, .. } = &mut plan.topics {
        if let Some(factor) = fields.whole("replicationFactor", 1..=100)? {
            *replication_factor = i16::try_from(factor).expect("it is bounded");
        }
        configs.extend(properties(&fields, "topicConfig")?);
    }
    let mut skipped: Vec<String> =
        fields.not_applied().filter(|key| *key == "commonConfig").map(str::to_owned).collect();
    if let Some(produce) = &mut plan.produce {
        produces(produce, &fields, &mut skipped)?;
    }
    for (name, value) in properties(&fields, "consumerConfig")? {
        let Some(consume) = &mut plan.consume else { break };
        let is_known = reads(consume, &name, &value)
            .map_err(|why| fields.wrong("consumerConfig", &format!("has {name}={value}: {why}")))?;
        skipped.extend((!is_known).then_some(name));
    }
    notes.extend(skipped.into_iter().map(|name| format!("not applied: {name} of the driver")));
    Ok(())
}

fn produces(produce: &mut Produce, fields: &Fields, skipped: &mut Vec<String>) -> Result<(), Error> {
    let mut idempotence = None;
    for (name, value) in properties(fields, "producerConfig")? {
        let wrong = |why: String| fields.wrong("producerConfig", &format!("has {name}={value}: {why}"));
        if name == "enable.idempotence" {
            idempotence = Some(value.parse().map_err(|_| wrong("expected true or false".to_owned()))?);
        } else if !sends(produce, &name, &value).map_err(wrong)? {
            skipped.push(name);
        }
    }
    // As Java's client has it where nothing is said.
    let can_be = produce.acks == -1 && produce.in_flight <= IDEMPOTENT_IN_FLIGHT_MAX;
    produce.idempotence = idempotence.unwrap_or(can_be);
    Ok(())
}

/// Whether the setting is known.
fn sends(produce: &mut Produce, name: &str, value: &str) -> Result<bool, String> {
    match name {
        "acks" => produce.acks = units::acks(value)?,
        "linger.ms" => produce.linger = milliseconds(value)?,
        "batch.size" => produce.batch_bytes = units::bytes_i32(value)?.unsigned_abs(),
        "compression.type" => produce.compression = compression(value)?,
        "max.in.flight.requests.per.connection" => {
            let number = value.parse().ok().filter(|number| (1..=10_000).contains(number));
            produce.in_flight = number.ok_or("expected a number from 1 to 10000")?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Whether the setting is known.
fn reads(consume: &mut Consume, name: &str, value: &str) -> Result<bool, String> {
    match name {
        "fetch.min.bytes" => consume.min_bytes = units::bytes_i32(value)?,
        "fetch.max.bytes" => consume.max_bytes = units::bytes_i32(value)?,
        "max.partition.fetch.bytes" => consume.partition_bytes = units::bytes_i32(value)?,
        "fetch.max.wait.ms" => consume.max_wait = milliseconds(value)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn milliseconds(value: &str) -> Result<Duration, String> {
    let number = value.parse().ok().filter(|number| *number <= MILLISECONDS_MAX);
    number.map(Duration::from_millis).ok_or_else(|| "expected milliseconds".to_owned())
}

fn compression(value: &str) -> Result<Compression, String> {
    Ok(match value {
        "none" => Compression::None,
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => return Err("expected none, gzip, snappy, lz4 or zstd".to_owned()),
    })
}

/// Java's properties: one NAME=VALUE a line.
fn properties(fields: &Fields, key: &str) -> Result<Vec<(String, String)>, Error> {
    let text = fields.text(key)?.unwrap_or_default();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pair = |line: &str| {
        let (name, value) =
            line.split_once('=').ok_or_else(|| fields.wrong(key, &format!("has `{line}`, not NAME=VALUE")))?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    };
    lines.map(pair).collect()
}
