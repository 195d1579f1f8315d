//! The command that repeats a run.

use std::time::Duration;

use super::plan::codec;
use crate::plan::{Begin, Consume, Pace, Partitioner, Payload, Plan, Produce, Sizes, Topics};

/// Options that differ from their defaults.
struct Line(Vec<String>);

/// The command that repeats a run, but for what is special to a machine: broker, process, cores. What no option can
/// say (a workload's payload, half random) is left out.
pub fn command(plan: &Plan) -> String {
    let usual = Plan::new(&plan.command, "");
    let mut line = Line(vec![format!("duramen bench {}", plan.command)]);
    if let (Some(produce), Some(usual)) = (&plan.produce, &usual.produce) {
        line.load(produce, usual);
        line.client(produce, usual);
    }
    if let (Some(consume), Some(usual)) = (&plan.consume, &usual.consume) {
        line.consume(consume, usual);
    }
    line.topics(&plan.topics);
    line.option("records", plan.records);
    line.option("duration", plan.duration.filter(|_| plan.duration != usual.duration).map(time));
    let warm_up = if plan.records.is_some() { Duration::ZERO } else { usual.warm_up };
    line.unless(plan.warm_up == warm_up, "warm-up", time(plan.warm_up));
    line.option("threads", plan.threads);
    line.unless(plan.memory_max == usual.memory_max, "memory", plan.memory_max);
    line.unless(plan.seed == usual.seed, "seed", plan.seed);
    line.flag(!plan.verify, "no-verify");
    line.0.join(" ")
}

impl Line {
    fn unless(&mut self, is_usual: bool, name: &str, value: impl ToString) {
        if !is_usual {
            self.0.push(format!("--{name} {}", word(&value.to_string())));
        }
    }

    fn option(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.unless(false, name, value);
        }
    }

    fn flag(&mut self, is_set: bool, name: &str) {
        self.0.extend(is_set.then(|| format!("--{name}")));
    }

    /// What is sent, and how fast.
    fn load(&mut self, produce: &Produce, usual: &Produce) {
        let pace = match produce.pace {
            Pace::Open { records_per_second } => records_per_second.to_string(),
            Pace::Closed => "max".to_owned(),
        };
        self.unless(produce.pace == usual.pace, "rate", pace);
        self.unless(produce.producers == usual.producers, "producers", produce.producers);
        self.unless(produce.sizes == usual.sizes, "record-size", sizes(&produce.sizes));
        self.option("keys", produce.keys.map(|keys| keys.count));
        self.option("key-skew", produce.keys.map(|keys| keys.skew).filter(|&skew| skew > 0.0));
        let is_spread = produce.keys.is_none() && produce.partitioner == Partitioner::RoundRobin;
        self.option("partitioner", is_spread.then_some("round-robin"));
        let payload = match &produce.payload {
            Payload::Letters | Payload::PartlyRandom { .. } => None,
            Payload::Random => Some("random".to_owned()),
            Payload::Zeros => Some("zeros".to_owned()),
            Payload::File(file) => Some(file.display().to_string()),
        };
        self.option("payload", payload);
    }

    /// How it is sent.
    fn client(&mut self, produce: &Produce, usual: &Produce) {
        self.option("connections", produce.connections);
        self.unless(produce.in_flight == usual.in_flight, "in-flight", produce.in_flight);
        self.unless(produce.batch_bytes == usual.batch_bytes, "batch-size", produce.batch_bytes);
        self.option("batch-records", produce.batch_records);
        self.unless(produce.linger == usual.linger, "linger", time(produce.linger));
        let batches = produce.batches_per_request;
        self.unless(batches == usual.batches_per_request, "batches-per-request", batches);
        self.unless(produce.acks == usual.acks, "acks", produce.acks);
        self.unless(produce.idempotence == (produce.acks == -1), "idempotence", produce.idempotence);
        self.unless(produce.compression == usual.compression, "compression", codec(produce.compression));
        let timeout = produce.request_timeout;
        self.unless(timeout == usual.request_timeout, "request-timeout", time(timeout));
    }

    fn consume(&mut self, consume: &Consume, usual: &Consume) {
        self.unless(consume.consumers == usual.consumers, "consumers", consume.consumers);
        self.unless(consume.subscriptions == usual.subscriptions, "subscriptions", consume.subscriptions);
        let from = match consume.from {
            Begin::Beginning => "beginning".to_owned(),
            Begin::End => "end".to_owned(),
            Begin::Last(records) => format!("last:{records}"),
        };
        self.unless(consume.from == usual.from, "from", from);
        self.unless(consume.passes == usual.passes, "passes", consume.passes);
        self.option("fill", consume.fill);
        self.unless(consume.backlog_bytes == 0, "backlog", consume.backlog_bytes);
        self.unless(consume.min_bytes == usual.min_bytes, "fetch-min-bytes", consume.min_bytes);
        self.unless(consume.max_wait == usual.max_wait, "fetch-max-wait", time(consume.max_wait));
        self.unless(consume.max_bytes == usual.max_bytes, "fetch-max-bytes", consume.max_bytes);
        self.unless(consume.partition_bytes == usual.partition_bytes, "partition-bytes", consume.partition_bytes);
        self.unless(consume.sessions, "fetch-sessions", consume.sessions);
    }

    fn topics(&mut self, topics: &Topics) {
        match topics {
            Topics::Existing(names) => self.unless(false, "topic", names.join(",")),
            Topics::Own { count, partitions, replication_factor, configs, keep } => {
                self.unless(*count == 1, "topics", count);
                self.unless(*partitions == 1, "partitions", partitions);
                self.unless(*replication_factor == 1, "replication-factor", replication_factor);
                for (name, value) in configs {
                    self.unless(false, "topic-config", format!("{name}={value}"));
                }
                self.flag(*keep, "keep-topic");
            }
        }
    }
}

/// In the largest unit that needs no fraction.
fn time(time: Duration) -> String {
    let nanos = time.as_nanos();
    let units = [(60_000_000_000, "m"), (1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
    let whole = units.into_iter().find(|(unit, _)| nanos.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{}us", nanos as f64 / 1e3), |(unit, name)| format!("{}{name}", nanos / unit))
}

fn sizes(sizes: &Sizes) -> String {
    match sizes {
        Sizes::Fixed(size) => size.to_string(),
        Sizes::Uniform { min, max } => format!("{min}..{max}"),
        Sizes::Normal { mean, deviation } => format!("normal:{mean}:{deviation}"),
        Sizes::Weighted(sizes) => {
            let all: Vec<_> = sizes.iter().map(|(size, weight)| format!("{size}@{weight}")).collect();
            all.join(",")
        }
    }
}

/// Quoted for a shell if it must be.
fn word(text: &str) -> String {
    let is_plain = |one: char| one.is_ascii_alphanumeric() || "-_./:=,@+%".contains(one);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_words_are_written_as_they_are_read() {
        let times = [0, 1_500_000, 30_000_000_000, 600_000_000_000, 5].map(|nanos| time(Duration::from_nanos(nanos)));
        assert_eq!(times, ["0m", "1500us", "30s", "10m", "0.005us"]);
        assert_eq!(["a.b=c", "two words", "it's", ""].map(word), ["a.b=c", "'two words'", r"'it'\''s'", "''"]);
    }
}
