//! A plan in words.

use super::figures::{bytes, count, duration, number, some};
use crate::plan::{Compression, Consume, Pace, Plan, Produce, Sizes, Topics};

/// What is done, in one line or two.
pub fn words(plan: &Plan) -> String {
    let mut head = plan.command.clone();
    if let Some(produce) = &plan.produce {
        head += match produce.pace {
            Pace::Open { .. } => ", open loop",
            Pace::Closed => ", closed loop",
        };
        head += &format!(", {} of {}", rate(produce), size(&produce.sizes));
    }
    if let Some(records) = plan.records {
        head += &format!(", {}", some(records, "record"));
    }
    if let Some(time) = plan.duration {
        head += &format!(" for {}", duration(time));
    }
    if !plan.warm_up.is_zero() {
        head += &format!(" after {}", duration(plan.warm_up));
    }
    let mut how = Vec::new();
    if let Some(produce) = &plan.produce {
        how.push(some(produce.producers.into(), "producer"));
    }
    if let Some(consume) = &plan.consume {
        how.push(consumers(consume));
    }
    how.push(topics(&plan.topics));
    if let Some(produce) = &plan.produce {
        how.extend(client(produce));
    }
    format!("{head}; {}", how.join(", "))
}

pub fn rate(produce: &Produce) -> String {
    match produce.pace {
        Pace::Open { records_per_second } => format!("{} records/s", number(records_per_second)),
        Pace::Closed => "records".to_owned(),
    }
}

fn size(sizes: &Sizes) -> String {
    match sizes {
        Sizes::Fixed(size) => format!("{} B", count((*size).into())),
        Sizes::Uniform { min, max } => format!("{min} to {max} B"),
        Sizes::Normal { mean, deviation } => format!("{mean} +- {deviation} B"),
        Sizes::Weighted(sizes) => {
            let all: Vec<_> = sizes.iter().map(|(size, weight)| format!("{size}@{weight}")).collect();
            format!("{} B", all.join(" "))
        }
    }
}

fn consumers(consume: &Consume) -> String {
    let mut text = some(consume.consumers.into(), "consumer");
    if consume.subscriptions > 1 {
        text += &format!(" of each of {} subscriptions", consume.subscriptions);
    }
    if consume.passes > 1 {
        text += &format!(", {} passes", consume.passes);
    }
    if consume.backlog_bytes > 0 {
        text += &format!(", a backlog of {}", bytes(consume.backlog_bytes));
    }
    text
}

fn topics(topics: &Topics) -> String {
    match topics {
        Topics::Existing(names) => format!("topic {}", names.join(" and ")),
        Topics::Own { count: 1, partitions, replication_factor, .. } => {
            some(partitions.unsigned_abs().into(), "partition") + &replicas(*replication_factor)
        }
        Topics::Own { count, partitions, replication_factor, .. } => {
            let partitions = some(partitions.unsigned_abs().into(), "partition");
            format!("{count} topics of {partitions}{}", replicas(*replication_factor))
        }
    }
}

fn replicas(factor: i16) -> String {
    if factor == 1 { String::new() } else { format!(" x {factor} replicas") }
}

/// What of the client's settings a reader must know; defaults are left out but for durability.
fn client(produce: &Produce) -> Vec<String> {
    let usual = Produce::default();
    let mut all = vec![match produce.acks {
        -1 => "acks=all".to_owned(),
        acks => format!("acks={acks}"),
    }];
    if produce.idempotence {
        all.push("idempotent".to_owned());
    }
    if produce.batch_bytes != usual.batch_bytes {
        all.push(format!("batches of {}", bytes(produce.batch_bytes.into())));
    }
    if let Some(records) = produce.batch_records {
        all.push(format!("{} a batch", some(records.into(), "record")));
    }
    if produce.linger != usual.linger {
        all.push(format!("linger {}", duration(produce.linger)));
    }
    if produce.in_flight != usual.in_flight {
        all.push(format!("{} in flight", produce.in_flight));
    }
    if let Some(keys) = produce.keys {
        let skew = if keys.skew > 0.0 { format!(" (zipf {})", keys.skew) } else { String::new() };
        all.push(format!("{} keys{skew}", count(keys.count)));
    }
    if produce.compression != Compression::None {
        all.push(codec(produce.compression).to_owned());
    }
    all
}

pub fn codec(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "none",
        Compression::Gzip => "gzip",
        Compression::Snappy => "snappy",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    }
}
