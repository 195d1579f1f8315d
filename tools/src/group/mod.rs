//! `duramen group`: look at consumer groups, move their offsets, delete them.

mod describe;
mod list;
mod offsets;
mod reset;

use std::str::FromStr;

use clap::{Args, Subcommand};

use crate::Outcome;
use crate::client::Server;
use crate::position::Position;

/// List, describe, reset and delete consumer groups.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// List all groups
    List(List),
    /// Show the members of a group, its offsets and how far behind it is
    Describe(Describe),
    /// Move the offsets of a group that has no active members
    Reset(Reset),
    /// Delete groups that have no active members, with their offsets
    Delete(Delete),
}

/// `group list`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  duramen group list
  duramen group list --json | jq -r 'select(.state == \"Empty\").group'")]
pub struct List {
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub server: Server,
}

/// `group describe`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  duramen group describe billing
  duramen group describe billing --json | jq '[.offsets[].lag] | add'")]
pub struct Describe {
    /// Name of the group
    pub group: String,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub server: Server,
}

/// `group reset`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Without --execute it only shows what it would do.

Examples:
  duramen group reset billing --topic orders --to beginning
  duramen group reset billing --topic orders:3 --to 2025-03-01T12:00:00Z --execute")]
pub struct Reset {
    /// Name of the group
    pub group: String,
    /// Topic, or one partition of it; may be repeated
    #[arg(long, short, required = true, value_name = "TOPIC[:PARTITION]")]
    pub topic: Vec<Target>,
    /// beginning, end, an offset, the last so many (-10), a time (2025-03-01T12:00:00Z) or its milliseconds
    /// (1740830400000ms)
    #[arg(long, value_name = "POSITION", allow_hyphen_values = true)]
    pub to: Position,
    /// Do it
    #[arg(long)]
    pub execute: bool,
    /// Only show what would be done, as without --execute
    #[arg(long, conflicts_with = "execute")]
    pub dry_run: bool,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub server: Server,
}

/// `group delete`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  duramen group delete billing-test")]
pub struct Delete {
    #[arg(required = true, value_name = "GROUP")]
    pub groups: Vec<String>,
    #[command(flatten)]
    pub server: Server,
}

/// A topic or one of its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub topic: String,
    pub partition: Option<i32>,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let refused = || format!("`{text}` is not TOPIC or TOPIC:PARTITION, such as orders:3");
        let (topic, partition) = match text.rsplit_once(':') {
            None => (text, None),
            Some((topic, partition)) => {
                let partition = partition.parse().ok().filter(|&partition| partition >= 0);
                (topic, Some(partition.ok_or_else(refused)?))
            }
        };
        if topic.is_empty() { Err(refused()) } else { Ok(Target { topic: topic.to_owned(), partition }) }
    }
}

/// Does what the command says.
pub fn run(command: Command) -> Outcome {
    match command {
        Command::List(command) => list::list(command),
        Command::Describe(command) => describe::describe(command),
        Command::Reset(command) => reset::reset(command),
        Command::Delete(command) => list::delete(command),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_topic_or_a_partition() {
        let target = |topic: &str, partition| Ok(Target { topic: topic.to_owned(), partition });
        assert_eq!("orders".parse(), target("orders", None));
        assert_eq!("orders:3".parse(), target("orders", Some(3)));
        for text in ["", ":3", "orders:", "orders:-1"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
