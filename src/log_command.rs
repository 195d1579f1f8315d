//! `duramen log`: looking at the files of a broker that does not run, and mending them.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use crate::errors::chain;
use crate::log::repair;
use crate::serve::data_dir::{self, DataDir};

/// Dump, verify or repair the logs of a stopped broker.
#[derive(Subcommand, Clone, Debug)]
#[command(
    after_help = "Examples:\n  duramen log verify duramen-data\n  duramen log dump --records duramen-data/orders-0"
)]
pub enum Command {
    /// Print the batches of a segment, a partition or a data directory, one a line
    Dump {
        /// A .log file, a partition's directory or a data directory
        path: PathBuf,
        /// Print each batch's records too
        #[arg(long)]
        records: bool,
    },
    /// Check every length, CRC and record; exits with 1 if something is wrong
    Verify {
        /// A partition's directory or a data directory
        dir: PathBuf,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Cut partitions at their first bad batch, and keep what is cut beside them
    Repair {
        /// A partition's directory or a data directory
        dir: PathBuf,
    },
}

/// Runs one command; the broker whose data it is must not run.
pub fn run(command: &Command) -> ExitCode {
    let done = match command {
        Command::Dump { path, records } => dump(path, *records),
        Command::Verify { dir, json } => verify(dir, *json),
        Command::Repair { dir } => mend(dir),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // As a program that SIGPIPE ends.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(141),
        Err(Failure::Output(error)) => failed(&format!("the output cannot be written: {error}")),
        Err(Failure::Other(reason)) => failed(&reason),
    }
}

fn failed(reason: &str) -> ExitCode {
    eprintln!("duramen: {reason}");
    ExitCode::FAILURE
}

/// Whether all is well, or why the command ended.
type Done = Result<bool, Failure>;

enum Failure {
    Output(io::Error),
    Other(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<repair::Error> for Failure {
    fn from(error: repair::Error) -> Self {
        match error {
            repair::Error::Output(error) => Self::Output(error),
            other => Self::Other(chain(&other)),
        }
    }
}

/// The data directory that a path lies in, held against brokers; `None` for files that were copied out of one.
fn hold(path: &Path) -> Result<Option<DataDir>, Failure> {
    let found = path.ancestors().take(3).find(|dir| data_dir::is_data_dir(dir));
    found.map(DataDir::take).transpose().map_err(|error| Failure::Other(chain(&error)))
}

fn dump(path: &Path, records: bool) -> Done {
    let _held = hold(path)?;
    let mut out = BufWriter::new(io::stdout().lock());
    repair::dump(path, records, &mut out)?;
    out.flush()?;
    Ok(true)
}

fn verify(dir: &Path, json: bool) -> Done {
    let _held = hold(dir)?;
    let found = repair::verify(dir)?;
    let mut out = io::stdout().lock();
    let repair::Verified { partitions, segments, batches, records, bytes, problems } = &found;
    if json {
        let problems: Vec<_> = problems
            .iter()
            .map(|problem| {
                serde_json::json!({ "file": problem.file, "position": problem.position, "offset": problem.offset.0,
                    "why": problem.why })
            })
            .collect();
        let all = serde_json::json!({ "partitions": partitions, "segments": segments, "batches": batches,
            "records": records, "bytes": bytes, "problems": problems });
        writeln!(out, "{all}")?;
    } else {
        writeln!(
            out,
            "{partitions} partitions, {segments} segments, {batches} batches, {records} records, {bytes} bytes"
        )?;
        problems.iter().try_for_each(|problem| writeln!(out, "{problem}"))?;
        if !problems.is_empty() {
            writeln!(out, "`duramen log repair {}` cuts there, and keeps what it cuts", dir.display())?;
        }
    }
    Ok(problems.is_empty())
}

fn mend(dir: &Path) -> Done {
    let _held = hold(dir)?;
    let repaired = repair::repair(dir)?;
    let mut out = io::stdout().lock();
    for one in &repaired {
        writeln!(out, "{}-{}: ends at offset {} now", one.topic, one.partition, one.log_end)?;
        if let Some(problem) = &one.problem {
            writeln!(out, "  {problem}")?;
        }
        one.kept.iter().try_for_each(|kept| writeln!(out, "  what was cut is in {}", kept.display()))?;
    }
    if repaired.is_empty() {
        writeln!(out, "nothing to repair")?;
    }
    Ok(true)
}
