//! The order of runs: round after round, A B B A, one rehearsal in a full comparison, resumed where an earlier comparison
//! has ended. After every run what was measured is kept.

use std::io::{IsTerminal, stderr};
use std::time::{Instant, SystemTime};

use super::results::{Figures, Results, RowResult, SideResult};
use super::rows::{Row, RowContext};
use super::sides::{Environment, Servers, Side, SideKind};
use super::store::{self, Store};
use super::{judge, warm};
use crate::cost;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::run::rfc_3339;
use crate::stop::Stop;

/// Pairs of a row, in a full comparison and in a quick one.
pub const PAIRS: u32 = 7;
pub const PAIRS_QUICK: u32 = 2;
/// Failed attempts at a row that the results keep.
const FAILURES_MAX: usize = 20;

/// How the rows are measured.
pub struct Settings {
    pub quick: bool,
    /// None: as many as are usual.
    pub pairs: Option<u32>,
    pub warm_gib: f64,
    /// Measure finished rows anew.
    pub again: bool,
    /// Of the repository at hand; which program was measured, `programs` tells.
    pub commit: String,
    /// The program that serves as Duramen, and this one.
    pub programs: [String; 2],
}

/// A comparison that goes on.
pub struct Rounds<'c> {
    pub environment: &'c Environment,
    pub settings: &'c Settings,
    pub stop: &'c Stop,
    pub store: &'c Store,
    pub results: Results,
    servers: Servers,
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Complete,
    /// It was complete before.
    Kept,
    /// A run failed, which the results tell.
    Failed,
    /// A signal came.
    Interrupted,
}

impl<'c> Rounds<'c> {
    pub fn new(
        environment: &'c Environment,
        settings: &'c Settings,
        stop: &'c Stop,
        store: &'c Store,
        results: Results,
    ) -> Self {
        Rounds { environment, settings, stop, store, results, servers: Servers::default() }
    }

    /// Measures what is missing of a row. An error is one of the comparison itself; that of a run ends the row alone.
    pub fn row(&mut self, row: &Row) -> Result<Ended, Error> {
        let Some(place) = self.begin(row) else { return Ok(Ended::Kept) };
        let measured = self.measure(row, place);
        let ended = match measured {
            _ if self.stop.signal().is_some() => Ended::Interrupted,
            Ok(()) => Ended::Complete,
            Err(error) => {
                self.results.rows[place].failure = Some(error.to_string());
                Ended::Failed
            }
        };
        self.servers.end_row(self.settings.quick && ended == Ended::Complete);
        self.results.rows[place].complete = ended == Ended::Complete;
        self.results.rows[place].judgements = judge::judge(row, &self.results);
        self.store.save(&self.results)?;
        Ok(ended)
    }

    /// The place of the row's result, cleared unless it goes on; none if it is finished.
    fn begin(&mut self, row: &Row) -> Option<usize> {
        let fresh = RowResult {
            name: row.name.clone(),
            title: row.title.clone(),
            commit: self.settings.commit.clone(),
            date: rfc_3339(SystemTime::now()),
            parameters: self.parameters(row),
            ..RowResult::default()
        };
        let Some(place) = self.results.rows.iter().position(|known| known.name == row.name) else {
            self.results.rows.push(fresh);
            return Some(self.results.rows.len() - 1);
        };
        let known = &mut self.results.rows[place];
        if store::is_kept(known, &fresh) && !self.settings.again {
            return None;
        }
        let failures = failed_attempts(known, &fresh.date);
        if store::goes_on(known, &fresh) && !self.settings.again {
            known.failure = None;
        } else {
            *known = fresh;
        }
        known.failures = failures;
        Some(place)
    }

    /// What must be the same for a row to be kept, or to go on.
    fn parameters(&self, row: &Row) -> serde_json::Value {
        let has_kafka = row.sides.iter().any(|kind| matches!(kind, SideKind::Kafka | SideKind::KafkaDefault));
        serde_json::json!({
            "machine": format!("{}, {} CPUs", self.results.machine.cpu, self.results.machine.cpus),
            "quick": self.settings.quick,
            "pairs": self.pairs(row),
            "warm_gib": self.settings.warm_gib,
            "duramen": self.settings.programs[0],
            "generator": self.settings.programs[1],
            "kafka": has_kafka.then(|| self.kafka(row)),
            "cores": self.environment.cores.describe(),
        })
    }

    /// Kafka's version, and how it runs for a row.
    fn kafka(&self, row: &Row) -> String {
        let version = self.environment.kafka.as_ref().map(|script| script.version());
        format!("{}, {}", version.as_deref().unwrap_or_default(), self.environment.profile(row.by).describe())
    }

    fn pairs(&self, row: &Row) -> u32 {
        let usual = if self.settings.quick { PAIRS_QUICK } else { PAIRS };
        self.settings.pairs.unwrap_or_else(|| row.pairs.map_or(usual, |pairs| pairs.min(usual)))
    }

    fn measure(&mut self, row: &Row, place: usize) -> Result<(), Error> {
        let sides = self.sides(row)?;
        let done = enter(&mut self.results.rows[place], &sides, self.settings.quick);
        if let Some(setup) = &row.setup {
            for side in &sides {
                self.say(row, &format!("preparing {}", side.name));
                let mut context = self.context(row, place);
                setup(&mut context, side)?;
                self.results.rows[place].kept = context.kept;
            }
        }
        if row.rehearses && !self.settings.quick && !row.starts_sides {
            for side in &sides {
                self.say(row, &format!("rehearsal, {}", side.name));
                self.once(row, side, place)?;
            }
        }
        let pairs = self.pairs(row) as usize;
        for round in done..pairs {
            for at in order(round, sides.len()) {
                let known = &self.results.rows[place].sides[at].runs;
                let is_measured =
                    known.len() > round || (!known.is_empty() && once_is_enough(&sides[at], self.settings.quick));
                if is_measured {
                    continue;
                }
                self.say(row, &format!("pair {} of {pairs}, {}", round + 1, sides[at].name));
                let (figures, outcome) = self.once(row, &sides[at], place)?;
                let side = &mut self.results.rows[place].sides[at];
                side.runs.push(figures);
                side.outcome = outcome.or(side.outcome.take());
                self.store.save(&self.results)?;
            }
        }
        Ok(())
    }

    fn sides(&mut self, row: &Row) -> Result<Vec<Side>, Error> {
        if row.starts_sides {
            return self.environment.sides_to_start(row);
        }
        let (environment, stop, quick) = (self.environment, self.stop, self.settings.quick);
        self.servers.sides(row, environment, &mut |side| {
            progress("Kafka: warming its JVM");
            super::jvm::warm(environment, side, stop, quick)
        })
    }

    /// One run of a side, and what the others cost meanwhile by only being there.
    fn once(&mut self, row: &Row, side: &Side, place: usize) -> Result<(Figures, Option<Outcome>), Error> {
        if self.stop.signal().is_some() {
            return Err(Error::Process { what: "the comparison".into(), reason: "a signal came".into() });
        }
        let warms = row.fills_memory || !self.settings.quick;
        let warmed = if warms { warm::touch(self.settings.warm_gib)? } else { 0.0 };
        let others: Vec<u32> =
            self.servers.pids().into_iter().map(|(_, pid)| pid).filter(|pid| Some(*pid) != side.pid).collect();
        let (began, before) = (Instant::now(), seconds_of(&others));
        let mut context = self.context(row, place);
        let mut figures = (row.run)(&mut context, side)?;
        let outcome = context.outcome;
        let idle = (seconds_of(&others) - before) / began.elapsed().as_secs_f64();
        figures.insert("warmed_gib".into(), warmed);
        figures.insert("idle_side_percent".into(), idle * 100.0);
        Ok((figures, outcome))
    }

    fn context<'r>(&'r self, row: &'r Row, place: usize) -> RowContext<'r> {
        RowContext {
            environment: self.environment,
            stop: self.stop,
            quick: self.settings.quick,
            row: &row.name,
            kept: self.results.rows[place].kept.clone(),
            outcome: None,
        }
    }

    fn say(&self, row: &Row, what: &str) {
        progress(&format!("{}: {what}", row.name));
    }
}

/// One line that is written over, or nothing where nobody looks.
fn progress(text: &str) {
    if stderr().is_terminal() {
        eprint!("\r\x1b[K{text}");
    } else {
        eprintln!("{text}");
    }
}

/// The places of sides in a round: forward, then backward, so that what changes slowly favours nobody.
fn order(round: usize, sides: usize) -> Vec<usize> {
    if round.is_multiple_of(2) { (0..sides).collect() } else { (0..sides).rev().collect() }
}

/// In a quick comparison a limit is measured once and stands beside every run.
fn once_is_enough(side: &Side, quick: bool) -> bool {
    quick && side.kind == SideKind::Limit
}

/// The attempts at a row that have failed until now: one that succeeds later shall not hide them.
fn failed_attempts(row: &RowResult, now: &str) -> Vec<String> {
    let last = row.failure.iter().map(|reason| format!("until {now}, commit {}: {reason}", row.commit));
    let all: Vec<String> = row.failures.iter().cloned().chain(last).collect();
    all[all.len().saturating_sub(FAILURES_MAX)..].to_vec()
}

/// Enters the sides of a row, with the runs that an earlier comparison has left of each; returns the rounds that are whole.
fn enter(row: &mut RowResult, sides: &[Side], quick: bool) -> usize {
    let known = std::mem::take(&mut row.sides);
    for side in sides {
        let old = known.iter().find(|old| old.name == side.name).cloned().unwrap_or_default();
        row.sides.push(SideResult {
            name: side.name.clone(),
            level: side.level.clone(),
            version: side.version.clone(),
            runs: old.runs,
            outcome: old.outcome,
        });
    }
    let each_round = row.sides.iter().zip(sides).filter(|(_, side)| !once_is_enough(side, quick));
    let whole = each_round.map(|(side, _)| side.runs.len()).min().unwrap_or(0);
    row.sides.iter_mut().for_each(|side| side.runs.truncate(whole));
    whole
}

/// CPU time of processes together. One that has ended counts for nothing.
fn seconds_of(pids: &[u32]) -> f64 {
    pids.iter().map(|pid| cost::cpu_seconds(*pid).unwrap_or(0.0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(name: &str, kind: SideKind) -> Side {
        Side {
            kind,
            name: name.into(),
            level: "l".into(),
            version: "v".into(),
            server: String::new(),
            pid: None,
            data_dir: None,
            topic_configs: Vec::new(),
        }
    }

    fn measured(name: &str, runs: usize) -> SideResult {
        SideResult { name: name.into(), runs: vec![Figures::new(); runs], ..SideResult::default() }
    }

    #[test]
    fn rounds_alternate() {
        assert_eq!([order(0, 3), order(1, 3), order(2, 3)], [vec![0, 1, 2], vec![2, 1, 0], vec![0, 1, 2]]);
    }

    #[test]
    fn a_row_goes_on_after_its_last_whole_round() {
        let mut row = RowResult { sides: vec![measured("B", 2), measured("A", 3)], ..RowResult::default() };
        let sides = [side("A", SideKind::Duramen), side("B", SideKind::Kafka), side("L", SideKind::Limit)];
        assert_eq!(enter(&mut row, &sides, true), 2);
        let runs: Vec<_> = row.sides.iter().map(|side| (side.name.as_str(), side.runs.len())).collect();
        assert_eq!(runs, [("A", 2), ("B", 2), ("L", 0)]);
    }

    #[test]
    fn a_limit_is_of_the_round_unless_it_is_measured_once() {
        let row = || RowResult { sides: vec![measured("A", 3), measured("L", 1)], ..RowResult::default() };
        let sides = [side("A", SideKind::Duramen), side("L", SideKind::Limit)];
        assert_eq!([enter(&mut row(), &sides, false), enter(&mut row(), &sides, true)], [1, 3]);
    }

    #[test]
    fn failed_attempts_are_kept() {
        let mut row = RowResult { commit: "c".into(), failure: Some("gone".into()), ..RowResult::default() };
        row.failures = failed_attempts(&row, "noon");
        assert_eq!(row.failures, ["until noon, commit c: gone"]);
        row.failures = vec!["old".into(); FAILURES_MAX];
        let kept = failed_attempts(&row, "noon");
        assert_eq!((kept.len(), kept.last().unwrap().as_str()), (FAILURES_MAX, "until noon, commit c: gone"));
        row.failure = None;
        assert_eq!(failed_attempts(&row, "noon"), row.failures);
    }

    #[test]
    fn a_new_side_starts_a_row_again() {
        let mut row = RowResult { sides: vec![measured("A", 3)], ..RowResult::default() };
        assert_eq!(enter(&mut row, &[side("A", SideKind::Duramen), side("B", SideKind::Kafka)], true), 0);
        assert!(row.sides[0].runs.is_empty());
    }
}
