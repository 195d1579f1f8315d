//! What a run has shown. As JSON it is the result that is kept: what was not measured is null, times are nanoseconds or
//! seconds by their names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::plan::Plan;

/// The schema of [`Outcome`] as JSON: raised when a reader of the old one would be wrong.
pub const SCHEMA: u32 = 1;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    pub schema: u32,
    pub plan: Option<Plan>,
    /// UTC, RFC 3339.
    pub started: String,
    /// Of the programs that took part, by name.
    pub versions: BTreeMap<String, String>,
    pub machine: Machine,
    /// The measured part.
    pub seconds: f64,
    /// Why the run ended before its time.
    pub incomplete: Option<String>,
    /// `None` in a closed loop.
    pub rate_kept: Option<bool>,
    pub produced: Option<Counts>,
    pub consumed: Option<Counts>,
    pub latency: LatencySet,
    pub series: Vec<Second>,
    /// Of the broker.
    pub cost: Option<Cost>,
    pub generator: Generator,
    pub limit: Limit,
    pub verification: Verification,
}

/// Of the measured part; sums of the whole run are the ledger's.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    pub records: u64,
    /// Of keys and values; of what consumers got, of the batches as they came.
    pub bytes: u64,
    pub batches: u64,
    pub requests: u64,
    /// Records that were refused.
    pub failed: u64,
    /// Records that were due, and not sent by the end of the drain.
    pub unsent: u64,
    pub lost_to_retention: u64,
    pub records_per_second: f64,
    pub bytes_per_second: f64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LatencySet {
    /// From when a record was due to its acknowledgement.
    pub scheduled: Option<Summary>,
    /// Records in `scheduled` that were never acknowledged: they stand there with the time that they had waited when the
    /// run gave them up, which is less than they would have taken.
    #[serde(default)]
    pub given_up: u64,
    /// From the first byte handed to the kernel to the acknowledgement.
    pub sent: Option<Summary>,
    /// From when a batch was ready to its first byte, where the generator alone was late.
    pub late: Option<Summary>,
    /// From when a record was due to its arrival at a consumer.
    pub end_to_end: Option<Summary>,
}

/// A percentile is `None` where fewer than 100 samples lie beyond it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    pub samples: u64,
    pub p50_ns: Option<u64>,
    pub p90_ns: Option<u64>,
    pub p95_ns: Option<u64>,
    pub p99_ns: Option<u64>,
    pub p999_ns: Option<u64>,
    pub p9999_ns: Option<u64>,
    pub max_ns: u64,
    /// At most 64 points of quantile and nanoseconds; the last is the maximum.
    pub curve: Vec<(f64, u64)>,
}

/// One second of the run, warm-up included.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Second {
    /// From 0, since the run's epoch.
    pub second: u32,
    /// Records acknowledged and records that arrived.
    pub produced: u64,
    pub consumed: u64,
    /// Of the latency that the command is about: end to end where there are producers and consumers.
    /// A percentile is `None` where fewer than 100 samples of the second lie beyond it.
    pub p50_ns: Option<u64>,
    pub p99_ns: Option<u64>,
    pub p999_ns: Option<u64>,
    pub max_ns: u64,
    pub late_max_ns: u64,
    pub in_flight: u32,
    pub rss_bytes: Option<u64>,
    /// Since the second before.
    pub broker_cpu_seconds: Option<f64>,
    /// Share of the machine's CPU time.
    pub steal: f64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Cost {
    pub user_seconds: f64,
    pub system_seconds: f64,
    pub peak_bytes: Option<u64>,
    pub read_bytes: Option<u64>,
    pub written_bytes: Option<u64>,
    pub device: Option<String>,
    /// Of the whole machine's use of the device.
    pub device_flushes: Option<u64>,
    /// As the broker counts them itself.
    pub broker_syncs: Option<u64>,
    pub wall_seconds: f64,
    /// CPU time of all processes, steal left out.
    pub machine_seconds: f64,
    pub steal_seconds: f64,
    pub cpus: usize,
    /// What a reader of these figures must know.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Generator {
    pub cpu_seconds: f64,
    pub threads: Vec<ThreadShare>,
    pub cores: Vec<usize>,
    /// Time in which records were due and no buffer was free.
    pub stalled_seconds: f64,
    /// Batches that were compressed while they were due, as the cache had no room for them.
    pub compressed_in_line: u64,
}

/// Shares of the measured time.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct ThreadShare {
    /// On a CPU.
    pub busy: f64,
    /// Waiting for a CPU.
    pub waited: f64,
    /// All windows full.
    pub full: f64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Limit {
    pub who: Who,
    pub why: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    Nobody,
    Broker,
    Generator,
    Machine,
    #[default]
    Unclear,
}

/// Whether what was acknowledged is there, once, in order, unchanged. In records, but `gaps`, which are offsets.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Verification {
    pub verdict: Verdict,
    pub reason: Option<String>,
    pub acknowledged: u64,
    pub missing: u64,
    pub duplicated: u64,
    pub reordered: u64,
    pub changed: u64,
    pub gaps: u64,
    pub foreign: u64,
    pub removed: u64,
    pub in_doubt: u64,
    pub in_doubt_found: u64,
    pub unverified: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Verified,
    Failed,
    Partly,
    #[default]
    Not,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub host: String,
    pub cpu: String,
    pub cpus: usize,
    pub memory_bytes: u64,
    pub kernel: String,
    pub hypervisor: Option<String>,
}

impl Outcome {
    /// 0: measured, and verified as far as that was asked for and there was something to verify. 1: incomplete, or
    /// acknowledged records could not be read back. 3: verification failed. 4: the rate was not kept.
    pub fn exit_code(&self) -> u8 {
        let asked = self.plan.as_ref().is_some_and(|plan| plan.verify);
        let unread = asked && self.verification.verdict == Verdict::Not && self.verification.acknowledged > 0;
        if self.verification.verdict == Verdict::Failed {
            3
        } else if self.incomplete.is_some() || unread {
            1
        } else if self.rate_kept == Some(false) {
            4
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_is_the_exit_code() {
        let mut outcome = Outcome { plan: Some(Plan::new("produce", "h:1")), ..Outcome::default() };
        assert_eq!(outcome.exit_code(), 0);
        outcome.rate_kept = Some(false);
        assert_eq!(outcome.exit_code(), 4);
        outcome.verification.acknowledged = 1;
        assert_eq!(outcome.exit_code(), 1, "acknowledged records that nobody read back");
        outcome.verification.verdict = Verdict::Verified;
        assert_eq!(outcome.exit_code(), 4);
        outcome.incomplete = Some("a signal".to_owned());
        assert_eq!(outcome.exit_code(), 1);
        outcome.verification.verdict = Verdict::Failed;
        assert_eq!(outcome.exit_code(), 3);
    }
}
