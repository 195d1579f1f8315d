//! The summary says what was measured, marks what is not as it should be, and leaves out what may not be told.

use super::*;
use crate::compare::{Judgement, SideResult};
use crate::outcome::Limit;
use crate::show::sample;

#[test]
fn a_run_is_told_in_a_dozen_lines() {
    let text = text(&sample::outcome());
    for line in [
        "produce, open loop, 50,000 records/s of 100 B for 30 s after 5 s; 1 producer, 1 partition, acks=all, idempotent",
        "  kept                        50,000 records/s (4.77 MiB/s), 2,000 requests/s, 25.0 records a batch",
        "  broker (pid 4711)           3.10 CPU-s (1.20 user, 1.90 system), 1.79 CPU-s per M records; peak 61.0 MiB, read unknown, wrote 402 MiB",
        "  disk vda                    60,211 flushes, of the whole machine; the broker counts 60,180 syncs",
        "  generator                   4.00 CPU-s, 1 thread, the busiest 31 %; machine 52 % busy, 1.2 % steal",
        "  limit                       nobody: the rate was kept",
        "  verified                    1,750,000 acknowledged records: all there, once, in order, unchanged",
        "  note: the device writes through: flushes are too few",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
    }
    assert!(text.contains("latency from the schedule   p50 ") && text.contains("  p99.99 "), "{text}");
    assert!(!text.contains("INCOMPLETE"), "{text}");
}

#[test]
fn percentiles_with_few_samples_are_left_out() {
    let summary = Summary { samples: 300, p50_ns: Some(1_000_000), max_ns: 9_000_000, ..Summary::default() };
    assert_eq!(percentiles(&summary), "p50 1.00  max 9.00 ms");
}

#[test]
fn what_is_wrong_is_marked() {
    let mut outcome = sample::outcome();
    outcome.incomplete = Some("h:1 closed the connection after 12.4 s of the run".to_owned());
    outcome.rate_kept = Some(false);
    outcome.limit = Limit { who: Who::Broker, why: "its windows were full".to_owned() };
    if let Some(counts) = &mut outcome.produced {
        counts.unsent = 5_000;
    }
    outcome.verification = Verification {
        verdict: Verdict::Failed,
        missing: 3,
        gaps: 3,
        in_doubt: 50,
        in_doubt_found: 20,
        acknowledged: 10,
        ..Default::default()
    };
    let text = text(&outcome);
    assert!(text.starts_with("INCOMPLETE: h:1 closed the connection after 12.4 s of the run\n"), "{text}");
    for words in [
        "RATE NOT KEPT",
        "5,000 records not sent in time",
        "the broker: its windows were full",
        "VERIFICATION FAILED",
        "of 10 acknowledged records: 3 missing, gaps of 3 offsets; 50 records without an answer, 20 of them found",
    ] {
        assert!(text.contains(words), "{words}\nis not in\n{text}");
    }
    assert!(!text.contains("warm-up"), "{text}");
    outcome.seconds = 0.0;
    assert!(super::text(&outcome).contains("note: the run ended before its warm-up did"));
    assert_eq!(rates(&outcome), Some(("50,000".to_owned(), "50,000".to_owned())));
}

#[test]
fn a_verdict_says_its_reason() {
    let verdict = |verdict, reason: Option<&str>, is_asked| {
        let reason = reason.map(str::to_owned);
        verification(&Verification { verdict, reason, removed: 7, ..Verification::default() }, is_asked)
    };
    assert_eq!(verdict(Verdict::Not, None, false).1, "--no-verify was given");
    assert_eq!(verdict(Verdict::Not, Some("acks=0"), true), ("NOT VERIFIED", "acks=0".to_owned()));
    let (name, text) = verdict(Verdict::Partly, Some("retention"), true);
    assert_eq!((name, text.contains("retention; ") && text.contains("7 removed")), ("PARTLY VERIFIED", true));
}

#[test]
fn a_row_has_its_sides_and_its_judgements() {
    let side = |name: &str, runs: &[f64]| SideResult {
        name: name.to_owned(),
        level: "fsync".to_owned(),
        runs: runs.iter().map(|&cpu| [("cpu_per_m".to_owned(), cpu)].into()).collect(),
        ..SideResult::default()
    };
    let row = RowResult {
        name: "produce-100".to_owned(),
        title: "100 B".to_owned(),
        complete: true,
        sides: vec![side("duramen", &[0.03, 0.01, 0.02]), side("kafka", &[0.2, 0.1])],
        judgements: vec![Judgement {
            goal: Some(0.2),
            held: Some(true),
            text: "CPU per M records: 0.13 of Kafka's".to_owned(),
            ..Judgement::default()
        }],
        ..RowResult::default()
    };
    let text = row_text(&row);
    assert_eq!(text.lines().next(), Some("produce-100: 100 B"));
    assert!(text.contains("duramen (fsync)             cpu_per_m 0.020") && text.contains("cpu_per_m 0.15"), "{text}");
    assert!(text.contains("  holds                       CPU per M records: 0.13 of Kafka's"), "{text}");
}
