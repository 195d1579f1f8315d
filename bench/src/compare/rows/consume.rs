//! Rows of reading: hot, cached, and consumers that wait for what does not come.

use std::time::Duration;

use super::context::RowContext;
use super::{By, Figure, Goal, Row, figures, produce};
use crate::compare::results::Figures;
use crate::compare::sides::{LimitKind, Side};
use crate::error::Error;
use crate::plan::{Begin, Pace, Plan, Sizes, Topics};
use crate::stop::Stop;

/// Bytes of a topic that is hot, and of one that lies in the page cache.
const HOT_BYTES: u64 = 300_000_000;
const CACHED_BYTES: u64 = 2_000_000_000;
/// How often a measured run reads a topic.
const PASSES: u32 = 3;
/// How often a topic at rest is read before.
const PASSES_BEFORE: u32 = 2;
/// Records a second that keep a topic hot.
const TRICKLE: f64 = 10.0;
/// What ends the trickle: any signal's number does.
const SIGTERM: u8 = 15;
const WAITING: u32 = 100;
/// What the kernel counts CPU time in: less than one of them counts as one, so that a run without any is not left out.
const TICK_SECONDS: f64 = 0.01;

/// Whether records come in while a topic is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Topic {
    Hot,
    AtRest,
}

pub fn rows() -> Vec<Row> {
    let half = vec![Goal::RatioToKafka(0.5)];
    let raw = vec![Goal::RatioToLimit(1.3)];
    let not_more = || vec![Goal::RatioToKafka(1.0)];
    let mut rows = vec![
        row("consume-hot-100", 100, Topic::Hot, half),
        row("consume-hot-1k", 1_000, Topic::Hot, raw).with_limits(&[LimitKind::Send]),
        row("consume-cached-100", 100, Topic::AtRest, not_more()),
        row("consume-cached-1k", 1_000, Topic::AtRest, not_more()),
    ];
    rows[1..].iter_mut().for_each(|row| row.quick = false);
    rows
}

fn row(name: &str, size: u32, topic: Topic, goals: Vec<Goal>) -> Row {
    let how = match topic {
        Topic::Hot => "0.3 GB, read 3 times while 10 records/s come in",
        Topic::AtRest => "2 GB at rest, read twice before, then 3 times",
    };
    let mut row = Row::new(name, &format!("consume, {size} B, fetches of 1 MiB: {how}"));
    row.fills_memory = true;
    row.figures = vec![
        Figure::cost("cpu_per_gb", "broker CPU", "CPU-s per GB", goals),
        Figure::shown("gb_per_second", "throughput", "GB/s"),
        Figure::shown("rate_millions", "throughput", "M records/s"),
        Figure::shown("generator_per_gb", "generator CPU", "CPU-s per GB"),
    ];
    row.figures.extend(figures::of_machine());
    row.setup = Some(Box::new(move |context, side| fill(context, side, size, topic)));
    row.run = Box::new(move |context, side| match topic {
        Topic::Hot => while_records_come(context, side, |context| read(context, side)),
        Topic::AtRest => read(context, side),
    });
    row
}

/// Fills the topic that all runs read; the limit has its records already.
fn fill(context: &mut RowContext, side: &Side, size: u32, topic: Topic) -> Result<(), Error> {
    if !side.is_broker() {
        return Ok(());
    }
    context.make_topic(side, 1, &[])?;
    let bytes = if topic == Topic::Hot { HOT_BYTES } else { CACHED_BYTES };
    let mut plan = context.closed(side, bytes / u64::from(size), size);
    produce::large_unsynced(&mut plan);
    plan.topics = shared(context);
    context.prepare(&plan, side)?;
    if topic == Topic::AtRest {
        let mut plan = reading(context, side);
        plan.consume.get_or_insert_default().passes = PASSES_BEFORE;
        context.prepare(&plan, side)?;
    }
    Ok(())
}

fn shared(context: &RowContext) -> Topics {
    Topics::Existing(vec![context.row.to_owned()])
}

/// A run that reads the row's topic as fast as it can.
fn reading(context: &RowContext, side: &Side) -> Plan {
    let mut plan = context.plan("consume", side);
    plan.warm_up = Duration::ZERO;
    plan.duration = None;
    let consume = plan.consume.get_or_insert_default();
    consume.passes = PASSES;
    // The limit knows no sessions, and has topics of its own.
    consume.sessions = side.is_broker();
    if side.is_broker() {
        plan.topics = shared(context);
    }
    plan
}

fn read(context: &mut RowContext, side: &Side) -> Result<Figures, Error> {
    let plan = reading(context, side);
    Ok(figures::consumed(&context.run(&plan, side)?))
}

/// Works while records come in, so that the topic's end is that of a live one.
fn while_records_come(
    context: &mut RowContext,
    side: &Side,
    work: impl FnOnce(&mut RowContext) -> Result<Figures, Error>,
) -> Result<Figures, Error> {
    if !side.is_broker() {
        return work(context);
    }
    let mut trickle = context.plan("produce", side);
    trickle.topics = shared(context);
    trickle.warm_up = Duration::ZERO;
    // It outlives the run by far, and is ended with it.
    trickle.duration = Some(Duration::from_secs(24 * 3600));
    trickle.threads = Some(1);
    trickle.verify = false;
    let produce = trickle.produce.get_or_insert_default();
    produce.pace = Pace::Open { records_per_second: TRICKLE };
    produce.sizes = Sizes::Fixed(100);
    produce.linger = Duration::ZERO;
    let stop = Stop::default();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| crate::run::run(&trickle, &mut crate::run::Quietly, &stop));
        let found = context.prepare(&Plan { records: None, ..once(context, side) }, side).and_then(|()| work(context));
        let early = running.is_finished();
        stop.ask(SIGTERM);
        let ended = running.join().expect("a run does not panic");
        match ended {
            Err(error) => Err(error),
            Ok(_) if early => {
                let reason = "the records that keep it hot stopped coming".to_owned();
                Err(Error::Process { what: format!("a run against {}", side.name), reason })
            }
            Ok(_) => found,
        }
    })
}

/// A first reading, which is not measured.
fn once(context: &RowContext, side: &Side) -> Plan {
    let mut plan = reading(context, side);
    plan.consume.get_or_insert_default().passes = 1;
    plan
}

/// What a broker costs while consumers wait for records that don't come.
pub fn idle_rows() -> Vec<Row> {
    [(500, 2.0), (5_000, 1.0)].into_iter().map(|(wait_ms, percent)| idle(wait_ms, percent)).collect()
}

fn idle(wait_ms: u64, percent: f64) -> Row {
    let title = format!("{WAITING} consumers in long poll, fetch.max.wait.ms={wait_ms}");
    let mut row = Row::new(&format!("idle-{wait_ms}"), &title);
    (row.quick, row.by) = (false, By::Latency);
    row.figures = vec![
        Figure::cost("cpu_percent", "broker CPU", "% of a core", vec![Goal::AtMost(percent)]),
        Figure::shown("peak_mib", "peak memory", "MiB"),
    ];
    row.run = Box::new(move |context, side| {
        let mut plan = context.plan("consume", side);
        plan.warm_up = Duration::from_secs(2);
        plan.duration = Some(Duration::from_secs(if context.quick { 5 } else { 20 }));
        plan.verify = false;
        let consume = plan.consume.get_or_insert_default();
        // Each reads everything, as the topic has one partition.
        consume.subscriptions = WAITING;
        consume.from = Begin::End;
        consume.max_wait = Duration::from_millis(wait_ms);
        let outcome = context.run(&plan, side)?;
        let mut found = figures::common(&outcome);
        if let Some(cost) = &outcome.cost {
            let busy = (cost.user_seconds + cost.system_seconds).max(TICK_SECONDS) / cost.wall_seconds;
            found.insert("cpu_percent".into(), busy * 100.0);
        }
        Ok(found)
    });
    row
}
