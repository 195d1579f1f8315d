//! The comparison: Duramen, Apache Kafka and the physical limit side by side on this machine, row by row, in turns; what
//! their ratios show, with 95 % intervals; resumable. Rows and sides are data; [`Results`] is what is kept and rendered.

pub mod cores;
pub mod judge;
pub mod jvm;
pub mod options;
pub mod ratio;
pub mod results;
pub mod rounds;
pub mod rows;
pub mod sides;
pub mod store;
pub mod sweep;
pub mod warm;

use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

pub use options::CompareOptions;
pub use results::{Figures, Interval95, Judgement, Results, RowResult, SideResult, Sweep};

use self::cores::Cores;
use self::results::SCHEMA;
use self::rounds::{Ended, Rounds, Settings};
use self::rows::Row;
use self::sides::process::Scratch;
use self::sides::{Environment, External, Profile, Script, SideKind};
use self::store::Store;
use crate::Error;
use crate::run::rfc_3339;
use crate::show;
use crate::stop::Stop;

/// Memory that is touched before each run, in a full comparison and in a quick one.
const WARM_GIB: f64 = 10.0;
const WARM_GIB_QUICK: f64 = 2.0;

/// The command. Its exit code is 0 if every row was measured, 1 if one was not, 128 and a signal's number after that.
pub fn compare(options: &CompareOptions, stop: &Stop) -> Result<ExitCode, Error> {
    let rows = options.rows()?;
    if options.list {
        rows.iter().for_each(|row| println!("{:<22} {}", row.name, row.title));
        return Ok(ExitCode::SUCCESS);
    }
    let scratch = Scratch::below(&options.scratch(), "duramen-compare")?;
    // Rows may keep a broker: they go before the directory does.
    let rows = rows;
    let mut environment = environment(options, &rows, scratch.path())?;
    let measured = store::program(&environment.duramen, &sides::duramen::version(&environment.duramen))?;
    let settings = Settings {
        quick: options.quick,
        pairs: options.pairs,
        warm_gib: options.warm_gib.unwrap_or(if options.quick { WARM_GIB_QUICK } else { WARM_GIB }),
        again: options.again,
        commit: store::commit(),
        programs: [measured, store::program(&own_program()?, env!("CARGO_PKG_VERSION"))?],
    };
    let mut results = Results {
        schema: SCHEMA,
        machine: crate::cost::machine(),
        cores: environment.cores.describe(),
        quick: settings.quick,
        warm_gib: settings.warm_gib,
        ..Results::default()
    };
    let store = Store::new(options.output.clone().or_else(|| full_path(options, &results)));
    if let Some(old) = store.load()? {
        results = Results { sweep: old.sweep, rows: old.rows, ..results };
    }
    head(&results, &settings, &store);
    sweep(options, &settings, &mut environment, &mut results, stop)?;
    store.save(&results)?;
    let code = measure(&rows, Rounds::new(&environment, &settings, stop, &store, results))?;
    Ok(code)
}

/// All rows in turn; what each has shown is printed when it is done.
fn measure(rows: &[Row], mut rounds: Rounds) -> Result<ExitCode, Error> {
    let mut failed = false;
    for row in rows {
        let ended = rounds.row(row)?;
        eprint!("{}", if std::io::IsTerminal::is_terminal(&std::io::stderr()) { "\r\x1b[K" } else { "" });
        judge_again(&mut rounds.results);
        rounds.store.save(&rounds.results)?;
        write_page(&rounds.results, rounds.store.path())?;
        if let Some(result) = rounds.results.row(&row.name) {
            println!("\n{}", show::row_text(result).trim_end());
            if let Some(reason) = &result.failure {
                println!("  INCOMPLETE: {reason}");
            }
        }
        match ended {
            Ended::Interrupted => {
                return Ok(ExitCode::from(128_u8.saturating_add(rounds.stop.signal().unwrap_or(0))));
            }
            Ended::Failed => failed = true,
            Ended::Complete | Ended::Kept => {}
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A row may be judged by others that came later: all of them are judged by what is there now.
fn judge_again(results: &mut Results) {
    let judged: Vec<_> = rows::all().iter().map(|row| (row.name.clone(), judge::judge(row, results))).collect();
    for (name, judgements) in judged {
        let row = results.rows.iter_mut().find(|row| row.name == name);
        row.into_iter().for_each(|row| row.judgements = judgements.clone());
    }
}

/// The page beside the file of results.
fn write_page(results: &Results, path: Option<&Path>) -> Result<(), Error> {
    let Some(path) = path else { return Ok(()) };
    store::replace(&path.with_extension("html"), &show::comparison_page(results)?)
}

/// Where a full comparison of this machine goes today.
fn full_path(options: &CompareOptions, results: &Results) -> Option<std::path::PathBuf> {
    if options.quick { None } else { store::standard_path(&rfc_3339(SystemTime::now()), &results.machine) }
}

fn own_program() -> Result<std::path::PathBuf, Error> {
    std::env::current_exe().map_err(|source| Error::Io { what: "find this program".into(), source })
}

fn environment(options: &CompareOptions, rows: &[Row], scratch: &Path) -> Result<Environment, Error> {
    let duramen = options.duramen.clone().map_or_else(own_program, Ok)?;
    let needs_kafka = rows.iter().any(|row| row.sides.contains(&SideKind::Kafka));
    let profile = Profile { heap: options.kafka_heap.clone(), ..Profile::default() };
    Ok(Environment {
        duramen,
        kafka: if needs_kafka { Some(Script::prepare()?) } else { None },
        scratch: scratch.to_owned(),
        cores: Cores::choose(options.generator_cores.as_deref(), options.broker_cores.as_deref())?,
        cheapest: profile.clone(),
        quickest: profile,
        external: External::all(&options.broker, &options.broker_pid)?,
        quick: options.quick,
    })
}

/// Finds how Kafka is to be run, unless that is given or it does not take part. What was found before holds for rows that
/// are finished, too: they are kept only if Kafka would run alike.
fn sweep(
    options: &CompareOptions,
    settings: &Settings,
    environment: &mut Environment,
    results: &mut Results,
    stop: &Stop,
) -> Result<(), Error> {
    let given = options.quick || options.no_sweep || options.kafka_heap.is_some() || environment.kafka.is_none();
    if given {
        return Ok(());
    }
    println!("\nKafka's process, tried with 100 B in 1 MB batches and with 2,000 requests/s of 1 kB:");
    let (found, cheapest, quickest) = sweep::best(results.sweep.take(), environment, stop, settings.warm_gib)?;
    println!("  cheapest: {}; quickest: {}", found.cheapest, found.quickest);
    (environment.cheapest, environment.quickest) = (cheapest, quickest);
    results.sweep = Some(found);
    Ok(())
}

fn head(results: &Results, settings: &Settings, store: &Store) {
    let machine = &results.machine;
    let gib = machine.memory_bytes as f64 / f64::from(1 << 30);
    let hypervisor = machine.hypervisor.as_deref().map_or(String::new(), |name| format!(", below {name}"));
    println!("{}, {} CPUs, {gib:.0} GiB, Linux {}{hypervisor}", machine.cpu, machine.cpus, machine.kernel);
    println!("{}", results.cores);
    println!(
        "repository at commit {}, {}; up to {} GiB of memory warmed before each run",
        settings.commit,
        rfc_3339(SystemTime::now()),
        settings.warm_gib
    );
    println!("Duramen: {}; generator: {}", settings.programs[0], settings.programs[1]);
    println!("ratios are Duramen's figure by the other's, pair by pair, with their 95 % interval");
    if let Some(path) = store.path() {
        println!("results: {}", path.display());
    }
}
