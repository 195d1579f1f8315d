//! `duramen topic`: make, list, describe, change, move and delete topics.

mod alter;
mod create;
mod describe;

use std::str::FromStr;

use clap::{Args, Subcommand};

use crate::Outcome;
use crate::client::Server;

/// Make, list, describe, change, move and delete topics.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Make a topic
    Create(Create),
    /// List all topics
    List(List),
    /// Show partitions, offsets and settings of a topic, or of all
    Describe(Describe),
    /// Change settings, or add partitions
    Alter(Alter),
    /// Delete topics and all their records
    Delete(Delete),
    /// Move a partition to another shard of its broker (Duramen only)
    Move(Move),
}

/// `topic create`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  duramen topic create access-log
  duramen topic create orders --partitions 12 --config retention.ms=86400000")]
pub struct Create {
    /// Name of the topic
    pub name: String,
    /// How many partitions; the broker's default if not given
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,
    /// On how many brokers each is kept; the broker's default if not given
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    pub replication_factor: Option<i16>,
    /// A setting; may be repeated
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub config: Vec<Setting>,
    #[command(flatten)]
    pub server: Server,
}

/// `topic list`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  duramen topic list
  duramen topic list --json | jq -r .name")]
pub struct List {
    /// Also the topics that the brokers keep for themselves
    #[arg(long)]
    pub internal: bool,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub server: Server,
}

/// `topic describe`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  duramen topic describe access-log
  duramen topic describe --json | jq '.partitions[].end'")]
pub struct Describe {
    /// All topics if not given
    pub name: Option<String>,
    /// Also the settings that have their default
    #[arg(long)]
    pub all_configs: bool,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub server: Server,
}

/// `topic alter`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  duramen topic alter orders --config retention.ms=3600000 --delete-config segment.bytes
  duramen topic alter orders --partitions 24")]
#[group(skip)]
#[command(group = clap::ArgGroup::new("changes").args(["partitions", "config", "delete_config"]).required(true).multiple(true))]
pub struct Alter {
    /// Name of the topic
    pub name: String,
    /// The new number of partitions; it can only grow, and keys may go to other partitions from then on
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,
    /// Change a setting; may be repeated
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub config: Vec<Setting>,
    /// Put a setting back to its default; may be repeated
    #[arg(long, value_name = "NAME")]
    pub delete_config: Vec<String>,
    #[command(flatten)]
    pub server: Server,
}

/// `topic delete`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  duramen topic delete orders old-orders")]
pub struct Delete {
    /// Names of the topics
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub server: Server,
}

/// `topic move`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  duramen topic move orders:3 --shard 1")]
pub struct Move {
    /// The partition to move
    #[arg(value_name = "TOPIC:PARTITION")]
    pub partition: TopicPartition,
    /// The shard that is to own it
    #[arg(long, value_name = "N")]
    pub shard: u32,
    #[command(flatten)]
    pub server: Server,
}

/// A topic's setting on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub name: String,
    pub value: String,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Setting, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok(Setting { name: name.trim().to_owned(), value: value.trim().to_owned() })
            }
            _ => Err(format!("`{text}` is not NAME=VALUE")),
        }
    }
}

/// One partition on the command line. A topic's name cannot hold a colon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPartition {
    pub topic: String,
    pub partition: i32,
}

impl FromStr for TopicPartition {
    type Err = String;

    fn from_str(text: &str) -> Result<TopicPartition, String> {
        let parts = text.rsplit_once(':').and_then(|(topic, partition)| Some((topic, partition.parse().ok()?)));
        match parts {
            Some((topic, partition)) if !topic.is_empty() && partition >= 0 => {
                Ok(TopicPartition { topic: topic.to_owned(), partition })
            }
            _ => Err(format!("`{text}` is not TOPIC:PARTITION, such as orders:3")),
        }
    }
}

/// Does what the command says.
pub fn run(command: Command) -> Outcome {
    match command {
        Command::Create(command) => create::create(command),
        Command::List(command) => describe::list(command),
        Command::Describe(command) => describe::describe(command),
        Command::Alter(command) => alter::alter(command),
        Command::Delete(command) => create::delete(command),
        Command::Move(command) => alter::move_partition(command),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_partitions_are_split() {
        let setting: Setting = "a.b = c=d".parse().unwrap();
        assert_eq!((setting.name.as_str(), setting.value.as_str()), ("a.b", "c=d"));
        assert!("a.b".parse::<Setting>().is_err() && "=x".parse::<Setting>().is_err());

        let expected = TopicPartition { topic: "orders".to_owned(), partition: 3 };
        assert_eq!("orders:3".parse::<TopicPartition>(), Ok(expected));
        for text in ["orders", ":3", "orders:", "orders:-1", "orders:x"] {
            assert!(text.parse::<TopicPartition>().is_err(), "{text}");
        }
    }
}
