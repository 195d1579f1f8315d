//! `duramen bench`: its subcommands, what each one calls, and the exit codes.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::Error;
use crate::agree::{AgreeOptions, agree};
use crate::compare::{CompareOptions, compare};
use crate::limit::{LimitOptions, limit};
use crate::options::common::Output;
use crate::options::{ConsumeRun, EndToEndRun, MixedRun, ProduceRun, Wanted, WorkloadRun};
use crate::outcome::{Outcome, Verdict};
use crate::run::run;
use crate::show::{self, Several};
use crate::stop::Stop;

/// Of a process that a signal ended: 128 and its number.
const SIGNALLED: u8 = 128;

/// Measure any broker that speaks the Kafka protocol
#[derive(Subcommand, Clone, Debug)]
#[command(after_help = "Examples:
  duramen bench produce --rate 50000 --report produce.html
  duramen bench produce --rate max --batch-size 1M --record-size 1000
  duramen bench end-to-end --rate 50000 --linger 500us --pid $(pidof duramen)
  duramen bench consume --fill 10000000 --passes 3
  duramen bench compare --quick

A record is due at its scheduled time, whatever the broker does, and its latency runs from then.
What was acknowledged is read back: each record must be there, once, in order, unchanged.

Exit codes:
  0  measured, and verified unless --no-verify was given
  1  not measured, or incomplete, or not to be read back
  2  wrong command line
  3  verification failed
  4  the rate was not kept")]
pub enum Command {
    /// Produce at a fixed rate, or as fast as answers come
    #[command(after_help = "Example: duramen bench produce --rate 50000 --partitions 12 --producers 10 --duration 1m")]
    Produce(ProduceRun),
    /// Consume what a topic holds, or what arrives
    #[command(after_help = "Example: duramen bench consume --topic orders --passes 3")]
    Consume(ConsumeRun),
    /// Produce and consume: latency from when a record was due to its arrival at a consumer
    #[command(after_help = "Example: duramen bench end-to-end --rate 50000 --linger 500us")]
    EndToEnd(EndToEndRun),
    /// End to end, while further consumers drain a backlog
    #[command(after_help = "Example: duramen bench mixed --rate 20000 --backlog 1G --partitions 4")]
    Mixed(MixedRun),
    /// Repeat a workload file of the OpenMessaging Benchmark; other options win over the file
    Workload(WorkloadRun),
    /// Compare Duramen with Apache Kafka on this machine, row by row
    Compare(CompareOptions),
    /// Render a result (JSON of a run or a comparison) as a page again
    Report(ReportOptions),
    /// Show that the generator agrees with librdkafka's own
    Agree(AgreeOptions),
    /// Serve the physical limit of a row
    #[command(hide = true)]
    Limit(LimitOptions),
}

#[derive(Args, Clone, Debug)]
pub struct ReportOptions {
    /// JSON that --json, or compare, has written
    file: PathBuf,
    /// The page [default: FILE with .html in place of .json]
    #[arg(short, long, value_name = "FILE.html")]
    output: Option<PathBuf>,
}

/// Runs a command and says on stderr what went wrong, in two lines: what and why, what to do.
pub fn run_command(command: Command) -> ExitCode {
    let done = match command {
        Command::Produce(run) => run.wanted().and_then(measure),
        Command::Consume(run) => run.wanted().and_then(measure),
        Command::EndToEnd(run) => run.wanted().and_then(measure),
        Command::Mixed(run) => run.wanted().and_then(measure),
        Command::Workload(run) => run.wanted().and_then(measure),
        Command::Compare(options) => stop().and_then(|stop| compare(&options, &stop)),
        Command::Report(options) => report(&options),
        Command::Agree(options) => stop().and_then(|stop| agree(&options, &stop)),
        Command::Limit(options) => limit(&options).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        if let Error::Io { source, .. } = &error
            && source.kind() == io::ErrorKind::BrokenPipe
        {
            // As a program that SIGPIPE ends.
            return ExitCode::from(141);
        }
        say(&error.to_string(), error.remedy().as_deref());
        ExitCode::from(error.exit_code())
    })
}

fn stop() -> Result<Stop, Error> {
    Stop::on_signals().map_err(io_error("take over signals"))
}

fn say(what: &str, remedy: Option<&str>) {
    eprintln!("duramen: {what}");
    if let Some(remedy) = remedy {
        eprintln!("  {remedy}");
    }
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io { what, source }
}

/// One run from its plan to everything that is written of it.
fn measure(wanted: Wanted) -> Result<ExitCode, Error> {
    let Wanted { plan, notes, output } = wanted;
    notes.iter().for_each(|note| eprintln!("{note}"));
    let stop = stop()?;
    let mut watch = Several::new(&output)?;
    let outcome = run(&plan, &mut watch, &stop);
    let watched = watch.finish();
    let outcome = outcome?;
    write(&outcome, &output)?;
    watched?;
    Ok(ExitCode::from(end(&outcome, stop.signal())))
}

/// The summary first: it is there even if a file can't be written.
fn write(outcome: &Outcome, output: &Output) -> Result<(), Error> {
    let text = show::text(outcome);
    let on_stdout = output.json.as_deref() == Some(Path::new("-"));
    let printed =
        if on_stdout { io::stderr().write_all(text.as_bytes()) } else { io::stdout().write_all(text.as_bytes()) };
    printed.map_err(io_error("print the summary"))?;
    if let Some(file) = &output.json {
        show::json::write(outcome, (!on_stdout).then_some(file))?;
    }
    if let Some(file) = &output.report {
        fs::write(file, show::page(outcome)?).map_err(io_error(format!("write {}", file.display())))?;
    }
    Ok(())
}

/// The exit code; what is not as it should be is said on stderr.
fn end(outcome: &Outcome, signal: Option<u8>) -> u8 {
    let code = outcome.exit_code();
    if let Some(reason) = &outcome.incomplete {
        say(reason, Some("what was measured until then is above, marked incomplete"));
    }
    if outcome.verification.verdict == Verdict::Failed {
        let remedy = "keep the broker's log and data: acknowledged records were lost, repeated or changed";
        say("verification failed", Some(remedy));
    }
    if let (Some(false), None, Some((asked, kept))) =
        (outcome.rate_kept, &outcome.incomplete, show::text::rates(outcome))
    {
        let what =
            format!("{asked} records/s were asked for, {kept} were kept: the limit was {}", show::text::who(outcome));
        say(&what, Some("ask for less, or find the most with --rate max"));
    }
    match signal {
        Some(number) if code != 3 => SIGNALLED.saturating_add(number),
        _ => code,
    }
}

/// Renders a kept result again.
fn report(options: &ReportOptions) -> Result<ExitCode, Error> {
    let shown = options.file.display();
    let text = fs::read_to_string(&options.file).map_err(io_error(format!("read {shown}")))?;
    let kept: show::json::Kept = show::json::read(&text).map_err(|why| Error::Usage(format!("{shown}: {why}")))?;
    let page = match &kept {
        show::json::Kept::Run(outcome) => show::page(outcome)?,
        show::json::Kept::Comparison(results) => show::comparison_page(results)?,
    };
    let file = options.output.clone().unwrap_or_else(|| options.file.with_extension("html"));
    fs::write(&file, page).map_err(io_error(format!("write {}", file.display())))?;
    writeln!(io::stdout(), "{}", file.display()).map_err(io_error("print the page's name"))?;
    Ok(ExitCode::SUCCESS)
}
