//! The command line of `compare`.

use std::path::PathBuf;

use super::rows::{self, Row};
use super::sides::SideKind;
use crate::error::Error;

/// Start Duramen and Apache Kafka side by side on this machine, and compare them row by row.
///
/// Needs a JDK 17 and Maven, which fetches Apache Kafka on the first run. Results are kept after every run: what was
/// interrupted goes on when the same command is given again.
#[derive(clap::Args, Clone, Debug)]
pub struct CompareOptions {
    /// Which rows, see --list [all]
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub rows: Vec<String>,
    /// Two short pairs of fewer rows, in under 5 minutes; nothing is kept without --output
    #[arg(long)]
    pub quick: bool,
    /// Pairs of each row [7, ten-minutes 2; with --quick 2]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub pairs: Option<u32>,
    /// Measure rows anew that are finished in the file of results [only those that had other parameters]
    #[arg(long)]
    pub again: bool,
    /// Keep the results there, and a page beside it [bench/results/DATE-MACHINE.json of this repository]
    #[arg(long, value_name = "FILE.json")]
    pub output: Option<PathBuf>,
    /// Where the brokers' data goes: choose the disk to be measured [the system's temporary directory]
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// Memory to touch before each run, at most half of what is free [10; with --quick 2]
    #[arg(long, value_name = "GIB")]
    pub warm_gib: Option<f64>,
    /// Kafka's heap, such as 4G, in place of the best of a sweep
    #[arg(long, value_name = "SIZE")]
    pub kafka_heap: Option<String>,
    /// Run Kafka as its distribution does, without looking for the best configuration
    #[arg(long)]
    pub no_sweep: bool,
    /// A further broker, which runs already; may be repeated
    #[arg(long, value_name = "NAME=HOST:PORT")]
    pub broker: Vec<String>,
    /// Its process on this machine, to measure its cost; may be repeated
    #[arg(long, value_name = "NAME=PID")]
    pub broker_pid: Vec<String>,
    /// The program that serves as Duramen [this one]
    #[arg(long, value_name = "FILE")]
    pub duramen: Option<PathBuf>,
    /// CPUs of the generator, such as 4-7 [the upper half from 4 CPUs on]
    #[arg(long, value_name = "LIST", requires = "broker_cores")]
    pub generator_cores: Option<String>,
    /// CPUs of the brokers, such as 0-3 [the lower half from 4 CPUs on]
    #[arg(long, value_name = "LIST", requires = "generator_cores")]
    pub broker_cores: Option<String>,
    /// List the rows, and end
    #[arg(long)]
    pub list: bool,
}

impl CompareOptions {
    /// The rows that were asked for, in their order; with `--quick` those of the quick form unless rows are named.
    pub fn rows(&self) -> Result<Vec<Row>, Error> {
        let all = rows::all();
        let unknown: Vec<&str> =
            self.rows.iter().map(String::as_str).filter(|name| !all.iter().any(|row| row.name == *name)).collect();
        if !unknown.is_empty() {
            return Err(Error::Usage(format!("no such row: {}; see compare --list", unknown.join(", "))));
        }
        let is_chosen = |row: &Row| match self.rows.is_empty() {
            true => row.quick || !self.quick,
            false => self.rows.contains(&row.name),
        };
        let mut chosen: Vec<Row> = all.into_iter().filter(is_chosen).collect();
        if self.broker.is_empty() {
            chosen.iter_mut().for_each(|row| row.sides.retain(|kind| *kind != SideKind::External));
        }
        Ok(chosen)
    }

    pub fn scratch(&self) -> PathBuf {
        self.scratch.clone().unwrap_or_else(std::env::temp_dir)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: CompareOptions,
    }

    fn rows(line: &[&str]) -> Result<Vec<String>, Error> {
        let line = Line::try_parse_from([&["compare"], line].concat()).unwrap();
        Ok(line.options.rows()?.into_iter().map(|row| row.name).collect())
    }

    #[test]
    fn rows_are_chosen_by_name_or_by_the_form() {
        assert_eq!(rows(&["--rows", "start,produce-java"]).unwrap(), ["produce-java", "start"]);
        assert_eq!(rows(&["--quick", "--rows", "restart"]).unwrap(), ["restart"]);
        assert!(rows(&["--rows", "produce"]).is_err());
        let (quick, full) = (rows(&["--quick"]).unwrap(), rows(&[]).unwrap());
        assert!(quick.contains(&"small-2k".to_owned()) && !quick.contains(&"restart".to_owned()));
        assert!(full.len() > quick.len() && full.contains(&"ten-minutes".to_owned()));
    }

    #[test]
    fn other_brokers_are_sides_only_if_there_are_any() {
        let sides = |line: &[&str]| {
            let line = Line::try_parse_from([&["compare", "--rows", "produce-100"], line].concat()).unwrap();
            line.options.rows().unwrap().remove(0).sides.contains(&SideKind::External)
        };
        assert!(sides(&["--broker", "a=h:1"]) && !sides(&[]));
    }

    #[test]
    fn cores_go_together() {
        assert!(Line::try_parse_from(["compare", "--broker-cores", "0"]).is_err());
    }
}
