//! When the next record is due. Pure: the caller passes the time in and does the waiting.

use std::time::{Duration, Instant};

/// Spreads records evenly at a rate. Time lost (a slow input, a broker away) is made up for by at most
/// [`Pacer::CATCH_UP`]: a stall does not end in a flood.
#[derive(Debug, Clone)]
pub struct Pacer {
    interval: Duration,
    due: Option<Instant>,
}

impl Pacer {
    /// How far behind its schedule it may be and still catch up.
    pub const CATCH_UP: Duration = Duration::from_millis(100);

    /// `rate` is in records per second, above zero.
    pub fn new(rate: f64) -> Pacer {
        Pacer { interval: Duration::from_secs_f64(1.0 / rate), due: None }
    }

    /// Takes the next place in the schedule: how long after `now` it is.
    pub fn next(&mut self, now: Instant) -> Duration {
        let earliest = now.checked_sub(Self::CATCH_UP).unwrap_or(now);
        let due = self.due.map_or(now, |due| due.max(earliest));
        self.due = Some(due + self.interval);
        due.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_is_due_at_once_and_the_others_at_intervals() {
        let mut pacer = Pacer::new(4.0);
        let start = Instant::now();
        let waits: Vec<Duration> = (0..4).map(|_| pacer.next(start)).collect();
        assert_eq!(waits, [0, 250, 500, 750].map(Duration::from_millis));
    }

    #[test]
    fn a_stall_is_made_up_for_within_bounds() {
        let mut pacer = Pacer::new(1_000.0);
        let start = Instant::now();
        pacer.next(start);
        let later = start + Duration::from_secs(60);
        let at_once = (0..1_000).take_while(|_| pacer.next(later).is_zero()).count();
        assert_eq!(at_once, 101, "100 ms of records and the one that is due");
    }

    proptest! {
        /// Whoever waits as told never exceeds the rate by more than the catching up.
        #[test]
        fn the_rate_is_never_exceeded(rate in 1.0f64..100_000.0, delays in proptest::collection::vec(0u64..400, 1..200)) {
            let mut pacer = Pacer::new(rate);
            let start = Instant::now();
            let mut now = start;
            for (sent, delay) in delays.iter().enumerate() {
                now += pacer.next(now);
                let allowed = (now - start + Pacer::CATCH_UP).as_secs_f64() * rate + 1.0;
                prop_assert!(sent as f64 <= allowed * 1.000_001, "{} sent, {} allowed", sent, allowed);
                now += Duration::from_micros(*delay);
            }
        }
    }
}
