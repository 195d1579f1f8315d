//! How a member stays in its group, and how it gets out: SyncGroup, Heartbeat, LeaveGroup, the end of its session.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::appends::Purpose;
use super::classic_group::{Group, State};
use super::coordinator::{Context, Groups};
use super::effect::{JoinResponse, LeaveResponse, LeftMember, Response, SyncResponse};
use super::error::ErrorCode;
use super::event::{HeartbeatRequest, LeaveRequest, LeavingMember, SyncRequest};
use super::rebalance::current_assignment;
use super::timers::Timer;

impl Context<'_> {
    pub(super) fn sync(&mut self, groups: &mut Groups, request: SyncRequest) {
        let checked = self.check_sync(groups, &request);
        let group = match checked {
            Ok(group) => group,
            Err(error) => return self.reply(request.reply, SyncResponse::failed(error)),
        };
        group.pending_sync.remove(&request.member_id);
        if group.pending_sync.is_empty() {
            self.timers.cancel(&Timer::Sync(Arc::clone(&group.id)));
        }
        if group.state() == State::Stable {
            let response = current_assignment(group, &request.member_id);
            return self.reply(request.reply, response);
        }
        if let Some(before) = group.park_sync(&request.member_id, request.reply) {
            self.reply(before, SyncResponse::failed(ErrorCode::RebalanceInProgress));
        }
        if group.is_leader(&request.member_id) {
            let generation = group.generation;
            let mut assignments: BTreeMap<_, _> = request.assignments.into_iter().collect();
            assignments.retain(|id, _| group.member(id).is_some());
            let purpose =
                Purpose::Assignment { group: Arc::clone(&group.id), generation, assignments: assignments.clone() };
            self.write_group(group, &assignments, purpose);
        }
    }

    /// The group, if it is waiting for this SyncGroup or has answered such ones.
    fn check_sync<'g>(&self, groups: &'g mut Groups, request: &SyncRequest) -> Result<&'g mut Group, ErrorCode> {
        if request.group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        let size: usize = request.assignments.iter().map(|(id, assignment)| id.len() + assignment.len()).sum();
        let group = groups.get_mut(&request.group_id).ok_or(ErrorCode::UnknownMemberId)?;
        match group.state() {
            State::Empty => return Err(ErrorCode::UnknownMemberId),
            State::Dead => return Err(ErrorCode::CoordinatorNotAvailable),
            _ => {}
        }
        group.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation != group.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs =
            |asked: &Option<Arc<str>>, has: &Option<Arc<str>>| asked.is_some() && has.is_some() && asked != has;
        if differs(&request.protocol_type, &group.protocol_type)
            || differs(&request.protocol_name, &group.protocol_name)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        if group.state() == State::PreparingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        if size > self.config.member_metadata_bytes_max {
            return Err(ErrorCode::UnknownServerError);
        }
        Ok(group)
    }

    pub(super) fn heartbeat(&mut self, groups: &mut Groups, request: HeartbeatRequest) {
        let error = self.check_heartbeat(groups, &request).err().unwrap_or(ErrorCode::None);
        self.reply(request.reply, Response::Heartbeat(error));
    }

    /// Prolongs the session. A member that is to rejoin is told so, and stays in until the rebalance ends.
    fn check_heartbeat(&mut self, groups: &mut Groups, request: &HeartbeatRequest) -> Result<(), ErrorCode> {
        if request.group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        let group = groups.get(&request.group_id).ok_or(ErrorCode::UnknownMemberId)?;
        if group.state() == State::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        group.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation != group.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        self.keep_alive(group, &request.member_id);
        match group.state() {
            State::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    pub(super) fn leave(&mut self, groups: &mut Groups, request: LeaveRequest) {
        let refused = |error| Response::Leave(LeaveResponse { error, members: Vec::new() });
        if request.group_id.is_empty() {
            return self.reply(request.reply, refused(ErrorCode::InvalidGroupId));
        }
        let Some(group) = groups.get_mut(&request.group_id) else {
            let members = request.members.into_iter().map(|member| left(member, ErrorCode::UnknownMemberId)).collect();
            return self.reply(request.reply, Response::Leave(LeaveResponse { error: ErrorCode::None, members }));
        };
        if group.state() == State::Dead {
            return self.reply(request.reply, refused(ErrorCode::CoordinatorNotAvailable));
        }
        let mut members = Vec::with_capacity(request.members.len());
        for member in request.members {
            let error = self.leave_one(group, &member).err().unwrap_or(ErrorCode::None);
            members.push(left(member, error));
        }
        let any_left = members.iter().any(|member| member.error.is_ok());
        let response = Response::Leave(LeaveResponse { error: ErrorCode::None, members });
        self.reply_after(request.reply, response, |context| {
            if any_left && group.state() != State::Empty {
                context.rebalance_or_complete(group);
            }
        });
    }

    /// A member is named by its id, by both its ids, or, by an administrator, by its instance id alone.
    fn leave_one(&mut self, group: &mut Group, leaving: &LeavingMember) -> Result<(), ErrorCode> {
        let mut member_id = Arc::clone(&leaving.member_id);
        if member_id.is_empty() {
            let instance = leaving.group_instance_id.as_deref().ok_or(ErrorCode::UnknownMemberId)?;
            member_id = group.static_member_id(instance).ok_or(ErrorCode::UnknownMemberId)?;
        } else if !group.pending_join.contains(&member_id) {
            group.validate_member(&member_id, leaving.group_instance_id.as_deref())?;
        }
        self.drop_member(group, &member_id);
        Ok(())
    }

    /// A member, or an id that was handed out, was not heard of in time.
    pub(super) fn session_ended(&mut self, group: &mut Group, member_id: &Arc<str>) {
        if group.member(member_id).is_some_and(|member| member.survives_session_end()) {
            return;
        }
        let was_member = group.member(member_id).is_some();
        self.drop_member(group, member_id);
        match group.state() {
            State::Stable | State::CompletingRebalance if was_member => self.prepare_rebalance(group),
            State::PreparingRebalance if group.has_all_members_joined() => self.complete_join(group),
            _ => {}
        }
    }

    /// Takes a member or a pending id out of the group, with its session; what it waits for is refused.
    pub(super) fn drop_member(&mut self, group: &mut Group, member_id: &Arc<str>) {
        self.timers.cancel(&Timer::Session(Arc::clone(&group.id), Arc::clone(member_id)));
        let Some(member) = group.remove(member_id) else { return };
        if let Some(to) = member.awaiting_join {
            self.reply(to, JoinResponse::failed(ErrorCode::UnknownMemberId, "".into()));
        }
        if let Some(to) = member.awaiting_sync {
            self.reply(to, SyncResponse::failed(ErrorCode::UnknownMemberId));
        }
    }

    /// The member's session begins anew.
    pub(super) fn keep_alive(&mut self, group: &Group, member_id: &Arc<str>) {
        if let Some(member) = group.member(member_id) {
            let deadline = self.now_ms + i64::from(member.session_timeout_ms);
            self.timers.set(Timer::Session(Arc::clone(&group.id), Arc::clone(member_id)), deadline);
        }
    }
}

fn left(member: LeavingMember, error: ErrorCode) -> LeftMember {
    LeftMember { member_id: member.member_id, group_instance_id: member.group_instance_id, error }
}
