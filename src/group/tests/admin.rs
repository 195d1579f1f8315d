//! Describing, listing and deleting groups.

use super::rig::*;
use crate::group::*;

#[test]
fn describing_a_stable_group() {
    let mut rig = Rig::new();
    let (ids, _) = rig.stable(1);
    let group = rig.describe();
    assert_eq!((group.error, group.state), (ErrorCode::None, "Stable"));
    assert_eq!((&*group.protocol_type, &*group.protocol_data), ("consumer", "range"));
    let member = &group.members[0];
    assert_eq!((&member.member_id, &*member.client_id, &*member.client_host), (&ids[0], "c", "/127.0.0.1"));
    assert_eq!((&member.metadata, &member.assignment), (&subscription(TOPIC), &ids[0].to_string().into()));
}

#[test]
fn describing_a_group_that_rebalances_shows_no_metadata() {
    let mut rig = Rig::new();
    let id = rig.member_id();
    rig.join(&id, |_| {});
    let group = rig.describe();
    assert_eq!((group.state, &*group.protocol_data), ("CompletingRebalance", ""));
    assert!(group.members[0].metadata.is_empty() && group.members[0].assignment.is_empty());
}

#[test]
fn a_group_that_is_not_there_is_dead() {
    let mut rig = Rig::new();
    let group = rig.describe();
    assert_eq!((group.error, group.state), (ErrorCode::GroupIdNotFound, "Dead"));
}

#[test]
fn listing_by_state_and_type() {
    let mut rig = Rig::new();
    rig.stable(1);
    rig.start_commit("", -1, |request| request.group_id = "simple".into());
    let names = |rig: &mut Rig, states: &[&str], types: &[&str]| {
        rig.list(states, types).iter().map(|group| group.group_id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&mut rig, &[], &[]), [GROUP, "simple"]);
    assert_eq!(names(&mut rig, &["stable"], &[]), [GROUP]);
    assert_eq!(names(&mut rig, &["EMPTY"], &["Classic"]), ["simple"]);
    assert!(names(&mut rig, &[], &["consumer"]).is_empty());
    let simple = &rig.list(&["Empty"], &[])[0];
    assert_eq!((&*simple.protocol_type, simple.state, simple.group_type), ("", "Empty", "classic"));
    assert_eq!(rig.coordinator.groups_by_state().into_iter().collect::<Vec<_>>(), [("Empty", 1), ("Stable", 1)]);
}

#[test]
fn only_an_empty_group_is_deleted() {
    let mut rig = Rig::new();
    assert_eq!(rig.delete_group(), ErrorCode::GroupIdNotFound);
    let (ids, generation) = rig.stable(1);
    rig.commit(&ids[0], generation);
    assert_eq!(rig.delete_group(), ErrorCode::NonEmptyGroup);
    rig.leave(&[(&ids[0], None)]);
    assert_eq!(rig.delete_group(), ErrorCode::None);
    assert_eq!((rig.fetch(), rig.state()), (-1, "Dead"));
    assert_eq!(rig.delete_group(), ErrorCode::GroupIdNotFound);
    rig.restart(Config::default());
    assert_eq!(rig.list(&[], &[]), []);
}

#[test]
fn a_group_is_dead_while_its_deletion_is_written() {
    let mut rig = Rig::new();
    rig.commit("", -1);
    rig.hold = true;
    let deletion = rig.start_delete_group();
    assert_eq!((rig.reply(deletion), rig.state()), (None, "Dead"));
    assert_eq!(rig.join("", |_| {}).error, ErrorCode::CoordinatorNotAvailable);
    assert_eq!(rig.commit("", -1), ErrorCode::CoordinatorNotAvailable);
    assert_eq!(rig.delete_group(), ErrorCode::GroupIdNotFound);
    rig.complete(Ok(()));
    assert_eq!((rig.deletion(deletion), rig.state()), (ErrorCode::None, "Dead"));
}

#[test]
fn a_deletion_that_cannot_be_written_is_taken_back() {
    let mut rig = Rig::new();
    rig.commit("", -1);
    rig.hold = true;
    let deletion = rig.start_delete_group();
    rig.complete(Err(AppendError::Unavailable));
    assert_eq!(rig.deletion(deletion), ErrorCode::CoordinatorNotAvailable);
    assert_eq!((rig.fetch(), rig.state()), (5, "Empty"));
}

#[test]
fn a_deletion_takes_a_commit_with_it_that_is_under_way() {
    let mut rig = Rig::new();
    rig.commit("", -1);
    rig.hold = true;
    rig.start_commit("", -1, |request| request.topics = vec![commit_topic("u", 0, 1)]);
    rig.start_delete_group();
    rig.complete(Ok(()));
    rig.complete(Ok(()));
    rig.restart(Config::default());
    assert_eq!(rig.list(&[], &[]), []);
}
