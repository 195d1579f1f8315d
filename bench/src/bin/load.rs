//! The load generator's command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use duramen_bench::load::{Consume, Idle, Produce, Topic};

/// Load for any broker that speaks the Kafka protocol, through librdkafka; results as a line of JSON.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Topic(Topic),
    Produce(Produce),
    Consume(Consume),
    Idle(Idle),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Topic(topic) => topic.run(),
        Command::Produce(produce) => produce.run(),
        Command::Consume(consume) => consume.run(),
        Command::Idle(idle) => idle.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}
