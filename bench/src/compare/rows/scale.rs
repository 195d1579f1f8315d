//! Rows that must cost the same: more partitions, more producers, random keys, at equal records a batch.

use std::time::Duration;

use super::{By, Goal, Row, figures};
use crate::plan::{Keys, Partitioner, Produce};

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
/// Of the quick form.
const QUICK: [&str; 2] = ["partitions-1", "partitions-100"];

pub fn rows() -> Vec<Row> {
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
