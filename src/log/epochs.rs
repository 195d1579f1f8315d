//! The leader epochs of a partition, and where each begins (KIP-101, KIP-279, KIP-320).
//!
//! Epochs and their first offsets both go up strictly. The records from one first offset to the next carry the epoch. It
//! answers as Kafka's own cache of leader epochs does.

use duramen_wire::ids::{LeaderEpoch, Offset};

/// Epochs that are remembered; of more, the oldest are forgotten, as if their records were gone.
pub const EPOCHS_MAX: usize = 4096;

/// Epochs with their first offsets, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs(Vec<(LeaderEpoch, Offset)>);

impl Epochs {
    /// What `entries` gave. Of entries that do not go up strictly, the later ones count.
    pub fn restore(entries: Vec<(LeaderEpoch, Offset)>) -> Self {
        let mut epochs = Self::default();
        for (epoch, start) in entries {
            epochs.remove_from(epoch, start);
            epochs.0.push((epoch, start));
        }
        epochs
    }

    /// Records from `start` on carry `epoch`. The latest epoch, from where it begins or later, changes nothing; what
    /// contradicts the newcomer (a larger epoch, a later start) is forgotten.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) {
        let known = self.0.last().is_some_and(|(last, first)| *last == epoch && *first <= start);
        if known || epoch.0 < 0 || start.0 < 0 {
            return;
        }
        self.remove_from(epoch, start);
        if self.0.len() == EPOCHS_MAX {
            self.0.remove(0);
        }
        self.0.push((epoch, start));
    }

    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.0.last().map(|(epoch, _)| *epoch)
    }

    /// The largest epoch that is not larger than `requested`, and the offset behind its last record. If all are larger,
    /// `requested` itself and where the first one begins. `None` if `requested` is newer than all, or there is none.
    pub fn end_offset_for(&self, requested: LeaderEpoch, log_end: Offset) -> Option<(LeaderEpoch, Offset)> {
        if requested.0 < 0 {
            return None;
        }
        let next = self.0.partition_point(|(epoch, _)| *epoch <= requested);
        let floor = next.checked_sub(1).map(|index| self.0[index].0);
        match self.0.get(next) {
            Some((_, end)) => Some((floor.unwrap_or(requested), *end)),
            None if floor == Some(requested) => Some((requested, log_end)),
            None => None,
        }
    }

    /// The epoch that the record at `offset` carries, if it is not before the first that is known.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let next = self.0.partition_point(|(_, start)| *start <= offset);
        next.checked_sub(1).map(|index| self.0[index].0)
    }

    /// Records from `end` on are gone.
    pub fn truncate_from_end(&mut self, end: Offset) {
        self.0.truncate(self.0.partition_point(|(_, start)| *start < end));
    }

    /// Records before `start` are gone. The epoch at `start` is kept, and begins there.
    pub fn truncate_from_start(&mut self, start: Offset) {
        let gone = self.0.partition_point(|(_, first)| *first <= start).saturating_sub(1);
        self.0.drain(..gone);
        if let Some((_, first)) = self.0.first_mut() {
            *first = start.max(*first);
        }
    }

    /// Epochs with their first offsets, oldest first.
    pub fn entries(&self) -> &[(LeaderEpoch, Offset)] {
        &self.0
    }

    fn remove_from(&mut self, epoch: LeaderEpoch, start: Offset) {
        let keep = self.0.partition_point(|(known, first)| *known < epoch && *first < start);
        self.0.truncate(keep);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> Epochs {
        let mut epochs = Epochs::default();
        entries.iter().for_each(|(epoch, start)| epochs.assign(LeaderEpoch(*epoch), Offset(*start)));
        epochs
    }

    fn entries(epochs: &Epochs) -> Vec<(i32, i64)> {
        epochs.entries().iter().map(|(epoch, start)| (epoch.0, start.0)).collect()
    }

    fn end(epochs: &Epochs, requested: i32) -> Option<(i32, i64)> {
        let found = epochs.end_offset_for(LeaderEpoch(requested), Offset(100));
        found.map(|(epoch, offset)| (epoch.0, offset.0))
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let epochs = epochs(&[(2, 5), (4, 20), (5, 60)]);
        assert_eq!(end(&epochs, 2), Some((2, 20)));
        assert_eq!(end(&epochs, 3), Some((2, 20)), "of an epoch without records, the one before");
        assert_eq!(end(&epochs, 4), Some((4, 60)));
        assert_eq!(end(&epochs, 5), Some((5, 100)), "the latest ends with the log");
        assert_eq!(end(&epochs, 6), None, "newer than all that is known");
        assert_eq!(end(&epochs, 1), Some((1, 5)), "older than all that is known");
        assert_eq!(end(&epochs, -1), None, "no epoch at all");
        assert_eq!(end(&Epochs::default(), 0), None);
    }

    #[test]
    fn a_record_has_the_epoch_that_began_before_it() {
        let epochs = epochs(&[(2, 5), (4, 20)]);
        let at = |offset| epochs.epoch_at(Offset(offset)).map(|epoch| epoch.0);
        assert_eq!([at(4), at(5), at(19), at(20), at(1000)], [None, Some(2), Some(2), Some(4), Some(4)]);
    }

    #[test]
    fn the_latest_epoch_begins_once() {
        assert_eq!(entries(&epochs(&[(2, 5), (2, 9)])), [(2, 5)]);
        assert_eq!(entries(&epochs(&[(2, 5), (2, 3)])), [(2, 3)]);
    }

    #[test]
    fn what_contradicts_a_new_epoch_is_forgotten() {
        assert_eq!(entries(&epochs(&[(1, 0), (2, 5), (4, 20), (3, 30)])), [(1, 0), (2, 5), (3, 30)]);
        assert_eq!(entries(&epochs(&[(1, 0), (2, 5), (4, 20), (5, 5)])), [(1, 0), (5, 5)]);
        assert_eq!(entries(&epochs(&[(1, 0), (-1, 5)])), [(1, 0)]);
    }

    #[test]
    fn records_go_at_either_end() {
        let all = epochs(&[(2, 5), (4, 20), (5, 60)]);
        let cut = |change: &dyn Fn(&mut Epochs)| {
            let mut epochs = all.clone();
            change(&mut epochs);
            entries(&epochs)
        };
        assert_eq!(cut(&|epochs| epochs.truncate_from_end(Offset(61))), [(2, 5), (4, 20), (5, 60)]);
        assert_eq!(cut(&|epochs| epochs.truncate_from_end(Offset(60))), [(2, 5), (4, 20)]);
        assert_eq!(cut(&|epochs| epochs.truncate_from_end(Offset(0))), []);
        assert_eq!(cut(&|epochs| epochs.truncate_from_start(Offset(3))), [(2, 5), (4, 20), (5, 60)]);
        assert_eq!(cut(&|epochs| epochs.truncate_from_start(Offset(19))), [(2, 19), (4, 20), (5, 60)]);
        assert_eq!(cut(&|epochs| epochs.truncate_from_start(Offset(20))), [(4, 20), (5, 60)]);
        assert_eq!(cut(&|epochs| epochs.truncate_from_start(Offset(1000))), [(5, 1000)]);
    }

    #[test]
    fn too_many_epochs_push_out_the_oldest() {
        let mut epochs = Epochs::default();
        for number in 0..=EPOCHS_MAX as i32 {
            epochs.assign(LeaderEpoch(number), Offset(i64::from(number)));
        }
        assert_eq!((epochs.entries().len(), epochs.entries()[0]), (EPOCHS_MAX, (LeaderEpoch(1), Offset(1))));
    }

    proptest! {
        /// Whatever is assigned and truncated, epochs and offsets go up strictly and survive a restart.
        #[test]
        fn they_go_up_strictly(steps in prop::collection::vec((0..4u8, 0..20i32, 0..200i64), 0..40)) {
            let mut epochs = Epochs::default();
            for (what, epoch, offset) in steps {
                match what {
                    0 => epochs.truncate_from_end(Offset(offset)),
                    1 => epochs.truncate_from_start(Offset(offset)),
                    _ => epochs.assign(LeaderEpoch(epoch), Offset(offset)),
                }
                let rising = |pair: &[(LeaderEpoch, Offset)]| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1;
                prop_assert!(epochs.entries().windows(2).all(rising), "{:?}", epochs);
            }
            prop_assert_eq!(&Epochs::restore(epochs.entries().to_vec()), &epochs);
        }
    }
}
