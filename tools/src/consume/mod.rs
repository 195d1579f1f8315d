//! `duramen consume`: records of a topic to stdout.
//!
//! Invariants: records of a partition leave in their order; with a group, an offset is committed only after the records
//! before it were taken by stdout ([`sink`]); without `--until-end` or `--count` it follows the topic until it is
//! stopped, across restarts of the broker.

mod format;
mod group;
mod plan;
mod sink;
mod stream;

use std::io::{IsTerminal, Write, stdout};

use clap::Args;

use crate::client::native::Property;
use crate::client::{Cluster, Isolation, Server};
use crate::output::Progress;
use crate::position::Position;
use crate::signals::Stop;
use crate::{Error, Outcome};

pub use format::Template;

/// Write the records of a topic to stdout, and follow it
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
It begins with the first record and follows the topic until ^C, unless told otherwise.
A null value is an empty line; --json tells the two apart.

Examples:
  duramen consume access-log --until-end | awk '{print $9}' | sort | uniq -c
  duramen consume orders --from end --format '{partition}:{offset} {key}={value}'
  duramen consume orders --group billing --json")]
pub struct Command {
    /// Topic to read
    pub topic: String,
    /// Where to begin: beginning, end, an offset, the last so many (-10), a time (2025-03-01T12:00:00Z) or its
    /// milliseconds (1740830400000ms). With a group: beginning or end, for partitions that it has no offset of
    #[arg(long, short, value_name = "POSITION", default_value = "beginning", allow_hyphen_values = true)]
    pub from: Position,
    /// Stop at what is the end now
    #[arg(long, short = 'e')]
    pub until_end: bool,
    /// Stop after so many records
    #[arg(long, short = 'n', value_name = "N")]
    pub count: Option<u64>,
    /// Only this partition
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i32).range(0..), conflicts_with = "group")]
    pub partition: Option<i32>,
    /// Share the topic with the other members of this group, and commit what stdout took
    #[arg(long, short, value_name = "GROUP", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub group: Option<String>,
    /// One JSON object a line, with everything a record has
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// A line for each record, of text and {topic} {partition} {offset} {timestamp} {key} {value} {headers};
    /// \t, \n, \0, \\ and {{ are understood
    #[arg(long, value_name = "TEXT")]
    pub format: Option<Template>,
    /// A setting of librdkafka; may be repeated
    #[arg(short = 'X', value_name = "NAME=VALUE")]
    pub properties: Vec<Property>,
    #[command(flatten)]
    pub server: Server,
}

/// Writes to stdout.
pub fn run(command: Command) -> Outcome {
    let stop = Stop::on_signals()?;
    let progress = Progress::new(!stdout().is_terminal());
    receive(&command, stdout(), stop, progress)
}

/// Writes to any output: what [`run`] does with stdout, without its signals and its progress line.
pub fn run_with(command: Command, output: impl Write + Send) -> Outcome {
    receive(&command, output, Stop::default(), Progress::new(false))
}

fn receive(command: &Command, output: impl Write + Send, stop: Stop, progress: Progress) -> Outcome {
    if command.group.is_some() && !matches!(command.from, Position::Beginning | Position::End) {
        let reason = "with --group, --from is beginning or end; move a group's offsets by `duramen group reset`";
        return Err(Error::Usage(reason.to_owned()));
    }
    let mut cluster = Cluster::connect(&command.server)?;
    let topic = cluster.topic(&command.topic)?;
    let partitions = topic.select(command.partition)?;
    let bounds = cluster.bounds(&topic, &partitions, isolation(&command.properties))?;
    let plan = match command.group {
        Some(_) => plan::Plan::for_group(&bounds, command.until_end),
        None => plan::Plan::new(&bounds, &cluster.resolve(&topic, command.from, &bounds)?, command.until_end),
    };
    stream::Stream::open(command, plan, output, stop, progress)?.run()
}

/// librdkafka reads committed records unless told otherwise.
fn isolation(properties: &[Property]) -> Isolation {
    let given = properties.iter().rfind(|property| property.name == "isolation.level");
    match given {
        Some(property) if property.value == "read_uncommitted" => Isolation::Uncommitted,
        _ => Isolation::Committed,
    }
}
