//! The one binary: the broker, and the commands of its operators.

use std::io::{IsTerminal, stderr};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use duramen::serve::{self, LogFormat, Options};
use duramen::{errors, log_command};
use duramen_bench::command as bench;
use duramen_tools::{consume, group, produce, topic, tune};

/// A Kafka-protocol broker with a durable log on every core, and the commands to work with it.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(Options),
    #[command(subcommand)]
    Topic(topic::Command),
    Produce(produce::Command),
    Consume(consume::Command),
    #[command(subcommand)]
    Group(group::Command),
    #[command(subcommand)]
    Log(log_command::Command),
    #[command(subcommand)]
    Bench(Box<bench::Command>),
    Tune(tune::Command),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(options) => serve(&options),
        Command::Topic(command) => duramen_tools::report(topic::run(command)),
        Command::Produce(command) => duramen_tools::report(produce::run(command)),
        Command::Consume(command) => duramen_tools::report(consume::run(command)),
        Command::Log(command) => log_command::run(&command),
        Command::Group(command) => duramen_tools::report(group::run(command)),
        Command::Tune(command) => duramen_tools::report(tune::run(command)),
        Command::Bench(command) => bench::run_command(*command),
    }
}

fn serve(options: &Options) -> ExitCode {
    start_logging(options.log_format);
    match serve::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("duramen: {}", errors::chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Log lines go to stderr; `RUST_LOG` chooses which, and the broker's own from "info" on are the default.
fn start_logging(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn,duramen=info".into());
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .with_target(false);
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
}
