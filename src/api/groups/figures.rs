//! What metrics show of groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Groups;
use crate::group::Coordinator;

/// What a group has committed in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    pub group: Arc<str>,
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
}

impl Groups {
    /// What the groups of this shard have committed, at most `max` of it, and whether that is all.
    pub fn committed_offsets(&self, max: usize) -> (Vec<Committed>, bool) {
        let mut found = Vec::new();
        for host in self.hosts.borrow().values() {
            let coordinator = host.coordinator.borrow();
            for entry in coordinator.iter().flat_map(Coordinator::committed_offsets) {
                if found.len() == max {
                    return (found, false);
                }
                found.push(Committed {
                    group: entry.group_id.clone(),
                    topic: entry.topic.clone(),
                    partition: entry.partition,
                    offset: entry.committed.offset,
                });
            }
        }
        (found, true)
    }

    /// How many groups of this shard are in which state.
    pub fn by_state(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for host in self.hosts.borrow().values() {
            let coordinator = host.coordinator.borrow();
            for (state, count) in coordinator.iter().flat_map(Coordinator::groups_by_state) {
                *counts.entry(state).or_default() += count;
            }
        }
        counts
    }
}
