//! The leader epochs of a partition, and where each begins (KIP-101, KIP-279).

use duramen_wire::ids::{LeaderEpoch, Offset};

/// Epochs with their first offsets, both strictly increasing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs(Vec<(LeaderEpoch, Offset)>);

impl Epochs {
    pub fn restore(entries: Vec<(LeaderEpoch, Offset)>) -> Self {
        Self(entries)
    }

    /// Records from `start` on carry `epoch`. An epoch that is not newer than the latest changes nothing.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) {
        if self.latest().is_some_and(|latest| latest >= epoch) {
            return;
        }
        while self.0.last().is_some_and(|(_, last)| *last >= start) {
            self.0.pop();
        }
        self.0.push((epoch, start));
    }

    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.0.last().map(|(epoch, _)| *epoch)
    }

    /// The largest epoch not larger than `requested`, and the offset behind its last record.
    pub fn end_offset_for(&self, requested: LeaderEpoch, log_end: Offset) -> Option<(LeaderEpoch, Offset)> {
        let next = self.0.partition_point(|(epoch, _)| *epoch <= requested);
        if next == self.0.len() && self.latest()? < requested {
            return None;
        }
        let end = self.0.get(next).map_or(log_end, |(_, start)| *start);
        match next.checked_sub(1) {
            Some(index) => Some((self.0[index].0, end)),
            None => Some((requested, end)),
        }
    }

    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let next = self.0.partition_point(|(_, start)| *start <= offset);
        next.checked_sub(1).map(|index| self.0[index].0)
    }

    /// Records from `end` on are gone.
    pub fn truncate_from_end(&mut self, end: Offset) {
        self.0.retain(|(_, start)| *start < end);
    }

    /// Records before `start` are gone.
    pub fn truncate_from_start(&mut self, start: Offset) {
        let keep = self.0.partition_point(|(_, first)| *first <= start).saturating_sub(1);
        self.0.drain(..keep);
        if let Some(first) = self.0.first_mut() {
            first.1 = first.1.max(start);
        }
    }

    pub fn entries(&self) -> &[(LeaderEpoch, Offset)] {
        &self.0
    }
}
