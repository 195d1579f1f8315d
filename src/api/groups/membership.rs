//! JoinGroup, SyncGroup, Heartbeat and LeaveGroup.

use std::sync::Arc;

use duramen_wire::messages::join_group_response::JoinGroupResponseMember;
use duramen_wire::messages::leave_group_response::MemberResponse;
use duramen_wire::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    StrBytes, SyncGroupRequest, SyncGroupResponse,
};

use super::ask;
use crate::api::{Caller, Context};
use crate::group::{self, ErrorCode, Event, LeavingMember, ReplyTo, Response};

/// The first JoinGroup that asks a new member to come back with its id (KIP-394).
const KNOWN_MEMBER_ID_SINCE: i16 = 4;
/// The first JoinGroup whose answer may lack a protocol's name.
const NULL_PROTOCOL_SINCE: i16 = 7;
/// The first SyncGroup whose answer tells the protocol (KIP-559).
const PROTOCOL_IN_SYNC_SINCE: i16 = 5;
/// The first JoinGroup that can tell a leader to skip the assignment (KIP-814).
const SKIP_ASSIGNMENT_SINCE: i16 = 9;
/// The first LeaveGroup that names several members (KIP-345).
const MANY_LEAVE_SINCE: i16 = 3;

/// A string that outlives its request's buffer.
pub(super) fn own(text: &str) -> Arc<str> {
    Arc::from(text)
}

pub(super) fn own_option(text: Option<&StrBytes>) -> Option<Arc<str>> {
    text.map(|text| own(text))
}

pub(super) fn wire(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_string())
}

/// Asks the coordinator of a group, whose name the event is made with. An answer of another kind than the question is an
/// error of the coordinator.
async fn ask_for<T>(
    context: &Context,
    group_id: &StrBytes,
    event: impl FnOnce(ReplyTo, Arc<str>) -> Event + Send + 'static,
    kind: fn(Response) -> Option<T>,
) -> Result<T, ErrorCode> {
    let own_id = own(group_id);
    let answer = ask(context, group_id, move |reply| event(reply, own_id)).await?;
    kind(answer).ok_or(ErrorCode::UnknownServerError)
}

pub async fn join(context: &Context, caller: &Caller, request: JoinGroupRequest) -> JoinGroupResponse {
    let version = caller.version;
    let (client_id, host) = (own(&caller.client_id), own(&format!("/{}", caller.peer.ip().to_canonical())));
    let group_id = request.group_id.clone();
    let event = move |reply, group_id| {
        Event::Join(group::JoinRequest {
            reply,
            group_id,
            member_id: own(&request.member_id),
            group_instance_id: own_option(request.group_instance_id.as_ref()),
            client_id,
            client_host: host,
            session_timeout_ms: request.session_timeout_ms,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            protocol_type: own(&request.protocol_type),
            protocols: request
                .protocols
                .iter()
                .map(|protocol| (own(&protocol.name), protocol.metadata.to_vec().into()))
                .collect(),
            requires_known_member_id: version >= KNOWN_MEMBER_ID_SINCE,
            supports_skip_assignment: version >= SKIP_ASSIGNMENT_SINCE,
            new_member_bits: rand::random(),
        })
    };
    let kind = |response| if let Response::Join(joined) = response { Some(joined) } else { None };
    match ask_for(context, &group_id, event, kind).await {
        Ok(joined) => joined_response(version, &joined),
        Err(error) => failed_join(version, error),
    }
}

fn joined_response(version: i16, joined: &group::JoinResponse) -> JoinGroupResponse {
    let members = joined.members.iter().map(|member| {
        JoinGroupResponseMember::default()
            .with_member_id(wire(&member.member_id))
            .with_group_instance_id(member.group_instance_id.as_deref().map(wire))
            .with_metadata(member.metadata.clone())
    });
    let name = joined.protocol_name.as_deref().map(wire);
    let response = JoinGroupResponse::default()
        .with_error_code(joined.error.code())
        .with_generation_id(joined.generation)
        .with_protocol_name(if version < NULL_PROTOCOL_SINCE { name.or(Some(wire(""))) } else { name })
        .with_leader(wire(&joined.leader))
        .with_member_id(wire(&joined.member_id))
        .with_members(members.collect());
    let response = match version >= NULL_PROTOCOL_SINCE {
        true => response.with_protocol_type(joined.protocol_type.as_deref().map(wire)),
        false => response,
    };
    if version >= SKIP_ASSIGNMENT_SINCE { response.with_skip_assignment(joined.skip_assignment) } else { response }
}

fn failed_join(version: i16, error: ErrorCode) -> JoinGroupResponse {
    let response = JoinGroupResponse::default().with_error_code(error.code()).with_generation_id(-1);
    if version < NULL_PROTOCOL_SINCE { response.with_protocol_name(Some(wire(""))) } else { response }
}

pub async fn sync(context: &Context, caller: &Caller, request: SyncGroupRequest) -> SyncGroupResponse {
    let group_id = request.group_id.clone();
    let event = move |reply, group_id| {
        Event::Sync(group::SyncRequest {
            reply,
            group_id,
            member_id: own(&request.member_id),
            group_instance_id: own_option(request.group_instance_id.as_ref()),
            generation: request.generation_id,
            protocol_type: own_option(request.protocol_type.as_ref()),
            protocol_name: own_option(request.protocol_name.as_ref()),
            assignments: request
                .assignments
                .iter()
                .map(|one| (own(&one.member_id), one.assignment.to_vec().into()))
                .collect(),
        })
    };
    let failed = |error: ErrorCode| SyncGroupResponse::default().with_error_code(error.code());
    let kind = |response| if let Response::Sync(synced) = response { Some(synced) } else { None };
    let synced = match ask_for(context, &group_id, event, kind).await {
        Ok(synced) => synced,
        Err(error) => return failed(error),
    };
    let response = failed(synced.error).with_assignment(synced.assignment);
    match caller.version >= PROTOCOL_IN_SYNC_SINCE {
        true => response
            .with_protocol_type(synced.protocol_type.as_deref().map(wire))
            .with_protocol_name(synced.protocol_name.as_deref().map(wire)),
        false => response,
    }
}

pub async fn heartbeat(context: &Context, request: HeartbeatRequest) -> HeartbeatResponse {
    let group_id = request.group_id.clone();
    let event = move |reply, group_id| {
        Event::Heartbeat(group::HeartbeatRequest {
            reply,
            group_id,
            member_id: own(&request.member_id),
            group_instance_id: own_option(request.group_instance_id.as_ref()),
            generation: request.generation_id,
        })
    };
    let kind = |response| if let Response::Heartbeat(error) = response { Some(error) } else { None };
    let (Ok(error) | Err(error)) = ask_for(context, &group_id, event, kind).await;
    HeartbeatResponse::default().with_error_code(error.code())
}

pub async fn leave(context: &Context, caller: &Caller, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let group_id = request.group_id.clone();
    let many = caller.version >= MANY_LEAVE_SINCE;
    let event = move |reply, group_id| {
        let members = match many {
            true => request
                .members
                .iter()
                .map(|member| LeavingMember {
                    member_id: own(&member.member_id),
                    group_instance_id: own_option(member.group_instance_id.as_ref()),
                })
                .collect(),
            false => vec![LeavingMember { member_id: own(&request.member_id), group_instance_id: None }],
        };
        Event::Leave(group::LeaveRequest { reply, group_id, members })
    };
    let failed = |error: ErrorCode| LeaveGroupResponse::default().with_error_code(error.code());
    let kind = |response| if let Response::Leave(left) = response { Some(left) } else { None };
    let left = match ask_for(context, &group_id, event, kind).await {
        Ok(left) => left,
        Err(error) => return failed(error),
    };
    if !many {
        let only = left.members.first().map_or(ErrorCode::None, |member| member.error);
        return failed(if left.error.is_ok() { only } else { left.error });
    }
    let members = left.members.iter().map(|member| {
        MemberResponse::default()
            .with_member_id(wire(&member.member_id))
            .with_group_instance_id(member.group_instance_id.as_deref().map(wire))
            .with_error_code(member.error.code())
    });
    failed(left.error).with_members(members.collect())
}
