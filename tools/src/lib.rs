//! Operator commands for any Kafka-protocol broker: `topic`, `group`, `produce`, `consume`; and `tune`, for its host.
//!
//! Each command is a clap type and a `run` function; the binary mounts the types under its own names and hands the
//! outcome to [`report`], which turns it into one or two lines on stderr and an exit code. Records travel through
//! librdkafka ([`produce`], [`consume`]); everything administrative is a short exchange of protocol messages
//! ([`client`]), so that the broker's own words about a refusal reach the user.
//!
//! Nothing here knows Duramen's files or memory: what a command can do, it does through the Kafka protocol.

pub mod client;
pub mod consume;
pub mod error;
pub mod group;
pub mod position;
pub mod produce;
pub mod record;
pub mod topic;
pub mod tune;

mod output;
mod signals;

pub use error::{Error, Exit, report};

/// What every command returns.
pub type Outcome = Result<Exit, Error>;
