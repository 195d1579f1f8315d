//! Kafka's best: a few configurations of its process are tried before anything is compared. Rows that are judged by CPU
//! time get the cheapest, rows that are judged by latency the quickest; what was tried is printed and kept.

use std::time::Duration;

use super::results::{Figures, Sweep};
use super::rows::produce::large_unsynced;
use super::rows::{RowContext, figures};
use super::sides::{Environment, Kafka, Profile, Side, SideKind};
use super::{jvm, warm};
use crate::error::Error;
use crate::stop::Stop;

const SECONDS: u64 = 10;
const SMALL_RATE: f64 = 2_000.0;
const SMALL_SIZE: u32 = 1_000;
const LARGE_SIZE: u32 = 100;
const CPU: &str = "cpu_per_million";
const LATENCY: &str = "p99_ms";

/// What is tried; the first is how the distribution starts it, or with the heap that was asked for.
fn candidates() -> Vec<Profile> {
    let profile = |heap: &str, collector: Option<&str>| Profile {
        heap: Some(heap.into()),
        collector: collector.map(|name| format!("-XX:+Use{name}")),
        threads: None,
    };
    vec![
        profile("1G", None),
        profile("4G", None),
        profile("1G", Some("ParallelGC")),
        profile("4G", Some("ParallelGC")),
        profile("4G", Some("ZGC")),
    ]
}

/// The configurations for both kinds of rows: those of an earlier sweep if there is one, else what is measured now.
pub fn best(
    known: Option<Sweep>,
    environment: &Environment,
    stop: &Stop,
    warm_gib: f64,
) -> Result<(Sweep, Profile, Profile), Error> {
    let of_broker = environment.cores.of_a_broker();
    let threaded = |profile: &Profile| Profile { threads: Some((of_broker, of_broker)), ..profile.clone() };
    let mut profiles = candidates();
    if let Some(sweep) = known {
        profiles.extend(candidates().iter().map(threaded));
        let named = |name: &str| profiles.iter().find(|profile| profile.describe() == name).cloned();
        if let (Some(cheapest), Some(quickest)) = (named(&sweep.cheapest), named(&sweep.quickest)) {
            return Ok((sweep, cheapest, quickest));
        }
        profiles = candidates();
    }
    let mut tried = Vec::new();
    for profile in &profiles {
        tried.push(attempt(profile, environment, stop, warm_gib)?);
    }
    let last = threaded(&profiles[least(&tried, CPU)]);
    tried.push(attempt(&last, environment, stop, warm_gib)?);
    profiles.push(last);
    let (cheapest, quickest) = (profiles[least(&tried, CPU)].clone(), profiles[least(&tried, LATENCY)].clone());
    let sweep = Sweep { tried, cheapest: cheapest.describe(), quickest: quickest.describe() };
    Ok((sweep, cheapest, quickest))
}

/// The place of the smallest figure; the first where it is missing everywhere.
fn least(tried: &[(String, Figures)], key: &str) -> usize {
    let figure = |at: &usize| tried[*at].1.get(key).copied().unwrap_or(f64::INFINITY);
    (0..tried.len()).min_by(|one, other| figure(one).total_cmp(&figure(other))).unwrap_or(0)
}

/// One configuration under both loads.
fn attempt(
    profile: &Profile,
    environment: &Environment,
    stop: &Stop,
    warm_gib: f64,
) -> Result<(String, Figures), Error> {
    let broker = Kafka::start(environment, profile)?;
    let side = broker.side(SideKind::Kafka, false);
    jvm::warm(environment, &side, stop, false)?;
    let mut context = RowContext { environment, stop, quick: false, row: "sweep", kept: Figures::new(), outcome: None };
    warm::touch(warm_gib)?;
    let mut found = large(&mut context, &side)?;
    found.extend(small(&mut context, &side)?);
    found.retain(|key, _| key == CPU || key == LATENCY);
    println!(
        "  {:<58} {:.3} CPU-s per M records, p99 {:.2} ms",
        profile.describe(),
        found.get(CPU).copied().unwrap_or(f64::NAN),
        found.get(LATENCY).copied().unwrap_or(f64::NAN)
    );
    Ok((profile.describe(), found))
}

fn large(context: &mut RowContext, side: &Side) -> Result<Figures, Error> {
    let mut plan = context.closed(side, 0, LARGE_SIZE);
    large_unsynced(&mut plan);
    (plan.records, plan.duration) = (None, Some(Duration::from_secs(SECONDS)));
    let found = figures::produced(&context.run(&plan, side)?);
    Ok(found.into_iter().filter(|(key, _)| key == CPU).collect())
}

fn small(context: &mut RowContext, side: &Side) -> Result<Figures, Error> {
    let mut plan = context.open("produce", side, SMALL_RATE, SMALL_SIZE, (SECONDS, SECONDS));
    let produce = plan.produce.get_or_insert_default();
    (produce.batch_records, produce.linger) = (Some(1), Duration::ZERO);
    let outcome = context.run(&plan, side)?;
    let mut found = Figures::new();
    figures::latencies(&mut found, outcome.latency.scheduled.as_ref(), &outcome);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_is_chosen() {
        let of = |cpu: f64| ("p".to_owned(), Figures::from([(CPU.to_owned(), cpu)]));
        assert_eq!(least(&[of(3.0), of(1.0), of(2.0)], CPU), 1);
        assert_eq!(least(&[of(3.0), of(1.0)], LATENCY), 0);
    }

    #[test]
    fn candidates_differ_by_their_names() {
        let names: std::collections::BTreeSet<String> = candidates().iter().map(Profile::describe).collect();
        assert_eq!(names.len(), candidates().len());
    }
}
