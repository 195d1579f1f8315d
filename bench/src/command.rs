//! `duramen bench`: its subcommands, what each one calls, and the exit codes.

use std::process::ExitCode;

use clap::Subcommand;

use crate::agree::AgreeOptions;
use crate::compare::CompareOptions;
use crate::limit::LimitOptions;

/// Measure any broker that speaks the Kafka protocol.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Compare Duramen with Apache Kafka on this machine, row by row
    Compare(CompareOptions),
    /// Show that the generator agrees with librdkafka's own
    Agree(AgreeOptions),
    /// Serve the physical limit of a row
    #[command(hide = true)]
    Limit(LimitOptions),
}

pub fn run_command(_command: Command) -> ExitCode {
    todo!()
}
