//! Rows of one record a request in an open loop: what a request costs, and how long it waits.

use std::time::Duration;

use super::figures;
use super::{By, Figure, Goal, Row};
use crate::compare::sides::LimitKind;

const SIZE: u32 = 1_000;
const FIFTH: Goal = Goal::RatioToKafka(0.2);
/// A broker may need this much more than the raw loop does.
const OF_RAW_LOOP: f64 = 1.3;
/// Both ways to sync a block: the cheaper is the limit.
const SYNCED: [LimitKind; 2] = [LimitKind::Fdatasync, LimitKind::Dsync];
const UNSYNCED: [LimitKind; 1] = [LimitKind::Unsynced];

/// The load of a row: records a second, and how many producers and partitions share it.
#[derive(Clone, Copy)]
struct Load {
    rate: u32,
    producers: u32,
    /// Seconds that are measured, in a full and in a quick run: p99.9 needs 100,000 requests.
    seconds: (u64, u64),
}

const TWO: Load = Load { rate: 2_000, producers: 1, seconds: (55, 5) };
const TEN: Load = Load { rate: 10_000, producers: 10, seconds: (15, 5) };

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        synced("small-2k-synced", TWO),
        synced("small-10k-synced", TEN),
        unsynced("small-2k", TWO),
        unsynced("small-10k", TEN),
    ];
    rows.iter_mut().filter(|row| row.name.starts_with("small-10k")).for_each(|row| row.quick = false);
    rows
}

fn synced(name: &str, load: Load) -> Row {
    let mut row = small(name, load, "synced").synced().with_limits(&SYNCED);
    row.figures = latency_figures(vec![Goal::RatioToLimit(OF_RAW_LOOP), Goal::RatioToKafka(1.0)]);
    row
}

fn unsynced(name: &str, load: Load) -> Row {
    let mut row = small(name, load, "not synced").with_limits(&UNSYNCED);
    row.figures = latency_figures(vec![Goal::RatioToKafka(1.0 / 3.0)]);
    row
}

fn latency_figures(cpu: Vec<Goal>) -> Vec<Figure> {
    let cpu = Figure::cost("cpu_us_per_request", "broker CPU", "us a request", cpu);
    figures::of_latency(cpu, Vec::new(), vec![FIFTH], vec![FIFTH])
}

fn small(name: &str, load: Load, synced: &str) -> Row {
    let Load { rate, producers, .. } = load;
    let title = format!(
        "produce, 1 kB, one record a request, {rate} requests/s in an open loop, {producers} x {producers}, acks=all, {synced}"
    );
    let mut row = Row::new(name, &title);
    row.by = By::Latency;
    row.run = Box::new(move |context, side| {
        let mut plan = context.open("produce", side, f64::from(load.rate), SIZE, load.seconds);
        plan.topics = context.topics(side, 1, load.producers as i32);
        let produce = plan.produce.get_or_insert_default();
        produce.producers = load.producers;
        produce.batch_records = Some(1);
        produce.linger = Duration::ZERO;
        let outcome = context.run(&plan, side)?;
        let mut found = figures::produced(&outcome);
        figures::latencies(&mut found, outcome.latency.scheduled.as_ref(), &outcome);
        Ok(found)
    });
    row
}
