//! Options that every run has: brokers, topics, how long, threads, what is measured of the broker, where results go.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::units::{self, Cores};
use crate::plan::{Plan, Topics};

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Brokers and topics")]
pub struct Target {
    /// Broker to ask first; several by commas [default: localhost:9092]
    #[arg(short, long, value_name = "HOST:PORT", value_delimiter = ',', value_parser = units::server)]
    pub bootstrap_server: Vec<String>,
    /// Use this topic, which must exist; several by commas [default: one of its own, deleted at the end]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub topic: Vec<String>,
    /// Topics to make [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "topic")]
    pub topics: Option<u32>,
    /// Partitions of each topic that is made [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..), conflicts_with = "topic")]
    pub partitions: Option<i32>,
    /// Replicas of each topic that is made [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..), conflicts_with = "topic")]
    pub replication_factor: Option<i16>,
    /// A setting of the topics that are made; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = units::setting, conflicts_with = "topic")]
    pub topic_config: Vec<(String, String)>,
    /// Leave the topics that were made
    #[arg(long, conflicts_with = "topic")]
    pub keep_topic: bool,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "How long, and by whom")]
pub struct Generator {
    /// How long to measure [default: 30s; consume: until all is read]
    #[arg(long, value_name = "TIME", value_parser = units::period)]
    pub duration: Option<Duration>,
    /// How long to run before that [default: 5s; consume, and with --records: 0]
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub warm_up: Option<Duration>,
    /// End after so many records instead
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "duration")]
    pub records: Option<u64>,
    /// Threads of the generator [default: the CPUs it may use, half of them if a broker on this host shares them; at
    /// most one for each connection]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,
    /// CPUs of the generator, such as 0,2-5
    #[arg(long, value_name = "LIST", value_parser = units::cores)]
    pub cores: Option<Cores>,
    /// For all buffers together [default: 1G]
    #[arg(long, value_name = "BYTES", value_parser = units::bytes)]
    pub memory: Option<u64>,
    /// Of keys, sizes and payload [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "What is measured of the broker")]
pub struct Measured {
    /// Measure this process as the broker
    #[arg(long, value_name = "PID", conflicts_with = "start", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,
    /// Start the broker, wait until it listens (60 s), measure it, and stop it at the end; the process that is started
    /// must be the broker: cd DIR && exec BROKER
    #[arg(long, value_name = "COMMAND")]
    pub start: Option<String>,
    /// Where the broker's data lies: to count the flushes of that disk
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where a Duramen tells its own counts
    #[arg(long, value_name = "HOST:PORT", value_parser = units::server)]
    pub metrics: Option<String>,
    /// Don't read back what was acknowledged; the result is marked
    #[arg(long)]
    pub no_verify: bool,
}

/// Where results go.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Results")]
pub struct Output {
    /// The result as JSON, to a file or to stdout (the summary then goes to stderr)
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub json: Option<PathBuf>,
    /// The result as a page that needs nothing else
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Latencies by second in HdrHistogram's log format
    #[arg(long, value_name = "FILE")]
    pub hlog: Option<PathBuf>,
    /// No progress
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub generator: Generator,
    #[command(flatten)]
    pub measured: Measured,
    #[command(flatten)]
    pub output: Output,
}

const THREADS_MAX: usize = 256;

fn threads(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=THREADS_MAX).contains(number));
    number.ok_or_else(|| format!("expected between 1 and {THREADS_MAX} threads"))
}

impl Common {
    /// What is given replaces what the plan says.
    pub fn apply(&self, plan: &mut Plan) {
        self.target.apply(plan);
        self.generator.apply(plan);
        let (measured, broker) = (&self.measured, &mut plan.broker);
        broker.pid = measured.pid.or(broker.pid);
        broker.start = measured.start.clone().or(broker.start.take());
        broker.data_dir = measured.data_dir.clone().or(broker.data_dir.take());
        broker.metrics = measured.metrics.clone().or(broker.metrics.take());
        plan.verify &= !measured.no_verify;
    }
}

impl Target {
    fn apply(&self, plan: &mut Plan) {
        if !self.bootstrap_server.is_empty() {
            plan.servers.clone_from(&self.bootstrap_server);
        }
        if !self.topic.is_empty() {
            plan.topics = Topics::Existing(self.topic.clone());
        }
        if let Topics::Own { count, partitions, replication_factor, configs, keep } = &mut plan.topics {
            *count = self.topics.unwrap_or(*count);
            *partitions = self.partitions.unwrap_or(*partitions);
            *replication_factor = self.replication_factor.unwrap_or(*replication_factor);
            configs.extend(self.topic_config.iter().cloned());
            *keep |= self.keep_topic;
        }
    }
}

impl Generator {
    fn apply(&self, plan: &mut Plan) {
        if let Some(records) = self.records {
            // All of them are measured, unless a warm-up is asked for.
            (plan.records, plan.duration, plan.warm_up) = (Some(records), None, Duration::ZERO);
        }
        if let Some(duration) = self.duration {
            (plan.records, plan.duration) = (None, Some(duration));
        }
        plan.warm_up = self.warm_up.unwrap_or(plan.warm_up);
        plan.threads = self.threads.or(plan.threads);
        if let Some(cores) = &self.cores {
            plan.cores.clone_from(&cores.0);
        }
        plan.memory_max = self.memory.unwrap_or(plan.memory_max);
        plan.seed = self.seed.unwrap_or(plan.seed);
    }
}
