//! Syncs and heartbeats, and members whose session ends.

use super::rig::*;
use crate::group::*;

#[test]
fn followers_get_their_assignment_when_the_leaders_is_durable() {
    let mut rig = Rig::with(Config::default());
    let ids = [rig.member_id(), rig.member_id()];
    let joins: Vec<_> = ids.iter().map(|id| rig.start_join(id, |_| {})).collect();
    rig.advance(6_000);
    let leader = rig.join_response(joins[0]).leader;
    let follower = ids.iter().find(|id| **id != leader).unwrap();
    let early = rig.start_sync(follower, 1, &[]);
    rig.hold = true;
    let sync = rig.start_sync(&leader, 1, &[(&leader, "a"), (follower, "b"), ("ghost", "c")]);
    assert_eq!((rig.reply(early), rig.reply(sync), rig.state()), (None, None, "CompletingRebalance"));
    rig.complete(Ok(()));
    assert_eq!((rig.sync_response(early).assignment, rig.sync_response(sync).assignment), ("b".into(), "a".into()));
    assert_eq!(rig.sync(follower, 1, &[]).assignment, "b", "a stable group answers again");
}

#[test]
fn an_assignment_that_cannot_be_written_starts_over() {
    let mut rig = Rig::new();
    let id = rig.member_id();
    rig.join(&id, |_| {});
    rig.hold = true;
    let sync = rig.start_sync(&id, 1, &[(&id, "a")]);
    rig.complete(Err(AppendError::Unavailable));
    assert_eq!(rig.sync_response(sync).error, ErrorCode::CoordinatorNotAvailable);
    assert_eq!(rig.state(), "PreparingRebalance");
    assert_eq!(rig.join(&id, |_| {}).generation, 2);
}

#[test]
fn an_assignment_of_an_older_generation_is_without_effect() {
    let mut rig = Rig::new();
    let id = rig.member_id();
    rig.join(&id, |_| {});
    rig.hold = true;
    let sync = rig.start_sync(&id, 1, &[(&id, "a")]);
    let rejoined = rig.join(&id, |request| request.protocols = vec![("range".into(), subscription("x"))]);
    assert_eq!((rejoined.generation, rig.sync_response(sync).error), (2, ErrorCode::RebalanceInProgress));
    rig.complete(Ok(()));
    assert_eq!(rig.state(), "CompletingRebalance");
}

#[test]
fn refused_syncs() {
    let mut rig = Rig::new();
    assert_eq!(rig.sync("x", 1, &[]).error, ErrorCode::UnknownMemberId, "no such group");
    let (ids, generation) = rig.stable(2);
    assert_eq!(rig.sync("x", generation, &[]).error, ErrorCode::UnknownMemberId);
    assert_eq!(rig.sync(&ids[0], generation + 1, &[]).error, ErrorCode::IllegalGeneration);
    rig.start_join(&ids[0], |_| {});
    assert_eq!(rig.sync(&ids[1], generation, &[]).error, ErrorCode::RebalanceInProgress);
}

#[test]
fn a_sync_must_name_the_groups_protocol() {
    let mut rig = Rig::new();
    let (ids, generation) = rig.stable(1);
    let asks = [("consumer", "range", ErrorCode::None), ("connect", "range", ErrorCode::InconsistentGroupProtocol)];
    for (protocol_type, name, expected) in asks.into_iter().chain([("consumer", "x", asks[1].2)]) {
        let reply = rig.next_reply();
        rig.send(Event::Sync(SyncRequest {
            reply,
            group_id: GROUP.into(),
            member_id: ids[0].clone(),
            group_instance_id: None,
            generation,
            protocol_type: Some(protocol_type.into()),
            protocol_name: Some(name.into()),
            assignments: Vec::new(),
        }));
        assert_eq!(rig.sync_response(reply).error, expected);
    }
}

#[test]
fn members_that_never_sync_are_dropped_after_the_rebalance_timeout() {
    let mut rig = Rig::new();
    let (ids, generation) = rig.stable(2);
    let joins = [rig.start_join(&ids[0], |_| {}), rig.start_join(&ids[1], |_| {})];
    assert_eq!(rig.join_response(joins[1]).generation, generation + 1);
    rig.start_sync(&ids[0], generation + 1, &[]);
    for _ in 0..12 {
        rig.advance(5_000);
        rig.heartbeat(&ids[0], None, generation + 1);
        rig.heartbeat(&ids[1], None, generation + 1);
    }
    assert_eq!(rig.state(), "PreparingRebalance");
    let described = rig.describe();
    assert_eq!((described.members.len(), &described.members[0].member_id), (1, &ids[0]));
}

#[test]
fn heartbeats() {
    let mut rig = Rig::new();
    assert_eq!(rig.heartbeat("x", None, 1), ErrorCode::UnknownMemberId);
    let id = rig.member_id();
    rig.join(&id, |_| {});
    assert_eq!(rig.heartbeat(&id, None, 1), ErrorCode::None, "completing the rebalance");
    assert_eq!(rig.heartbeat(&id, None, 2), ErrorCode::IllegalGeneration);
    assert_eq!(rig.heartbeat("x", None, 1), ErrorCode::UnknownMemberId);
    assert_eq!(rig.heartbeat(&id, Some("i"), 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_session_ends_without_heartbeats_and_the_others_rebalance() {
    let mut rig = Rig::new();
    let (ids, generation) = rig.stable(2);
    rig.advance(9_999);
    assert_eq!(rig.heartbeat(&ids[0], None, generation), ErrorCode::None);
    rig.advance(1);
    assert_eq!(rig.heartbeat(&ids[0], None, generation), ErrorCode::RebalanceInProgress);
    assert_eq!(rig.heartbeat(&ids[1], None, generation), ErrorCode::UnknownMemberId);
    assert_eq!(rig.join(&ids[0], |_| {}).generation, generation + 1);
}

#[test]
fn a_commit_keeps_the_session_alive() {
    let mut rig = Rig::new();
    let (ids, generation) = rig.stable(1);
    rig.advance(9_000);
    assert_eq!(rig.commit(&ids[0], generation), ErrorCode::None);
    rig.advance(9_000);
    assert_eq!(rig.heartbeat(&ids[0], None, generation), ErrorCode::None);
}

#[test]
fn who_waits_for_the_group_outlives_its_session() {
    let mut rig = Rig::new();
    let (ids, generation) = rig.stable(2);
    let join = rig.start_join(&ids[0], |_| {});
    for _ in 0..4 {
        rig.advance(9_000);
        rig.heartbeat(&ids[1], None, generation);
    }
    assert_eq!(rig.reply(join), None);
    rig.start_join(&ids[1], |_| {});
    assert_eq!(rig.join_response(join).error, ErrorCode::None);
}

#[test]
fn a_new_member_does_not_wait_for_ever() {
    let mut rig = Rig::new();
    let (ids, generation) = rig.stable(1);
    let join = rig.start_join("", |request| {
        request.requires_known_member_id = false;
        request.rebalance_timeout_ms = 1_000_000;
    });
    for _ in 0..60 {
        rig.advance(5_000);
        rig.heartbeat(&ids[0], None, generation);
    }
    let response = rig.join_response(join);
    assert_eq!((response.error, &*response.member_id), (ErrorCode::UnknownMemberId, ""));
}

#[test]
fn the_last_member_leaves_an_empty_group_with_a_record() {
    let mut rig = Rig::new();
    let (ids, generation) = rig.stable(1);
    let records = rig.log.len();
    assert_eq!(rig.leave(&[(&ids[0], None)]), [ErrorCode::None]);
    assert_eq!((rig.state(), rig.log.len()), ("Empty", records + 1));
    let value = records::decode_group(rig.log[records].value.clone().unwrap()).unwrap();
    assert_eq!((value.generation, value.protocol, value.leader), (generation + 1, None, None));
    assert_eq!(&*value.protocol_type, "consumer");
}

#[test]
fn leaving_is_answered_member_by_member() {
    let mut rig = Rig::new();
    assert_eq!(rig.leave(&[("x", None)]), [ErrorCode::UnknownMemberId], "no such group");
    let (ids, generation) = rig.stable(2);
    let pending = rig.member_id();
    assert_eq!(
        rig.leave(&[(&ids[0], None), ("ghost", None), (&pending, None), ("", None)]),
        [ErrorCode::None, ErrorCode::UnknownMemberId, ErrorCode::None, ErrorCode::UnknownMemberId],
    );
    assert_eq!(rig.heartbeat(&ids[1], None, generation), ErrorCode::RebalanceInProgress);
    assert_eq!(rig.join(&pending, |_| {}).error, ErrorCode::UnknownMemberId);
}

#[test]
fn who_waits_and_is_made_to_leave_is_answered() {
    let mut rig = Rig::new();
    let (ids, _) = rig.stable(3);
    let join = rig.start_join(&ids[0], |_| {});
    rig.leave(&[(&ids[0], None)]);
    assert_eq!(rig.join_response(join).error, ErrorCode::UnknownMemberId);
    let joins = [rig.start_join(&ids[1], |_| {}), rig.start_join(&ids[2], |_| {})];
    let response = rig.join_response(joins[0]);
    let follower = if response.leader == ids[1] { &ids[2] } else { &ids[1] };
    let sync = rig.start_sync(follower, response.generation, &[]);
    rig.leave(&[(follower, None)]);
    assert_eq!(rig.sync_response(sync).error, ErrorCode::UnknownMemberId);
}

#[test]
fn empty_group_ids_are_refused_where_kafka_refuses_them() {
    let mut rig = Rig::new();
    let reply = rig.next_reply();
    let (member_id, group_instance_id) = ("x".into(), None);
    let request = HeartbeatRequest { reply, group_id: "".into(), member_id, group_instance_id, generation: 1 };
    rig.send(Event::Heartbeat(request));
    assert_eq!(rig.reply(reply), Some(Response::Heartbeat(ErrorCode::InvalidGroupId)));
    let reply = rig.next_reply();
    rig.send(Event::Leave(LeaveRequest { reply, group_id: "".into(), members: Vec::new() }));
    let refused = LeaveResponse { error: ErrorCode::InvalidGroupId, members: Vec::new() };
    assert_eq!(rig.reply(reply), Some(Response::Leave(refused)));
    let reply = rig.next_reply();
    rig.send(Event::DeleteOffsets(DeleteOffsetsRequest { reply, group_id: "".into(), topics: Vec::new() }));
    let refused = DeleteOffsetsResponse { error: ErrorCode::InvalidGroupId, topics: Vec::new() };
    assert_eq!(rig.reply(reply), Some(Response::DeleteOffsets(refused)));
    let commit = rig.start_commit("", -1, |request| request.group_id = "".into());
    assert_eq!(rig.commit_errors(commit), [ErrorCode::None], "offsets of the empty group are allowed");
}
