//! What a pause of the broker at the end of a run leaves behind is neither a rate nor left out of the latencies.

mod support;

use std::time::Duration;

use duramen_bench::outcome::Outcome;
use duramen_bench::plan::{Pace, Plan};
use duramen_bench::run::{Quietly, run};
use duramen_bench::stop::Stop;

use support::fake::{Fake, Misdeed};

/// 1,000 records a second, and a broker that answers nothing for a while.
fn paused(duration: Duration, after: Duration, lasts: Duration) -> Outcome {
    let fake = Fake::start(Misdeed::Pause { after, lasts });
    let mut plan = Plan::new("produce", &fake.server());
    (plan.warm_up, plan.duration) = (Duration::ZERO, Some(duration));
    plan.memory_max = 64 << 20;
    let produce = plan.produce.as_mut().unwrap();
    produce.pace = Pace::Open { records_per_second: 1_000.0 };
    produce.batch_records = Some(10);
    run(&plan, &mut Quietly, &Stop::default()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_is_acknowledged_after_the_end_is_no_rate() {
    let outcome = paused(Duration::from_secs(2), Duration::from_secs(1), Duration::from_millis(1_500));
    let produced = outcome.produced.as_ref().unwrap();
    assert!((800..1_200).contains(&produced.records), "{produced:?}");
    assert!((400.0..600.0).contains(&produced.records_per_second), "{produced:?}");
    assert_eq!((outcome.latency.scheduled.as_ref().unwrap().samples, produced.unsent), (2_000, 0));
    assert_eq!(outcome.rate_kept, Some(false), "a record came 1.5 s late");
}

#[test]
fn what_is_never_acknowledged_has_waited_all_the_same() {
    // What is due is sent for one second after the end, so it is given up at 2 s.
    let outcome = paused(Duration::from_secs(1), Duration::from_millis(500), Duration::from_secs(2));
    let (produced, scheduled) = (outcome.produced.as_ref().unwrap(), outcome.latency.scheduled.as_ref().unwrap());
    assert!((400..500).contains(&produced.unsent), "{produced:?}");
    assert_eq!((scheduled.samples, outcome.latency.given_up), (1_000, produced.unsent));
    // One in ten has waited from 0.6 s to 2 s, and the first that was not sent for about 1.45 s.
    let p90 = Duration::from_nanos(scheduled.p90_ns.unwrap());
    assert!((Duration::from_millis(1_300)..Duration::from_millis(1_500)).contains(&p90), "{p90:?}");
    assert_eq!(outcome.rate_kept, Some(false));
}

#[test]
fn what_was_under_way_when_the_connection_went_has_waited_too() {
    let fake = Fake::start(Misdeed::Close(20));
    let mut plan = Plan::new("produce", &fake.server());
    (plan.warm_up, plan.duration) = (Duration::ZERO, Some(Duration::from_secs(2)));
    plan.memory_max = 64 << 20;
    let produce = plan.produce.as_mut().unwrap();
    produce.pace = Pace::Open { records_per_second: 1_000.0 };
    produce.batch_records = Some(10);
    let outcome = run(&plan, &mut Quietly, &Stop::default()).unwrap_or_else(|error| panic!("{error}"));
    assert!(outcome.incomplete.is_some() && outcome.latency.given_up > 0, "{:?}", outcome.latency);
}
