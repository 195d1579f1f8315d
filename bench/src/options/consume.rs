//! Options of what is consumed.

use std::time::Duration;

use clap::Args;

use super::units;
use crate::plan::{Begin, Plan};

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "What is consumed")]
pub struct ConsumeOptions {
    /// Consumers of a subscription [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub consumers: Option<u32>,
    /// Each subscription reads everything [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub subscriptions: Option<u32>,
    /// Where to begin: beginning, end, last:N [default: beginning; end with producers]
    #[arg(long, value_name = "WHERE", value_parser = units::begin)]
    pub from: Option<Begin>,
    /// As Kafka's fetch.min.bytes [default: 1]
    #[arg(long, value_name = "BYTES", value_parser = units::bytes_i32)]
    pub fetch_min_bytes: Option<i32>,
    /// As Kafka's fetch.max.wait.ms [default: 500ms]
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub fetch_max_wait: Option<Duration>,
    /// As Kafka's fetch.max.bytes [default: 50M]
    #[arg(long, value_name = "BYTES", value_parser = units::bytes_i32)]
    pub fetch_max_bytes: Option<i32>,
    /// As Kafka's max.partition.fetch.bytes [default: 1M]
    #[arg(long, value_name = "BYTES", value_parser = units::bytes_i32)]
    pub partition_bytes: Option<i32>,
    /// Incremental fetches, as Java's consumer has them [default: true]
    #[arg(long, value_name = "BOOL")]
    pub fetch_sessions: Option<bool>,
}

/// Of `consume` alone.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "What is consumed")]
pub struct Reading {
    /// Read the topic so often; --duration instead keeps reading, and waits at the end [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "duration")]
    pub passes: Option<u32>,
    /// Fill a topic of its own first, with so many records (closed loop, 1 MB batches)
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "topic")]
    pub fill: Option<u64>,
}

/// Of `mixed`.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "What is consumed")]
pub struct Backlog {
    /// Produce so much first; further consumers drain it while the load runs
    #[arg(long, value_name = "BYTES", value_parser = units::bytes)]
    pub backlog: Option<u64>,
}

impl ConsumeOptions {
    /// What is given replaces what the plan says.
    pub fn apply(&self, plan: &mut Plan) {
        let Some(consume) = &mut plan.consume else { return };
        consume.consumers = self.consumers.unwrap_or(consume.consumers);
        consume.subscriptions = self.subscriptions.unwrap_or(consume.subscriptions);
        consume.from = self.from.unwrap_or(consume.from);
        consume.min_bytes = self.fetch_min_bytes.unwrap_or(consume.min_bytes);
        consume.max_wait = self.fetch_max_wait.unwrap_or(consume.max_wait);
        consume.max_bytes = self.fetch_max_bytes.unwrap_or(consume.max_bytes);
        consume.partition_bytes = self.partition_bytes.unwrap_or(consume.partition_bytes);
        consume.sessions = self.fetch_sessions.unwrap_or(consume.sessions);
    }
}

impl Reading {
    pub fn apply(&self, plan: &mut Plan) {
        if let Some(consume) = &mut plan.consume {
            consume.passes = self.passes.unwrap_or(consume.passes);
            consume.fill = self.fill.or(consume.fill);
        }
    }
}

impl Backlog {
    pub fn apply(&self, plan: &mut Plan) {
        if let Some(consume) = &mut plan.consume {
            consume.backlog_bytes = self.backlog.unwrap_or(consume.backlog_bytes);
        }
    }
}
