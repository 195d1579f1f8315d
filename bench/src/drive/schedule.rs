//! When records are due: a number that grows with time, never a queue.

use crate::clock::Nanos;

const NS: f64 = 1e9;

/// The schedule of one producer among several: its record k of producer p of P is due at (k P + p) / rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// Between two records of this producer.
    step_ns: f64,
    first_ns: f64,
    /// How many records there are.
    total: u64,
}

impl Schedule {
    /// Records that are due before `end`, or so many of them in all.
    pub(crate) fn new(rate: f64, producer: u32, producers: u32, end: Option<Nanos>, records: Option<u64>) -> Self {
        let first_ns = f64::from(producer) * NS / rate;
        let mut schedule = Self { step_ns: f64::from(producers) * NS / rate, first_ns, total: u64::MAX };
        let before_end = end.map_or(u64::MAX, |end| schedule.due_before(end));
        schedule.total = before_end.min(records.map_or(u64::MAX, |records| share(records, producer, producers)));
        schedule
    }

    #[inline]
    pub(crate) fn due(&self, sequence: u64) -> Nanos {
        Nanos((self.first_ns + sequence as f64 * self.step_ns) as u64)
    }

    /// How many records are due by now.
    pub(crate) fn due_by(&self, now: Nanos) -> u64 {
        self.due_before(Nanos(now.0.saturating_add(1))).min(self.total)
    }

    fn due_before(&self, end: Nanos) -> u64 {
        let mut count = ((end.0 as f64 - self.first_ns) / self.step_ns).ceil().max(0.0) as u64;
        // What was rounded on the way is put right, so that this and `due` always agree.
        while count > 0 && self.due(count - 1) >= end {
            count -= 1;
        }
        while self.due(count) < end {
            count += 1;
        }
        count
    }
}

/// How fast a producer goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pacer {
    /// Each record at its time.
    Open(Schedule),
    /// As many records as there is room for, until an end or so many in all.
    Closed { end: Nanos, total: u64 },
}

impl Pacer {
    /// How many records may be sent now, of which the first `sequence` have been.
    pub(crate) fn available(&self, sequence: u64, now: Nanos) -> u64 {
        match self {
            Self::Open(schedule) => schedule.due_by(now).saturating_sub(sequence),
            Self::Closed { end, total } if now < *end => total - sequence,
            Self::Closed { .. } => 0,
        }
    }

    /// When a record is due. In a closed loop that is when it is made.
    pub(crate) fn due(&self, sequence: u64, now: Nanos) -> Nanos {
        match self {
            Self::Open(schedule) => schedule.due(sequence),
            Self::Closed { .. } => now,
        }
    }

    /// Whether no record will be due after the first `sequence`.
    pub(crate) fn is_over(&self, sequence: u64, now: Nanos) -> bool {
        match self {
            Self::Open(schedule) => sequence >= schedule.total,
            Self::Closed { end, total } => now >= *end || sequence >= *total,
        }
    }

    /// Lets no record be due after now.
    pub(crate) fn end_now(&mut self, now: Nanos) {
        match self {
            Self::Open(schedule) => schedule.total = schedule.due_by(now),
            Self::Closed { end, .. } => *end = now.min(*end),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }
}

/// A producer's part of all records.
pub(crate) fn share(records: u64, producer: u32, producers: u32) -> u64 {
    records / u64::from(producers) + u64::from(u64::from(producer) < records % u64::from(producers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn producers_take_turns() {
        let due = |producer: u32, sequence| Schedule::new(1_000.0, producer, 4, None, None).due(sequence).0;
        let all: Vec<_> = (0..3).flat_map(|sequence| (0..4).map(move |producer| due(producer, sequence))).collect();
        assert_eq!(all, (0..12).map(|number| number * 1_000_000).collect::<Vec<u64>>());
    }

    #[test]
    fn the_end_is_kept_exactly() {
        let total = |producer| Schedule::new(1_000.0, producer, 3, Some(Nanos(10 * SECOND)), None).total;
        assert_eq!((0..3).map(total).collect::<Vec<_>>(), [3_334, 3_333, 3_333]);
        let some = |producer| Schedule::new(1_000.0, producer, 3, Some(Nanos(10 * SECOND)), Some(8)).total;
        assert_eq!((0..3).map(some).collect::<Vec<_>>(), [3, 3, 2]);
    }

    proptest! {
        #[test]
        fn counting_and_due_times_agree(
            rate in 0.1..5e6_f64,
            producer in 0..50_u32,
            now in 0..1_000 * SECOND,
        ) {
            let schedule = Schedule::new(rate, producer, 50, None, None);
            let count = schedule.due_by(Nanos(now));
            prop_assert!(schedule.due(count).0 > now);
            prop_assert!(count == 0 || schedule.due(count - 1).0 <= now);
        }

        #[test]
        fn shares_add_up(records in any::<u32>(), producers in 1..1_000_u32) {
            let sum: u64 = (0..producers).map(|producer| share(records.into(), producer, producers)).sum();
            prop_assert_eq!(sum, u64::from(records));
        }
    }
}
