//! Latencies, and which of their percentiles may be told.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// A percentile is told only if at least this many samples lie beyond it: fewer say nothing about it.
pub const SAMPLES_BEYOND_MIN: u64 = 100;
/// What is counted as if it were exactly this long when it is longer.
const LONGEST: Duration = Duration::from_secs(300);
const SIGNIFICANT_DIGITS: u8 = 3;

/// Collects latencies to the microsecond.
#[derive(Clone, Debug)]
pub struct Latencies {
    microseconds: Histogram<u64>,
}

/// In microseconds; a percentile is `None` where too few samples lie beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub samples: u64,
    pub p50_us: Option<u64>,
    pub p95_us: Option<u64>,
    pub p99_us: Option<u64>,
    pub p999_us: Option<u64>,
    pub max_us: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        let longest = u64::try_from(LONGEST.as_micros()).expect("the bound is small");
        let microseconds = Histogram::new_with_max(longest, SIGNIFICANT_DIGITS).expect("the bounds are valid");
        Self { microseconds }
    }
}

impl Latencies {
    pub fn record(&mut self, latency: Duration) {
        self.microseconds.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    pub fn summary(&self) -> Summary {
        Summary {
            samples: self.microseconds.len(),
            p50_us: self.percentile(500),
            p95_us: self.percentile(950),
            p99_us: self.percentile(990),
            p999_us: self.percentile(999),
            max_us: self.microseconds.max(),
        }
    }

    fn percentile(&self, per_thousand: u64) -> Option<u64> {
        let beyond = self.microseconds.len() * (1000 - per_thousand) / 1000;
        let quantile = per_thousand as f64 / 1000.0;
        (beyond >= SAMPLES_BEYOND_MIN).then(|| self.microseconds.value_at_quantile(quantile))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: u64) -> Summary {
        let mut latencies = Latencies::default();
        (1..=count).for_each(|micros| latencies.record(Duration::from_micros(micros)));
        latencies.summary()
    }

    #[test]
    fn percentiles_need_samples_beyond_them() {
        let told = |summary: Summary| {
            [summary.p50_us, summary.p95_us, summary.p99_us, summary.p999_us].map(|told| told.is_some())
        };
        assert_eq!(told(of(199)), [false; 4]);
        assert_eq!(told(of(200)), [true, false, false, false]);
        assert_eq!(told(of(2_000)), [true, true, false, false]);
        assert_eq!(told(of(10_000)), [true, true, true, false]);
        assert_eq!(told(of(100_000)), [true; 4]);
    }

    #[test]
    fn percentiles_are_near_what_arithmetic_says() {
        let summary = of(100_000);
        let near = |told: Option<u64>, exact: u64| told.is_some_and(|told| told.abs_diff(exact) <= exact / 500);
        assert!(near(summary.p50_us, 50_000) && near(summary.p99_us, 99_000) && near(summary.p999_us, 99_900));
        assert_eq!(summary.samples, 100_000);
    }

    #[test]
    fn the_longest_is_the_bound() {
        let mut latencies = Latencies::default();
        latencies.record(Duration::MAX);
        let bound = LONGEST.as_micros() as u64;
        assert!(latencies.summary().max_us.abs_diff(bound) <= bound / 500);
    }
}
