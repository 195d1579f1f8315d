//! Members with a `group.instance.id`.

use std::sync::Arc;

use super::rig::*;
use crate::group::*;

/// A stable group of the static members `i0`, `i1`, ...; the one that leads first.
fn stable(rig: &mut Rig, count: usize) -> Vec<(Arc<str>, Arc<str>)> {
    let names: Vec<Arc<str>> = (0..count).map(|index| format!("i{index}").into()).collect();
    let joins: Vec<_> = names.iter().map(|name| start_join(rig, name, false)).collect();
    rig.advance(10_000);
    let responses: Vec<_> = joins.iter().map(|join| rig.join_response(*join)).collect();
    let mut members: Vec<_> = responses.iter().map(|response| response.member_id.clone()).zip(names).collect();
    let leader = responses.iter().position(|response| response.member_id == response.leader).unwrap();
    members.swap(0, leader);
    let assignments: Vec<(&str, &str)> = members.iter().map(|(id, name)| (id.as_ref(), name.as_ref())).collect();
    rig.sync(&members[0].0, responses[0].generation, &assignments);
    for (id, name) in &members {
        assert_eq!(rig.sync(id, responses[0].generation, &[]).assignment, name.to_string());
    }
    members
}

fn start_join(rig: &mut Rig, instance: &str, skips: bool) -> ReplyTo {
    rig.start_join("", |request| {
        request.group_instance_id = Some(instance.into());
        request.supports_skip_assignment = skips;
        request.session_timeout_ms = 30_000;
    })
}

fn rejoin(rig: &mut Rig, instance: &str, skips: bool) -> JoinResponse {
    let join = start_join(rig, instance, skips);
    rig.join_response(join)
}

#[test]
fn a_quick_rejoin_causes_no_rebalance_and_gets_the_stored_assignment() {
    let mut rig = Rig::with(Config::default());
    let members = stable(&mut rig, 2);
    let records = rig.log.len();
    let response = rejoin(&mut rig, &members[1].1, false);
    assert_eq!((response.error, response.generation), (ErrorCode::None, 1));
    assert_ne!(response.member_id, members[1].0);
    assert_eq!((rig.state(), rig.log.len()), ("Stable", records + 1));
    assert_eq!(rig.sync(&response.member_id, 1, &[]).assignment, members[1].1.to_string());
    assert_eq!(rig.heartbeat(&members[0].0, None, 1), ErrorCode::None, "the others notice nothing");
    rig.restart(Config::default());
    assert_eq!(rig.sync(&response.member_id, 1, &[]).assignment, members[1].1.to_string());
}

#[test]
fn the_old_member_is_fenced() {
    let mut rig = Rig::with(Config::default());
    let members = stable(&mut rig, 1);
    let (old, instance) = &members[0];
    let new = rejoin(&mut rig, instance, false).member_id;
    assert_eq!(rig.heartbeat(old, Some(instance), 1), ErrorCode::FencedInstanceId);
    assert_eq!(rig.heartbeat(old, None, 1), ErrorCode::UnknownMemberId);
    assert_eq!(rig.heartbeat(&new, Some("other"), 1), ErrorCode::UnknownMemberId);
    assert_eq!(rig.leave(&[(old, Some(instance))]), [ErrorCode::FencedInstanceId]);
    let named = |request: &mut JoinRequest| request.group_instance_id = Some(instance.clone());
    assert_eq!(rig.join(old, named).error, ErrorCode::FencedInstanceId);
    let commit = rig.start_commit(old, 1, |request| request.group_instance_id = Some(instance.clone()));
    assert_eq!(rig.commit_errors(commit), [ErrorCode::FencedInstanceId]);
    assert_eq!(rig.heartbeat(&new, Some(instance), 1), ErrorCode::None);
}

#[test]
fn a_rejoined_leader_is_told_to_skip_the_assignment() {
    let mut rig = Rig::with(Config::default());
    let members = stable(&mut rig, 2);
    let response = rejoin(&mut rig, &members[0].1, true);
    assert!(response.skip_assignment);
    assert_eq!((&response.leader, response.members.len()), (&response.member_id, 2));
    let follower = rejoin(&mut rig, &members[1].1, true);
    assert_eq!((follower.skip_assignment, &follower.leader), (false, &response.member_id));
}

#[test]
fn a_rejoined_leader_that_cannot_skip_is_told_that_its_old_id_leads() {
    let mut rig = Rig::with(Config::default());
    let members = stable(&mut rig, 1);
    let response = rejoin(&mut rig, &members[0].1, false);
    assert_eq!((&response.leader, response.members.len(), response.skip_assignment), (&members[0].0, 0, false));
}

#[test]
fn new_metadata_for_the_same_protocol_causes_no_rebalance() {
    let mut rig = Rig::with(Config::default());
    let members = stable(&mut rig, 1);
    let response = rig.join("", |request| {
        request.group_instance_id = Some(members[0].1.clone());
        request.protocols = vec![("range".into(), subscription("other"))];
    });
    assert_eq!((response.generation, rig.state()), (1, "Stable"));
}

#[test]
fn a_rejoin_that_changes_the_protocol_starts_a_rebalance() {
    let mut rig = Rig::with(Config::default());
    let protocols = |names: &[&str]| names.iter().map(|name| ((*name).into(), subscription(TOPIC))).collect::<Vec<_>>();
    let join = rig.start_join("", |request| {
        request.group_instance_id = Some("i".into());
        request.protocols = protocols(&["a", "b"]);
    });
    rig.advance(3_000);
    let first = rig.join_response(join);
    rig.sync(&first.member_id, 1, &[]);
    let second = rig.join("", |request| {
        request.group_instance_id = Some("i".into());
        request.protocols = protocols(&["b", "a"]);
    });
    assert_eq!((second.generation, second.protocol_name.as_deref()), (2, Some("b")));
}

#[test]
fn a_rejoin_before_the_assignment_starts_over() {
    let mut rig = Rig::with(Config::default());
    let join = start_join(&mut rig, "i", false);
    rig.advance(3_000);
    let first = rig.join_response(join);
    let again = rejoin(&mut rig, "i", false);
    assert_eq!((again.generation, &again.leader), (2, &again.member_id));
    assert_eq!(rig.sync(&first.member_id, 1, &[]).error, ErrorCode::UnknownMemberId);
}

#[test]
fn a_waiting_member_is_fenced_by_its_successor() {
    let mut rig = Rig::with(Config::default());
    let first = start_join(&mut rig, "i", false);
    let second = start_join(&mut rig, "i", false);
    assert_eq!(rig.join_response(first).error, ErrorCode::FencedInstanceId);
    rig.advance(6_000);
    assert_eq!(rig.join_response(second).generation, 1);
}

#[test]
fn a_rejoin_that_cannot_be_written_is_taken_back() {
    let mut rig = Rig::with(Config::default());
    let members = stable(&mut rig, 1);
    let (old, instance) = &members[0];
    rig.hold = true;
    let join = start_join(&mut rig, instance, false);
    rig.complete(Err(AppendError::Unavailable));
    let response = rig.join_response(join);
    assert_eq!((response.error, &*response.member_id), (ErrorCode::CoordinatorNotAvailable, ""));
    assert_eq!(rig.heartbeat(old, Some(instance), 1), ErrorCode::None);
    assert_eq!(rig.sync(old, 1, &[]).assignment, instance.to_string());
}

#[test]
fn an_administrator_removes_a_static_member_by_its_instance_id() {
    let mut rig = Rig::with(Config::default());
    let members = stable(&mut rig, 2);
    assert_eq!(
        rig.leave(&[("", Some(&members[1].1)), ("", Some("nobody"))]),
        [ErrorCode::None, ErrorCode::UnknownMemberId]
    );
    assert_eq!(rig.describe().members.len(), 1);
}

#[test]
fn static_members_that_do_not_rejoin_keep_their_place_until_their_session_ends() {
    let mut rig = Rig::with(Config::default());
    let members = stable(&mut rig, 2);
    for _ in 0..3 {
        rig.advance(10_000);
        rig.heartbeat(&members[0].0, None, 1);
        rig.heartbeat(&members[1].0, None, 1);
    }
    let join = rig.start_join(&members[0].0, |request| {
        request.group_instance_id = Some(members[0].1.clone());
        request.rebalance_timeout_ms = 6_000;
    });
    rig.advance(29_999);
    assert_eq!((rig.reply(join), rig.describe().members.len()), (None, 2));
    rig.advance(1);
    assert_eq!(rig.join_response(join).members.len(), 1);
}
