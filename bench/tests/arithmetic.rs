//! A broker that stops for a second gives the histogram that arithmetic predicts.
//!
//! Records are due at 1,000 a second for 10 seconds, and the broker answers nothing from second 4 to second 5. A record
//! that is due at 4 + t is acknowledged at 5, so 1000 (1 - x) records have a latency above x, and the rest next to none.

mod support;

use std::time::Duration;

use duramen_bench::outcome::Verdict;
use duramen_bench::plan::{Pace, Plan};
use duramen_bench::run::{Quietly, run};
use duramen_bench::stop::Stop;

use support::fake::{Fake, Misdeed};

const SECOND: u64 = 1_000_000_000;

#[test]
fn a_second_without_answers_is_seen_as_a_second() {
    let pause = Misdeed::Pause { after: Duration::from_secs(4), lasts: Duration::from_secs(1) };
    let fake = Fake::start(pause);
    let mut plan = Plan::new("produce", &fake.server());
    (plan.warm_up, plan.duration) = (Duration::ZERO, Some(Duration::from_secs(10)));
    plan.memory_max = 64 << 20;
    let produce = plan.produce.as_mut().unwrap();
    produce.pace = Pace::Open { records_per_second: 1_000.0 };
    produce.batch_bytes = 1 << 20;
    produce.batch_records = Some(1_000);
    let outcome = run(&plan, &mut Quietly, &Stop::default()).unwrap_or_else(|error| panic!("{error}"));

    assert_eq!(outcome.verification.verdict, Verdict::Verified, "{:?}", outcome.verification);
    let scheduled = outcome.latency.scheduled.as_ref().unwrap();
    assert_eq!((scheduled.samples, outcome.rate_kept), (10_000, Some(true)));
    let near = |told: u64, seconds: f64| (told as f64 / SECOND as f64 - seconds).abs() <= 0.05 * seconds;
    assert!(near(scheduled.p99_ns.unwrap(), 0.90), "{scheduled:?}");
    assert!(near(scheduled.p95_ns.unwrap(), 0.50), "{scheduled:?}");
    assert!(near(scheduled.max_ns, 1.00), "{scheduled:?}");

    // From sending only what was under way waited: the records that were due meanwhile are left out of that account.
    let sent = outcome.latency.sent.as_ref().unwrap();
    assert!(sent.p99_ns.unwrap() < SECOND / 10, "{sent:?}");
    assert!(near(sent.max_ns, 1.00), "{sent:?}");

    let produced: Vec<u64> = outcome.series.iter().map(|second| second.produced).collect();
    assert!(produced[4] < 100 && produced[5] > 1_800, "{produced:?}");
    assert!(produced[..4].iter().all(|count| (900..1_100).contains(count)), "{produced:?}");
}
