//! How committed offsets, and groups that hold nothing else, come to an end (KIP-211).
//!
//! An offset goes when the retention has passed since its group became empty; in a group that never had members since
//! its commit; in a stable group of consumers since its commit, if nobody reads the topic any more. A commit that set
//! a retention of its own goes by that.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use super::appends::{Change, Purpose};
use super::classic_group::{Group, State};
use super::config::GROUPS_PER_EXPIRY_MAX;
use super::coordinator::{Context, Groups};
use super::offset_store::CommittedOffset;
use super::timers::Timer;

impl Context<'_> {
    /// Deletes what has expired, and the empty groups that are left without offsets, in the groups behind `after`; sets
    /// the timer for the groups that it leaves out, or for the next time.
    pub(super) fn expire_offsets(&mut self, groups: &mut Groups, after: Option<Arc<str>>) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut committing = self.appends.committing_by_group();
        let mut last = None;
        for group in groups
            .range_mut::<Arc<str>, _>((from, Bound::Unbounded))
            .map(|(_, group)| group)
            .take(GROUPS_PER_EXPIRY_MAX)
        {
            self.expire_in_group(group, &committing.remove(&group.id).unwrap_or_default());
            last = Some(Arc::clone(&group.id));
        }
        let more = last.as_ref().is_some_and(|last| groups.last_key_value().is_some_and(|(id, _)| id > last));
        match more {
            true => self.timers.set(Timer::ExpireOffsets { after: last }, self.now_ms),
            false => self.schedule_expiry(),
        }
    }

    pub(super) fn schedule_expiry(&mut self) {
        let deadline = self.now_ms + self.config.offsets_retention_check_interval_ms.max(1);
        self.timers.set(Timer::ExpireOffsets { after: None }, deadline);
    }

    fn expire_in_group(&mut self, group: &mut Group, committing: &BTreeSet<(Arc<str>, i32)>) {
        let mut kept = 0;
        let mut changes = Vec::new();
        for (topic, partition, committed) in group.offsets.iter() {
            let idle = committing.is_empty() || !committing.contains(&(Arc::clone(topic), partition));
            if idle && self.has_expired(group, topic, committed) {
                changes.push(Change::tombstone(&group.id, topic, partition));
            } else {
                kept += 1;
            }
        }
        self.append_in_chunks(changes);
        let nothing_left = kept == 0 && committing.is_empty() && group.pending_join.is_empty();
        if nothing_left && group.state() == State::Empty {
            self.end_group(group, Vec::new());
        }
    }

    /// Marks an empty group dead and queues its last tombstone, after `changes`.
    pub(super) fn end_group(&mut self, group: &mut Group, mut changes: Vec<Change>) {
        let purpose = Purpose::DeleteGroup { group: Arc::clone(&group.id), empty_since_ms: group.state_since_ms };
        changes.push(Change::Group { group: Arc::clone(&group.id), value: None });
        group.enter(State::Dead, self.now_ms);
        self.append(changes, purpose);
    }

    fn has_expired(&self, group: &Group, topic: &str, committed: &CommittedOffset) -> bool {
        let since_ms = match group.state() {
            _ if group.protocol_type.is_none() => committed.commit_timestamp_ms,
            State::Empty => group.state_since_ms.unwrap_or(committed.commit_timestamp_ms),
            State::Stable if group.uses_consumer_protocol() && group.knows_subscriptions() => {
                committed.commit_timestamp_ms
            }
            _ => return false,
        };
        if group.is_subscribed_to(topic) {
            return false;
        }
        match committed.expire_timestamp_ms {
            Some(at_ms) => self.now_ms >= at_ms,
            None => self.now_ms.saturating_sub(since_ms) >= self.config.offsets_retention_ms,
        }
    }
}
