//! An outcome with everything in it, for tests of what shows it.

use std::time::Duration;

use crate::latency::Latencies;
use crate::outcome::{
    Cost, Counts, Generator, LatencySet, Limit, Machine, Outcome, SCHEMA, Second, ThreadShare, Verdict, Verification,
    Who,
};
use crate::plan::{Pace, Plan};

/// Samples from a base on, with a tail that grows as a real one does.
fn latencies(base_ns: u64) -> Latencies {
    let mut latencies = Latencies::default();
    for step in 0..1_500_000_u64 {
        let rank = step as f64 / 1_500_000.0;
        latencies.record(base_ns + (200_000.0 * (1.0 / (1.0 - rank)).powf(0.4)) as u64);
    }
    latencies
}

pub fn outcome() -> Outcome {
    let mut plan = Plan::new("produce", "localhost:9092");
    if let Some(produce) = &mut plan.produce {
        produce.pace = Pace::Open { records_per_second: 50_000.0 };
    }
    plan.broker.pid = Some(4711);
    plan.duration = Some(Duration::from_secs(30));
    let second = |second: u32| Second {
        second,
        produced: if second == 12 { 31_000 } else { 50_000 },
        p50_ns: Some(610_000 + u64::from(second % 3) * 20_000),
        p99_ns: Some(1_420_000 + u64::from(second % 5) * 90_000),
        p999_ns: None,
        max_ns: if second == 12 { 400_000_000 } else { 7_000_000 },
        late_max_ns: 70_000,
        in_flight: 3,
        rss_bytes: Some((50 << 20) + u64::from(second) * (1 << 18)),
        broker_cpu_seconds: Some(0.1 + f64::from(second % 4) * 0.01),
        steal: 0.012,
        ..Second::default()
    };
    Outcome {
        schema: SCHEMA,
        plan: Some(plan),
        started: "2026-11-21T18:00:00Z".to_owned(),
        versions: [("duramen".to_owned(), "0.1.0".to_owned())].into(),
        machine: Machine {
            host: "bench".to_owned(),
            cpu: "AMD EPYC 7B13".to_owned(),
            cpus: 2,
            memory_bytes: 16 << 30,
            kernel: "6.18.5".to_owned(),
            hypervisor: Some("KVM".to_owned()),
        },
        seconds: 30.0,
        incomplete: None,
        rate_kept: Some(true),
        produced: Some(Counts {
            records: 1_500_000,
            bytes: 150_000_000,
            batches: 60_000,
            requests: 60_000,
            records_per_second: 50_000.0,
            bytes_per_second: 5_000_000.0,
            ..Counts::default()
        }),
        consumed: None,
        latency: LatencySet {
            scheduled: latencies(200_000).summary(),
            sent: latencies(0).summary(),
            late: latencies(0).summary(),
            ..LatencySet::default()
        },
        series: (0..35).map(second).collect(),
        cost: Some(Cost {
            user_seconds: 1.2,
            system_seconds: 1.9,
            peak_bytes: Some(61 << 20),
            read_bytes: None,
            written_bytes: Some(402 << 20),
            device: Some("vda".to_owned()),
            device_flushes: Some(60_211),
            broker_syncs: Some(60_180),
            wall_seconds: 36.0,
            machine_seconds: 37.4,
            steal_seconds: 0.86,
            cpus: 2,
            notes: vec!["the device writes through: flushes are too few".to_owned()],
        }),
        generator: Generator {
            cpu_seconds: 4.0,
            threads: vec![ThreadShare { busy: 0.31, waited: 0.02, full: 0.0 }],
            ..Generator::default()
        },
        limit: Limit { who: Who::Nobody, why: "the rate was kept".to_owned() },
        verification: Verification { verdict: Verdict::Verified, acknowledged: 1_750_000, ..Verification::default() },
    }
}
