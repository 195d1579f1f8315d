//! Latencies, and which of their percentiles may be told.

use hdrhistogram::Histogram;

use crate::outcome::Summary;

/// A percentile is told only if at least this many samples lie beyond it: fewer say nothing about it.
pub const SAMPLES_BEYOND_MIN: u64 = 100;
/// What took longer is counted as if it had taken exactly this long.
pub const LONGEST_NS: u64 = 300_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;
/// Points of a summary's curve: so many for each factor of ten between 1 and 1 - quantile, up to five nines.
const CURVE_STEPS_PER_DECADE: u32 = 12;
const CURVE_DECADES: u32 = 5;

/// A histogram of nanoseconds. It is made when the first is recorded, and stays in memory when it is cleared.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    histogram: Option<Histogram<u64>>,
}

impl Latencies {
    pub fn record(&mut self, ns: u64) {
        self.record_n(ns, 1);
    }

    pub fn record_n(&mut self, ns: u64, count: u64) {
        self.histogram.get_or_insert_with(empty).saturating_record_n(ns, count);
    }

    pub fn add(&mut self, other: &Latencies) {
        if let Some(other) = other.histogram() {
            self.histogram.get_or_insert_with(empty).add(other).expect("all have the same bounds");
        }
    }

    pub fn clear(&mut self) {
        if let Some(histogram) = &mut self.histogram {
            histogram.reset();
        }
    }

    /// `None` if nothing was recorded.
    pub fn summary(&self) -> Option<Summary> {
        let histogram = self.histogram()?;
        let told = |quantile: f64| told(histogram, quantile);
        Some(Summary {
            samples: histogram.len(),
            p50_ns: told(0.5),
            p90_ns: told(0.9),
            p95_ns: told(0.95),
            p99_ns: told(0.99),
            p999_ns: told(0.999),
            p9999_ns: told(0.9999),
            max_ns: histogram.max(),
            curve: curve(histogram),
        })
    }

    /// `None` if too few samples lie beyond it.
    pub fn percentile(&self, quantile: f64) -> Option<u64> {
        told(self.histogram()?, quantile)
    }

    /// `None` if nothing was recorded.
    pub fn histogram(&self) -> Option<&Histogram<u64>> {
        self.histogram.as_ref().filter(|histogram| !histogram.is_empty())
    }
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, SIGNIFICANT_DIGITS).expect("the bounds are valid")
}

fn told(histogram: &Histogram<u64>, quantile: f64) -> Option<u64> {
    // Rounded, as 1 - 0.9 is less than 0.1.
    let beyond = (histogram.len() as f64 * (1.0 - quantile)).round() as u64;
    (beyond >= SAMPLES_BEYOND_MIN).then(|| histogram.value_at_quantile(quantile))
}

/// The quantiles that may be told, evenly on the scale of 1/(1 - quantile), and the maximum.
fn curve(histogram: &Histogram<u64>) -> Vec<(f64, u64)> {
    let steps = 0..=CURVE_DECADES * CURVE_STEPS_PER_DECADE;
    let quantiles = steps.map(|step| 1.0 - 10_f64.powf(-f64::from(step) / f64::from(CURVE_STEPS_PER_DECADE)));
    let mut points: Vec<_> = quantiles.map_while(|quantile| Some((quantile, told(histogram, quantile)?))).collect();
    points.push((1.0, histogram.max()));
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: u64) -> Summary {
        let mut latencies = Latencies::default();
        (1..=count).for_each(|micros| latencies.record(micros * 1_000));
        latencies.summary().unwrap()
    }

    #[test]
    fn percentiles_need_samples_beyond_them() {
        let told = |summary: &Summary| {
            [summary.p50_ns, summary.p90_ns, summary.p95_ns, summary.p99_ns, summary.p999_ns, summary.p9999_ns]
                .map(|told| told.is_some())
        };
        assert_eq!(told(&of(198)), [false; 6]);
        assert_eq!(told(&of(200)), [true, false, false, false, false, false]);
        assert_eq!(told(&of(1_000)), [true, true, false, false, false, false]);
        assert_eq!(told(&of(10_000)), [true, true, true, true, false, false]);
        assert_eq!(told(&of(1_000_000)), [true; 6]);
    }

    #[test]
    fn percentiles_are_near_what_arithmetic_says() {
        let summary = of(100_000);
        let near = |told: Option<u64>, exact: u64| told.is_some_and(|told| told.abs_diff(exact) <= exact / 500);
        assert!(near(summary.p50_ns, 50_000_000) && near(summary.p999_ns, 99_900_000));
        assert_eq!(summary.samples, 100_000);
    }

    #[test]
    fn the_curve_rises_to_the_maximum() {
        let summary = of(100_000);
        assert!(summary.curve.len() <= 64 && summary.curve.is_sorted());
        assert_eq!(summary.curve.last(), Some(&(1.0, summary.max_ns)));
        let tail = summary.curve[summary.curve.len() - 2].0;
        assert!((0.998..=0.999).contains(&tail), "{tail}: 100 samples lie beyond three nines");
    }

    #[test]
    fn sums_and_cleared_ones_hold_what_they_should() {
        let (mut sum, mut other) = (Latencies::default(), Latencies::default());
        assert!(sum.summary().is_none());
        other.record_n(5_000, 3);
        other.record(u64::MAX);
        sum.add(&other);
        sum.add(&other);
        other.clear();
        assert!(other.histogram().is_none());
        let summary = sum.summary().unwrap();
        assert_eq!(summary.samples, 8);
        assert!(summary.max_ns.abs_diff(LONGEST_NS) <= LONGEST_NS / 500);
    }
}
