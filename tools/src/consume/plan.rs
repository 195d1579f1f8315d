//! Where reading begins and ends in each partition. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::client::PartitionBounds;

/// What is left to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// First offset per partition; empty with a group, which knows its own.
    starts: BTreeMap<i32, i64>,
    /// Offset per partition at which to stop; `None` to follow.
    ends: Option<BTreeMap<i32, i64>>,
    /// Partitions that are read here.
    assigned: BTreeSet<i32>,
    done: BTreeSet<i32>,
}

impl Plan {
    /// Reads all partitions of `starts`.
    pub(super) fn new(bounds: &BTreeMap<i32, PartitionBounds>, starts: &BTreeMap<i32, i64>, until_end: bool) -> Plan {
        let mut plan = Plan::for_group(bounds, until_end);
        plan.starts = starts.clone();
        plan.assigned = starts.keys().copied().collect();
        for (&partition, &start) in starts {
            plan.finish_at(partition, start);
        }
        plan
    }

    /// Reads what the group assigns.
    pub(super) fn for_group(bounds: &BTreeMap<i32, PartitionBounds>, until_end: bool) -> Plan {
        let ends = until_end.then(|| bounds.iter().map(|(&partition, bounds)| (partition, bounds.end)).collect());
        Plan { starts: BTreeMap::new(), ends, assigned: BTreeSet::new(), done: BTreeSet::new() }
    }

    /// The partitions that have something to read, and from where.
    pub(super) fn starts(&self) -> impl Iterator<Item = (i32, i64)> {
        self.starts.iter().map(|(&partition, &start)| (partition, start)).filter(|(p, _)| !self.done.contains(p))
    }

    /// Whether reading ends at all.
    pub(super) fn ends(&self) -> bool {
        self.ends.is_some()
    }

    pub(super) fn assign(&mut self, partitions: impl IntoIterator<Item = i32>) {
        self.assigned.extend(partitions);
    }

    /// Those of `present` that are not read here yet.
    pub(super) fn missing(&self, present: impl IntoIterator<Item = i32>) -> Vec<i32> {
        present.into_iter().filter(|partition| !self.assigned.contains(partition)).collect()
    }

    pub(super) fn revoke(&mut self, partitions: impl IntoIterator<Item = i32>) {
        for partition in partitions {
            self.assigned.remove(&partition);
        }
    }

    /// Whether the record at this offset is still wanted.
    pub(super) fn wants(&self, partition: i32, offset: i64) -> bool {
        self.end(partition).is_none_or(|end| offset < end)
    }

    /// Reading has come to this offset, which is the next to be read. True when that completes the partition.
    pub(super) fn finish_at(&mut self, partition: i32, offset: i64) -> bool {
        self.end(partition).is_some_and(|end| offset >= end) && self.done.insert(partition)
    }

    /// Nothing more is in the partition: its end, as it was at the start, is behind.
    pub(super) fn finish(&mut self, partition: i32) {
        if self.ends.is_some() {
            self.done.insert(partition);
        }
    }

    /// Whether all that is read here has been read to its end.
    pub(super) fn is_complete(&self) -> bool {
        self.ends.is_some() && !self.assigned.is_empty() && self.assigned.is_subset(&self.done)
    }

    /// A partition that was added after the start has no end: nothing of it was there then.
    fn end(&self, partition: i32) -> Option<i64> {
        self.ends.as_ref().map(|ends| ends.get(&partition).copied().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(ends: &[i64]) -> BTreeMap<i32, PartitionBounds> {
        (0..).zip(ends).map(|(partition, &end)| (partition, PartitionBounds { beginning: 0, end })).collect()
    }

    #[test]
    fn partitions_without_records_are_done_at_once() {
        let plan = Plan::new(&bounds(&[0, 5, 5]), &BTreeMap::from([(0, 0), (1, 5), (2, 3)]), true);
        assert_eq!(plan.starts().collect::<Vec<_>>(), [(2, 3)]);
        assert!(!plan.is_complete());
        let plan = Plan::new(&bounds(&[0]), &BTreeMap::from([(0, 0)]), true);
        assert!(plan.is_complete());
    }

    #[test]
    fn it_ends_with_the_last_record_of_each_partition() {
        let mut plan = Plan::new(&bounds(&[2, 1]), &BTreeMap::from([(0, 0), (1, 0)]), true);
        assert!(plan.wants(0, 1) && !plan.wants(0, 2));
        assert!(!plan.finish_at(0, 1));
        assert!(plan.finish_at(0, 2));
        assert!(!plan.finish_at(0, 3), "it completes once");
        assert!(!plan.is_complete());
        plan.finish(1);
        assert!(plan.is_complete());
    }

    #[test]
    fn following_never_ends() {
        let mut plan = Plan::new(&bounds(&[0]), &BTreeMap::from([(0, 0)]), false);
        plan.finish(0);
        assert!(!plan.finish_at(0, i64::MAX));
        assert!(plan.wants(0, i64::MAX) && !plan.is_complete());
        assert_eq!(plan.starts().count(), 1);
    }

    #[test]
    fn partitions_that_were_added_are_missing_until_they_are_assigned() {
        let mut plan = Plan::new(&bounds(&[5]), &BTreeMap::from([(0, 0)]), false);
        assert_eq!(plan.missing([0, 1, 2]), [1, 2]);
        plan.assign([1, 2]);
        assert!(plan.missing([0, 1, 2]).is_empty());
    }

    #[test]
    fn a_group_is_complete_when_what_it_was_assigned_is() {
        let mut plan = Plan::for_group(&bounds(&[1, 1]), true);
        assert!(!plan.is_complete(), "nothing assigned yet");
        plan.assign([0, 1]);
        plan.finish(0);
        assert!(!plan.is_complete());
        plan.revoke([1]);
        assert!(plan.is_complete());
        assert!(!plan.wants(7, 0), "a partition that came later had nothing");
    }
}
