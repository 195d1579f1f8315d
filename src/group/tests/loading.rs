//! Groups that are read back from their log.

use super::rig::*;
use crate::group::*;

fn no_delay() -> Config {
    Config { initial_rebalance_delay_ms: 0, ..Config::default() }
}

#[test]
fn a_restart_finds_members_assignments_and_offsets() {
    let mut rig = Rig::new();
    let (ids, generation) = rig.stable(2);
    rig.commit(&ids[0], generation);
    rig.now += 1_000_000;
    rig.restart(no_delay());
    assert_eq!((rig.state(), rig.fetch()), ("Stable", 5));
    assert_eq!(rig.sync(&ids[1], generation, &[]).assignment, ids[1].to_string());
    assert_eq!(rig.delete_offsets(TOPIC, &[0]).1, [ErrorCode::GroupSubscribedToTopic]);
    rig.advance(9_999);
    assert_eq!(rig.heartbeat(&ids[0], None, generation), ErrorCode::None, "sessions start anew");
    rig.advance(1);
    assert_eq!(rig.heartbeat(&ids[0], None, generation), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_generation_whose_assignment_was_not_written_is_forgotten() {
    let mut rig = Rig::new();
    let (ids, generation) = rig.stable(1);
    assert_eq!(rig.join(&ids[0], |_| {}).generation, generation + 1);
    rig.restart(no_delay());
    assert_eq!(rig.heartbeat(&ids[0], None, generation), ErrorCode::None);
}

#[test]
fn a_snapshot_with_the_records_behind_it_is_the_log() {
    let mut rig = Rig::new();
    let (ids, generation) = rig.stable(2);
    rig.commit(&ids[0], generation);
    rig.start_commit(&ids[0], generation, |request| {
        request.topics = vec![commit_topic("u", 1, 9)];
        request.topics[0].topic_id = [7; 16];
        request.topics[0].partitions[0].metadata = Some("m".into());
    });
    rig.join(&ids[1], |_| {});
    let snapshot = rig.coordinator.snapshot().unwrap();
    rig.start_commit(&ids[0], generation, |request| request.topics = vec![commit_topic(TOPIC, 0, 6)]);
    rig.leave(&[(&ids[1], None)]);
    let whole = {
        rig.restart(no_delay());
        rig.coordinator.snapshot().unwrap()
    };
    let mut loader = Loader::from_snapshot(no_delay(), &snapshot).unwrap();
    let from = loader.next_offset();
    assert!(from > 0 && from < rig.log.len() as i64);
    for (offset, record) in rig.log.iter().enumerate() {
        loader.replay(offset as i64, record.key.clone(), record.value.clone()).unwrap();
    }
    rig.start(loader);
    assert_eq!(rig.coordinator.snapshot().unwrap(), whole);
    assert_eq!((rig.fetch(), rig.coordinator.applied_offset()), (6, rig.log.len() as i64));
}

#[test]
fn a_snapshot_holds_nothing_that_is_not_durable() {
    let mut rig = Rig::new();
    rig.commit("", -1);
    let before = rig.coordinator.snapshot().unwrap();
    rig.hold = true;
    rig.start_commit("", -1, |request| request.topics = vec![commit_topic("u", 0, 9)]);
    rig.start_join("", |request| request.group_id = "h".into());
    assert_eq!(rig.coordinator.snapshot().unwrap(), before);
}

#[test]
fn damaged_snapshots_are_errors() {
    let mut rig = Rig::new();
    rig.stable(1);
    rig.commit("", -1);
    let good = rig.coordinator.snapshot().unwrap();
    assert!(Loader::from_snapshot(no_delay(), &good).is_ok());
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        assert!(Loader::from_snapshot(no_delay(), &bad).is_err(), "byte {at}");
        assert!(Loader::from_snapshot(no_delay(), &good[..at]).is_err(), "cut at {at}");
    }
    let mut newer = good.clone();
    newer[7] = 2;
    assert!(matches!(Loader::from_snapshot(no_delay(), &newer), Err(SnapshotError::Version(2))));
}

#[test]
fn records_of_other_kinds_are_skipped_and_damaged_ones_named() {
    let mut loader = Loader::new(no_delay());
    loader.replay(0, vec![0, 3, 0, 1, b'g'].into(), None).unwrap();
    assert_eq!(loader.skipped(), 1);
    let error = loader.replay(1, vec![0, 2, 0, 9].into(), None).unwrap_err();
    assert_eq!((error.offset, error.source), (1, records::Error::Truncated));
    assert_eq!(loader.next_offset(), 2);
}

#[test]
fn requests_are_put_off_while_loading_but_heartbeats_pass() {
    let mut effects = Vec::new();
    let request = GroupRequest { reply: ReplyTo(1), group_id: GROUP.into() };
    refuse_while_loading(Event::DeleteGroup(request), &mut effects);
    let heartbeat = HeartbeatRequest {
        reply: ReplyTo(2),
        group_id: GROUP.into(),
        member_id: "m".into(),
        group_instance_id: None,
        generation: 1,
    };
    refuse_while_loading(Event::Heartbeat(heartbeat), &mut effects);
    refuse_while_loading(Event::Tick, &mut effects);
    let reply = |to, response| Effect::Reply { to: ReplyTo(to), response };
    assert_eq!(
        effects,
        [
            reply(1, Response::DeleteGroup(ErrorCode::CoordinatorLoadInProgress)),
            reply(2, Response::Heartbeat(ErrorCode::None)),
        ]
    );
}

#[test]
fn a_group_beyond_the_maximum_rebalances_when_it_is_loaded() {
    let mut rig = Rig::new();
    let (ids, generation) = rig.stable(2);
    rig.restart(Config { members_per_group_max: 1, ..no_delay() });
    assert_eq!(rig.heartbeat(&ids[0], None, generation), ErrorCode::RebalanceInProgress);
}

#[test]
fn whoever_waits_is_answered_when_the_coordinator_is_unloaded() {
    let mut rig = Rig::new();
    let (ids, _) = rig.stable(2);
    let join = rig.start_join(&ids[0], |_| {});
    rig.hold = true;
    let commit = rig.start_commit("", -1, |request| request.group_id = "h".into());
    let mut effects = Vec::new();
    let empty = Loader::new(no_delay()).finish(0, &mut effects);
    std::mem::replace(&mut rig.coordinator, empty).unload(&mut effects);
    let errors: Vec<_> = effects
        .iter()
        .map(|effect| match effect {
            Effect::Reply { to, response: Response::Join(response) } => (*to, response.error),
            Effect::Reply { to, response: Response::CommitOffsets(response) } => {
                (*to, response.topics[0].partitions[0].1)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(errors, [(commit, ErrorCode::NotCoordinator), (join, ErrorCode::NotCoordinator)]);
}
