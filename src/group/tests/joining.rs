//! Joining, syncing and leaving: the rebalance from its delay to its end.

use super::rig::*;
use crate::group::*;

#[test]
fn a_new_member_is_told_to_come_back_with_an_id() {
    let mut rig = Rig::new();
    let response = rig.join("", |_| {});
    assert_eq!((response.error, response.generation), (ErrorCode::MemberIdRequired, -1));
    assert!(response.member_id.starts_with("c-"));
    assert_eq!(rig.state(), "Empty");
    let joined = rig.join(&response.member_id, |_| {});
    assert_eq!((joined.error, joined.generation, joined.members.len()), (ErrorCode::None, 1, 1));
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
}

#[test]
fn before_version_4_a_member_joins_without_an_id() {
    let mut rig = Rig::new();
    let response = rig.join("", |request| request.requires_known_member_id = false);
    assert_eq!((response.error, response.generation), (ErrorCode::None, 1));
}

#[test]
fn a_static_member_joins_without_an_id() {
    let mut rig = Rig::new();
    let response = rig.join("", |request| request.group_instance_id = Some("i".into()));
    assert_eq!(response.error, ErrorCode::None);
    assert!(response.member_id.starts_with("i-"));
}

#[test]
fn an_id_that_does_not_come_back_expires() {
    let mut rig = Rig::new();
    let id = rig.member_id();
    rig.advance(10_000);
    assert_eq!(rig.join(&id, |_| {}).error, ErrorCode::UnknownMemberId);
}

#[test]
fn refused_joins() {
    let mut rig = Rig::new();
    assert_eq!(rig.join("", |request| request.group_id = "".into()).error, ErrorCode::InvalidGroupId);
    for timeout in [5_999, 1_800_001] {
        let response = rig.join("", |request| request.session_timeout_ms = timeout);
        assert_eq!(response.error, ErrorCode::InvalidSessionTimeout);
    }
    assert_eq!(rig.join("nobody", |_| {}).error, ErrorCode::UnknownMemberId);
    assert_eq!(rig.join("", |request| request.protocols.clear()).error, ErrorCode::InconsistentGroupProtocol);
    assert_eq!(rig.join("", |request| request.protocol_type = "".into()).error, ErrorCode::InconsistentGroupProtocol);
    let large = vec![("range".into(), vec![0; 1 << 20].into())];
    assert_eq!(rig.join("", |request| request.protocols = large).error, ErrorCode::UnknownServerError);
    assert_eq!((rig.list(&[], &[]).len(), rig.log.len()), (0, 0), "a refused join leaves nothing behind");
}

#[test]
fn a_member_must_share_a_protocol_and_the_type() {
    let mut rig = Rig::new();
    rig.stable(1);
    let other = rig.join("", |request| request.protocols = vec![("other".into(), Default::default())]);
    assert_eq!(other.error, ErrorCode::InconsistentGroupProtocol);
    let connect = rig.join("", |request| request.protocol_type = "connect".into());
    assert_eq!(connect.error, ErrorCode::InconsistentGroupProtocol);
}

#[test]
fn members_vote_among_the_protocols_that_all_know() {
    let mut rig = Rig::with(Config::default());
    let protocols = |names: &[&str]| names.iter().map(|name| ((*name).into(), subscription(TOPIC))).collect();
    let lists = [&["x", "b", "a"][..], &["a", "b"], &["b", "a", "y"]];
    let joins: Vec<_> = lists
        .iter()
        .map(|names| {
            rig.start_join("", |request| {
                request.requires_known_member_id = false;
                request.protocols = protocols(names);
            })
        })
        .collect();
    rig.advance(6_000);
    for join in joins {
        assert_eq!(rig.join_response(join).protocol_name.as_deref(), Some("b"));
    }
}

#[test]
fn the_first_rebalance_waits_and_is_extended_by_newcomers() {
    let mut rig = Rig::with(Config::default());
    let join = |rig: &mut Rig| rig.start_join("", |request| request.requires_known_member_id = false);
    let first = join(&mut rig);
    rig.advance(2_999);
    assert_eq!(rig.reply(first), None);
    let second = join(&mut rig);
    rig.advance(2_999);
    assert_eq!((rig.reply(first), rig.reply(second)), (None, None));
    rig.advance(2);
    assert_eq!(rig.join_response(first).generation, 1);
    assert_eq!(rig.join_response(second).generation, 1);
}

#[test]
fn the_first_rebalance_is_not_extended_beyond_the_rebalance_timeout() {
    let mut rig = Rig::with(Config::default());
    let join = |rig: &mut Rig| {
        rig.start_join("", |request| {
            request.requires_known_member_id = false;
            request.rebalance_timeout_ms = 7_000;
        })
    };
    let first = join(&mut rig);
    for _ in 0..6 {
        rig.advance(1_000);
        join(&mut rig);
    }
    rig.advance(999);
    assert_eq!(rig.reply(first), None);
    rig.advance(1);
    assert_eq!(rig.join_response(first).generation, 1);
    assert_eq!(rig.describe().members.len(), 7);
}

#[test]
fn only_the_leader_sees_the_members() {
    let mut rig = Rig::with(Config::default());
    let joins: Vec<_> =
        (0..3).map(|_| rig.start_join("", |request| request.requires_known_member_id = false)).collect();
    rig.advance(6_000);
    let responses: Vec<_> = joins.iter().map(|join| rig.join_response(*join)).collect();
    for response in &responses {
        let expected = if response.member_id == response.leader { 3 } else { 0 };
        assert_eq!((response.members.len(), &response.leader), (expected, &responses[0].member_id));
    }
}

#[test]
fn a_group_takes_no_more_members_than_its_maximum() {
    let mut rig = Rig::with(Config { members_per_group_max: 2, initial_rebalance_delay_ms: 0, ..Config::default() });
    let (ids, _) = rig.stable(2);
    assert_eq!(rig.join("", |_| {}).error, ErrorCode::GroupMaxSizeReached);
    let again = rig.start_join(&ids[0], |_| {});
    assert_eq!(rig.reply(again), None, "a member may rejoin");
}

#[test]
fn named_limits_hold() {
    let limits = Config { groups_max: 1, pending_members_per_group_max: 2, ..Config::default() };
    let mut rig = Rig::with(limits);
    rig.member_id();
    rig.member_id();
    assert_eq!(rig.join("", |_| {}).error, ErrorCode::GroupMaxSizeReached);
    assert_eq!(rig.join("", |request| request.group_id = "h".into()).error, ErrorCode::GroupMaxSizeReached);
    let commit = rig.start_commit("", -1, |request| request.group_id = "h".into());
    assert_eq!(rig.commit_errors(commit), [ErrorCode::InvalidCommitOffsetSize]);
}

#[test]
fn requests_are_refused_while_too_many_appends_are_in_flight() {
    let mut rig = Rig::with(Config { appends_in_flight_max: 1, ..Config::default() });
    rig.hold = true;
    let first = rig.start_commit("", -1, |_| {});
    assert_eq!(rig.commit("", -1), ErrorCode::CoordinatorNotAvailable);
    assert_eq!(rig.join("", |_| {}).error, ErrorCode::CoordinatorNotAvailable);
    rig.complete(Ok(()));
    assert_eq!(rig.commit_errors(first), [ErrorCode::None]);
}

#[test]
fn a_second_join_of_a_member_takes_the_place_of_the_first() {
    let mut rig = Rig::with(Config::default());
    let id = rig.member_id();
    let first = rig.start_join(&id, |_| {});
    let second = rig.start_join(&id, |_| {});
    assert_eq!(rig.join_response(first).error, ErrorCode::RebalanceInProgress);
    rig.advance(6_000);
    assert_eq!(rig.join_response(second).generation, 1);
}

#[test]
fn a_new_group_whose_first_record_cannot_be_written_is_not_there() {
    let mut rig = Rig::with(Config::default());
    rig.hold = true;
    let join = rig.start_join("", |request| request.requires_known_member_id = false);
    rig.complete(Err(AppendError::NotCoordinator));
    assert_eq!(rig.join_response(join).error, ErrorCode::NotCoordinator);
    assert_eq!(rig.state(), "Dead");
}

#[test]
fn a_follower_that_rejoins_unchanged_gets_the_current_generation() {
    let mut rig = Rig::new();
    let (ids, generation) = rig.stable(2);
    let response = rig.join(&ids[1], |_| {});
    assert_eq!((response.error, response.generation, response.members.len()), (ErrorCode::None, generation, 0));
    assert_eq!(rig.state(), "Stable");
}

#[test]
fn a_leader_that_rejoins_starts_a_rebalance() {
    let mut rig = Rig::new();
    let (ids, generation) = rig.stable(2);
    let join = rig.start_join(&ids[0], |_| {});
    assert_eq!((rig.reply(join), rig.state()), (None, "PreparingRebalance"));
    assert_eq!(rig.heartbeat(&ids[1], None, generation), ErrorCode::RebalanceInProgress);
    assert_eq!(rig.join(&ids[1], |_| {}).generation, generation + 1);
    assert_eq!(rig.join_response(join).generation, generation + 1);
}

#[test]
fn a_follower_that_changes_its_metadata_starts_a_rebalance() {
    let mut rig = Rig::new();
    let (ids, _) = rig.stable(2);
    rig.start_join(&ids[1], |request| request.protocols = vec![("range".into(), subscription("other"))]);
    assert_eq!(rig.state(), "PreparingRebalance");
}

#[test]
fn a_member_that_did_not_hear_of_the_generation_may_ask_again() {
    let mut rig = Rig::new();
    let id = rig.member_id();
    assert_eq!(rig.join(&id, |_| {}).generation, 1);
    let again = rig.join(&id, |_| {});
    assert_eq!((again.generation, again.members.len(), rig.state()), (1, 1, "CompletingRebalance"));
    let changed = rig.join(&id, |request| request.protocols = vec![("range".into(), subscription("other"))]);
    assert_eq!(changed.generation, 2);
}

#[test]
fn members_that_do_not_rejoin_in_time_are_dropped_and_another_leads() {
    let mut rig = Rig::new();
    let (ids, generation) = rig.stable(3);
    let join = rig.start_join(&ids[1], |request| request.protocols = vec![("range".into(), subscription("x"))]);
    for _ in 0..12 {
        rig.advance(5_000);
        rig.heartbeat(&ids[0], None, generation);
        rig.heartbeat(&ids[2], None, generation);
    }
    let response = rig.join_response(join);
    assert_eq!((response.generation, &response.leader, response.members.len()), (generation + 1, &ids[1], 1));
    assert_eq!(rig.heartbeat(&ids[0], None, generation), ErrorCode::UnknownMemberId);
}

#[test]
fn a_pending_member_holds_a_rebalance_up_until_it_joins_or_expires() {
    let mut rig = Rig::new();
    let (ids, _) = rig.stable(1);
    rig.member_id();
    let join = rig.start_join(&ids[0], |_| {});
    assert_eq!(rig.reply(join), None);
    rig.advance(10_000);
    assert_eq!(rig.join_response(join).generation, 2);
}
