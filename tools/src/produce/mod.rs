//! `duramen produce`: records from stdin to a topic.
//!
//! Invariants: success means that every record of the input was acknowledged; memory is bounded by librdkafka's queue
//! ([`QUEUE_KBYTES`]) and the few chunks of [`input`], and a full queue makes the reader wait; a broker that goes away
//! and comes back within the timeout costs time only.

mod deliver;
mod input;
mod pace;
mod parse;

use std::io::{IsTerminal, Read, stderr, stdin};
use std::time::Duration;

use clap::{Args, ValueEnum};
use rdkafka::ClientConfig;

use crate::client::native::{self, Property};
use crate::client::{Cluster, Server};
use crate::output::Progress;
use crate::record::Header;
use crate::signals::Stop;
use crate::{Error, Outcome};

pub use pace::Pacer;

/// What librdkafka may hold of unacknowledged records.
pub const QUEUE_KBYTES: u32 = 32 << 10;
/// The largest request, unless `-X message.max.bytes` says otherwise. Kafka's own default is a little above it.
const MESSAGE_BYTES_MAX: usize = 1_000_000;

/// Send the lines of stdin to a topic, each as a record
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
It ends with 0 only when every record was acknowledged.
A topic that does not exist is made with the broker's defaults, where the broker allows it.

Examples:
  zcat access.log.gz | duramen produce access-log
  printf 'k1\\tv1\\nk2\\tv2\\n' | duramen produce orders --key-separator '\\t'
  duramen consume orders --json --until-end | duramen produce orders-copy --json")]
pub struct Command {
    /// Topic to send to
    pub topic: String,
    /// What stands between key and value in a line; \t and \0 are understood
    #[arg(long, short = 'K', value_name = "TEXT", value_parser = parse::separator, conflicts_with = "json")]
    pub key_separator: Option<Separator>,
    /// A header for every record; may be repeated
    #[arg(long, short = 'H', value_name = "NAME=VALUE", conflicts_with = "json")]
    pub header: Vec<Property>,
    /// Send all records to this partition; otherwise keys choose it, as Java's clients do
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,
    /// Lines are JSON objects, as `consume --json` writes them
    #[arg(long)]
    pub json: bool,
    /// With --json: send each record to the partition that it names
    #[arg(long, requires = "json", conflicts_with = "partition")]
    pub keep_partitions: bool,
    /// Send so many records per second
    #[arg(long, value_name = "RECORDS", value_parser = parse::rate)]
    pub rate: Option<f64>,
    /// When a record counts as acknowledged
    #[arg(long, value_enum, default_value_t = Acks::All)]
    pub acks: Acks,
    /// Compression of the batches
    #[arg(long, value_enum, default_value_t = Compression::None)]
    pub compression: Compression,
    /// Keep order and write nothing twice when a request is repeated; needs --acks all, and is on with it
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub idempotent: Option<bool>,
    /// Give up after so many seconds in which nothing was acknowledged
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..))]
    pub timeout: u32,
    /// A setting of librdkafka; may be repeated
    #[arg(short = 'X', value_name = "NAME=VALUE")]
    pub properties: Vec<Property>,
    #[command(flatten)]
    pub server: Server,
}

/// Whose word makes a record acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Acks {
    /// Nobody's: it was handed to the network
    #[value(name = "0")]
    None,
    /// The leader's
    #[value(name = "1")]
    Leader,
    /// That of all in-sync replicas
    All,
}

/// How batches are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// The text between key and value, never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Separator(Vec<u8>);

/// Sends stdin.
pub fn run(command: Command) -> Outcome {
    let stop = Stop::on_signals()?;
    let progress = Progress::new(!stdin().is_terminal());
    send(command, stdin(), stop, progress)
}

/// Sends any input, silently: what [`run`] does with stdin, without its signals and its progress line.
pub fn run_with(command: Command, input: impl Read + Send + 'static) -> Outcome {
    send(command, input, Stop::default(), Progress::new(false))
}

fn send(command: Command, input: impl Read + Send + 'static, stop: Stop, progress: Progress) -> Outcome {
    let config = config(&command)?;
    let (topic, created) = Cluster::connect(&command.server)?.topic_or_create(&command.topic)?;
    topic.select(command.partition)?;
    if created && stderr().is_terminal() {
        eprintln!("topic {} did not exist and was created", topic.name);
    }
    let bytes_max = message_bytes_max(&command.properties);
    let headers = command.header.iter().map(|header| Header {
        key: header.name.clone().into_bytes().into(),
        value: Some(header.value.clone().into_bytes().into()),
    });
    let parser = parse::Parser {
        json: command.json,
        separator: command.key_separator.clone(),
        headers: headers.collect(),
        partition: command.partition,
        keep_partitions: command.keep_partitions,
        partitions: topic.partitions.len(),
    };
    // A byte takes up to six characters in JSON, and the other fields some more.
    let line_bytes_max = if command.json { bytes_max * 6 + (64 << 10) } else { bytes_max };
    let chunks = input::read(input, line_bytes_max).map_err(Error::Read)?;
    deliver::Delivery::start(&config, &topic.name, Duration::from_secs(command.timeout.into()), stop, progress)?.all(
        &chunks,
        &parser,
        command.rate.map(Pacer::new),
        line_bytes_max,
    )
}

fn config(command: &Command) -> Result<ClientConfig, Error> {
    if command.idempotent == Some(true) && command.acks != Acks::All {
        return Err(Error::Usage("--idempotent needs --acks all".to_owned()));
    }
    let idempotent = command.idempotent.unwrap_or(command.acks == Acks::All);
    let acks = match command.acks {
        Acks::None => "0",
        Acks::Leader => "1",
        Acks::All => "all",
    };
    let compression = match command.compression {
        Compression::None => "none",
        Compression::Gzip => "gzip",
        Compression::Snappy => "snappy",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    };
    let mut config = native::config(&command.server);
    config
        .set("acks", acks)
        .set("compression.type", compression)
        .set("enable.idempotence", idempotent.to_string())
        .set("partitioner", "murmur2_random")
        // The sender watches over progress as a whole; no record expires by itself.
        .set("message.timeout.ms", "0")
        .set("request.timeout.ms", "10000")
        .set("queue.buffering.max.kbytes", QUEUE_KBYTES.to_string());
    native::apply(&mut config, &command.properties);
    Ok(config)
}

fn message_bytes_max(properties: &[Property]) -> usize {
    let given = properties.iter().rfind(|property| property.name == "message.max.bytes");
    given.and_then(|property| property.value.parse().ok()).unwrap_or(MESSAGE_BYTES_MAX)
}
