//! Records that were due and will never be acknowledged: they have waited so long already, and would have waited longer.

use super::Producer;
use crate::drive::Context;
use crate::drive::schedule::Pacer;

/// More records that were not even filled in are taken together, so many at a time, by the shortest time among them.
const STEPS_MAX: u64 = 100_000;

impl Producer {
    /// Counts what is due and was not sent.
    pub(super) fn give_up_unsent(&self, context: &mut Context) {
        if !self.pacer.is_open() {
            return;
        }
        let mut unsent = 0;
        if let Some(spread) = &self.spread {
            self.give_up(spread.unsent().inspect(|_| unsent += 1), context);
        }
        let available = self.pacer.available(self.sequence, context.now);
        let step = available.div_ceil(STEPS_MAX).max(1);
        for at in (0..available).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
            let count = step.min(available - at);
            self.give_up_some(self.sequence + at + count - 1, count, context);
        }
        context.interval.produced.unsent += unsent + available;
        context.measured.produced.unsent += unsent + available;
    }

    /// Takes what such records have waited until now for their latency: it is longer than that.
    pub(super) fn give_up(&self, sequences: impl Iterator<Item = u64>, context: &mut Context) {
        sequences.for_each(|sequence| self.give_up_some(sequence, 1, context));
    }

    /// So many records, the last of which is given.
    fn give_up_some(&self, last: u64, count: u64, context: &mut Context) {
        let Pacer::Open(schedule) = &self.pacer else { return };
        let due = schedule.due(last);
        let waited = context.now.0.saturating_sub(due.0);
        context.interval.scheduled.record_n(waited, count);
        if u128::from(due.0) >= self.setup.plan.warm_up.as_nanos() {
            context.measured.scheduled.record_n(waited, count);
            context.measured.given_up += count;
        }
    }
}
