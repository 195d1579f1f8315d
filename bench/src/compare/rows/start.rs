//! Rows of starting: on an empty directory, and after a kill with data in the log. They start their sides themselves.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use super::context::{LARGE_BATCH, LARGE_LINGER, RowContext};
use super::{By, Figure, Goal, Row};
use crate::admin::Cluster;
use crate::compare::results::Figures;
use crate::compare::sides::{Duramen, Kafka, Side, SideKind};
use crate::cost;
use crate::error::Error;
use crate::plan::{Pace, Plan, Sizes, Topics};
use crate::run::{self, Quietly};
use crate::stop::Stop;

const MIB: f64 = (1 << 20) as f64;
const GIGA: f64 = 1e9;
/// How long a broker idles before its idle cost is measured.
const SETTLE: Duration = Duration::from_secs(1);
const TOPIC: &str = "restart";
const PARTITIONS: i32 = 4;
const RECORD_BYTES: u64 = 1_000;
/// How long the load runs on before it is cut off by the kill.
const CUT_OFF: Duration = Duration::from_secs(1);
/// How Duramen tells what it has read to recover.
const LAST_RUN: &str = "the last run did not end cleanly: ";

pub fn start_rows() -> Vec<Row> {
    let mut row = Row::new("start", "start on an empty directory, until a connection is accepted; then idle");
    (row.starts_sides, row.by) = (true, By::Latency);
    row.sides.retain(|kind| *kind != SideKind::External);
    row.figures = vec![
        Figure::cost("start_ms", "listening after", "ms", vec![Goal::AtMost(50.0)]),
        Figure::cost("resident_mib", "resident memory, idle", "MiB", Vec::new()),
        Figure::cost("cpu_percent", "CPU, idle", "% of a core", Vec::new()),
    ];
    row.run = Box::new(|context, side| match side.kind {
        SideKind::Duramen => {
            let broker = Duramen::start(context.environment, &[])?;
            idle(context, broker.pid(), broker.started)
        }
        _ => {
            let broker = Kafka::start(context.environment, context.environment.profile(By::Latency))?;
            idle(context, broker.pid(), broker.started)
        }
    });
    vec![row]
}

/// What a broker that was just started costs while nobody asks anything.
fn idle(context: &RowContext, pid: u32, started: Duration) -> Result<Figures, Error> {
    let io = |source| Error::Io { what: format!("measure process {pid}"), source };
    context.wait(SETTLE);
    let seconds = if context.quick { 2.0 } else { 10.0 };
    let before = cost::cpu_seconds(pid).map_err(io)?;
    context.wait(Duration::from_secs_f64(seconds));
    let used = cost::cpu_seconds(pid).map_err(io)? - before;
    let resident = cost::resident_bytes(pid).map_err(io)? as f64 / MIB;
    Ok(Figures::from([
        ("start_ms".into(), started.as_secs_f64() * 1e3),
        ("resident_mib".into(), resident),
        ("cpu_percent".into(), used / seconds * 100.0),
    ]))
}

pub fn restart_rows() -> Vec<Row> {
    let title = "10 GB of 1 kB in the log (quick: 1 GB), killed under load (kill -9), and started again";
    let mut row = Row::new("restart", title);
    (row.quick, row.starts_sides, row.fills_memory) = (false, true, true);
    row.sides = vec![SideKind::Duramen];
    row.figures = vec![
        Figure::cost("listening_seconds", "listening after", "s", vec![Goal::AtMost(1.0)]),
        Figure::cost("served_seconds", "every partition answers after", "s", vec![Goal::AtMost(1.0)]),
        Figure::shown("disk_mib", "read from the disk", "MiB"),
        Figure::shown("own_mib", "read to recover, by its own count", "MiB"),
        Figure::shown("records_millions", "records in the log", "M"),
    ];
    // Filled once, at the first run; then killed and started again on the same data.
    let kept: std::cell::RefCell<Option<(Duramen, Ends)>> = std::cell::RefCell::new(None);
    row.run = Box::new(move |context, _| {
        let mut kept = kept.borrow_mut();
        let (mut broker, acknowledged) = match kept.take() {
            Some(kept) => kept,
            None => filled(context)?,
        };
        let (figures, there) = kill_and_start(context, &mut broker, &acknowledged)?;
        *kept = Some((broker, there));
        Ok(figures)
    });
    vec![row]
}

/// The end of each partition.
type Ends = BTreeMap<i32, i64>;

/// A broker with the data in its log, and where its partitions end: all of it was acknowledged.
fn filled(context: &mut RowContext) -> Result<(Duramen, Ends), Error> {
    let broker = Duramen::start(context.environment, &[])?;
    let side = broker.side(false);
    let mut configs = side.topic_configs.clone();
    configs.push(("retention.ms".into(), "-1".into()));
    let mut cluster = Cluster::connect(std::slice::from_ref(&side.server))?;
    cluster.create_topic(TOPIC, PARTITIONS, 1, &configs)?;
    let gigabytes = if context.quick { 1.0 } else { 10.0 };
    let mut plan = load(context, &side);
    plan.records = Some((gigabytes * GIGA) as u64 / RECORD_BYTES);
    context.prepare(&plan, &side)?;
    let acknowledged = cluster.ends(TOPIC)?;
    Ok((broker, acknowledged))
}

fn load(context: &RowContext, side: &Side) -> Plan {
    let mut plan = context.plan("produce", side);
    plan.topics = Topics::Existing(vec![TOPIC.to_owned()]);
    (plan.warm_up, plan.duration, plan.verify) = (Duration::ZERO, None, false);
    let produce = plan.produce.get_or_insert_default();
    produce.pace = Pace::Closed;
    produce.sizes = Sizes::Fixed(RECORD_BYTES as u32);
    produce.batch_bytes = LARGE_BATCH;
    produce.linger = LARGE_LINGER;
    plan
}

/// Kills the broker while records come in, and starts it again: all that were acknowledged must be there.
fn kill_and_start(context: &RowContext, broker: &mut Duramen, before: &Ends) -> Result<(Figures, Ends), Error> {
    let side = broker.side(false);
    let mut endless = load(context, &side);
    endless.duration = Some(Duration::from_secs(24 * 3600));
    let under_load = AtomicI64::new(0);
    let stop = Stop::default();
    thread::scope(|scope| {
        // It ends with the broker, incomplete, which is what is wanted here.
        let running = scope.spawn(|| {
            let outcome = run::run(&endless, &mut Quietly, &stop);
            let records = outcome.map_or(0, |outcome| outcome.verification.acknowledged);
            under_load.store(i64::try_from(records).unwrap_or(i64::MAX), Ordering::Relaxed);
        });
        context.wait(CUT_OFF);
        broker.kill();
        running.join().expect("a run does not panic");
    });
    let began = broker.start_again()?;
    let ends = Cluster::connect(&[broker.server()])?.ends(TOPIC)?;
    let served = began.elapsed();
    all_there(before, under_load.into_inner(), &ends).map_err(|reason| Error::Process { what: side.name, reason })?;
    let there: i64 = ends.values().sum();
    let io = |source| Error::Io { what: "read what the broker has read".into(), source };
    let disk = cost::read_bytes(broker.pid()).map_err(io)?;
    let mut figures = Figures::from([
        ("listening_seconds".into(), broker.started.as_secs_f64()),
        ("served_seconds".into(), served.as_secs_f64()),
        ("disk_mib".into(), disk as f64 / MIB),
        ("records_millions".into(), there as f64 / 1e6),
    ]);
    if let Some(own) = own_count(&broker.log()) {
        figures.insert("own_mib".into(), own as f64 / MIB);
    }
    Ok((figures, ends))
}

/// Each partition must reach where it was before the load, and all of them must hold what the load had acknowledged, which
/// is known only as a sum. Why they don't.
fn all_there(before: &Ends, under_load: i64, ends: &Ends) -> Result<(), String> {
    for (partition, end) in before {
        let found = ends.get(partition).copied().unwrap_or(0);
        if found < *end {
            return Err(format!("partition {partition} had {end} records before the load, and ends at {found}"));
        }
    }
    let (expected, there) = (before.values().sum::<i64>() + under_load, ends.values().sum::<i64>());
    if there < expected || ends.len() != PARTITIONS as usize {
        return Err(format!("{expected} records were acknowledged before the kill, {there} are there"));
    }
    Ok(())
}

/// What the broker says that it has read to recover.
fn own_count(log: &str) -> Option<u64> {
    let (_, rest) = log.split_once(LAST_RUN)?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_partition_lost_no_other_makes_up_for() {
        let ends = |all: [i64; 4]| (0..).zip(all).collect::<Ends>();
        let before = ends([10, 10, 10, 10]);
        assert_eq!(all_there(&before, 4, &ends([11, 11, 11, 11])), Ok(()));
        assert!(all_there(&before, 4, &ends([11, 11, 11, 10])).is_err());
        assert!(all_there(&before, 4, &ends([9, 12, 12, 12])).unwrap_err().starts_with("partition 0 had 10"));
        assert!(all_there(&before, 0, &(0..3).map(|partition| (partition, 20)).collect()).is_err());
    }

    #[test]
    fn the_brokers_own_count_is_read() {
        let log = "INFO starting\nINFO the last run did not end cleanly: 123456 bytes were read in 3 ms\n";
        assert_eq!(own_count(log), Some(123_456));
        assert_eq!(own_count("INFO starting\n"), None);
    }
}
