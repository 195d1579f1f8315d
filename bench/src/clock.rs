//! The clock of a run: nanoseconds since its epoch, the same for all threads.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Nanoseconds since the run's epoch; 0 before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Nanos(pub u64);

/// When a run begins, on the monotonic clock and on the wall.
#[derive(Clone, Copy, Debug)]
pub struct Epoch {
    begins: Instant,
    wall: SystemTime,
}

impl Epoch {
    pub fn after(delay: Duration) -> Epoch {
        Epoch { begins: Instant::now() + delay, wall: SystemTime::now() + delay }
    }

    pub fn now(&self) -> Nanos {
        let since = Instant::now().saturating_duration_since(self.begins);
        Nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Whether the run has not begun.
    pub fn is_ahead(&self) -> bool {
        Instant::now() < self.begins
    }

    /// How long it is until a moment of the run; 0 when it is past.
    pub fn until(&self, moment: Nanos) -> Duration {
        let at = self.begins.checked_add(Duration::from_nanos(moment.0));
        at.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
    }

    /// Milliseconds since 1970, as record timestamps are; the wall clock is read once, at the start.
    pub fn wall_ms(&self, at: Nanos) -> i64 {
        let wall = self.wall + Duration::from_nanos(at.0);
        let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_zero_until_the_epoch_and_rises_after_it() {
        let hour = Epoch::after(Duration::from_secs(3600));
        assert_eq!((hour.now(), hour.is_ahead()), (Nanos(0), true));
        assert!(
            hour.until(Nanos(1_000_000_000)) > Duration::from_secs(3590)
                && hour.until(Nanos(u64::MAX)) > Duration::ZERO
        );
        let epoch = Epoch::after(Duration::ZERO);
        let first = epoch.now();
        while epoch.now() == first {}
        assert!(!epoch.is_ahead());
        assert_eq!(epoch.until(first), Duration::ZERO);
        assert!(epoch.now() > first);
        assert_eq!(epoch.wall_ms(Nanos(2_000_000_000)) - epoch.wall_ms(Nanos(0)), 2_000);
    }
}
