//! Ten minutes at half of what the slower broker can do: whether latency and memory stay flat while retention runs and a
//! backlog is drained.

use std::time::Duration;

use super::context::RowContext;
use super::{By, Figure, Goal, Row, figures};
use crate::compare::results::Figures;
use crate::compare::sides::Side;
use crate::drive::Tally;
use crate::error::Error;
use crate::latency::Latencies;
use crate::outcome::{Outcome, Second};
use crate::plan::{Plan, Topics};
use crate::run::Watch;

const SIZE: u32 = 1_000;
const PRODUCERS: u32 = 4;
const PARTITIONS: i32 = 8;
/// Seconds of the closed loop that finds a side's maximum, and of the run.
const MAXIMUM_SECONDS: u64 = 20;
const SECONDS: (u64, u64) = (600, 120);
const SHARE: f64 = 0.5;
const BACKLOG_BYTES: u64 = 1 << 30;
const RETENTION: [(&str, &str); 2] = [("retention.bytes", "268435456"), ("segment.bytes", "67108864")];
/// Before what is kept of a side's maximum.
const MAXIMUM_OF: &str = "maximum of ";
const SECONDS_A_MINUTE: u32 = 60;

pub fn rows() -> Vec<Row> {
    let title = "10 minutes, 1 kB, 4 producers, 8 partitions, 16 KiB batches, acks=all, at half of the slower side's maximum, \
                 retention running, a backlog of 1 GiB drained by a consumer";
    let mut row = Row::new("ten-minutes", title);
    (row.quick, row.by, row.fills_memory) = (false, By::Latency, true);
    (row.pairs, row.rehearses) = (Some(2), false);
    let cpu = Figure::cost("cpu_per_million", "broker CPU", "CPU-s per M records", Vec::new());
    row.figures = figures::of_latency(cpu, Vec::new(), Vec::new(), Vec::new());
    row.figures.extend([
        Figure::cost("p999_flatness", "p99.9, worst of minutes 2 to 10 by their median", "", vec![Goal::AtMost(1.5)]),
        Figure::cost("memory_flatness", "resident memory, last by second minute", "", vec![Goal::AtMost(1.1)]),
    ]);
    row.setup = Some(Box::new(find_maximum));
    row.run = Box::new(run);
    vec![row]
}

fn shape(context: &RowContext, side: &Side, plan: &mut Plan) {
    plan.topics = context.topics(side, 1, PARTITIONS);
    if let Topics::Own { configs, .. } = &mut plan.topics {
        configs.extend(RETENTION.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    plan.produce.get_or_insert_default().producers = PRODUCERS;
}

/// Measures what a side can do, unless that is known.
fn find_maximum(context: &mut RowContext, side: &Side) -> Result<(), Error> {
    let key = format!("{MAXIMUM_OF}{}", side.name);
    if context.kept.contains_key(&key) {
        return Ok(());
    }
    let mut plan = context.closed(side, 0, SIZE);
    shape(context, side, &mut plan);
    (plan.records, plan.duration) = (None, Some(Duration::from_secs(MAXIMUM_SECONDS)));
    // Retention may be faster than reading back: this run only tells a rate.
    plan.verify = false;
    let outcome = context.run(&plan, side)?;
    let rate = outcome.produced.map_or(0.0, |counts| counts.records_per_second);
    context.kept.insert(key, rate);
    Ok(())
}

fn run(context: &mut RowContext, side: &Side) -> Result<Figures, Error> {
    let maxima = context.kept.iter().filter(|(key, _)| key.starts_with(MAXIMUM_OF));
    let slower = maxima.map(|(_, rate)| *rate).fold(f64::INFINITY, f64::min);
    let mut plan = context.open("mixed", side, (slower * SHARE).floor(), SIZE, SECONDS);
    shape(context, side, &mut plan);
    plan.consume.get_or_insert_default().backlog_bytes = BACKLOG_BYTES;
    let warm_up = u32::try_from(plan.warm_up.as_secs()).unwrap_or(0);
    let mut minutes = Minutes { warm_up, of: Vec::new() };
    let outcome = context.run_watched(&plan, side, &mut minutes)?;
    let mut found = figures::produced(&outcome);
    figures::latencies(&mut found, outcome.latency.scheduled.as_ref(), &outcome);
    found.extend(minutes.flatness().map(|ratio| ("p999_flatness".into(), ratio)));
    found.extend(memory_flatness(&outcome, warm_up).map(|ratio| ("memory_flatness".into(), ratio)));
    Ok(found)
}

/// Latencies by minute of the measured part.
struct Minutes {
    warm_up: u32,
    of: Vec<Latencies>,
}

impl Watch for Minutes {
    fn begins(&mut self, _plan: &Plan, _wall_ms: i64) {}

    fn second(&mut self, second: &Second, tally: &Tally) {
        let Some(since) = second.second.checked_sub(self.warm_up) else { return };
        let minute = (since / SECONDS_A_MINUTE) as usize;
        self.of.resize_with(self.of.len().max(minute + 1), Latencies::default);
        self.of[minute].add(&tally.scheduled);
    }
}

impl Minutes {
    /// The worst p99.9 of the minutes after the first, by their median.
    fn flatness(&self) -> Option<f64> {
        let told = self.of.iter().skip(1).filter_map(|minute| minute.summary()?.p999_ns);
        let mut told: Vec<f64> = told.map(|ns| ns as f64).collect();
        told.sort_by(f64::total_cmp);
        Some(told.last()? / told.get(told.len() / 2)?)
    }
}

/// Resident memory of the last whole minute by that of the second one.
fn memory_flatness(outcome: &Outcome, warm_up: u32) -> Option<f64> {
    let last = outcome.series.iter().map(|second| second.second).max()?;
    let minutes = (last + 1).checked_sub(warm_up)? / SECONDS_A_MINUTE;
    let mean = |minute: u32| {
        let from = warm_up + minute * SECONDS_A_MINUTE;
        let within = outcome.series.iter().filter(|second| (from..from + SECONDS_A_MINUTE).contains(&second.second));
        let bytes: Vec<f64> = within.filter_map(|second| Some(second.rss_bytes? as f64)).collect();
        (!bytes.is_empty()).then(|| bytes.iter().sum::<f64>() / bytes.len() as f64)
    };
    (minutes > 2).then(|| Some(mean(minutes - 1)? / mean(1)?))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flatness_leaves_the_first_minute_out() {
        let mut minutes = Minutes { warm_up: 5, of: Vec::new() };
        for (second, ns) in [(0, 900_000), (5, 90_000_000), (65, 10_000_000), (125, 10_000_000), (185, 20_000_000)] {
            let mut tally = Tally::default();
            tally.scheduled.record_n(ns, 200_000);
            minutes.second(&Second { second, ..Second::default() }, &tally);
        }
        assert!((minutes.flatness().unwrap() - 2.0).abs() < 0.01);
    }

    #[test]
    fn memory_is_compared_minute_by_minute() {
        let rss = |second: u32| {
            if second < 60 {
                10
            } else if second < 120 {
                100
            } else {
                150
            }
        };
        let series = (0..240).map(|second| Second { second, rss_bytes: Some(rss(second)), ..Second::default() });
        let outcome = Outcome { series: series.collect(), ..Outcome::default() };
        assert_eq!(memory_flatness(&outcome, 0), Some(1.5));
        assert_eq!(memory_flatness(&Outcome::default(), 0), None);
    }
}
