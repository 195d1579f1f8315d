//! What a run of a row has at hand: the plans that all rows share, and the runs themselves, which must be whole and
//! verified to count.

use std::time::Duration;

use crate::admin::Cluster;
use crate::compare::results::Figures;
use crate::compare::sides::{Environment, Side};
use crate::error::Error;
use crate::outcome::{Outcome, Verdict};
use crate::plan::{Pace, Plan, Sizes, Topics};
use crate::run::{self, Quietly, Watch};
use crate::stop::Stop;

/// Batches of the loads that are about bytes.
pub const LARGE_BATCH: u32 = 1_000_000;
/// How long such a batch may wait to be filled.
pub const LARGE_LINGER: Duration = Duration::from_millis(100);

/// One run of a row.
pub struct RowContext<'c> {
    pub environment: &'c Environment,
    pub stop: &'c Stop,
    pub quick: bool,
    /// The name of the row: also that of a topic which its runs share.
    pub row: &'c str,
    /// What preparing the row has shown; it stays in the results.
    pub kept: Figures,
    /// What the run has shown, to be kept beside its figures.
    pub outcome: Option<Outcome>,
}

impl RowContext<'_> {
    /// A closed loop of so many records of a size, as fast as they are taken, with Java's defaults for the rest.
    pub fn closed(&self, side: &Side, records: u64, size: u32) -> Plan {
        let mut plan = self.plan("produce", side);
        plan.records = Some(records);
        plan.duration = None;
        plan.warm_up = Duration::ZERO;
        let produce = plan.produce.get_or_insert_default();
        produce.pace = Pace::Closed;
        produce.sizes = Sizes::Fixed(size);
        plan
    }

    /// An open loop of a rate of records of a size.
    pub fn open(&self, command: &str, side: &Side, rate: f64, size: u32, seconds: (u64, u64)) -> Plan {
        let mut plan = self.plan(command, side);
        plan.duration = Some(Duration::from_secs(if self.quick { seconds.1 } else { seconds.0 }));
        plan.warm_up = Duration::from_secs(if self.quick { 1 } else { 5 });
        let produce = plan.produce.get_or_insert_default();
        produce.pace = Pace::Open { records_per_second: rate };
        produce.sizes = Sizes::Fixed(size);
        plan
    }

    /// A run on topics of its own with the level of the side.
    pub fn plan(&self, command: &str, side: &Side) -> Plan {
        let mut plan = Plan::new(command, &side.server);
        plan.broker = side.broker();
        plan.cores = self.environment.cores.generator.clone();
        plan.verify = side.is_broker();
        plan.topics = self.topics(side, 1, 1);
        plan
    }

    /// Topics of a run's own; the limit has every topic that is asked for.
    pub fn topics(&self, side: &Side, count: u32, partitions: i32) -> Topics {
        if !side.is_broker() {
            return Topics::Existing((0..count).map(|number| format!("limit-{number}-{partitions}")).collect());
        }
        let configs = side.topic_configs.clone();
        Topics::Own { count, partitions, replication_factor: 1, configs, keep: false }
    }

    /// A run that counts: whole, verified if the plan asks for it, and kept.
    pub fn run(&mut self, plan: &Plan, side: &Side) -> Result<Outcome, Error> {
        self.run_watched(plan, side, &mut Quietly)
    }

    /// The same, with somebody who is told of each second.
    pub fn run_watched(&mut self, plan: &Plan, side: &Side, watch: &mut dyn Watch) -> Result<Outcome, Error> {
        let outcome = run::run(plan, watch, self.stop)?;
        counts(&outcome, plan.verify, &side.name)?;
        self.outcome = Some(outcome.clone());
        Ok(outcome)
    }

    /// A run that only prepares: whole, but neither verified nor kept.
    pub fn prepare(&self, plan: &Plan, side: &Side) -> Result<(), Error> {
        let unverified = Plan { verify: false, ..plan.clone() };
        let outcome = run::run(&unverified, &mut Quietly, self.stop)?;
        counts(&outcome, false, &side.name)
    }

    /// Makes the topic that the runs of this row share.
    pub fn make_topic(&self, side: &Side, partitions: i32, more: &[(String, String)]) -> Result<(), Error> {
        let configs: Vec<_> = side.topic_configs.iter().chain(more).cloned().collect();
        Cluster::connect(std::slice::from_ref(&side.server))?.create_topic(self.row, partitions, 1, &configs)
    }

    /// Waits, but no longer than until a signal comes.
    pub fn wait(&self, duration: Duration) {
        let deadline = std::time::Instant::now() + duration;
        while std::time::Instant::now() < deadline && self.stop.signal().is_none() {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
    }
}

/// An error if a figure of this run would mean nothing.
pub(super) fn counts(outcome: &Outcome, verified: bool, side: &str) -> Result<(), Error> {
    let what = || format!("a run against {side}");
    if let Some(reason) = &outcome.incomplete {
        return Err(Error::Process { what: what(), reason: format!("it is incomplete: {reason}") });
    }
    let verification = &outcome.verification;
    // A reader alone has nothing to look up: the batches that it got were checked.
    let reads = outcome.plan.as_ref().is_some_and(|plan| plan.produce.is_none());
    let is_good = verification.verdict == Verdict::Verified || reads && verification.verdict == Verdict::Not;
    if verified && !is_good {
        let told = verification.reason.clone().unwrap_or_else(|| format!("{verification:?}"));
        return Err(Error::Process { what: what(), reason: format!("it is not verified: {told}") });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Verification;

    #[test]
    fn only_whole_and_verified_runs_count() {
        let with = |incomplete: Option<&str>, verdict| Outcome {
            incomplete: incomplete.map(str::to_owned),
            verification: Verification { verdict, ..Verification::default() },
            ..Outcome::default()
        };
        assert!(counts(&with(None, Verdict::Verified), true, "s").is_ok());
        assert!(counts(&with(None, Verdict::Not), false, "s").is_ok());
        for verdict in [Verdict::Not, Verdict::Partly, Verdict::Failed] {
            assert!(counts(&with(None, verdict), true, "s").is_err());
        }
        assert!(counts(&with(Some("gone"), Verdict::Verified), false, "s").is_err());
        let reading = |verdict| Outcome { plan: Some(Plan::new("consume", "h:1")), ..with(None, verdict) };
        assert!(counts(&reading(Verdict::Not), true, "s").is_ok());
        assert!(counts(&reading(Verdict::Failed), true, "s").is_err());
    }
}
