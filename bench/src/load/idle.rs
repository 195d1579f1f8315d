//! Consumers that wait for records that don't come.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::client::Common;

const READY_MAX: Duration = Duration::from_secs(60);
const POLL_MAX: Duration = Duration::from_millis(100);

/// Open consumers in long poll at the end of a topic; print "ready", and go on until stdin is closed.
#[derive(Args, Clone, Debug)]
pub struct Idle {
    #[command(flatten)]
    common: Common,
    #[arg(short, long)]
    topic: String,
    #[arg(long, default_value_t = 100)]
    consumers: usize,
    /// How long the broker may hold a fetch that has nothing to return
    #[arg(long, default_value_t = 500)]
    fetch_wait_ms: u32,
}

impl Idle {
    pub fn run(&self) -> Result<()> {
        let consumers: Vec<BaseConsumer> = (0..self.consumers).map(|_| self.consumer()).collect::<Result<_>>()?;
        let deadline = Instant::now() + READY_MAX;
        consumers.iter().try_for_each(|consumer| await_end(consumer, deadline))?;
        let mut out = io::stdout();
        writeln!(out, "ready")?;
        out.flush()?;
        io::stdin().read_to_end(&mut Vec::new())?;
        Ok(())
    }

    fn consumer(&self) -> Result<BaseConsumer> {
        let config = self.common.config(&[
            ("group.id", "duramen-bench".into()),
            ("enable.auto.commit", "false".into()),
            ("enable.partition.eof", "true".into()),
            ("fetch.wait.max.ms", self.fetch_wait_ms.to_string()),
            ("topic.metadata.refresh.interval.ms", "300000".into()),
        ]);
        let consumer: BaseConsumer = config.create().context("make a consumer")?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, 0, Offset::End).context("choose the offset")?;
        consumer.assign(&list).context("start fetching")?;
        Ok(consumer)
    }
}

/// The end is reported once a fetch there has been answered, so the next one is under way.
fn await_end(consumer: &BaseConsumer, deadline: Instant) -> Result<()> {
    loop {
        ensure!(Instant::now() < deadline, "a consumer has not reached the end of the topic in {READY_MAX:?}");
        match consumer.poll(POLL_MAX) {
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
            Some(Err(error)) => return Err(error).context("fetch"),
            Some(Ok(_)) | None => {}
        }
    }
}
