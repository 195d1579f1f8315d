//! Whether this generator's figures agree with those of librdkafka's own, `rdkafka_performance`: the same loads from both
//! against one broker, in turns, A B B A. They agree where the 95 % interval of a ratio lies within 10 % of one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, SystemTime};

use crate::Error;
use crate::admin::Cluster;
use crate::compare::cores::Cores;
use crate::compare::ratio::{interval, ratios};
use crate::compare::results::SCHEMA;
use crate::compare::rows::context::{LARGE_BATCH, LARGE_LINGER};
use crate::compare::rows::{RowContext, figures};
use crate::compare::sides::process::Scratch;
use crate::compare::sides::{Duramen, Environment, Profile, Side};
use crate::compare::{Figures, Judgement, Results, RowResult, SideResult, store, warm};
use crate::cost::Meter;
use crate::plan::{Plan, Topics};
use crate::run::rfc_3339;
use crate::show;
use crate::stop::Stop;

const OURS: &str = "duramen bench";
const THEIRS: &str = "rdkafka_performance";
/// How far from one the interval of a ratio may reach.
const WITHIN: f64 = 0.1;
const SETTLE: Duration = Duration::from_millis(500);
const TOPIC: &str = "agree";

/// Measure the same loads with this generator and with librdkafka's own, and say whether their figures agree.
#[derive(clap::Args, Clone, Debug)]
pub struct AgreeOptions {
    /// librdkafka's generator, which bench/rdkafka_performance of the repository builds
    #[arg(long, value_name = "FILE")]
    pub rdkafka_performance: PathBuf,
    /// Pairs of each load
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub pairs: u32,
    /// The program that serves as Duramen [this one]
    #[arg(long, value_name = "FILE")]
    pub duramen: Option<PathBuf>,
    /// Where the broker's data goes [the system's temporary directory]
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// Memory to touch before each run, at most half of what is free
    #[arg(long, value_name = "GIB", default_value_t = 4.0)]
    pub warm_gib: f64,
    /// Write what was measured as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// A load that both generators know.
struct Load {
    name: &'static str,
    title: &'static str,
    /// The figure that must agree, and what it is called.
    key: &'static str,
    figure: &'static str,
    records: u64,
    size: u32,
    rate: Option<f64>,
    work: Work,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// One record a request, acks=all
    Single,
    /// Batches of 1 MB, acks=1
    Large,
    /// Read once
    Consume,
}

const LOADS: [Load; 3] = [
    Load {
        name: "agree-small",
        title: "produce, 1 kB, one record a request, 2,000/s, acks=all, idempotent",
        key: "cpu_us_per_request",
        figure: "broker CPU, us a request",
        records: 40_000,
        size: 1_000,
        rate: Some(2_000.0),
        work: Work::Single,
    },
    Load {
        name: "agree-large",
        title: "produce, 100 B, 1 MB batches, 500,000/s, acks=1",
        key: "cpu_per_million",
        figure: "broker CPU-s per M records",
        records: 10_000_000,
        size: 100,
        rate: Some(500_000.0),
        work: Work::Large,
    },
    Load {
        name: "agree-consume",
        title: "consume, 1 kB, fetches of 1 MiB",
        key: "cpu_per_gb",
        figure: "broker CPU-s per GB",
        records: 2_000_000,
        size: 1_000,
        rate: None,
        work: Work::Consume,
    },
];

/// The command. It fails unless every figure is shown to agree.
pub fn agree(options: &AgreeOptions, stop: &Stop) -> Result<ExitCode, Error> {
    let parent = options.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = Scratch::below(&parent, "duramen-agree")?;
    let own = || std::env::current_exe().map_err(|source| Error::Io { what: "find this program".into(), source });
    let environment = Environment {
        duramen: options.duramen.clone().map_or_else(own, Ok)?,
        kafka: None,
        scratch: scratch.path().to_owned(),
        cores: Cores::choose(None, None)?,
        cheapest: Profile::default(),
        quickest: Profile::default(),
        external: Vec::new(),
        quick: false,
    };
    let mut results = Results {
        schema: SCHEMA,
        machine: crate::cost::machine(),
        cores: environment.cores.describe(),
        warm_gib: options.warm_gib,
        ..Results::default()
    };
    for load in &LOADS {
        let row = measure(load, options, &environment, stop)?;
        println!("\n{}", show::row_text(&row).trim_end());
        results.rows.push(row);
        if let Some(path) = &options.json {
            let text = serde_json::to_string_pretty(&results).expect("results are numbers and text");
            store::replace(path, &(text + "\n"))?;
        }
    }
    Ok(if results.rows.iter().all(agrees) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether a load was judged, and the whole interval lies where it should.
fn agrees(row: &RowResult) -> bool {
    !row.judgements.is_empty() && row.judgements.iter().all(|judgement| judgement.held == Some(true))
}

/// All pairs of a load, against a broker of its own.
fn measure(load: &Load, options: &AgreeOptions, environment: &Environment, stop: &Stop) -> Result<RowResult, Error> {
    let broker = Duramen::start(environment, &[])?;
    let side = broker.side(false);
    let mut context = RowContext { environment, stop, quick: false, row: TOPIC, kept: Figures::new(), outcome: None };
    if load.work == Work::Consume {
        context.make_topic(&side, 1, &[])?;
        let filling = plan(load, Work::Large, &context, &side);
        context.prepare(&Plan { records: Some(load.records), ..filling }, &side)?;
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // The first round is a rehearsal.
    for round in 0..=options.pairs {
        for turn in 0..2 {
            eprintln!("{}: {round} of {}", load.name, options.pairs);
            warm::touch(options.warm_gib)?;
            let is_ours = (round + turn) % 2 == 0;
            let found = if is_ours {
                of_ours(load, &mut context, &side)?
            } else {
                of_theirs(load, &options.rdkafka_performance, &context, &side)?
            };
            if round > 0 {
                if is_ours { &mut ours } else { &mut theirs }.push(found);
            }
        }
    }
    let result = |name: &str, runs| SideResult {
        name: name.into(),
        level: side.level.clone(),
        version: side.version.clone(),
        runs,
        outcome: None,
    };
    let judgements = judge(load, &ours, &theirs);
    Ok(RowResult {
        name: load.name.into(),
        title: load.title.into(),
        commit: store::commit(),
        date: rfc_3339(SystemTime::now()),
        complete: true,
        sides: vec![result(OURS, ours), result(THEIRS, theirs)],
        judgements,
        ..RowResult::default()
    })
}

fn judge(load: &Load, ours: &[Figures], theirs: &[Figures]) -> Vec<Judgement> {
    let Some(ratio) = interval(&ratios(ours, theirs, load.key)) else { return Vec::new() };
    let inside = ratio.pairs > 1 && ratio.low >= 1.0 - WITHIN && ratio.high <= 1.0 + WITHIN;
    let outside = ratio.pairs > 1 && (ratio.low > 1.0 + WITHIN || ratio.high < 1.0 - WITHIN);
    let held = match (inside, outside) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    let text = format!(
        "{}: {:.3} to {THEIRS} ({:.3} to {:.3}); goal within 10 %",
        load.figure, ratio.middle, ratio.low, ratio.high
    );
    let (figure, against) = (load.key.to_owned(), THEIRS.to_owned());
    vec![Judgement { figure, against, ratio: Some(ratio), goal: Some(1.0 + WITHIN), held, text }]
}

/// The load as a plan; `work` tells how it produces.
fn plan(load: &Load, work: Work, context: &RowContext, side: &Side) -> Plan {
    let seconds = load.rate.map_or(1, |rate| (load.records as f64 / rate) as u64);
    let mut plan = match (work, load.rate) {
        (Work::Consume, _) => context.plan("consume", side),
        (_, Some(rate)) => context.open("produce", side, rate, load.size, (seconds, seconds)),
        (_, None) => context.closed(side, load.records, load.size),
    };
    plan.warm_up = Duration::ZERO;
    match work {
        Work::Single => {
            let produce = plan.produce.get_or_insert_default();
            (produce.batch_records, produce.linger) = (Some(1), Duration::ZERO);
        }
        Work::Large => {
            let produce = plan.produce.get_or_insert_default();
            (produce.batch_bytes, produce.linger) = (LARGE_BATCH, LARGE_LINGER);
            (produce.acks, produce.idempotence) = (1, false);
        }
        Work::Consume => plan.duration = None,
    }
    if load.work == Work::Consume {
        plan.topics = Topics::Existing(vec![TOPIC.to_owned()]);
    }
    plan
}

fn of_ours(load: &Load, context: &mut RowContext, side: &Side) -> Result<Figures, Error> {
    let plan = plan(load, load.work, context, side);
    let outcome = context.run(&plan, side)?;
    let mut found = if load.work == Work::Consume { figures::consumed(&outcome) } else { figures::produced(&outcome) };
    let p50 = outcome.latency.sent.as_ref().and_then(|sent| sent.p50_ns);
    found.extend(p50.map(|ns| ("p50_sent_ms".to_owned(), ns as f64 / 1e6)));
    Ok(found)
}

/// The same load by librdkafka's generator, on a topic of its own.
fn of_theirs(load: &Load, program: &Path, context: &RowContext, side: &Side) -> Result<Figures, Error> {
    let consumes = load.work == Work::Consume;
    let latencies = context.environment.scratch.join("latencies");
    let mut command = Command::new(program);
    command.args(arguments(load)).args(["-b", &side.server]);
    if load.work == Work::Single {
        command.arg("-l").arg("-A").arg(&latencies);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut cluster = Cluster::connect(std::slice::from_ref(&side.server))?;
    if !consumes {
        cluster.create_topic(TOPIC, 1, 1, &side.topic_configs)?;
    }
    let meter = Meter::start(&side.broker())?;
    let done = context.environment.cores.as_generator(|| command.output())?;
    std::thread::sleep(SETTLE);
    let cost = meter.stop();
    if !consumes {
        cluster.delete_topic(TOPIC)?;
    }
    let failed = |reason: String| Error::Process { what: THEIRS.into(), reason };
    let done = done.map_err(|error| failed(error.to_string()))?;
    if !done.status.success() {
        return Err(failed(String::from_utf8_lossy(&done.stderr).trim().to_owned()));
    }
    let used = cost.user_seconds + cost.system_seconds;
    let records = load.records as f64;
    let cpu = match load.key {
        "cpu_us_per_request" | "cpu_per_million" => used * 1e6 / records,
        _ => used * 1e9 / (records * f64::from(load.size)),
    };
    let mut found = Figures::from([(load.key.to_owned(), cpu)]);
    let text = fs::read_to_string(&latencies).unwrap_or_default();
    found.extend(median_us(&text).map(|us| ("p50_sent_ms".to_owned(), us / 1e3)));
    Ok(found)
}

/// A load in librdkafka's words.
fn arguments(load: &Load) -> Vec<String> {
    let mut words = vec![if load.work == Work::Consume { "-C" } else { "-P" }, "-t", TOPIC, "-p", "0", "-q"];
    words.extend(match load.work {
        Work::Single => {
            let one = ["-X", "batch.num.messages=1", "-X", "linger.ms=0", "-X", "enable.idempotence=true"];
            [&one[..], &["-X", "max.in.flight=5", "-a", "-1"]].concat()
        }
        Work::Large => {
            let large = ["-X", "batch.size=1000000", "-X", "batch.num.messages=1000000", "-X", "linger.ms=100"];
            [&large[..], &["-X", "max.in.flight=5", "-a", "1"]].concat()
        }
        Work::Consume => vec!["-o", "beginning", "-X", "fetch.message.max.bytes=1048576"],
    });
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    words.extend(["-s".to_owned(), load.size.to_string(), "-c".to_owned(), load.records.to_string()]);
    if let Some(rate) = load.rate {
        words.extend(["-r".to_owned(), rate.to_string()]);
    }
    words
}

/// The median of a file of microseconds, one a line.
fn median_us(text: &str) -> Option<f64> {
    let mut all: Vec<f64> = text.lines().filter_map(|line| line.trim().parse().ok()).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(values: &[f64]) -> Vec<Figures> {
        values.iter().map(|value| Figures::from([(LOADS[0].key.to_owned(), *value)])).collect()
    }

    #[test]
    fn the_whole_interval_must_lie_within_ten_percent() {
        let held = |ours: &[f64]| judge(&LOADS[0], &runs(ours), &runs(&[10.0, 10.0, 10.0]))[0].held;
        assert_eq!(held(&[10.1, 10.2, 10.3]), Some(true));
        assert_eq!(held(&[12.1, 12.2, 12.3]), Some(false));
        assert_eq!(held(&[9.0, 10.0, 11.5]), None);
        assert_eq!(held(&[10.0]), None);
    }

    #[test]
    fn what_is_not_shown_does_not_agree() {
        let agree = |held: &[Option<bool>]| {
            let judgements = held.iter().map(|held| Judgement { held: *held, ..Judgement::default() }).collect();
            agrees(&RowResult { judgements, ..RowResult::default() })
        };
        assert!(agree(&[Some(true)]));
        assert!(!agree(&[None]) && !agree(&[Some(true), Some(false)]) && !agree(&[]));
    }

    #[test]
    fn both_are_asked_for_the_same() {
        let words = arguments(&LOADS[1]).join(" ");
        assert!(words.contains("-s 100 -c 10000000 -r 500000"), "{words}");
        assert!(!arguments(&LOADS[2]).contains(&"-r".to_owned()));
    }

    #[test]
    fn the_median_of_lines() {
        assert_eq!(median_us("300\n100\n200\n"), Some(200.0));
        assert_eq!(median_us(""), None);
    }
}
