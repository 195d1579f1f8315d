//! Intervals of all threads, merged by second: told while the run goes on, and kept for its result.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Watch;
use crate::clock::Nanos;
use crate::cost::Meter;
use crate::drive::{Interval, Tally};
use crate::latency::Latencies;
use crate::outcome::{Counts, Second, ThreadShare};
use crate::plan::Plan;

/// How long after its end a second is waited for; what comes later is counted to the next one.
const GRACE: Duration = Duration::from_millis(300);
/// Seconds that are kept: a day. Later ones are told, and not kept.
const SERIES_MAX: usize = 86_400;
const NS_PER_SECOND: u64 = 1_000_000_000;

/// What is counted over a whole run, warm-up and drain included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub acknowledged: u64,
    pub received: u64,
    /// Records of this run's load that consumers have received, all subscriptions together, each once.
    pub arrived: u64,
    pub lost_to_retention: u64,
}

pub struct Collector<'w> {
    plan: &'w Plan,
    watch: &'w mut dyn Watch,
    /// Seconds that were not yet told.
    pending: BTreeMap<u32, Pending>,
    /// The next second to tell.
    next: u32,
    pub totals: Totals,
    pub series: Vec<Second>,
    /// The longest latency from the schedule in the last second that had acknowledgements.
    pub last_lag_ns: u64,
    /// By measured second the shares of each thread.
    pub shares: Vec<Vec<ThreadShare>>,
}

#[derive(Default)]
struct Pending {
    tally: Tally,
    /// By thread.
    shares: BTreeMap<usize, ThreadShare>,
}

impl<'w> Collector<'w> {
    pub fn new(plan: &'w Plan, watch: &'w mut dyn Watch) -> Self {
        let pending = BTreeMap::new();
        let totals = Totals::default();
        let (series, shares) = (Vec::new(), Vec::new());
        Collector { plan, watch, pending, next: 0, totals, series, last_lag_ns: 0, shares }
    }

    /// Takes an interval, and returns its tally to be used again.
    pub fn take(&mut self, interval: Interval) -> (usize, Tally) {
        let Interval { thread, second, tally, busy_ns, waited_ns, full_ns } = interval;
        self.totals.acknowledged += tally.produced.records;
        self.totals.received += tally.consumed.records;
        self.totals.lost_to_retention += tally.consumed.lost_to_retention;
        self.totals.arrived += tally.arrived;
        let pending = self.pending.entry(second.max(self.next)).or_default();
        add(&mut pending.tally, &tally);
        let share = pending.shares.entry(thread).or_default();
        let of_second = |ns: u64| ns as f64 / NS_PER_SECOND as f64;
        share.busy += of_second(busy_ns);
        share.waited += of_second(waited_ns);
        share.full += of_second(full_ns);
        (thread, tally)
    }

    /// Tells the seconds that are over.
    pub fn tell(&mut self, now: Nanos, meter: &mut Meter) {
        let grace = u64::try_from(GRACE.as_nanos()).expect("it is short");
        while now.0 >= (u64::from(self.next) + 1) * NS_PER_SECOND + grace {
            self.tell_next(meter);
        }
    }

    /// Tells what is left.
    pub fn finish(&mut self, meter: &mut Meter) {
        while self.pending.last_key_value().is_some_and(|(last, _)| *last >= self.next) {
            self.tell_next(meter);
        }
    }

    fn tell_next(&mut self, meter: &mut Meter) {
        let pending = self.pending.remove(&self.next).unwrap_or_default();
        let mut second = described(self.next, &pending.tally);
        meter.sample(&mut second);
        self.watch.second(&second, &pending.tally);
        if let Some(scheduled) = pending.tally.scheduled.histogram() {
            self.last_lag_ns = scheduled.max();
        }
        if self.is_measured(self.next) && self.shares.len() < SERIES_MAX {
            self.shares.push(pending.shares.into_values().collect());
        }
        if self.series.len() < SERIES_MAX {
            self.series.push(second);
        }
        self.next += 1;
    }

    /// Whether the whole of a second is measured.
    fn is_measured(&self, second: u32) -> bool {
        let begins = Duration::from_secs(u64::from(second));
        let ends = self.plan.duration.map_or(Duration::MAX, |duration| self.plan.warm_up + duration);
        begins >= self.plan.warm_up && begins + Duration::from_secs(1) <= ends
    }
}

fn described(second: u32, tally: &Tally) -> Second {
    let latencies = [&tally.end_to_end, &tally.scheduled, &tally.sent];
    let main = latencies.into_iter().find(|latencies| latencies.histogram().is_some());
    let at = |quantile| main.and_then(|latencies| latencies.percentile(quantile));
    Second {
        second,
        produced: tally.produced.records,
        consumed: tally.consumed.records,
        p50_ns: at(0.5),
        p99_ns: at(0.99),
        p999_ns: at(0.999),
        max_ns: main.and_then(Latencies::histogram).map_or(0, |histogram| histogram.max()),
        late_max_ns: tally.late.histogram().map_or(0, |histogram| histogram.max()),
        in_flight: tally.in_flight,
        ..Second::default()
    }
}

/// Adds one tally to another.
pub fn add(sum: &mut Tally, other: &Tally) {
    add_counts(&mut sum.produced, &other.produced);
    add_counts(&mut sum.consumed, &other.consumed);
    sum.arrived += other.arrived;
    sum.brought += other.brought;
    sum.given_up += other.given_up;
    sum.scheduled.add(&other.scheduled);
    sum.sent.add(&other.sent);
    sum.late.add(&other.late);
    sum.end_to_end.add(&other.end_to_end);
    sum.stalled_ns += other.stalled_ns;
    sum.compressed_in_line += other.compressed_in_line;
    sum.in_flight += other.in_flight;
}

fn add_counts(sum: &mut Counts, other: &Counts) {
    sum.records += other.records;
    sum.bytes += other.bytes;
    sum.batches += other.batches;
    sum.requests += other.requests;
    sum.failed += other.failed;
    sum.unsent += other.unsent;
    sum.lost_to_retention += other.lost_to_retention;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Broker;

    #[derive(Default)]
    struct Told(Vec<(u32, u64, u64)>);

    impl Watch for Told {
        fn begins(&mut self, _plan: &Plan, _wall_ms: i64) {}

        fn second(&mut self, second: &Second, tally: &Tally) {
            self.0.push((second.second, tally.produced.records, second.max_ns));
        }
    }

    fn interval(thread: usize, second: u32, records: u64) -> Interval {
        let mut tally = Tally::default();
        tally.produced.records = records;
        tally.scheduled.record_n(1_000 * records, records);
        Interval { thread, second, tally, busy_ns: NS_PER_SECOND / 2, waited_ns: 0, full_ns: NS_PER_SECOND / 4 }
    }

    #[test]
    fn threads_are_summed_by_second_and_late_ones_are_not_lost() {
        let mut plan = Plan::new("produce", "h:1");
        (plan.warm_up, plan.duration) = (Duration::from_secs(1), Some(Duration::from_secs(2)));
        let mut told = Told::default();
        let mut meter = Meter::start(&Broker::default()).unwrap();
        let mut collector = Collector::new(&plan, &mut told);
        let at = |millis: u64| Nanos(millis * 1_000_000);
        collector.take(interval(0, 0, 10));
        collector.tell(at(1_200), &mut meter);
        collector.take(interval(1, 0, 20));
        collector.tell(at(1_400), &mut meter);
        collector.take(interval(0, 0, 5));
        collector.take(interval(0, 1, 100));
        collector.take(interval(0, 3, 200));
        collector.finish(&mut meter);
        assert_eq!(collector.totals.acknowledged, 335);
        let shares: Vec<usize> = collector.shares.iter().map(Vec::len).collect();
        assert_eq!(shares, [1, 0], "the second and the third second are measured");
        assert!((collector.shares[0][0].busy - 1.0).abs() < 1e-9 && (collector.shares[0][0].full - 0.5).abs() < 1e-9);
        let near = |told: u64, exact: u64| told.abs_diff(exact) <= exact / 500;
        assert!(near(collector.last_lag_ns, 200_000), "{}", collector.last_lag_ns);
        assert_eq!(collector.series.len(), 4);
        let medians: Vec<_> = collector.series.iter().map(|second| second.p50_ns.is_some()).collect();
        assert_eq!(medians, [false, false, false, true], "of 30, 105, 0 and 200 samples half must be 100");
        assert!(collector.series.iter().all(|second| second.p99_ns.is_none()));
        let sums: Vec<(u32, u64)> = told.0.iter().map(|told| (told.0, told.1)).collect();
        assert_eq!(sums, [(0, 30), (1, 105), (2, 0), (3, 200)]);
        assert!(near(told.0[1].2, 100_000) && told.0[2].2 == 0);
    }
}
