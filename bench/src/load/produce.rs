//! Produces: as fast as the broker takes it, or at a rate with latencies from the scheduled times.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use serde::Serialize;

use super::client::{Common, partitions, records_ever};
use super::latency::{Latencies, Summary};
use super::tally::Tally;
use crate::cpu;

/// A run ends unfinished when nothing was acknowledged for so long.
const STALL_MAX: Duration = Duration::from_secs(30);
const STATISTICS_INTERVAL: Duration = Duration::from_millis(250);
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// What librdkafka may hold: enough that its batches are full when the broker is slow.
const QUEUE_RECORDS_MAX: u32 = 1_000_000;
const QUEUE_KBYTES_MAX: u32 = 512 << 10;
/// How long to wait until librdkafka has room again.
const QUEUE_FULL_WAIT: Duration = Duration::from_micros(200);

/// Produce records of one size and count what was acknowledged.
#[derive(Args, Clone, Debug)]
pub struct Produce {
    #[command(flatten)]
    common: Common,
    #[arg(short, long)]
    topic: String,
    #[arg(long)]
    records: u64,
    /// Bytes of a record's value; there is no key
    #[arg(long, default_value_t = 100)]
    record_size: usize,
    /// Records a second, on schedule whatever the broker does; without it, as fast as the broker takes them
    #[arg(long)]
    rate: Option<f64>,
    /// Seconds at the start of a run with a rate whose latencies are left out
    #[arg(long, default_value_t = 0.0)]
    warm_up: f64,
    /// Bytes of a batch at most
    #[arg(long, default_value_t = 1_000_000)]
    batch_size: u32,
    /// Records in a batch at most
    #[arg(long, default_value_t = 1_000_000)]
    batch_records: u32,
    /// Milliseconds that a batch may wait to fill
    #[arg(long, default_value_t = 5.0)]
    linger_ms: f64,
    #[arg(long, default_value = "all")]
    acks: String,
    #[arg(long, default_value = "none")]
    compression: String,
    /// Don't compare with the topic's offsets afterwards, where they can't be asked for
    #[arg(long)]
    no_offset_check: bool,
}

/// What a run has shown.
#[derive(Debug, Serialize)]
struct Outcome {
    records: u64,
    acknowledged: u64,
    failed: u64,
    /// Records by which the topic has grown.
    in_log: Option<i64>,
    /// Produce requests, as librdkafka counts them.
    requests: i64,
    seconds: f64,
    records_per_second: f64,
    generator_cpu_seconds: f64,
    /// From the scheduled time to the acknowledgement.
    latency: Option<Summary>,
    /// From the scheduled time to the hand-over to librdkafka: what the generator itself was late.
    late: Option<Summary>,
}

type Client = ThreadedProducer<Tally>;

impl Produce {
    pub fn run(&self) -> Result<()> {
        ensure!(self.records > 0, "there is nothing to produce");
        ensure!(self.rate.is_none_or(|rate| rate > 0.0), "a rate is above 0");
        let producer: Client =
            self.config().create_with_context(Tally::new(self.records)).context("make a producer")?;
        // The topic's metadata is then known: the first record does not wait for it.
        partitions(producer.client(), &self.topic)?;
        let before = self.records_ever(&producer)?;
        let tally = producer.context();
        let cpu_before = cpu::of_process()?;
        let began = tally.begin();
        let late = self.send_all(&producer, began)?;
        let finished = self.await_all(tally)?;
        let generator_cpu_seconds = (cpu::of_process()? - cpu_before).as_secs_f64();
        let seconds = (finished - began).as_secs_f64();
        let requests = tally.requests_after(finished, STATISTICS_INTERVAL * 8);
        let in_log = self.records_ever(&producer)?.zip(before).map(|(after, before)| after - before);
        let acknowledged = tally.acknowledged();
        let outcome = Outcome {
            records: self.records,
            acknowledged,
            failed: tally.failed(),
            in_log,
            requests,
            seconds,
            records_per_second: acknowledged as f64 / seconds,
            generator_cpu_seconds,
            latency: self.rate.map(|_| tally.latency()),
            late,
        };
        println!("{}", serde_json::to_string(&outcome)?);
        if let Some(reason) = tally.first_error() {
            bail!("{} of {} records failed, the first one: {reason}", outcome.failed, self.records);
        }
        let missing = in_log.is_some_and(|in_log| in_log < acknowledged as i64);
        ensure!(!missing, "{acknowledged} records were acknowledged, but the topic has grown by {in_log:?}");
        Ok(())
    }

    fn config(&self) -> rdkafka::ClientConfig {
        let largest = self.batch_size.max(u32::try_from(self.record_size).unwrap_or(u32::MAX).saturating_add(512));
        self.common.config(&[
            ("batch.size", self.batch_size.to_string()),
            ("batch.num.messages", self.batch_records.to_string()),
            ("message.max.bytes", largest.max(1_000_000).to_string()),
            ("linger.ms", self.linger_ms.to_string()),
            ("acks", self.acks.clone()),
            ("compression.type", self.compression.clone()),
            ("queue.buffering.max.messages", QUEUE_RECORDS_MAX.to_string()),
            ("queue.buffering.max.kbytes", QUEUE_KBYTES_MAX.to_string()),
            ("statistics.interval.ms", STATISTICS_INTERVAL.as_millis().to_string()),
        ])
    }

    fn records_ever(&self, producer: &Client) -> Result<Option<i64>> {
        (!self.no_offset_check).then(|| records_ever(producer.client(), &self.topic)).transpose()
    }

    /// Hands every record to librdkafka; with a rate, each at its time, and tells how late that was.
    fn send_all(&self, producer: &Client, began: Instant) -> Result<Option<Summary>> {
        let value = filler(self.record_size);
        let mut late = Latencies::default();
        for index in 0..self.records {
            let mut opaque = Tally::UNTIMED;
            if let Some(rate) = self.rate {
                let due = Duration::from_secs_f64(index as f64 / rate);
                thread::sleep(due.saturating_sub(began.elapsed()));
                if due.as_secs_f64() >= self.warm_up {
                    late.record(began.elapsed().saturating_sub(due));
                    opaque = Tally::timed(due);
                }
            }
            self.send(producer, &value, opaque)?;
        }
        Ok(self.rate.map(|_| late.summary()))
    }

    fn send(&self, producer: &Client, value: &[u8], opaque: usize) -> Result<()> {
        let mut record: BaseRecord<(), [u8], usize> = BaseRecord::with_opaque_to(&self.topic, opaque).payload(value);
        let mut progress = Instant::now();
        let mut done = producer.context().done();
        loop {
            match producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    record = refused;
                    thread::sleep(QUEUE_FULL_WAIT);
                    if producer.context().done() != done {
                        done = producer.context().done();
                        progress = Instant::now();
                    }
                    ensure!(progress.elapsed() < STALL_MAX, "nothing was acknowledged for {STALL_MAX:?}");
                }
                Err((error, _)) => return Err(error).context("produce"),
            }
        }
    }

    /// Waits for the last acknowledgement and tells when it came.
    fn await_all(&self, tally: &Tally) -> Result<Instant> {
        let mut done = tally.done();
        let mut progress = Instant::now();
        loop {
            if let Some(finished) = tally.finished() {
                return Ok(finished);
            }
            if tally.done() != done {
                done = tally.done();
                progress = Instant::now();
            }
            let stalled = progress.elapsed() >= STALL_MAX;
            ensure!(!stalled, "{done} of {} records were answered, then none for {STALL_MAX:?}", self.records);
            thread::sleep(POLL_INTERVAL);
        }
    }
}

/// Letters that don't repeat soon, always the same: a compressor shall neither win all nor nothing.
fn filler(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let letter = |_| {
        // Xorshift (Marsaglia, 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b'A' + (state % 26) as u8
    };
    (0..length).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filler_is_letters() {
        let letters = filler(1_000);
        assert_eq!((letters.len(), &letters), (1_000, &filler(1_000)));
        assert!(letters.iter().all(u8::is_ascii_uppercase));
        assert!((b'A'..=b'Z').all(|letter| letters.contains(&letter)));
    }
}
