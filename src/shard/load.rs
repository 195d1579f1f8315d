//! How busy partitions are, for placing further ones: bytes taken in and given out, those of late counting most.

use std::cell::Cell;

use super::Shard;
use crate::controller::ShardLoad;

/// After so many seconds bytes count half.
const HALF_LIFE_S: f64 = 60.0;

/// The bytes of one partition, decaying. Times are seconds of the shard's clock.
#[derive(Debug, Default)]
pub struct Meter {
    bytes: Cell<f64>,
    at_s: Cell<u32>,
}

impl Meter {
    pub fn add(&self, now_s: u32, bytes: usize) {
        self.bytes.set(self.bytes_at(now_s) + bytes as f64);
        self.at_s.set(now_s);
    }

    /// The rate that, if it had always been that, would have left the same here.
    pub fn bytes_per_second(&self, now_s: u32) -> u64 {
        (self.bytes_at(now_s) * std::f64::consts::LN_2 / HALF_LIFE_S) as u64
    }

    fn bytes_at(&self, now_s: u32) -> f64 {
        match now_s.saturating_sub(self.at_s.get()) {
            0 => self.bytes.get(),
            passed => self.bytes.get() * (-f64::from(passed) / HALF_LIFE_S).exp2(),
        }
    }
}

impl Shard {
    /// What the partitions of this shard take in and give out.
    pub fn load(&self) -> ShardLoad {
        let partitions = self.partitions.borrow();
        let now_s = partitions.now_s();
        let rates = partitions.iter().map(|hosted| hosted.load.bytes_per_second(now_s));
        ShardLoad { bytes_per_second: rates.fold(0, u64::saturating_add) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_found() {
        let meter = Meter::default();
        for second in 0..600 {
            (0..10).for_each(|_| meter.add(second, 100));
        }
        let found = meter.bytes_per_second(600);
        assert!((980..=1020).contains(&found), "{found}");
    }

    #[test]
    fn what_is_over_fades() {
        let meter = Meter::default();
        meter.add(7, 1 << 30);
        let rates: Vec<u64> = [7, 67, 127].into_iter().map(|second| meter.bytes_per_second(second)).collect();
        assert!(rates[0] > 1 << 23);
        assert!(rates[0].abs_diff(2 * rates[1]) <= 2 && rates[1].abs_diff(2 * rates[2]) <= 2, "{rates:?}");
        assert_eq!(meter.bytes_per_second(7 + 86_400), 0);
    }

    #[test]
    fn a_clock_that_goes_back_does_no_harm() {
        let meter = Meter::default();
        meter.add(100, 6000);
        meter.add(50, 6000);
        assert!(meter.bytes_per_second(40) > 100);
    }
}
