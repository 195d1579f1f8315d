//! Rows that must cost the same: more partitions, more producers, random keys, at equal records a batch; and more cores.

use std::time::Duration;

use super::{By, Figure, Goal, Row, figures};
use crate::compare::results::Figures;
use crate::compare::sides::{Duramen, SideKind};
use crate::error::Error;
use crate::plan::{Keys, Partitioner, Produce};

use super::context::RowContext;

const RATE: f64 = 200_000.0;
const SIZE: u32 = 100;
const BATCH_RECORDS: u32 = 100;
/// Long enough for a batch of each of a thousand partitions to be full.
const LINGER: Duration = Duration::from_secs(2);
const SECONDS: (u64, u64) = (15, 3);
const WITHIN: f64 = 1.3;
const PARTITIONS: [u32; 4] = [1, 10, 100, 1_000];
const PRODUCERS: [u32; 3] = [1, 50, 500];
/// Of the rows that vary something else.
const HUNDRED: u32 = 100;
const KEYS: u64 = 1_000_000;
/// Of the rows of more cores: records, in a full and in a quick run, and what each shard gets.
const CORES_RECORDS: (u64, u64) = (3_000_000, 1_000_000);
const CORES_PRODUCERS: u32 = 2;
const CORES_PARTITIONS: u32 = 4;
const CORES_WITHIN: f64 = 1.15;
/// Which listener clients use: the host's, or one port for each core.
const LISTENERS: [&str; 2] = ["host", "cores"];
/// Of the quick form.
const QUICK: [&str; 2] = ["partitions-1", "partitions-100"];

pub fn rows() -> Vec<Row> {
    let mut rows = equal_rows();
    rows.extend(LISTENERS.into_iter().flat_map(cores_rows));
    rows
}

/// One, two, four ... all CPUs of this machine.
fn shards() -> Vec<u32> {
    let all = std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u32);
    let mut shards: Vec<u32> =
        std::iter::successors(Some(1), |shards| Some(shards * 2)).take_while(|it| *it < all).collect();
    shards.push(all);
    shards
}

/// Duramen alone, with a shard on each of so many cores. What a hop between cores costs is the difference of both listeners.
fn cores_rows(listener: &'static str) -> Vec<Row> {
    let shards = shards();
    let names: Vec<String> = shards.iter().map(|shards| format!("cores-{shards}-{listener}")).collect();
    let row = |(shards, name): (u32, &String)| {
        let title = format!(
            "produce, 100 B, 16 KiB batches, closed loop, acks=all: {shards} shards, each with {CORES_PRODUCERS} producers \
             and {CORES_PARTITIONS} partitions, {listener} listener"
        );
        let mut row = Row::new(name, &title);
        (row.quick, row.starts_sides, row.fills_memory) = (false, true, true);
        row.sides = vec![SideKind::Duramen];
        let goals = match shards {
            1 => Vec::new(),
            _ => vec![Goal::Flat { rows: vec![names[0].clone(), name.clone()], within: CORES_WITHIN }],
        };
        row.figures = figures::of_produce(goals);
        row.figures.insert(1, Figure::shown("cpu_us_per_request", "broker CPU", "us a request"));
        row.run = Box::new(move |context, _| on_cores(context, shards, listener));
        row
    };
    shards.iter().copied().zip(&names).map(row).collect()
}

fn on_cores(context: &mut RowContext, shards: u32, listener: &str) -> Result<Figures, Error> {
    let mut settings = vec!["--shards".to_owned(), shards.to_string()];
    if listener == LISTENERS[1] {
        settings.extend(["--set".to_owned(), "duramen.cores.listeners=PLAINTEXT".to_owned()]);
    }
    let broker = Duramen::start(context.environment, &settings)?;
    let side = broker.side(false);
    let records = if context.quick { CORES_RECORDS.1 } else { CORES_RECORDS.0 };
    let mut plan = context.closed(&side, records * u64::from(shards), SIZE);
    plan.topics = context.topics(&side, 1, (CORES_PARTITIONS * shards) as i32);
    plan.produce.get_or_insert_default().producers = CORES_PRODUCERS * shards;
    Ok(figures::produced(&context.run(&plan, &side)?))
}

fn equal_rows() -> Vec<Row> {
    let name_of = |kind: &str, number: u32| format!("{kind}-{number}");
    let partitions: Vec<String> = PARTITIONS.iter().map(|number| name_of("partitions", *number)).collect();
    let producers: Vec<String> = PRODUCERS.iter().map(|number| name_of("producers", *number)).collect();
    let flat = |rows: &[String]| vec![Goal::Flat { rows: rows.to_vec(), within: WITHIN }];
    let mut rows = Vec::new();
    for (index, number) in PARTITIONS.into_iter().enumerate() {
        // The whole is judged at the last of its rows.
        let goals = if index + 1 == PARTITIONS.len() { flat(&partitions) } else { Vec::new() };
        let title = format!("{number} partitions, 1 producer, a partition for each record in turn");
        rows.push(row(&partitions[index], &title, number, goals, |produce| {
            produce.partitioner = Partitioner::RoundRobin;
        }));
    }
    for (index, number) in PRODUCERS.into_iter().enumerate() {
        let goals = if index + 1 == PRODUCERS.len() { flat(&producers) } else { Vec::new() };
        let title = format!("{HUNDRED} partitions, {number} producers, a partition for each batch in turn");
        rows.push(row(&producers[index], &title, HUNDRED, goals, move |produce| produce.producers = number));
    }
    let both = ["partitions-100".to_owned(), "keys-random".to_owned()];
    let title = format!("{HUNDRED} partitions, 1 producer, 1 M keys, uniform");
    rows.push(row("keys-random", &title, HUNDRED, flat(&both), |produce| {
        produce.keys = Some(Keys { count: KEYS, skew: 0.0 });
    }));
    rows
}

fn row(name: &str, what: &str, partitions: u32, goals: Vec<Goal>, shape: impl Fn(&mut Produce) + 'static) -> Row {
    let title = format!("produce, 100 B, 100 records a batch, 200,000 records/s in an open loop, acks=all: {what}");
    let mut row = Row::new(name, &title);
    (row.by, row.quick) = (By::Cpu, QUICK.contains(&name));
    row.figures = figures::of_produce(goals);
    row.run = Box::new(move |context, side| {
        let mut plan = context.open("produce", side, RATE, SIZE, SECONDS);
        plan.topics = context.topics(side, 1, partitions as i32);
        let produce = plan.produce.get_or_insert_default();
        produce.batch_records = Some(BATCH_RECORDS);
        produce.linger = LINGER;
        shape(produce);
        Ok(figures::produced(&context.run(&plan, side)?))
    });
    row
}
