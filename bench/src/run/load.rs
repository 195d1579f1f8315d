//! The load itself: threads are started, what they count is collected, and consumers are told when to end.

use std::sync::{Arc, OnceLock};
use std::thread::sleep;
use std::time::Duration;

use super::Watch;
use super::collect::{Collector, Totals};
use super::targets::{self, Places};
use crate::Error;
use crate::admin::Cluster;
use crate::clock::Nanos;
use crate::cost::{Meter, cpu_seconds};
use crate::drive::{self, Running, Setup, ThreadEnd};
use crate::outcome::{Cost, Second, ThreadShare};
use crate::plan::Plan;
use crate::stop::Stop;

/// How long the next interval is waited for before the clock is looked at again.
const PATIENCE: Duration = Duration::from_millis(20);
/// A broker has settled this long after its last answer.
const SETTLE: Duration = Duration::from_millis(500);
/// How long consumers may take to receive what was acknowledged by the end of the load.
const CATCH_UP_MAX: Duration = Duration::from_secs(10);
/// How long nothing may arrive where records are there to be read.
const NOTHING_NEW_MAX: Duration = Duration::from_secs(30);

/// What is left of a load.
pub struct Driven {
    pub setup: Arc<Setup>,
    pub ends: Vec<ThreadEnd>,
    /// Why a thread ended before its time.
    pub failure: Option<Error>,
    /// Why consumers were told to end before they had all that they were to have.
    pub left_behind: Option<String>,
    pub totals: Totals,
    pub series: Vec<Second>,
    pub last_lag_ns: u64,
    /// By measured second the shares of each thread.
    pub shares: Vec<Vec<ThreadShare>>,
    pub cost: Cost,
    /// Whether the cost is that of a process, not only of the machine.
    pub has_process: bool,
    /// CPU time of this process.
    pub own_cpu_seconds: f64,
}

/// What threads must know of a run. The epoch is set when they start.
pub fn setup(cluster: &mut Cluster, plan: &Plan, places: Places, run: u32) -> Result<Setup, Error> {
    let (produce_version, fetch_version) = targets::versions(cluster)?;
    let producer_ids = match &plan.produce {
        Some(produce) if produce.idempotence => cluster.producer_ids(produce.producers)?,
        _ => Vec::new(),
    };
    let Places { targets, consume_from, backlog_targets } = places;
    Ok(Setup {
        plan: plan.clone(),
        run,
        epoch: OnceLock::new(),
        targets,
        brokers: cluster.brokers().clone(),
        producer_ids,
        produce_version,
        fetch_version,
        consume_from,
        backlog_targets,
    })
}

/// Runs the load to its end.
pub fn drive(setup: Setup, watch: &mut dyn Watch, stop: &Stop) -> Result<Driven, Error> {
    let plan = setup.plan.clone();
    let own_cpu_seconds = || cpu_seconds(std::process::id()).unwrap_or(0.0);
    let mut meter = Meter::start(&plan.broker)?;
    let has_process = meter.has_process();
    let own_cpu_before = own_cpu_seconds();
    let setup = Arc::new(setup);
    let running = drive::start(Arc::clone(&setup), stop.clone())?;
    watch.begins(&plan, setup.epoch().wall_ms(Nanos(0)));
    let mut collector = Collector::new(&plan, watch);
    let mut ending = Ending::new(&plan);
    let take = |collector: &mut Collector| match running.next(PATIENCE) {
        Some(interval) => {
            let (thread, tally) = collector.take(interval);
            running.give_back(thread, tally);
            true
        }
        None => false,
    };
    while !running.is_over() {
        take(&mut collector);
        let now = setup.epoch().now();
        collector.tell(now, &mut meter);
        if ending.is_due(now, &running, &collector.totals, stop) {
            running.end_consumers();
        }
    }
    while take(&mut collector) {}
    let ends = running.finish();
    collector.finish(&mut meter);
    let Collector { totals, series, last_lag_ns, shares, .. } = collector;
    sleep(SETTLE);
    let cost = meter.stop();
    let own_cpu_seconds = own_cpu_seconds() - own_cpu_before;
    let mut ends = ends;
    let failure = ends.iter_mut().find_map(|end| end.failure.take());
    let left_behind = ending.left_behind;
    Ok(Driven {
        setup,
        ends,
        failure,
        left_behind,
        totals,
        series,
        last_lag_ns,
        shares,
        cost,
        has_process,
        own_cpu_seconds,
    })
}

/// When consumers are told to end. Those that read a topic at rest so often end by themselves.
struct Ending<'p> {
    plan: &'p Plan,
    producers_done: Option<Nanos>,
    /// What had been received, and since when it has been no more.
    received: (u64, Nanos),
    asked: bool,
    left_behind: Option<String>,
}

impl<'p> Ending<'p> {
    fn new(plan: &'p Plan) -> Self {
        Ending { plan, producers_done: None, received: (0, Nanos(0)), asked: false, left_behind: None }
    }

    /// True once.
    fn is_due(&mut self, now: Nanos, running: &Running, totals: &Totals, stop: &Stop) -> bool {
        if self.asked || self.plan.consume.is_none() {
            return false;
        }
        self.asked = match self.plan.produce {
            None => stop.signal().is_some() || self.has_read(now, totals) || self.has_stalled(now, totals),
            Some(_) if !running.producers_are_done() => false,
            Some(_) => {
                let done = *self.producers_done.get_or_insert(now);
                let out_of_patience = now.0 - done.0 >= nanos(CATCH_UP_MAX);
                let all = self.has_everything_arrived(totals);
                let behind = "not everything acknowledged arrived in time at the consumers";
                self.left_behind = (out_of_patience && !all).then(|| behind.to_owned());
                all || out_of_patience || stop.signal().is_some()
            }
        };
        self.asked
    }

    fn has_read(&self, now: Nanos, totals: &Totals) -> bool {
        let in_time = self.plan.duration.is_none_or(|duration| now.0 < nanos(self.plan.warm_up + duration));
        !in_time || self.plan.records.is_some_and(|records| totals.received >= records)
    }

    /// Whether nothing comes any more, where no time is set for the reading.
    fn has_stalled(&mut self, now: Nanos, totals: &Totals) -> bool {
        let received = totals.received + totals.lost_to_retention;
        if received != self.received.0 || self.plan.duration.is_some() {
            self.received = (received, now);
        }
        let stalled = now.0 - self.received.1.0 >= nanos(NOTHING_NEW_MAX);
        let why = || format!("nothing new arrived for {} s, and not all was read", NOTHING_NEW_MAX.as_secs());
        self.left_behind = stalled.then(why);
        stalled
    }

    fn has_everything_arrived(&self, totals: &Totals) -> bool {
        let subscriptions = self.plan.consume.as_ref().map_or(0, |consume| u64::from(consume.subscriptions));
        totals.arrived + totals.lost_to_retention >= totals.acknowledged * subscriptions
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_that_brings_nothing_has_an_end() {
        let mut plan = Plan::new("consume", "h:1");
        plan.duration = None;
        let stalled = |plan: &Plan, at: &[(u64, u64)]| {
            let mut ending = Ending::new(plan);
            let mut step = |&(seconds, received): &(u64, u64)| {
                let totals = Totals { received, ..Totals::default() };
                ending.has_stalled(Nanos(seconds * 1_000_000_000), &totals)
            };
            at.iter().map(&mut step).collect::<Vec<_>>()
        };
        assert_eq!(stalled(&plan, &[(1, 0), (5, 10), (34, 10), (35, 10)]), [false, false, false, true]);
        assert_eq!(stalled(&plan, &[(5, 10), (34, 11), (63, 11)]), [false, false, false]);
        plan.duration = Some(Duration::from_secs(100));
        assert_eq!(stalled(&plan, &[(5, 10), (90, 10)]), [false, false], "it waits for others");
    }
}
