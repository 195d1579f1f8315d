//! Rows that are judged by what a produced record costs.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::context::{LARGE_BATCH, LARGE_LINGER, RowContext};
use super::figures;
use super::{By, Figure, Goal, Row};
use crate::admin::Cluster;
use crate::compare::sides::{Duramen, LimitKind, Side, SideKind};
use crate::cost::Meter;
use crate::error::Error;
use crate::outcome::{Counts, Generator, Outcome};
use crate::plan::Plan;

const FIFTH: Goal = Goal::RatioToKafka(0.2);
const THIRD: Goal = Goal::RatioToKafka(1.0 / 3.0);
/// A broker has settled this long after the last answer.
const SETTLE: Duration = Duration::from_millis(500);
/// Threads of the generator where one shard alone is measured, and partitions.
const CORE_PRODUCERS: u32 = 4;

/// A load by its sizes: bytes of a value, records in a full and in a quick run.
#[derive(Clone, Copy)]
struct Load {
    size: u32,
    full: u64,
    quick: u64,
}

const SMALL_RECORDS: Load = Load { size: 100, full: 10_000_000, quick: 1_000_000 };
const LARGE_RECORDS: Load = Load { size: 1_000, full: 2_000_000, quick: 300_000 };
const JAVA_RECORDS: Load = Load { size: 100, full: 3_000_000, quick: 1_000_000 };
const CLIENT_RECORDS: Load = Load { size: 100, full: 3_000_000, quick: 500_000 };

impl Load {
    fn records(&self, quick: bool) -> u64 {
        if quick { self.quick } else { self.full }
    }
}

pub fn rows() -> Vec<Row> {
    vec![
        java(),
        java_client(),
        large("produce-100", SMALL_RECORDS),
        large("produce-1k", LARGE_RECORDS),
        large_synced_row("produce-100-synced", SMALL_RECORDS),
        large_synced_row("produce-1k-synced", LARGE_RECORDS),
        core(),
    ]
}

/// A row of a closed loop.
fn closed(name: &str, title: &str, load: Load, goals: Vec<Goal>, shape: fn(&mut Plan)) -> Row {
    let mut row = Row::new(name, title);
    row.fills_memory = true;
    row.figures = figures::of_produce(goals);
    row.run = Box::new(move |context, side| {
        let mut plan = context.closed(side, load.records(context.quick), load.size);
        shape(&mut plan);
        Ok(figures::produced(&context.run(&plan, side)?))
    });
    row
}

fn java() -> Row {
    let title = "produce, 100 B, 16 KiB batches, linger 5 ms (Java's defaults), closed loop, acks=all, idempotent";
    closed("produce-java", title, JAVA_RECORDS, vec![FIFTH], |_| {}).with_limits(&[LimitKind::Ring])
}

/// In batches of 1 MB, acknowledged by the leader.
fn large(name: &str, load: Load) -> Row {
    let title = format!("produce, {} B, 1 MB batches, closed loop, acks=1", load.size);
    closed(name, &title, load, vec![FIFTH, THIRD], large_unsynced).with_limits(&[LimitKind::Ring])
}

/// How [`large`] produces.
pub fn large_unsynced(plan: &mut Plan) {
    large_synced(plan);
    let produce = plan.produce.get_or_insert_default();
    produce.acks = 1;
    produce.idempotence = false;
}

fn large_synced_row(name: &str, load: Load) -> Row {
    let title = format!("produce, {} B, 1 MB batches, closed loop, acks=all, idempotent, synced", load.size);
    let mut row = closed(name, &title, load, vec![THIRD], large_synced).synced().with_limits(&[LimitKind::RingDsync]);
    row.quick = false;
    row
}

/// How [`large_synced_row`] produces: with the defaults but for its batches.
pub fn large_synced(plan: &mut Plan) {
    let produce = plan.produce.get_or_insert_default();
    produce.batch_bytes = LARGE_BATCH;
    produce.linger = LARGE_LINGER;
}

/// What one core of Duramen carries. It starts its side: a broker of one shard.
fn core() -> Row {
    let title = "produce, 100 B, 1 MB batches, closed loop, acks=1: a broker of one shard, 4 producers, 4 partitions";
    let mut row = Row::new("produce-core", title);
    (row.quick, row.fills_memory, row.starts_sides) = (false, true, true);
    row.sides = vec![SideKind::Duramen];
    row.figures = figures::of_produce(Vec::new());
    row.figures
        .insert(0, Figure::rate("rate_of_core", "throughput of one core", "M records/s", vec![Goal::AtLeast(5.0)]));
    row.figures.insert(1, Figure::shown("millions_per_core", "records per broker CPU-s", "M records"));
    row.run = Box::new(|context, _| {
        let broker = Duramen::start(context.environment, &["--shards".into(), "1".into()])?;
        let side = broker.side(false);
        let mut plan = context.closed(&side, SMALL_RECORDS.records(context.quick), SMALL_RECORDS.size);
        large_unsynced(&mut plan);
        plan.produce.get_or_insert_default().producers = CORE_PRODUCERS;
        plan.topics = context.topics(&side, 1, CORE_PRODUCERS as i32);
        let mut found = figures::produced(&context.run(&plan, &side)?);
        if let Some(rate) = found.get("rate_millions").copied() {
            found.insert("rate_of_core".into(), rate);
        }
        Ok(found)
    });
    row
}

/// Kafka's own load generator, which shows whether `produce-java` is what a Java client does.
fn java_client() -> Row {
    let mut row = Row::new("java-client", "produce, 100 B, Kafka's ProducerPerformance with its defaults");
    (row.fills_memory, row.by) = (true, By::Cpu);
    row.figures = figures::of_produce(vec![FIFTH]);
    row.figures.retain(|figure| figure.key != "records_per_request");
    row.run = Box::new(|context, side| {
        let topic = "java-client";
        let mut cluster = Cluster::connect(std::slice::from_ref(&side.server))?;
        cluster.create_topic(topic, 1, 1, &side.topic_configs)?;
        let outcome = performance(context, side, topic, CLIENT_RECORDS.records(context.quick));
        // Those that were acknowledged must be there; then the topic makes room for that of the next run.
        let there: i64 = cluster.ends(topic)?.values().sum();
        cluster.delete_topic(topic)?;
        let outcome = outcome?;
        let acknowledged = outcome.verification.acknowledged;
        if u64::try_from(there).ok() != Some(acknowledged) {
            let reason = format!("{acknowledged} records were acknowledged, {there} are there");
            return Err(Error::Process { what: format!("ProducerPerformance against {}", side.name), reason });
        }
        Ok(figures::produced(&outcome))
    });
    row
}

/// One run of ProducerPerformance, as far as an outcome can tell it.
fn performance(context: &RowContext, side: &Side, topic: &str, records: u64) -> Result<Outcome, Error> {
    let failed = |reason: String| Error::Process { what: format!("ProducerPerformance against {}", side.name), reason };
    let mut command: Command = context.environment.kafka()?.command("producer-perf");
    command.args(["--bootstrap-server", &side.server, "--topic", topic, "--record-size"]);
    command.args([&CLIENT_RECORDS.size.to_string(), "--throughput", "-1", "--num-records", &records.to_string()]);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let meter = Meter::start(&side.broker())?;
    let before = children_seconds();
    let done = context.environment.cores.as_generator(|| command.output())?;
    std::thread::sleep(SETTLE);
    let cost = meter.stop();
    let cpu_seconds = children_seconds() - before;
    let done = done.map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8_lossy(&done.stdout);
    let (sent, rate) = last_line(&text).ok_or_else(|| failed(format!("it printed {:?}", text.trim())))?;
    if sent != records || !done.status.success() {
        return Err(failed(format!("it sent {sent} of {records} records")));
    }
    let mut outcome = Outcome { cost: Some(cost), ..Outcome::default() };
    outcome.produced = Some(Counts { records, records_per_second: rate, ..Counts::default() });
    outcome.generator = Generator { cpu_seconds, ..Generator::default() };
    outcome.verification.acknowledged = sent;
    Ok(outcome)
}

/// Records and records a second of the line that ends ProducerPerformance's report.
fn last_line(text: &str) -> Option<(u64, f64)> {
    let line = text.lines().rfind(|line| line.contains(" records sent, ") && line.contains(" records/sec"))?;
    let (sent, rest) = line.split_once(" records sent, ")?;
    let (rate, _) = rest.split_once(" records/sec")?;
    Some((sent.trim().parse().ok()?, rate.trim().parse().ok()?))
}

/// CPU time of children that have ended, in steps of 10 ms; 0 where the kernel does not tell it.
fn children_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    of_children(&stat).unwrap_or(0) as f64 / 100.0
}

/// Fields 16 and 17 of `/proc/PID/stat`, counted from the one after the command's closing parenthesis.
fn of_children(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    Some(fields.get(13)?.parse::<u64>().ok()? + fields.get(14)?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_java_is_read() {
        let text = "12 records sent, 3.5 records/sec (0.00 MB/sec), 1.0 ms avg latency, 2.0 ms max latency.\n\
                    500000 records sent, 412345.678 records/sec (39.33 MB/sec), 512.10 ms avg latency, 900.00 ms max \
                    latency, 1 ms 50th.\n";
        assert_eq!(last_line(text), Some((500_000, 412_345.678)));
        assert_eq!(last_line("an exception\n"), None);
    }

    #[test]
    fn time_of_children_is_read() {
        let stat = "7 (a) R 1 2) S 1 7 7 0 -1 4194560 99 0 0 0 250 50 30 12 20 0 1 0 100";
        assert_eq!(of_children(stat), Some(42));
    }
}
