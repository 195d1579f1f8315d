//! One run: prepare, drive, collect by second, stop, verify.
//!
//! Nothing here touches a record. Topics that were made, and a broker that was started, go when the run ends, however it
//! ends.

pub mod collect;
mod finish;
mod load;
pub mod started;
pub mod targets;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

pub use self::finish::rfc_3339;

use self::load::Driven;
use self::started::Started;
use self::targets::RunTopics;
use crate::Error;
use crate::admin::Cluster;
use crate::drive::Tally;
use crate::outcome::{Outcome, Second, Verification};
use crate::plan::{Begin, Broker, Pace, Plan, Produce, Sizes};
use crate::stop::Stop;
use crate::verify;

/// Bytes of a batch that fills a topic.
const FILL_BATCH_BYTES: u32 = 1_000_000;

/// Is told of a run while it goes on.
pub trait Watch {
    /// The epoch, in milliseconds since 1970.
    fn begins(&mut self, plan: &Plan, wall_ms: i64);
    /// The sum over threads.
    fn second(&mut self, second: &Second, tally: &Tally);
}

/// Watches nothing.
pub struct Quietly;

impl Watch for Quietly {
    fn begins(&mut self, _plan: &Plan, _wall_ms: i64) {}

    fn second(&mut self, _second: &Second, _tally: &Tally) {}
}

/// An error only if nothing was measured.
pub fn run(plan: &Plan, watch: &mut dyn Watch, stop: &Stop) -> Result<Outcome, Error> {
    let mut plan = plan.clone();
    let wall = SystemTime::now();
    // Dropped last: topics are deleted while the broker still runs.
    let started = match &plan.broker.start {
        Some(command) => Some(Started::start(command, &plan.servers, stop)?),
        None => None,
    };
    if let Some(started) = &started {
        plan.broker.pid = Some(started.pid());
    }
    let run = rand::random();
    let mut cluster = Cluster::connect(&plan.servers)?;
    targets::raise_limits(targets::connections(&plan, cluster.brokers().len()))?;
    let topics = RunTopics::prepare(&mut cluster, &plan, run)?;
    let filled = fill(&mut cluster, &plan, &topics, stop)?;
    let places = topics.places(&mut cluster, &plan)?;
    if plan.produce.is_none() && !places.hold_records() && !waits_for_records(&plan) {
        return Err(Error::Empty { topic: topics.names.join(", ") });
    }
    let setup = load::setup(&mut cluster, &plan, places, run)?;
    let versions = versions(setup.produce_version, setup.fetch_version);
    let driven = load::drive(setup, watch, stop)?;
    let mut outcome = finish::outcome(&plan, driven, filled, stop)?;
    outcome.started = finish::rfc_3339(wall);
    outcome.versions = versions;
    Ok(outcome)
}

/// Whether a reader is to wait for records that others will write.
fn waits_for_records(plan: &Plan) -> bool {
    plan.duration.is_some() && plan.consume.as_ref().is_some_and(|consume| consume.from == Begin::End)
}

fn versions(produce: i16, fetch: i16) -> BTreeMap<String, String> {
    let own = ("duramen-bench".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    BTreeMap::from([own, ("Produce".to_owned(), produce.to_string()), ("Fetch".to_owned(), fetch.to_string())])
}

/// Produces what is asked for before the load: by a drive of its own, closed loop, in large batches. It is verified too.
fn fill(cluster: &mut Cluster, plan: &Plan, topics: &RunTopics, stop: &Stop) -> Result<Vec<Verification>, Error> {
    let Some(consume) = &plan.consume else { return Ok(Vec::new()) };
    let mut fills = Vec::new();
    if let Some(records) = consume.fill {
        fills.push((topics.names.clone(), records));
    }
    if let Some(backlog) = &topics.backlog {
        let sizes = plan.produce.as_ref().map_or(Sizes::Fixed(100), |produce| produce.sizes.clone());
        fills.push((vec![backlog.clone()], consume.backlog_bytes.div_ceil(mean(&sizes).max(1))));
    }
    let fill = |(names, records): (Vec<String>, u64)| {
        let plan = fill_plan(plan, records);
        let topics = RunTopics::borrowed(names, &plan);
        let places = topics.places(cluster, &plan)?;
        let setup = load::setup(cluster, &plan, places, rand::random())?;
        let Driven { setup, ends, failure, .. } = load::drive(setup, &mut Quietly, stop)?;
        match failure {
            Some(failure) => Err(failure),
            None => {
                let ledgers = ends.into_iter().map(|end| end.ledger).collect();
                Ok(verify::read_back(&setup, ledgers, &[], stop))
            }
        }
    };
    fills.into_iter().map(fill).collect()
}

fn fill_plan(plan: &Plan, records: u64) -> Plan {
    let given = plan.produce.clone().unwrap_or_default();
    let produce = Produce {
        pace: Pace::Closed,
        producers: 1,
        connections: None,
        in_flight: Produce::default().in_flight,
        keys: None,
        batch_bytes: FILL_BATCH_BYTES,
        batch_records: None,
        batches_per_request: 1,
        acks: -1,
        idempotence: true,
        ..given
    };
    Plan {
        command: "produce".to_owned(),
        produce: Some(produce),
        consume: None,
        warm_up: Duration::ZERO,
        duration: None,
        records: Some(records),
        broker: Broker::default(),
        ..plan.clone()
    }
}

/// Bytes of a value, on average.
fn mean(sizes: &Sizes) -> u64 {
    let mean = match sizes {
        Sizes::Fixed(size) => f64::from(*size),
        Sizes::Uniform { min, max } => (f64::from(*min) + f64::from(*max)) / 2.0,
        Sizes::Normal { mean, .. } => *mean,
        Sizes::Weighted(sizes) => {
            let weights: f64 = sizes.iter().map(|(_, weight)| weight).sum();
            let bytes: f64 = sizes.iter().map(|(size, weight)| f64::from(*size) * weight).sum();
            bytes / weights.max(f64::MIN_POSITIVE)
        }
    };
    mean as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_is_as_large_as_its_records_are_on_average() {
        assert_eq!(mean(&Sizes::Fixed(100)), 100);
        assert_eq!(mean(&Sizes::Uniform { min: 50, max: 150 }), 100);
        assert_eq!(mean(&Sizes::Normal { mean: 200.5, deviation: 50.0 }), 200);
        assert_eq!(mean(&Sizes::Weighted(vec![(100, 80.0), (1_000, 20.0)])), 280);
    }

    #[test]
    fn a_fill_is_a_closed_loop_of_its_own() {
        let plan = Plan::new("consume", "h:1");
        let fill = fill_plan(&plan, 7);
        assert_eq!((fill.records, fill.duration, fill.consume), (Some(7), None, None));
        assert_eq!(fill.produce.unwrap().pace, Pace::Closed);
    }
}
