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
        Err(reason) => {
            eprintln!("duramen: {reason}");
            ExitCode::FAILURE
        }
    }
}

type Done = Result<bool, String>;

/// The data directory that a path lies in, held against brokers; `None` for files that were copied out of one.
fn hold(path: &Path) -> Result<Option<DataDir>, String> {
    let found = path.ancestors().take(3).find(|dir| data_dir::is_data_dir(dir));
    found.map(|dir| DataDir::take(dir).map_err(|error| chain(&error))).transpose()
}

fn dump(path: &Path, records: bool) -> Done {
    let _held = hold(path)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let dumped = repair::dump(path, records, &mut out).and_then(|()| out.flush().map_err(repair::Error::Output));
    match dumped {
        Err(repair::Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(true),
        dumped => dumped.map(|()| true).map_err(|error| chain(&error)),
    }
}

fn verify(dir: &Path, json: bool) -> Done {
    let _held = hold(dir)?;
    let found = repair::verify(dir).map_err(|error| chain(&error))?;
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
        println!("{all}");
    } else {
        println!("{partitions} partitions, {segments} segments, {batches} batches, {records} records, {bytes} bytes");
        problems.iter().for_each(|problem| println!("{problem}"));
        if !problems.is_empty() {
            println!("`duramen log repair {}` cuts there, and keeps what it cuts", dir.display());
        }
    }
    Ok(problems.is_empty())
}

fn mend(dir: &Path) -> Done {
    let _held = hold(dir)?;
    let repaired = repair::repair(dir).map_err(|error| chain(&error))?;
    for one in &repaired {
        println!("{}-{}: ends at offset {} now", one.topic, one.partition, one.log_end);
        if let Some(problem) = &one.problem {
            println!("  {problem}");
        }
        one.kept.iter().for_each(|kept| println!("  what was cut is in {}", kept.display()));
    }
    if repaired.is_empty() {
        println!("nothing to repair");
    }
    Ok(true)
}
