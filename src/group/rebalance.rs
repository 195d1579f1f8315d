//! How a group gets from one generation to the next.
//!
//! PreparingRebalance ends when all members have joined or their time is up; CompletingRebalance ends when the
//! leader's assignment is durable, or when members do not ask for theirs in time.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::appends::{Change, Purpose};
use super::classic_group::{Group, InitialDelay, State};
use super::coordinator::Context;
use super::effect::{JoinResponse, Response, SyncResponse};
use super::error::ErrorCode;
use super::records::{GroupValue, MemberValue};
use super::timers::Timer;

impl Context<'_> {
    /// Starts a rebalance, or completes the one that runs if nobody is missing any more.
    pub(super) fn rebalance_or_complete(&mut self, group: &mut Group) {
        if group.state().can_rebalance() {
            self.prepare_rebalance(group);
        } else {
            self.complete_join_if_ready(group);
        }
    }

    /// Enters PreparingRebalance. An empty group waits for more members first; else it waits for those it has.
    pub(super) fn prepare_rebalance(&mut self, group: &mut Group) {
        if group.state() == State::CompletingRebalance {
            self.fail_syncs(group, ErrorCode::RebalanceInProgress);
        }
        group.pending_sync.clear();
        self.timers.cancel(&Timer::Sync(Arc::clone(&group.id)));
        let initial = group.state() == State::Empty;
        group.enter(State::PreparingRebalance, self.now_ms);
        if initial {
            let delay_ms = i64::from(self.config.initial_rebalance_delay_ms.max(0));
            let remaining_ms = (group.rebalance_timeout_ms() - delay_ms).max(0);
            group.initial_delay = Some(InitialDelay { delay_ms, remaining_ms });
            group.new_member_added = false;
            self.wait_for_joins(group, delay_ms);
        } else if group.has_all_members_joined() {
            self.complete_join(group);
        } else {
            self.wait_for_joins(group, group.rebalance_timeout_ms());
        }
    }

    /// Completes the join phase when all have joined. The first rebalance of a group sits out its delay.
    pub(super) fn complete_join_if_ready(&mut self, group: &mut Group) {
        let waits = group.state() == State::PreparingRebalance && group.initial_delay.is_none();
        if waits && group.has_all_members_joined() {
            self.complete_join(group);
        }
    }

    /// The time for joining is up. The first rebalance is put off again if members came meanwhile and there is time.
    pub(super) fn join_wait_ended(&mut self, group: &mut Group) {
        if group.state() != State::PreparingRebalance {
            return;
        }
        match group.initial_delay {
            Some(delay) if group.new_member_added && delay.remaining_ms != 0 => {
                group.new_member_added = false;
                let next_ms = i64::from(self.config.initial_rebalance_delay_ms.max(0)).min(delay.remaining_ms);
                let remaining_ms = (delay.remaining_ms - delay.delay_ms).max(0);
                group.initial_delay = Some(InitialDelay { delay_ms: next_ms, remaining_ms });
                self.wait_for_joins(group, next_ms);
            }
            _ => self.complete_join(group),
        }
    }

    /// Ends the join phase: drops dynamic members that have not joined and begins the next generation.
    pub(super) fn complete_join(&mut self, group: &mut Group) {
        self.timers.cancel(&Timer::Join(Arc::clone(&group.id)));
        let missing = group.members().filter(|member| member.awaiting_join.is_none() && !member.is_static());
        let missing: Vec<Arc<str>> = missing.map(|member| Arc::clone(&member.id)).collect();
        missing.iter().for_each(|id| self.drop_member(group, id));
        if !group.elect_joined_leader() && group.len() != 0 {
            // Only static members are left, and none of them has joined: their sessions decide.
            self.wait_for_joins(group, group.rebalance_timeout_ms());
            return;
        }
        group.next_generation(self.now_ms);
        if group.state() == State::Empty {
            self.write_group(group, &BTreeMap::new(), Purpose::Nothing);
        } else {
            self.announce_generation(group);
        }
    }

    /// Answers every JoinGroup of the new generation and waits for the SyncGroups.
    fn announce_generation(&mut self, group: &mut Group) {
        for id in group.member_ids() {
            let response = current_generation(group, &id);
            if let Some(to) = group.take_join(&id) {
                self.reply(to, Response::Join(response));
            }
            self.keep_alive(group, &id);
            group.set_known(&id);
            group.pending_sync.insert(id);
        }
        let deadline = self.now_ms + group.rebalance_timeout_ms();
        self.timers.set(Timer::Sync(Arc::clone(&group.id)), deadline);
    }

    /// The time for SyncGroup is up: who has not sent one is dropped.
    pub(super) fn sync_wait_ended(&mut self, group: &mut Group) {
        let waits = matches!(group.state(), State::CompletingRebalance | State::Stable);
        if !waits || group.pending_sync.is_empty() {
            return;
        }
        let missing: Vec<Arc<str>> = group.pending_sync.iter().cloned().collect();
        missing.iter().for_each(|id| self.drop_member(group, id));
        self.prepare_rebalance(group);
    }

    /// Hands the members what the leader assigned, now that it is durable, or has them begin again.
    pub(super) fn assignment_written(
        &mut self,
        group: &mut Group,
        generation: i32,
        mut assignments: BTreeMap<Arc<str>, Bytes>,
        error: ErrorCode,
    ) {
        if group.state() != State::CompletingRebalance || group.generation != generation {
            return;
        }
        if !error.is_ok() {
            self.fail_syncs(group, error);
            self.rebalance_or_complete(group);
            return;
        }
        for id in group.member_ids() {
            group.set_assignment(&id, assignments.remove(&id).unwrap_or_default());
            if let Some(to) = group.take_sync(&id) {
                let response = current_assignment(group, &id);
                self.reply(to, response);
                self.keep_alive(group, &id);
            }
        }
        group.enter(State::Stable, self.now_ms);
    }

    /// Refuses every parked SyncGroup and forgets the assignments.
    fn fail_syncs(&mut self, group: &mut Group, error: ErrorCode) {
        for id in group.member_ids() {
            group.set_assignment(&id, Bytes::new());
            if let Some(to) = group.take_sync(&id) {
                self.reply(to, SyncResponse::failed(error));
                self.keep_alive(group, &id);
            }
        }
    }

    /// Refuses whoever waits in the group.
    pub(super) fn fail_all(&mut self, group: &mut Group, error: ErrorCode) {
        for id in group.member_ids() {
            if let Some(to) = group.take_join(&id) {
                self.reply(to, JoinResponse::failed(error, Arc::clone(&id)));
            }
            if let Some(to) = group.take_sync(&id) {
                self.reply(to, SyncResponse::failed(error));
            }
        }
    }

    /// Queues the group's record, with these assignments.
    pub(super) fn write_group(&mut self, group: &Group, assignments: &BTreeMap<Arc<str>, Bytes>, purpose: Purpose) {
        let value = Some(group_value(group, assignments));
        self.append(vec![Change::Group { group: Arc::clone(&group.id), value }], purpose);
    }

    fn wait_for_joins(&mut self, group: &Group, wait_ms: i64) {
        self.timers.set(Timer::Join(Arc::clone(&group.id)), self.now_ms + wait_ms);
    }
}

/// The answer to a JoinGroup of a member of the current generation; the leader sees the members.
pub(super) fn current_generation(group: &Group, member_id: &Arc<str>) -> JoinResponse {
    let protocol = group.protocol_name.as_deref();
    let members = match group.is_leader(member_id) {
        true => group.members().map(|member| member.joined(protocol)).collect(),
        false => Vec::new(),
    };
    JoinResponse {
        error: ErrorCode::None,
        generation: group.generation,
        protocol_type: group.protocol_type.clone(),
        protocol_name: group.protocol_name.clone(),
        leader: group.leader.clone().unwrap_or_default(),
        skip_assignment: false,
        member_id: Arc::clone(member_id),
        members,
    }
}

/// The answer to a SyncGroup in a stable group.
pub(super) fn current_assignment(group: &Group, member_id: &str) -> Response {
    Response::Sync(SyncResponse {
        error: ErrorCode::None,
        protocol_type: group.protocol_type.clone(),
        protocol_name: group.protocol_name.clone(),
        assignment: group.member(member_id).map(|member| member.assignment.clone()).unwrap_or_default(),
    })
}

/// The group as its record holds it.
fn group_value(group: &Group, assignments: &BTreeMap<Arc<str>, Bytes>) -> GroupValue {
    let protocol = group.protocol_name.as_deref();
    let members = group.members().map(|member| MemberValue {
        member_id: Arc::clone(&member.id),
        group_instance_id: member.group_instance_id.clone(),
        client_id: Arc::clone(&member.client_id),
        client_host: Arc::clone(&member.client_host),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        session_timeout_ms: member.session_timeout_ms,
        subscription: member.metadata(protocol),
        assignment: assignments.get(&member.id).cloned().unwrap_or_default(),
    });
    GroupValue {
        protocol_type: group.protocol_type.clone().unwrap_or_default(),
        generation: group.generation,
        protocol: group.protocol_name.clone(),
        leader: group.leader.clone(),
        state_timestamp_ms: group.state_since_ms.unwrap_or(-1),
        members: members.collect(),
    }
}
