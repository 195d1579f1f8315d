//! What a load has shown: counts, costs, the verdict.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::collect::add;
use super::load::Driven;
use crate::Error;
use crate::cost::machine;
use crate::drive::{self, Setup, Tally, TargetId, ThreadEnd};
use crate::outcome::{Counts, Generator, LatencySet, Outcome, SCHEMA, ThreadShare, Verdict, Verification};
use crate::plan::{Pace, Plan, Topics};
use crate::stop::Stop;
use crate::verify;

/// The share of the records asked for that a kept rate has brought by the end of the run.
const KEPT_SHARE: f64 = 0.99;
/// Beside the linger, no record may be acknowledged later than this at the end of a run that kept its rate.
const KEPT_LAG: Duration = Duration::from_secs(1);

/// Verifies and judges. `filled` is what was verified of a fill before the load.
pub fn outcome(plan: &Plan, driven: Driven, filled: Vec<Verification>, stop: &Stop) -> Result<Outcome, Error> {
    let Driven { setup, ends, failure, left_behind, totals, series, last_lag_ns, shares, .. } = driven;
    let Driven { cost, has_process, own_cpu_seconds, .. } = driven;
    let mut measured = Tally::default();
    ends.iter().for_each(|end| add(&mut measured, &end.measured));
    let ended = Duration::from_nanos(ends.iter().map(|end| end.ended.0).max().unwrap_or(0));
    let acknowledged: u64 = ends.iter().map(|end| end.ledger.records()).sum();
    let nothing = acknowledged + totals.received + measured.consumed.records == 0;
    let incomplete = match (failure, stop.signal()) {
        (Some(failure), _) if nothing => return Err(failure),
        (Some(failure), _) => Some(failure.to_string()),
        (None, Some(signal)) => Some(format!("signal {signal} ended the run")),
        (None, None) if totals.received + acknowledged > 0 && ended <= plan.warm_up => {
            Some("it was over before the warm-up was, so nothing was measured".to_owned())
        }
        (None, None) => left_behind.or_else(|| {
            let behind = plan.consume.is_some() && totals.lost_to_retention == 0 && is_behind(&ends);
            behind.then(|| "consumers have not read up to what was acknowledged last".to_owned())
        }),
    };
    let seconds = measured_seconds(plan, ended);
    let (ledgers, received): (Vec<_>, Vec<_>) = ends.into_iter().map(|end| (end.ledger, end.received)).unzip();
    let verification = match plan.produce {
        Some(_) => verify::read_back(&setup, ledgers, &received, stop),
        None => {
            let there = incomplete.is_none().then(|| records_there(&setup)).flatten();
            let there = there.map(|there| there.saturating_sub(totals.lost_to_retention));
            only_read(plan, &verify::verdict::sums(&ledgers, &received), totals.received, there)
        }
    };
    let latency = LatencySet {
        scheduled: measured.scheduled.summary(),
        given_up: measured.given_up,
        sent: measured.sent.summary(),
        late: measured.late.summary(),
        end_to_end: measured.end_to_end.summary(),
    };
    let rate_kept = rate_kept(plan, &measured, seconds, last_lag_ns).filter(|_| incomplete.is_none());
    let shares = whole_seconds(plan, ended, shares);
    let limit = drive::judge(&shares, plan, &latency, rate_kept, Some(&cost));
    Ok(Outcome {
        schema: SCHEMA,
        plan: Some(plan.clone()),
        machine: machine(),
        seconds,
        incomplete,
        rate_kept,
        produced: plan.produce.as_ref().map(|_| with_rates(measured.produced.clone(), seconds)),
        consumed: plan.consume.as_ref().map(|_| with_rates(measured.consumed.clone(), seconds)),
        latency,
        series,
        cost: has_process.then_some(cost),
        generator: Generator {
            cpu_seconds: own_cpu_seconds,
            threads: averages(&shares),
            cores: plan.cores.clone(),
            stalled_seconds: Duration::from_nanos(measured.stalled_ns).as_secs_f64(),
            compressed_in_line: measured.compressed_in_line,
        },
        limit,
        verification: together(verification, filled),
        ..Outcome::default()
    })
}

/// Whether consumers have not come to the last acknowledged batch of a target; counts alone could be those of others.
fn is_behind(ends: &[ThreadEnd]) -> bool {
    let up_to = |target: TargetId| ends.iter().filter_map(move |end| end.received.up_to.get(&target)).max();
    let is_read = |(target, offset): (TargetId, i64)| up_to(target).is_some_and(|up_to| *up_to > offset);
    !ends.iter().flat_map(|end| end.ledger.last_offsets()).all(is_read)
}

/// How many records a reading of the run's own topics must bring: each offset there holds one.
fn records_there(setup: &Setup) -> Option<u64> {
    let plan = &setup.plan;
    let consume = plan.consume.as_ref().filter(|_| plan.reads_at_rest())?;
    let Topics::Own { .. } = plan.topics else { return None };
    let ends = setup.targets.iter().zip(&setup.consume_from);
    let once: u64 = ends.map(|(target, from)| u64::try_from(target.first_offset - from).unwrap_or(0)).sum();
    Some(once * u64::from(consume.passes) * u64::from(consume.subscriptions))
}

/// A reader has nothing to look up, but it has computed the CRC of every batch. `there` is what it should have read, if
/// that is known.
fn only_read(plan: &Plan, sums: &Verification, records: u64, there: Option<u64>) -> Verification {
    // Others may leave gaps in their topics: by compaction, or by transactions.
    let gaps = if matches!(plan.topics, Topics::Own { .. }) { sums.gaps } else { 0 };
    let (verdict, reason) = if sums.changed + sums.duplicated + sums.reordered > 0 {
        (Verdict::Failed, "batches are not those that their CRC was made of".to_owned())
    } else if gaps > 0 {
        (Verdict::Failed, format!("no batch holds {gaps} of the offsets"))
    } else if let Some(there) = there.filter(|there| *there != records) {
        (Verdict::Failed, format!("{records} records were read, where {there} are"))
    } else {
        (Verdict::Not, format!("nothing was produced; the batches of {records} records had their CRC"))
    };
    Verification { verdict, reason: Some(reason), ..sums.clone() }
}

/// Adds what was verified before the load.
fn together(load: Verification, filled: Vec<Verification>) -> Verification {
    filled.into_iter().fold(load, |sum, fill| {
        let produced_nothing = sum.verdict == Verdict::Not && sum.acknowledged == 0;
        let worse = |verdict: Verdict| match verdict {
            Verdict::Failed => 3,
            Verdict::Not => 2,
            Verdict::Partly => 1,
            Verdict::Verified => 0,
        };
        let of_fill = produced_nothing || worse(fill.verdict) > worse(sum.verdict);
        let (verdict, reason) = if of_fill { (fill.verdict, fill.reason) } else { (sum.verdict, sum.reason) };
        Verification {
            verdict,
            reason,
            acknowledged: sum.acknowledged + fill.acknowledged,
            missing: sum.missing + fill.missing,
            duplicated: sum.duplicated + fill.duplicated,
            reordered: sum.reordered + fill.reordered,
            changed: sum.changed + fill.changed,
            gaps: sum.gaps + fill.gaps,
            foreign: sum.foreign + fill.foreign,
            removed: sum.removed + fill.removed,
            in_doubt: sum.in_doubt + fill.in_doubt,
            in_doubt_found: sum.in_doubt_found + fill.in_doubt_found,
            unverified: sum.unverified + fill.unverified,
        }
    })
}

/// From the end of the warm-up to the end of the plan's duration, or to the end of the run if that came first.
fn measured_seconds(plan: &Plan, ended: Duration) -> f64 {
    let ran = ended.saturating_sub(plan.warm_up);
    plan.duration.map_or(ran, |duration| ran.min(duration)).as_secs_f64()
}

fn rate_kept(plan: &Plan, measured: &Tally, seconds: f64, last_lag_ns: u64) -> Option<bool> {
    let produce = plan.produce.as_ref()?;
    let Pace::Open { records_per_second } = produce.pace else { return None };
    let of_records = |records| records as f64 - records_per_second * plan.warm_up.as_secs_f64();
    let asked = plan.records.map_or(records_per_second * seconds, of_records);
    let brought = measured.brought as f64 >= asked * KEPT_SHARE;
    let in_time = u128::from(last_lag_ns) < (KEPT_LAG + produce.linger).as_nanos();
    Some(brought && measured.produced.unsent == 0 && in_time)
}

fn with_rates(counts: Counts, seconds: f64) -> Counts {
    let rate = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
    Counts { records_per_second: rate(counts.records), bytes_per_second: rate(counts.bytes), ..counts }
}

/// Leaves out the second in which the run ended, unless there is no other: threads were idle for the rest of it.
fn whole_seconds(plan: &Plan, ended: Duration, mut shares: Vec<Vec<ThreadShare>>) -> Vec<Vec<ThreadShare>> {
    let first = plan.warm_up.as_secs() + u64::from(plan.warm_up.subsec_nanos() > 0);
    let whole = usize::try_from(ended.as_secs().saturating_sub(first)).unwrap_or(usize::MAX);
    shares.truncate(whole.max(1));
    shares
}

/// Of each thread, over the seconds in which it had something to say.
fn averages(seconds: &[Vec<ThreadShare>]) -> Vec<ThreadShare> {
    let threads = seconds.iter().map(Vec::len).max().unwrap_or(0);
    let average = |thread: usize| {
        let shares: Vec<ThreadShare> = seconds.iter().filter_map(|second| second.get(thread)).copied().collect();
        let mean = |of: fn(&ThreadShare) -> f64| shares.iter().map(of).sum::<f64>() / shares.len().max(1) as f64;
        ThreadShare { busy: mean(|one| one.busy), waited: mean(|one| one.waited), full: mean(|one| one.full) }
    };
    (0..threads).map(average).collect()
}

/// UTC, to the second.
pub fn rfc_3339(time: SystemTime) -> String {
    const SECONDS_PER_DAY: u64 = 86_400;
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (day, second) = (since / SECONDS_PER_DAY, since % SECONDS_PER_DAY);
    // Years begin in March here, so that the day of a leap year is their last one.
    let shifted = day + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{:02}Z", second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Ledger;

    #[test]
    fn times_are_written_as_dates() {
        let at = |seconds| rfc_3339(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_735_689_599), "2024-12-31T23:59:59Z");
        assert_eq!(at(1_795_285_751), "2026-11-21T18:29:11Z");
    }

    #[test]
    fn only_the_measured_part_is_counted() {
        let mut plan = Plan::new("produce", "h:1");
        (plan.warm_up, plan.duration) = (Duration::from_secs(5), Some(Duration::from_secs(30)));
        assert_eq!(measured_seconds(&plan, Duration::from_secs(36)), 30.0);
        assert_eq!(measured_seconds(&plan, Duration::from_secs(15)), 10.0);
        assert_eq!(measured_seconds(&plan, Duration::from_secs(2)), 0.0);
        plan.duration = None;
        assert_eq!(measured_seconds(&plan, Duration::from_secs(36)), 31.0);
    }

    #[test]
    fn a_rate_is_kept_if_all_but_a_hundredth_came_and_nothing_was_late() {
        let mut plan = Plan::new("produce", "h:1");
        let counts =
            |brought, unsent| Tally { brought, produced: Counts { unsent, ..Counts::default() }, ..Tally::default() };
        assert_eq!(rate_kept(&plan, &counts(10_000, 0), 10.0, 5_000), Some(true));
        assert_eq!(rate_kept(&plan, &counts(9_899, 0), 10.0, 5_000), Some(false));
        assert_eq!(rate_kept(&plan, &counts(10_000, 1), 10.0, 5_000), Some(false));
        assert_eq!(rate_kept(&plan, &counts(10_000, 0), 10.0, 1_100_000_000), Some(false));
        (plan.records, plan.duration, plan.warm_up) = (Some(12_000), None, Duration::from_secs(2));
        assert_eq!(rate_kept(&plan, &counts(10_000, 0), 10.0, 5_000), Some(true), "2,000 came before");
        assert_eq!(rate_kept(&plan, &counts(9_899, 0), 10.0, 5_000), Some(false));
        plan.produce.as_mut().unwrap().linger = Duration::from_secs(2);
        assert_eq!(rate_kept(&plan, &counts(10_000, 0), 10.0, 2_900_000_000), Some(true), "they lingered");
        assert_eq!(rate_kept(&plan, &counts(10_000, 0), 10.0, 3_100_000_000), Some(false));
        plan.produce.as_mut().unwrap().pace = Pace::Closed;
        assert_eq!(rate_kept(&plan, &counts(10_000, 0), 10.0, 5_000), None);
    }

    #[test]
    fn consumers_must_come_to_what_was_acknowledged_last() {
        let mut ends = [ThreadEnd::empty(), ThreadEnd::empty()];
        assert!(!is_behind(&ends));
        ends[0].ledger = Ledger::new(2, 10);
        ends[0].ledger.acknowledged(1, 0, 5, 0, 3);
        assert!(is_behind(&ends));
        ends[1].received.up_to.insert(1, 5);
        assert!(is_behind(&ends));
        ends[1].received.up_to.insert(1, 8);
        assert!(!is_behind(&ends));
    }

    #[test]
    fn a_reading_of_the_runs_own_topic_must_bring_all_of_it() {
        let own = Plan::new("consume", "h:1");
        let others = Plan { topics: Topics::Existing(vec!["t".to_owned()]), ..own.clone() };
        let (right, gaps) = (Verification::default(), Verification { gaps: 2, ..Verification::default() });
        assert_eq!(only_read(&own, &right, 10, Some(10)).verdict, Verdict::Not);
        assert_eq!(only_read(&own, &right, 9, Some(10)).verdict, Verdict::Failed);
        assert_eq!(only_read(&own, &gaps, 10, Some(10)).verdict, Verdict::Failed);
        assert_eq!(only_read(&others, &gaps, 10, None).verdict, Verdict::Not);
    }

    #[test]
    fn the_second_in_which_a_run_ends_says_little() {
        let mut plan = Plan::new("produce", "h:1");
        plan.warm_up = Duration::from_millis(1_500);
        let left = |millis| whole_seconds(&plan, Duration::from_millis(millis), vec![Vec::new(); 4]).len();
        assert_eq!((left(2_300), left(4_999), left(5_000), left(9_000)), (1, 2, 3, 4));
    }

    #[test]
    fn the_worse_verdict_stands_for_both() {
        let of = |verdict, acknowledged| Verification { verdict, acknowledged, ..Verification::default() };
        let both = together(of(Verdict::Verified, 5), vec![of(Verdict::Failed, 7)]);
        assert_eq!((both.verdict, both.acknowledged), (Verdict::Failed, 12));
        assert_eq!(together(of(Verdict::Partly, 5), vec![of(Verdict::Verified, 7)]).verdict, Verdict::Partly);
        assert_eq!(together(of(Verdict::Not, 0), vec![of(Verdict::Verified, 7)]).verdict, Verdict::Verified);
    }
}
