//! Committing, fetching, deleting and expiring offsets.

use super::rig::*;
use crate::group::*;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

#[test]
fn a_commit_is_answered_and_visible_when_it_is_durable() {
    let mut rig = Rig::new();
    rig.hold = true;
    let commit = rig.start_commit("", -1, |_| {});
    assert_eq!((rig.reply(commit), rig.fetch()), (None, -1));
    rig.complete(Ok(()));
    assert_eq!((rig.commit_errors(commit), rig.fetch()), (vec![ErrorCode::None], 5));
}

#[test]
fn a_commit_that_cannot_be_written_is_refused_and_not_seen() {
    let mut rig = Rig::new();
    rig.hold = true;
    let cases = [
        (AppendError::Unavailable, ErrorCode::CoordinatorNotAvailable),
        (AppendError::NotCoordinator, ErrorCode::NotCoordinator),
        (AppendError::TooLarge, ErrorCode::UnknownServerError),
    ];
    for (failure, expected) in cases {
        let commit = rig.start_commit("", -1, |_| {});
        rig.complete(Err(failure));
        assert_eq!((rig.commit_errors(commit), rig.fetch()), (vec![expected], -1));
    }
}

#[test]
fn a_name_that_no_record_can_hold_is_refused() {
    let mut rig = Rig::new();
    let commit = rig.start_commit("", -1, |request| request.group_id = "x".repeat(40_000).into());
    assert_eq!(rig.commit_errors(commit), [ErrorCode::UnknownServerError]);
}

#[test]
fn appends_take_effect_in_order_whatever_is_reported_first() {
    let mut rig = Rig::new();
    rig.hold = true;
    let first = rig.start_commit("", -1, |_| {});
    let second = rig.start_commit("", -1, |request| request.topics = vec![commit_topic(TOPIC, 0, 6)]);
    let ids: Vec<AppendId> = rig.held.iter().map(|(id, _)| *id).collect();
    rig.send(Event::AppendDone { id: ids[1], result: Ok(2) });
    assert_eq!((rig.reply(second), rig.fetch()), (None, -1));
    rig.send(Event::AppendDone { id: ids[0], result: Ok(1) });
    assert_eq!((rig.commit_errors(first), rig.fetch()), (vec![ErrorCode::None], 6));
    rig.send(Event::AppendDone { id: AppendId(99), result: Ok(9) });
    assert_eq!(rig.coordinator.applied_offset(), 2);
}

#[test]
fn a_simple_consumer_commits_while_nobody_is_in_the_group() {
    let mut rig = Rig::new();
    assert_eq!(rig.commit("", -1), ErrorCode::None);
    assert_eq!(rig.commit("anybody", -1), ErrorCode::None);
    assert_eq!(rig.commit("anybody", 3), ErrorCode::UnknownMemberId);
    let (ids, generation) = rig.stable(1);
    assert_eq!(rig.commit("", -1), ErrorCode::UnknownMemberId);
    assert_eq!(rig.commit(&ids[0], -1), ErrorCode::IllegalGeneration);
    assert_eq!(rig.commit("ghost", generation), ErrorCode::UnknownMemberId);
    rig.leave(&[(&ids[0], None)]);
    assert_eq!(rig.commit("", -1), ErrorCode::None);
}

#[test]
fn a_commit_in_a_generation_needs_the_group() {
    let mut rig = Rig::new();
    assert_eq!(rig.commit("x", 3), ErrorCode::GroupIdNotFound);
    let commit = rig.start_commit("x", 3, |request| request.knows_group_id_not_found = false);
    assert_eq!(rig.commit_errors(commit), [ErrorCode::IllegalGeneration]);
}

#[test]
fn members_commit_in_their_generation_also_while_a_rebalance_is_prepared() {
    let mut rig = Rig::new();
    let (ids, generation) = rig.stable(2);
    assert_eq!(rig.commit(&ids[0], generation), ErrorCode::None);
    assert_eq!(rig.commit(&ids[0], generation + 1), ErrorCode::IllegalGeneration);
    rig.start_join(&ids[0], |_| {});
    assert_eq!(rig.commit(&ids[1], generation), ErrorCode::None);
    rig.start_join(&ids[1], |_| {});
    assert_eq!(rig.commit(&ids[1], generation + 1), ErrorCode::RebalanceInProgress);
}

#[test]
fn metadata_has_a_largest_size() {
    let mut rig = Rig::new();
    let commit = rig.start_commit("", -1, |request| {
        let mut large = commit_topic(TOPIC, 0, 5);
        large.partitions[0].metadata = Some("x".repeat(4_097).into());
        let mut fitting = commit_topic(TOPIC, 1, 5);
        fitting.partitions[0].metadata = Some("é".repeat(4_096).into());
        request.topics = vec![large, fitting];
    });
    assert_eq!(rig.commit_errors(commit), [ErrorCode::OffsetMetadataTooLarge, ErrorCode::None]);
    let fetched = rig.fetch_topics(None);
    assert_eq!((fetched[0].partitions.len(), fetched[0].partitions[0].partition), (1, 1));
}

#[test]
fn a_group_holds_a_bounded_number_of_offsets() {
    let mut rig = Rig::with(Config { offsets_per_group_max: 1, ..Config::default() });
    assert_eq!(rig.commit("", -1), ErrorCode::None);
    assert_eq!(rig.commit("", -1), ErrorCode::None);
    let more = rig.start_commit("", -1, |request| request.topics = vec![commit_topic(TOPIC, 1, 5)]);
    assert_eq!(rig.commit_errors(more), [ErrorCode::InvalidCommitOffsetSize]);
}

#[test]
fn fetching_all_or_some() {
    let mut rig = Rig::new();
    assert_eq!((rig.fetch(), rig.fetch_topics(None).len()), (-1, 0), "no such group is no error");
    rig.start_commit("", -1, |request| {
        let mut topic = commit_topic("b", 3, 7);
        topic.partitions[0].leader_epoch = 4;
        topic.partitions[0].metadata = Some("m".into());
        request.topics = vec![topic, commit_topic("a", 0, 1)];
    });
    let all = rig.fetch_topics(None);
    assert_eq!(all.iter().map(|topic| &*topic.topic).collect::<Vec<_>>(), ["a", "b"]);
    let expected = FetchedOffset { partition: 3, offset: 7, leader_epoch: 4, metadata: "m".into(), topic_id: [0; 16] };
    assert_eq!(all[1].partitions, [expected]);
    let some = rig.fetch_topics(Some(vec![("b".into(), vec![3, 4]), ("c".into(), vec![0])]));
    let offsets = |topic: &FetchedTopic| topic.partitions.iter().map(|fetched| fetched.offset).collect::<Vec<_>>();
    assert_eq!(some.iter().map(offsets).collect::<Vec<_>>(), [vec![7, -1], vec![-1]]);
}

#[test]
fn deleting_offsets() {
    let mut rig = Rig::new();
    assert_eq!(rig.delete_offsets(TOPIC, &[0]), (ErrorCode::GroupIdNotFound, vec![]));
    rig.commit("", -1);
    assert_eq!(rig.delete_offsets(TOPIC, &[0, 1]), (ErrorCode::None, vec![ErrorCode::None; 2]));
    assert_eq!(rig.fetch(), -1);
    let (ids, generation) = rig.stable(1);
    rig.commit(&ids[0], generation);
    assert_eq!(rig.delete_offsets(TOPIC, &[0]), (ErrorCode::None, vec![ErrorCode::GroupSubscribedToTopic]));
    assert_eq!(rig.delete_offsets("other", &[0]), (ErrorCode::None, vec![ErrorCode::None]));
    rig.leave(&[(&ids[0], None)]);
    assert_eq!(rig.delete_offsets(TOPIC, &[0]), (ErrorCode::None, vec![ErrorCode::None]));
}

#[test]
fn offsets_of_a_group_that_is_not_of_consumers_are_deleted_only_when_it_is_empty() {
    let mut rig = Rig::new();
    let response = rig.join("", |request| {
        request.requires_known_member_id = false;
        request.protocol_type = "connect".into();
    });
    assert_eq!(rig.delete_offsets(TOPIC, &[0]), (ErrorCode::NonEmptyGroup, vec![]));
    rig.leave(&[(&response.member_id, None)]);
    assert_eq!(rig.delete_offsets(TOPIC, &[0]).0, ErrorCode::None);
}

#[test]
fn deletions_reach_commits_that_are_under_way() {
    let mut rig = Rig::new();
    rig.commit("", -1);
    rig.hold = true;
    rig.start_commit("", -1, |request| request.topics = vec![commit_topic("u", 0, 1)]);
    let reply = rig.next_reply();
    let topics = vec![("u".into(), vec![0])];
    rig.send(Event::DeleteOffsets(DeleteOffsetsRequest { reply, group_id: GROUP.into(), topics }));
    rig.complete(Ok(()));
    assert_eq!(rig.fetch_topics(None).len(), 2);
    rig.complete(Ok(()));
    assert_eq!(rig.fetch_topics(None).len(), 1);
}

#[test]
fn the_offsets_of_a_deleted_topic_go() {
    let mut rig = Rig::new();
    rig.commit("", -1);
    rig.start_commit("", -1, |request| request.group_id = "other".into());
    rig.start_commit("", -1, |request| request.topics = vec![commit_topic("kept", 0, 1)]);
    rig.hold = true;
    rig.start_commit("", -1, |request| request.topics = vec![commit_topic(TOPIC, 9, 1)]);
    rig.send(Event::TopicDeleted { topic: TOPIC.into(), topic_id: [1; 16] });
    rig.complete(Ok(()));
    rig.complete(Ok(()));
    let left: Vec<_> = rig.coordinator.committed_offsets().map(|entry| (&**entry.group_id, &**entry.topic)).collect();
    assert_eq!(left, [(GROUP, "kept")]);
}

#[test]
fn offsets_of_a_topic_made_again_stay_when_the_old_one_goes() {
    let mut rig = Rig::new();
    let of = |id: u8, partition: i32| CommitTopic { topic_id: [id; 16], ..commit_topic(TOPIC, partition, 5) };
    rig.start_commit("", -1, |request| request.topics = vec![of(1, 0), of(2, 1)]);
    rig.hold = true;
    rig.start_commit("", -1, |request| request.topics = vec![of(1, 2), of(2, 3)]);
    rig.send(Event::TopicDeleted { topic: TOPIC.into(), topic_id: [1; 16] });
    rig.complete(Ok(()));
    rig.complete(Ok(()));
    let left: Vec<_> = rig.coordinator.committed_offsets().map(|entry| entry.partition).collect();
    assert_eq!(left, [1, 3]);
}

#[test]
fn offsets_expire_after_the_group_became_empty() {
    let mut rig = Rig::new();
    let (ids, generation) = rig.stable(1);
    rig.commit(&ids[0], generation);
    for _ in 0..(8 * DAY_MS / 9_000) {
        rig.advance(9_000);
        rig.heartbeat(&ids[0], None, generation);
    }
    assert_eq!(rig.fetch(), 5, "in use");
    rig.leave(&[(&ids[0], None)]);
    rig.advance(7 * DAY_MS - 600_000);
    assert_eq!(rig.fetch(), 5);
    rig.advance(1_200_000);
    assert_eq!((rig.fetch(), rig.state()), (-1, "Dead"));
    assert!(rig.log.last().unwrap().value.is_none());
}

#[test]
fn offsets_of_a_simple_consumer_expire_after_their_commit() {
    let mut rig = Rig::new();
    rig.commit("", -1);
    rig.advance(4 * DAY_MS);
    rig.start_commit("", -1, |request| request.topics = vec![commit_topic("late", 0, 1)]);
    rig.advance(4 * DAY_MS);
    assert_eq!((rig.fetch(), rig.fetch_topics(None).len(), rig.state()), (-1, 1, "Empty"));
    rig.advance(4 * DAY_MS);
    assert_eq!(rig.state(), "Dead");
}

#[test]
fn a_commit_may_set_its_own_retention() {
    let mut rig = Rig::new();
    rig.start_commit("", -1, |request| request.retention_time_ms = Some(1_000));
    assert_eq!(records::decode_offset(rig.log[0].value.clone().unwrap()).unwrap().expire_timestamp_ms, Some(1_000));
    rig.advance(600_000);
    assert_eq!(rig.state(), "Dead");
}

#[test]
fn offsets_of_topics_that_a_stable_group_no_longer_reads_expire() {
    let mut rig = Rig::new();
    rig.start_commit("", -1, |request| request.topics = vec![commit_topic(TOPIC, 0, 5), commit_topic("old", 0, 5)]);
    let (ids, generation) = rig.stable(1);
    for _ in 0..(8 * DAY_MS / 9_000) {
        rig.advance(9_000);
        rig.heartbeat(&ids[0], None, generation);
    }
    let left = rig.fetch_topics(None);
    assert_eq!((left.len(), &*left[0].topic), (1, TOPIC));
}
