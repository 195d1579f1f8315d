//! Consumes a topic from its beginning, or only its last records, as often as asked.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};
use serde::Serialize;

use super::client::{Common, ends, partitions};
use crate::cpu;

/// A run ends unfinished when no record came for so long.
const STALL_MAX: Duration = Duration::from_secs(30);
const POLL_MAX: Duration = Duration::from_millis(500);
/// A fetch answers as soon as there is a byte, so this only bounds how long the last one lingers.
const FETCH_WAIT_MS: u32 = 100;

/// Read what a topic holds now, and check that no offset is missing.
#[derive(Args, Clone, Debug)]
pub struct Consume {
    #[command(flatten)]
    common: Common,
    #[arg(short, long)]
    topic: String,
    /// Only the last so many records of each partition
    #[arg(long, value_name = "RECORDS")]
    last: Option<i64>,
    /// How often to read them, each time as a new client
    #[arg(long, default_value_t = 1)]
    passes: u32,
    /// Bytes of one partition in one fetch at most
    #[arg(long, default_value_t = 1_048_576)]
    fetch_bytes: u32,
}

/// What a run has shown.
#[derive(Debug, Serialize)]
struct Outcome {
    records: u64,
    value_bytes: u64,
    seconds: f64,
    records_per_second: f64,
    generator_cpu_seconds: f64,
}

/// The partitions with the next offset expected of each and the one after the last.
type Positions = Vec<(i32, i64, i64)>;

impl Consume {
    pub fn run(&self) -> Result<()> {
        let cpu_before = cpu::of_process()?;
        let mut outcome =
            Outcome { records: 0, value_bytes: 0, seconds: 0.0, records_per_second: 0.0, generator_cpu_seconds: 0.0 };
        for _ in 0..self.passes {
            self.pass(&mut outcome)?;
        }
        outcome.records_per_second = outcome.records as f64 / outcome.seconds;
        outcome.generator_cpu_seconds = (cpu::of_process()? - cpu_before).as_secs_f64();
        println!("{}", serde_json::to_string(&outcome)?);
        Ok(())
    }

    fn pass(&self, outcome: &mut Outcome) -> Result<()> {
        let consumer: BaseConsumer = self.config().create().context("make a consumer")?;
        let mut positions = self.positions(&consumer)?;
        let mut list = TopicPartitionList::new();
        for (partition, next, _) in &positions {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*next)).context("choose the offsets")?;
        }
        let began = Instant::now();
        consumer.assign(&list).context("start fetching")?;
        let mut left: i64 = positions.iter().map(|(_, next, end)| end - next).sum();
        ensure!(left > 0, "topic {} holds no records", self.topic);
        let mut progress = Instant::now();
        while left > 0 {
            let Some(message) = consumer.poll(POLL_MAX) else {
                ensure!(progress.elapsed() < STALL_MAX, "{left} records are missing, and none came for {STALL_MAX:?}");
                continue;
            };
            let message = message.context("fetch")?;
            left -= i64::from(expected(&mut positions, message.partition(), message.offset())?);
            outcome.records += 1;
            outcome.value_bytes += message.payload_len() as u64;
            if outcome.records.is_multiple_of(1024) {
                progress = Instant::now();
            }
        }
        outcome.seconds += began.elapsed().as_secs_f64();
        Ok(())
    }

    fn config(&self) -> rdkafka::ClientConfig {
        self.common.config(&[
            ("group.id", "duramen-bench".into()),
            ("enable.auto.commit", "false".into()),
            ("enable.auto.offset.store", "false".into()),
            ("auto.offset.reset", "error".into()),
            ("fetch.wait.max.ms", FETCH_WAIT_MS.to_string()),
            ("max.partition.fetch.bytes", self.fetch_bytes.to_string()),
            ("queued.min.messages", "1000000".into()),
        ])
    }

    fn positions(&self, consumer: &BaseConsumer) -> Result<Positions> {
        let position = |partition| {
            let (start, end) = ends(consumer.client(), &self.topic, partition)?;
            Ok((partition, self.last.map_or(start, |last| start.max(end - last)), end))
        };
        partitions(consumer.client(), &self.topic)?.into_iter().map(position).collect()
    }
}

/// Checks that an offset is the next one of its partition. `false` if it lies beyond what was asked for.
fn expected(positions: &mut Positions, partition: i32, offset: i64) -> Result<bool> {
    let position = positions.iter_mut().find(|(number, ..)| *number == partition);
    let (_, next, end) = position.with_context(|| format!("a record of partition {partition}, which has none"))?;
    ensure!(offset == *next, "partition {partition}: offset {offset} came where {next} was expected");
    *next += 1;
    Ok(offset < *end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_and_a_repetition_are_found() {
        let mut positions = vec![(0, 5, 7), (3, 0, 1)];
        assert!(expected(&mut positions, 0, 5).unwrap());
        assert!(expected(&mut positions, 0, 5).is_err());
        assert!(expected(&mut positions, 0, 7).is_err());
        assert!(expected(&mut positions, 1, 0).is_err());
        assert!(expected(&mut positions, 3, 0).unwrap());
        assert!(!expected(&mut positions, 3, 1).unwrap());
    }
}
