//! From the producer's schedule to the consumer.

use std::time::Duration;

use super::figures;
use super::{By, Figure, Goal, Row};

const RATE: f64 = 50_000.0;
const SIZE: u32 = 100;
const LINGER: Duration = Duration::from_micros(500);
const SECONDS: (u64, u64) = (30, 4);
const FIFTH: Goal = Goal::RatioToKafka(0.2);

pub fn rows() -> Vec<Row> {
    let title = "end to end, 100 B at 50,000 records/s in an open loop, linger 0.5 ms, acks=all, idempotent, synced";
    let mut row = Row::new("end-to-end-50k", title).synced();
    row.by = By::Latency;
    let third = vec![Goal::RatioToKafka(1.0 / 3.0)];
    let cpu = Figure::cost("cpu_per_million", "broker CPU", "CPU-s per M records", third);
    row.figures = figures::of_latency(
        cpu,
        vec![Goal::AtMost(1.0)],
        vec![Goal::AtMost(2.0), FIFTH],
        vec![Goal::AtMost(4.0), FIFTH],
    );
    row.run = Box::new(|context, side| {
        let mut plan = context.open("end-to-end", side, RATE, SIZE, SECONDS);
        plan.produce.get_or_insert_default().linger = LINGER;
        let outcome = context.run(&plan, side)?;
        let mut found = figures::produced(&outcome);
        figures::latencies(&mut found, outcome.latency.end_to_end.as_ref(), &outcome);
        Ok(found)
    });
    vec![row]
}
