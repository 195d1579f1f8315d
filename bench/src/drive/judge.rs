//! Who was the limit: the broker, the generator, the machine, or nobody. Pure.

use crate::outcome::{Cost, LatencySet, Limit, Summary, ThreadShare, Who};
use crate::plan::{Pace, Plan};

/// A thread that was on its CPU for so much of a second had no time left.
const BUSY: f64 = 0.90;
/// A thread that waited for a CPU for so much of a second was kept from its work.
const WAITED: f64 = 0.10;
/// Windows that were full for so much of a second waited for the broker.
const FULL: f64 = 0.80;
/// Below this, windows had room, and lateness was the generator's own.
const ROOM: f64 = 0.50;
/// So much of the machine's CPU time means that nothing was left.
const MACHINE: f64 = 0.95;
const STEAL: f64 = 0.05;
/// The generator may be late by so much, or by this share of the latency, before latencies contain its lateness.
const LATE_NS: u64 = 500_000;
const LATE_SHARE: f64 = 0.10;

/// By measured second the shares of each thread. What is said of seconds holds in at least half of them.
pub fn judge(
    seconds: &[Vec<ThreadShare>],
    plan: &Plan,
    latency: &LatencySet,
    rate_kept: Option<bool>,
    cost: Option<&Cost>,
) -> Limit {
    let late = lateness(latency);
    if rate_kept == Some(true) && is_open(plan) && late.is_none() {
        return limit(Who::Nobody, "the rate was kept".to_owned());
    }
    let shares = Shares::of(seconds);
    if let Some(why) = busy(&shares, late) {
        return limit(Who::Generator, why);
    }
    if let Some(why) = machine(&shares, plan, cost) {
        return limit(Who::Machine, why);
    }
    // Where there was no CPU to be had, lateness was not the generator's doing.
    if late.is_some() && shares.full < ROOM {
        return limit(Who::Generator, format!("the generator sent late, though there was room{}", told(late)));
    }
    if shares.full >= FULL {
        let why = format!(
            "windows were full for {:.0} % of the time: the broker, or the disk behind it",
            shares.full * 100.0
        );
        return limit(Who::Broker, why);
    }
    if seconds.is_empty() {
        return limit(Who::Unclear, "the run measured no whole second".to_owned());
    }
    let why = match (rate_kept, plan.produce.is_some()) {
        (Some(true), _) => "the rate was kept, but the generator was late".to_owned(),
        (_, true) => format!(
            "windows were full for {:.0} % of the time: they may be too small for the round trip",
            shares.full * 100.0
        ),
        (_, false) => "no thread was busy, and the machine had time left".to_owned(),
    };
    limit(Who::Unclear, why)
}

fn limit(who: Who, why: String) -> Limit {
    Limit { who, why }
}

fn is_open(plan: &Plan) -> bool {
    plan.produce.as_ref().is_some_and(|produce| matches!(produce.pace, Pace::Open { .. }))
}

/// The generator's own lateness at p99, if latencies contain too much of it.
fn lateness(latency: &LatencySet) -> Option<u64> {
    // Of few samples, the highest percentile that may be told.
    let highest = |summary: &Summary| summary.p99_ns.or(summary.p95_ns).or(summary.p90_ns).or(summary.p50_ns);
    let p99 = |summary: &Option<Summary>| summary.as_ref().and_then(highest);
    let bound = p99(&latency.scheduled).map_or(0, |p99| (p99 as f64 * LATE_SHARE) as u64).max(LATE_NS);
    p99(&latency.late).filter(|late| *late > bound)
}

/// Of the busiest thread in the median second.
struct Shares {
    busy: f64,
    waited: f64,
    full: f64,
}

impl Shares {
    fn of(seconds: &[Vec<ThreadShare>]) -> Self {
        let busiest = |threads: &Vec<ThreadShare>| {
            threads.iter().copied().max_by(|one, other| one.busy.total_cmp(&other.busy)).unwrap_or_default()
        };
        let busiest: Vec<_> = seconds.iter().map(busiest).collect();
        let median = |share: fn(&ThreadShare) -> f64| {
            let mut sorted: Vec<f64> = busiest.iter().map(share).collect();
            sorted.sort_by(f64::total_cmp);
            // The upper quartile's side of the middle: at least half of the seconds have no less.
            sorted.len().checked_sub(1).map_or(0.0, |last| sorted[last / 2])
        };
        Self {
            busy: median(|share| share.busy),
            waited: median(|share| share.waited),
            full: median(|share| share.full),
        }
    }
}

fn busy(shares: &Shares, late: Option<u64>) -> Option<String> {
    (shares.busy >= BUSY).then(|| {
        format!(
            "a thread of the generator was on its CPU for {:.0} % of the time: use --threads, larger batches or fewer \
             producers{}",
            shares.busy * 100.0,
            told(late)
        )
    })
}

fn told(late: Option<u64>) -> String {
    late.map_or_else(String::new, |late| {
        format!("; latencies contain its own lateness, p99 {:.1} ms", late as f64 / 1e6)
    })
}

fn machine(shares: &Shares, plan: &Plan, cost: Option<&Cost>) -> Option<String> {
    if shares.waited >= WAITED {
        let waited = shares.waited * 100.0;
        return Some(format!("a thread of the generator waited for a CPU for {waited:.0} % of the time"));
    }
    let cost = cost.filter(|cost| cost.cpus > 0 && cost.wall_seconds > 0.0)?;
    let available = cost.cpus as f64 * cost.wall_seconds;
    let (busy, steal) = (cost.machine_seconds / available, cost.steal_seconds / available);
    if steal >= STEAL {
        return Some(format!("the host took {:.1} % of the CPU time away", steal * 100.0));
    }
    let shared = plan.cores.is_empty();
    (busy >= MACHINE && shared).then(|| {
        format!("{:.0} % of the machine's CPU time were in use, and generator and broker share it", busy * 100.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(open: bool) -> Plan {
        let mut plan = Plan::new("produce", "h:1");
        plan.produce.as_mut().unwrap().pace =
            if open { Pace::Open { records_per_second: 1_000.0 } } else { Pace::Closed };
        plan
    }

    fn seconds(busy: f64, waited: f64, full: f64) -> Vec<Vec<ThreadShare>> {
        let idle = ThreadShare { busy: 0.0, waited: 0.9, full: 0.0 };
        vec![vec![idle, ThreadShare { busy, waited, full }]; 5]
    }

    fn latency(p99_ns: u64, late_ns: u64) -> LatencySet {
        let of = |ns| Some(Summary { samples: 100_000, p99_ns: Some(ns), max_ns: ns, ..Summary::default() });
        LatencySet { scheduled: of(p99_ns), late: of(late_ns), ..LatencySet::default() }
    }

    fn who(seconds: &[Vec<ThreadShare>], open: bool, latency: &LatencySet, kept: Option<bool>) -> Who {
        judge(seconds, &plan(open), latency, kept, None).who
    }

    #[test]
    fn a_kept_rate_has_no_limit() {
        assert_eq!(who(&seconds(0.3, 0.0, 0.9), true, &latency(1_000_000, 400_000), Some(true)), Who::Nobody);
        assert_eq!(who(&seconds(0.3, 0.0, 0.1), true, &latency(9_000_000, 800_000), Some(true)), Who::Nobody);
        assert_eq!(who(&seconds(0.3, 0.0, 0.1), true, &latency(1_000_000, 600_000), Some(true)), Who::Generator);
    }

    #[test]
    fn a_busy_thread_is_the_limit_before_its_broker() {
        let limit = judge(&seconds(0.95, 0.0, 1.0), &plan(false), &LatencySet::default(), None, None);
        assert_eq!(limit.who, Who::Generator);
        assert!(limit.why.contains("95 %"), "{}", limit.why);
        assert_eq!(who(&seconds(0.5, 0.0, 0.9), false, &LatencySet::default(), None), Who::Broker);
        assert_eq!(who(&seconds(0.5, 0.0, 0.4), false, &LatencySet::default(), None), Who::Unclear);
        assert_eq!(who(&[], false, &LatencySet::default(), None), Who::Unclear);
    }

    #[test]
    fn waiting_for_a_cpu_is_the_machines_doing() {
        assert_eq!(who(&seconds(0.5, 0.2, 0.9), false, &LatencySet::default(), None), Who::Machine);
        assert_eq!(who(&seconds(0.5, 0.2, 0.1), true, &latency(1_000_000, 3_000_000), Some(false)), Who::Machine);
    }

    #[test]
    fn a_full_machine_and_a_host_that_steals_are_seen() {
        let mut cost = Cost { cpus: 2, wall_seconds: 10.0, machine_seconds: 19.5, ..Cost::default() };
        let of =
            |cost: &Cost, plan: &Plan| judge(&seconds(0.5, 0.0, 0.9), plan, &LatencySet::default(), None, Some(cost));
        assert_eq!(of(&cost, &plan(false)).who, Who::Machine);
        let own_cores = Plan { cores: vec![1], ..plan(false) };
        assert_eq!(of(&cost, &own_cores).who, Who::Broker);
        (cost.machine_seconds, cost.steal_seconds) = (10.0, 1.5);
        assert!(of(&cost, &own_cores).why.contains("7.5 %"));
    }

    #[test]
    fn what_holds_in_half_of_the_seconds_is_said() {
        let mut half = seconds(0.95, 0.0, 0.0);
        half.extend(seconds(0.2, 0.0, 0.0));
        half.truncate(9);
        assert_eq!(who(&half, false, &LatencySet::default(), None), Who::Generator);
        half.rotate_left(1);
        half.truncate(7);
        assert_eq!(who(&half, false, &LatencySet::default(), None), Who::Generator);
        half.extend(seconds(0.2, 0.0, 0.0));
        assert_eq!(who(&half, false, &LatencySet::default(), None), Who::Unclear);
    }
}
