//! The deadlines of one coordinator, fired by Tick in the order of time.
//!
//! One deadline per timer: setting it again moves it. There are no more timers than members, pending members, twice
//! the groups, and one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A group waits for its members to join.
    Join(Arc<str>),
    /// A group waits for its members' SyncGroup.
    Sync(Arc<str>),
    /// Group and member: the session ends.
    Session(Arc<str>, Arc<str>),
    /// Committed offsets are looked through for expired ones, in the groups behind `after`.
    ExpireOffsets { after: Option<Arc<str>> },
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(i64, Timer)>,
    deadlines: BTreeMap<Timer, i64>,
}

impl Timers {
    /// Sets or moves a timer to `deadline_ms`.
    pub(super) fn set(&mut self, timer: Timer, deadline_ms: i64) {
        self.cancel(&timer);
        self.due.insert((deadline_ms, timer.clone()));
        self.deadlines.insert(timer, deadline_ms);
    }

    pub(super) fn cancel(&mut self, timer: &Timer) {
        if let Some((timer, deadline)) = self.deadlines.remove_entry(timer) {
            self.due.remove(&(deadline, timer));
        }
    }

    /// Takes out the first timer whose deadline is not after `now_ms`.
    pub(super) fn pop_due(&mut self, now_ms: i64) -> Option<Timer> {
        if self.next_deadline()? > now_ms {
            return None;
        }
        let (_, timer) = self.due.pop_first()?;
        self.deadlines.remove(&timer);
        Some(timer)
    }

    pub(super) fn next_deadline(&self) -> Option<i64> {
        self.due.first().map(|(deadline, _)| *deadline)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_set_again_fires_once_at_the_new_time() {
        let mut timers = Timers::default();
        timers.set(Timer::Join("a".into()), 10);
        timers.set(Timer::Join("a".into()), 20);
        timers.set(Timer::Sync("a".into()), 15);
        assert_eq!(timers.pop_due(14), None);
        assert_eq!(timers.pop_due(20), Some(Timer::Sync("a".into())));
        assert_eq!(timers.pop_due(20), Some(Timer::Join("a".into())));
        assert_eq!((timers.pop_due(100), timers.len()), (None, 0));
    }

    #[test]
    fn a_cancelled_timer_does_not_fire() {
        let mut timers = Timers::default();
        timers.set(Timer::ExpireOffsets { after: None }, 10);
        timers.cancel(&Timer::ExpireOffsets { after: None });
        assert_eq!((timers.pop_due(10), timers.next_deadline()), (None, None));
    }
}
