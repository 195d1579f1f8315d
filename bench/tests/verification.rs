//! What is acknowledged and not there as it was acknowledged is found, whatever the broker did.

mod support;

use std::time::Duration;

use duramen_bench::outcome::{Outcome, Verdict, Verification};
use duramen_bench::plan::{Compression, Keys, Pace, Plan, Topics};
use duramen_bench::run::{Quietly, run};
use duramen_bench::stop::Stop;

use support::fake::{Fake, Misdeed};

const RECORDS: u64 = 4_000;
const BATCH: u32 = 50;

/// A closed loop of some batches of 50 records.
fn plan(server: &str) -> Plan {
    let mut plan = Plan::new("produce", server);
    (plan.warm_up, plan.duration, plan.records) = (Duration::ZERO, None, Some(RECORDS));
    plan.memory_max = 64 << 20;
    let produce = plan.produce.as_mut().unwrap();
    produce.pace = Pace::Closed;
    produce.batch_records = Some(BATCH);
    produce.request_timeout = Duration::from_secs(10);
    plan
}

fn outcome(misdeed: Misdeed, change: impl Fn(&mut Plan)) -> Outcome {
    let fake = Fake::start(misdeed);
    let mut plan = plan(&fake.server());
    change(&mut plan);
    run(&plan, &mut Quietly, &Stop::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// The verdict on a broker that does one thing wrong.
fn verified(misdeed: Misdeed) -> (Verification, u8) {
    let outcome = outcome(misdeed, |_| ());
    (outcome.verification.clone(), outcome.exit_code())
}

#[test]
fn a_faithful_broker_is_verified() {
    let outcome = outcome(Misdeed::None, |_| ());
    let verification = &outcome.verification;
    assert_eq!(verification.verdict, Verdict::Verified, "{verification:?}");
    assert_eq!((verification.acknowledged, verification.in_doubt), (RECORDS, 0));
    let produced = outcome.produced.as_ref().unwrap();
    assert_eq!((produced.records, produced.batches), (RECORDS, RECORDS / u64::from(BATCH)));
    assert_eq!((outcome.incomplete.as_deref(), outcome.exit_code()), (None, 0));
    let told: u64 = outcome.series.iter().map(|second| second.produced).sum();
    assert_eq!(told, RECORDS);
}

#[test]
fn so_is_one_that_is_sent_all_there_is() {
    let changes: [fn(&mut Plan); 9] = [
        |plan| plan.produce.as_mut().unwrap().compression = Compression::Gzip,
        |plan| plan.produce.as_mut().unwrap().compression = Compression::Snappy,
        |plan| plan.produce.as_mut().unwrap().compression = Compression::Lz4,
        |plan| plan.produce.as_mut().unwrap().compression = Compression::Zstd,
        |plan| plan.produce.as_mut().unwrap().keys = Some(Keys { count: 1_000, skew: 0.9 }),
        |plan| plan.produce.as_mut().unwrap().producers = 7,
        |plan| (plan.produce.as_mut().unwrap().acks, plan.produce.as_mut().unwrap().idempotence) = (1, false),
        |plan| plan.produce.as_mut().unwrap().batches_per_request = 3,
        |plan| {
            let produce = plan.produce.as_mut().unwrap();
            produce.pace = Pace::Open { records_per_second: 8_000.0 };
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let outcome = outcome(Misdeed::None, |plan| {
            plan.topics = Topics::Own { count: 2, partitions: 3, replication_factor: 1, configs: vec![], keep: false };
            change(plan);
        });
        let verification = &outcome.verification;
        assert_eq!(verification.verdict, Verdict::Verified, "{number}: {verification:?}");
        assert_eq!((verification.acknowledged, outcome.exit_code()), (RECORDS, 0), "{number}");
    }
}

#[test]
fn a_dropped_batch_is_missing() {
    let (verification, code) = verified(Misdeed::Drop(17));
    let Verification { verdict, missing, gaps, acknowledged, .. } = verification;
    assert_eq!((verdict, missing, gaps, acknowledged), (Verdict::Failed, u64::from(BATCH), u64::from(BATCH), RECORDS));
    assert_eq!(code, 3);
}

#[test]
fn the_last_batch_can_be_missing_too() {
    let (verification, code) = verified(Misdeed::Drop(RECORDS / u64::from(BATCH) - 1));
    assert_eq!((verification.verdict, verification.missing, code), (Verdict::Failed, u64::from(BATCH), 3));
}

#[test]
fn a_repeated_batch_is_duplicated() {
    let (verification, code) = verified(Misdeed::Repeat(17));
    assert_eq!((verification.verdict, verification.duplicated, code), (Verdict::Failed, u64::from(BATCH), 3));
    assert_eq!((verification.missing, verification.changed, verification.foreign), (0, 0, 0));
}

#[test]
fn a_flipped_byte_is_a_change_with_its_crc_and_without() {
    for misdeed in [Misdeed::Flip(17), Misdeed::FlipAndCrc(17)] {
        let (verification, code) = verified(misdeed);
        assert_eq!((verification.verdict, verification.changed, code), (Verdict::Failed, u64::from(BATCH), 3));
    }
}

#[test]
fn two_batches_in_each_others_place_are_changed() {
    let (verification, code) = verified(Misdeed::Swap(17));
    assert_eq!((verification.verdict, verification.changed, code), (Verdict::Failed, 2 * u64::from(BATCH), 3));
}

#[test]
fn an_offset_that_does_not_rise_is_reordered() {
    let (verification, code) = verified(Misdeed::OffsetOfBefore(17));
    assert_eq!((verification.verdict, verification.reordered, code), (Verdict::Failed, u64::from(BATCH), 3));
}

#[test]
fn a_refusal_ends_the_run_and_what_came_before_is_verified() {
    const MESSAGE_TOO_LARGE: i16 = 10;
    let outcome = outcome(Misdeed::Refuse(17, MESSAGE_TOO_LARGE), |_| ());
    assert!(outcome.incomplete.as_ref().unwrap().contains("MESSAGE_TOO_LARGE"), "{:?}", outcome.incomplete);
    let verification = &outcome.verification;
    assert_eq!((verification.verdict, outcome.exit_code()), (Verdict::Verified, 1), "{verification:?}");
    assert!(verification.acknowledged >= 17 * u64::from(BATCH) && verification.acknowledged < RECORDS);
}

#[test]
fn a_refusal_of_everything_is_an_error() {
    const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
    let fake = Fake::start(Misdeed::Refuse(0, TOPIC_AUTHORIZATION_FAILED));
    let mut plan = plan(&fake.server());
    plan.produce.as_mut().unwrap().in_flight = 1;
    let error = run(&plan, &mut Quietly, &Stop::default()).err().unwrap();
    assert!(error.to_string().contains("TOPIC_AUTHORIZATION_FAILED"), "{error}");
}

#[test]
fn a_lost_connection_leaves_what_was_under_way_in_doubt() {
    let outcome = outcome(Misdeed::Close(40), |_| ());
    assert!(outcome.incomplete.as_ref().unwrap().contains("closed the connection"), "{:?}", outcome.incomplete);
    let verification = &outcome.verification;
    assert_eq!((verification.verdict, outcome.exit_code()), (Verdict::Verified, 1), "{verification:?}");
    assert!(verification.in_doubt >= u64::from(BATCH), "{verification:?}");
    assert!(verification.acknowledged > 0 && verification.acknowledged <= 40 * u64::from(BATCH), "{verification:?}");
}

#[test]
fn timestamps_of_the_broker_cannot_be_verified() {
    let (verification, code) = verified(Misdeed::OwnTime);
    assert_eq!((verification.verdict, code), (Verdict::Not, 1), "{verification:?}");
    assert!(verification.reason.unwrap().contains("timestamps"));
}

#[test]
fn what_retention_took_is_not_missing_and_not_verified_either() {
    let (verification, code) = verified(Misdeed::RemoveBefore(17));
    assert_eq!((verification.verdict, verification.missing, code), (Verdict::Partly, 0, 0), "{verification:?}");
    assert_eq!(verification.removed, 17 * u64::from(BATCH));
}

#[test]
fn without_acknowledgements_there_is_nothing_to_verify() {
    let outcome = outcome(Misdeed::None, |plan| {
        let produce = plan.produce.as_mut().unwrap();
        (produce.acks, produce.idempotence) = (0, false);
    });
    let verification = &outcome.verification;
    assert_eq!((verification.verdict, verification.acknowledged), (Verdict::Not, 0), "{verification:?}");
    assert!(verification.reason.as_ref().unwrap().contains("4000 records are there"), "{verification:?}");
}

#[test]
fn a_run_that_is_not_to_be_verified_says_so() {
    let outcome = outcome(Misdeed::Drop(17), |plan| plan.verify = false);
    assert_eq!((outcome.verification.verdict, outcome.exit_code()), (Verdict::Not, 0));
    assert!(outcome.verification.reason.unwrap().contains("--no-verify"));
}

#[test]
fn from_end_to_end_everything_arrives_and_consumers_see_what_was_changed() {
    let end_to_end = |misdeed, compression| {
        let fake = Fake::start(misdeed);
        let mut plan = plan(&fake.server());
        plan.produce.as_mut().unwrap().compression = compression;
        plan.consume = Plan::new("end-to-end", "").consume;
        plan.consume.as_mut().unwrap().subscriptions = 2;
        plan.produce.as_mut().unwrap().pace = Pace::Open { records_per_second: 4_000.0 };
        run(&plan, &mut Quietly, &Stop::default()).unwrap_or_else(|error| panic!("{error}"))
    };
    for compression in [Compression::None, Compression::Lz4] {
        let outcome = end_to_end(Misdeed::None, compression);
        assert_eq!(outcome.verification.verdict, Verdict::Verified, "{:?}", outcome.verification);
        assert_eq!(outcome.latency.end_to_end.as_ref().unwrap().samples, 2 * RECORDS);
        assert_eq!(outcome.consumed.as_ref().unwrap().records, 2 * RECORDS);
    }
    let outcome = end_to_end(Misdeed::Flip(17), Compression::None);
    assert_eq!((outcome.verification.verdict, outcome.exit_code()), (Verdict::Failed, 3), "{:?}", outcome.verification);
}
