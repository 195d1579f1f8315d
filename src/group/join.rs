//! JoinGroup: who may come in, under which id, and whether that begins a rebalance.

use std::sync::Arc;

use super::appends::{Change, Purpose};
use super::classic_group::{Group, State};
use super::coordinator::{Context, Groups};
use super::effect::{JoinResponse, Response};
use super::error::ErrorCode;
use super::event::{JoinRequest, ReplyTo};
use super::member::Member;
use super::rebalance::current_generation;
use super::records::GroupValue;
use super::timers::Timer;

impl Context<'_> {
    pub(super) fn join(&mut self, groups: &mut Groups, mut request: JoinRequest) {
        if let Err(error) = self.check_join(&request) {
            self.refuse_join(&request, error);
            return;
        }
        if request.rebalance_timeout_ms < 0 {
            request.rebalance_timeout_ms = request.session_timeout_ms;
        }
        drop_repeated_protocols(&mut request);
        if let Some(group) = groups.get_mut(&request.group_id) {
            self.join_group(group, request);
        } else if !request.member_id.is_empty() {
            self.refuse_join(&request, ErrorCode::UnknownMemberId);
        } else if groups.len() >= self.config.groups_max {
            self.refuse_join(&request, ErrorCode::GroupMaxSizeReached);
        } else {
            self.join_new_group(groups, request);
        }
    }

    fn check_join(&self, request: &JoinRequest) -> Result<(), ErrorCode> {
        if request.group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        let allowed = self.config.session_timeout_ms_min..=self.config.session_timeout_ms_max;
        if !allowed.contains(&request.session_timeout_ms) {
            return Err(ErrorCode::InvalidSessionTimeout);
        }
        let size: usize = request.protocols.iter().map(|(name, metadata)| name.len() + metadata.len()).sum();
        if size > self.config.member_metadata_bytes_max {
            return Err(ErrorCode::UnknownServerError);
        }
        Ok(())
    }

    /// Makes the group, and its first record, unless the member is refused.
    fn join_new_group(&mut self, groups: &mut Groups, request: JoinRequest) {
        let mut group = Group::new(Arc::clone(&request.group_id));
        group.restore_state(State::Empty, Some(self.now_ms));
        self.join_group(&mut group, request);
        if group.len() == 0 && group.pending_join.is_empty() {
            return;
        }
        let value = Some(GroupValue {
            protocol_type: "".into(),
            generation: 0,
            protocol: None,
            leader: None,
            state_timestamp_ms: self.now_ms,
            members: Vec::new(),
        });
        let change = Change::Group { group: Arc::clone(&group.id), value };
        self.append(vec![change], Purpose::NewGroup { group: Arc::clone(&group.id) });
        groups.insert(Arc::clone(&group.id), group);
    }

    fn join_group(&mut self, group: &mut Group, request: JoinRequest) {
        if !self.accepts(group, &request.member_id) {
            self.refuse_for_size(group, &request);
        } else if group.state() == State::Dead {
            self.refuse_join(&request, ErrorCode::CoordinatorNotAvailable);
        } else if !group.supports(&request.protocol_type, &request.protocols) {
            self.refuse_join(&request, ErrorCode::InconsistentGroupProtocol);
        } else if request.member_id.is_empty() {
            self.join_without_id(group, request);
        } else {
            self.join_with_id(group, request);
        }
    }

    /// Whether there is room. While members are joining, those that have joined count, so that the last ones to come
    /// back are left out; else a member of the group is always let in.
    fn accepts(&self, group: &Group, member_id: &str) -> bool {
        let max = self.config.members_per_group_max;
        match group.state() {
            State::Empty | State::Dead => true,
            State::PreparingRebalance => {
                group.members_awaiting_join() < max
                    || group.member(member_id).is_some_and(|member| member.awaiting_join.is_some())
            }
            State::CompletingRebalance | State::Stable => group.member(member_id).is_some() || group.len() < max,
        }
    }

    fn refuse_for_size(&mut self, group: &mut Group, request: &JoinRequest) {
        self.drop_member(group, &request.member_id);
        self.reply(request.reply, JoinResponse::failed(ErrorCode::GroupMaxSizeReached, "".into()));
        self.complete_join_if_ready(group);
    }

    fn join_without_id(&mut self, group: &mut Group, request: JoinRequest) {
        let prefix = request.group_instance_id.as_ref().unwrap_or(&request.client_id);
        let member_id = make_member_id(prefix, request.new_member_bits);
        if group.member(&member_id).is_some() || group.pending_join.contains(&member_id) {
            self.refuse_join(&request, ErrorCode::UnknownMemberId);
            return;
        }
        let replaced = request.group_instance_id.as_ref().and_then(|instance| group.static_member_id(instance));
        match replaced {
            Some(old_id) => self.rejoin_static(group, request, &old_id, member_id),
            None if request.group_instance_id.is_none() && request.requires_known_member_id => {
                self.hand_out_id(group, &request, member_id);
            }
            None => self.add_member(group, request, member_id),
        }
    }

    /// MEMBER_ID_REQUIRED: the member is to come back with this id within its session timeout (KIP-394).
    fn hand_out_id(&mut self, group: &mut Group, request: &JoinRequest, member_id: Arc<str>) {
        if group.pending_join.len() >= self.config.pending_members_per_group_max {
            self.refuse_join(request, ErrorCode::GroupMaxSizeReached);
            return;
        }
        group.pending_join.insert(Arc::clone(&member_id));
        let deadline = self.now_ms + i64::from(request.session_timeout_ms);
        self.timers.set(Timer::Session(Arc::clone(&group.id), Arc::clone(&member_id)), deadline);
        self.reply(request.reply, JoinResponse::failed(ErrorCode::MemberIdRequired, member_id));
    }

    fn join_with_id(&mut self, group: &mut Group, request: JoinRequest) {
        if group.pending_join.contains(&request.member_id) {
            if request.group_instance_id.is_some() {
                self.refuse_join(&request, ErrorCode::UnknownServerError);
            } else {
                let member_id = Arc::clone(&request.member_id);
                self.add_member(group, request, member_id);
            }
            return;
        }
        if let Err(error) = group.validate_member(&request.member_id, request.group_instance_id.as_deref()) {
            self.refuse_join(&request, error);
            return;
        }
        let same = group.member(&request.member_id).is_some_and(|member| member.protocols == request.protocols);
        match group.state() {
            State::PreparingRebalance => self.update_and_rebalance(group, request),
            State::CompletingRebalance if same => self.answer_current_generation(group, &request),
            State::Stable if same && !group.is_leader(&request.member_id) => {
                self.answer_current_generation(group, &request);
            }
            State::CompletingRebalance | State::Stable => self.update_and_rebalance(group, request),
            State::Empty | State::Dead => self.refuse_join(&request, ErrorCode::UnknownMemberId),
        }
    }

    /// The member did not hear of this generation, or a follower asks again: nothing has changed.
    fn answer_current_generation(&mut self, group: &Group, request: &JoinRequest) {
        let response = current_generation(group, &request.member_id);
        self.reply(request.reply, Response::Join(response));
    }

    fn update_and_rebalance(&mut self, group: &mut Group, request: JoinRequest) {
        let (rebalance_ms, session_ms) = (request.rebalance_timeout_ms, request.session_timeout_ms);
        group.update_member(&request.member_id, request.protocols, rebalance_ms, session_ms);
        self.park_join(group, &request.member_id, request.reply);
        self.rebalance_or_complete(group);
    }

    /// A new member waits for the generation; it cannot send heartbeats yet, so the join itself has a time limit.
    fn add_member(&mut self, group: &mut Group, request: JoinRequest, member_id: Arc<str>) {
        if group.initial_delay.is_some() {
            group.new_member_added = true;
        }
        let member = Member::from_join(&request, Arc::clone(&member_id));
        group.add(member, &request.protocol_type);
        self.park_join(group, &member_id, request.reply);
        let deadline = self.now_ms + self.config.new_member_join_timeout_ms;
        self.timers.set(Timer::Session(Arc::clone(&group.id), member_id), deadline);
        self.rebalance_or_complete(group);
    }

    /// Parks a JoinGroup. An earlier one of the same member comes from a connection it has given up: it is told to
    /// try again.
    pub(super) fn park_join(&mut self, group: &mut Group, member_id: &Arc<str>, reply: ReplyTo) {
        if let Some(before) = group.park_join(member_id, reply) {
            self.reply(before, JoinResponse::failed(ErrorCode::RebalanceInProgress, Arc::clone(member_id)));
        }
    }

    fn refuse_join(&mut self, request: &JoinRequest, error: ErrorCode) {
        self.reply(request.reply, JoinResponse::failed(error, Arc::clone(&request.member_id)));
    }
}

/// `prefix-` and a version 4 UUID, as Kafka makes them.
fn make_member_id(prefix: &str, random: u128) -> Arc<str> {
    let id = uuid::Builder::from_random_bytes(random.to_be_bytes()).into_uuid();
    format!("{prefix}-{id}").into()
}

/// A name counts once, where it stands first.
fn drop_repeated_protocols(request: &mut JoinRequest) {
    let mut seen = std::collections::BTreeSet::new();
    request.protocols.retain(|(name, _)| seen.insert(Arc::clone(name)));
}
