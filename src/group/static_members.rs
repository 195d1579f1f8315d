//! Static members (KIP-345): a member with an instance id that comes back without its member id takes its old place.
//!
//! In a stable group whose protocol does not change it gets the current generation, and no rebalance begins: the new
//! member id is written first. In any other state the rebalance goes on with the new id.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::appends::Purpose;
use super::classic_group::{Group, State};
use super::coordinator::Context;
use super::effect::{JoinResponse, Response, SyncResponse};
use super::error::ErrorCode;
use super::event::JoinRequest;
use super::rebalance::current_generation;
use super::timers::Timer;

/// A rejoin whose record is being written, with what is needed to take it back.
#[derive(Debug)]
pub(super) struct Rejoin {
    pub(super) group: Arc<str>,
    generation: i32,
    old_id: Arc<str>,
    new_id: Arc<str>,
    /// The leader before the rejoin: clients that cannot skip the assignment must not take themselves for it.
    old_leader: Option<Arc<str>>,
    supports_skip_assignment: bool,
    old_protocols: Vec<(Arc<str>, Bytes)>,
    old_rebalance_timeout_ms: i32,
    old_session_timeout_ms: i32,
}

impl Context<'_> {
    /// Gives the member's place to a new id and fences the old one.
    pub(super) fn rejoin_static(
        &mut self,
        group: &mut Group,
        request: JoinRequest,
        old_id: &Arc<str>,
        new_id: Arc<str>,
    ) {
        let old_leader = group.leader.clone();
        let Some(member) = group.member(old_id) else { return self.refuse_unknown(&request) };
        let rejoin = Box::new(Rejoin {
            group: Arc::clone(&group.id),
            generation: group.generation,
            old_id: Arc::clone(old_id),
            new_id: Arc::clone(&new_id),
            old_leader,
            supports_skip_assignment: request.supports_skip_assignment,
            old_protocols: member.protocols.clone(),
            old_rebalance_timeout_ms: member.rebalance_timeout_ms,
            old_session_timeout_ms: member.session_timeout_ms,
        });
        self.replace(group, old_id, &new_id);
        group.update_member(&new_id, request.protocols, request.rebalance_timeout_ms, request.session_timeout_ms);
        self.park_join(group, &new_id, request.reply);
        self.keep_alive(group, &new_id);
        match group.state() {
            State::Stable if group.select_protocol() == group.protocol_name => {
                let assignments = group.members().map(|member| (Arc::clone(&member.id), member.assignment.clone()));
                let assignments: BTreeMap<Arc<str>, Bytes> = assignments.collect();
                self.write_group(group, &assignments, Purpose::StaticRejoin(rejoin));
            }
            // The old id may be on its way to the leader: begin again, or the new one would get no assignment.
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(group),
            _ => self.complete_join_if_ready(group),
        }
    }

    /// The new id is durable, or is not. If a rebalance has begun meanwhile, that answers the member.
    pub(super) fn static_rejoin_written(&mut self, group: &mut Group, rejoin: Rejoin, error: ErrorCode) {
        let current = group.state() == State::Stable && group.generation == rejoin.generation;
        if !current || group.member(&rejoin.new_id).is_none() {
            return;
        }
        let Some(to) = group.take_join(&rejoin.new_id) else { return };
        if error.is_ok() {
            let response = rejoined(group, &rejoin);
            self.reply(to, Response::Join(response));
            return;
        }
        self.reply(to, JoinResponse::failed(error, "".into()));
        self.replace(group, &rejoin.new_id, &rejoin.old_id);
        let (rebalance_ms, session_ms) = (rejoin.old_rebalance_timeout_ms, rejoin.old_session_timeout_ms);
        group.update_member(&rejoin.old_id, rejoin.old_protocols, rebalance_ms, session_ms);
        self.keep_alive(group, &rejoin.old_id);
    }

    fn replace(&mut self, group: &mut Group, old_id: &Arc<str>, new_id: &Arc<str>) {
        let (join, sync) = group.replace_static(old_id, new_id).unwrap_or_default();
        if let Some(to) = join {
            self.reply(to, JoinResponse::failed(ErrorCode::FencedInstanceId, Arc::clone(old_id)));
        }
        if let Some(to) = sync {
            self.reply(to, SyncResponse::failed(ErrorCode::FencedInstanceId));
        }
        self.timers.cancel(&Timer::Session(Arc::clone(&group.id), Arc::clone(old_id)));
    }

    fn refuse_unknown(&mut self, request: &JoinRequest) {
        self.reply(request.reply, JoinResponse::failed(ErrorCode::UnknownMemberId, "".into()));
    }
}

/// The generation as it is. A rejoined leader does not assign again: it is told so (KIP-814), or, by a client that
/// cannot be told, that its old id leads.
fn rejoined(group: &Group, rejoin: &Rejoin) -> JoinResponse {
    let mut response = current_generation(group, &rejoin.new_id);
    if rejoin.supports_skip_assignment {
        response.skip_assignment = group.is_leader(&rejoin.new_id);
    } else {
        response.leader = rejoin.old_leader.clone().unwrap_or_default();
        response.members.clear();
    }
    response
}
