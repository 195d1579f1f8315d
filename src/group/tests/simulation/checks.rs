//! What must be true after every step, whatever happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::world::{Asked, Partition, World};
use crate::group::classic_group::Group;
use crate::group::records::{Key, decode_key, decode_offset};
use crate::group::*;

pub(super) fn check(world: &mut World) {
    note_vanished_groups(world);
    check_generations(world);
    check_offsets(world);
    let groups = &world.coordinator.groups;
    groups.values().for_each(check_group);
    let members: usize = groups.values().map(|group| group.len() + group.pending_join.len()).sum();
    let timers = world.coordinator.timers.len();
    assert!(timers <= members + 2 * groups.len() + 1, "{timers} timers for {members} members");
}

/// Nothing is open, nobody is in a group, and only the look for expired offsets is to come.
pub(super) fn check_calm(world: &World) {
    assert!(world.open.is_empty(), "{} requests were never answered", world.open.len());
    for group in world.coordinator.groups.values() {
        assert_eq!((group.state(), group.len(), group.pending_join.len()), (State::Empty, 0, 0), "{}", group.id);
    }
    assert_eq!((world.coordinator.timers.len(), world.coordinator.appends.len()), (1, 0));
}

pub(super) fn check_reply(world: &mut World, asked: &Asked, response: &Response) {
    match (&asked.event, response) {
        (Event::Join(request), Response::Join(response)) => {
            assert!(response.members.is_empty() || response.leader == response.member_id);
            if response.error.is_ok() {
                joined(world, request, response);
            }
        }
        (Event::Sync(request), Response::Sync(response)) if response.error.is_ok() => synced(world, request, response),
        (Event::CommitOffsets(request), Response::CommitOffsets(response)) => committed(world, request, response),
        (Event::Sync(_), Response::Sync(_)) | (Event::Heartbeat(_), Response::Heartbeat(_)) => {}
        (Event::Leave(_), Response::Leave(_)) | (Event::Describe(_), Response::Describe(_)) => {}
        (Event::FetchOffsets(_), Response::FetchOffsets(_)) | (Event::List(_), Response::List(_)) => {}
        (Event::DeleteGroup(_), Response::DeleteGroup(_)) => {}
        (Event::DeleteOffsets(_), Response::DeleteOffsets(_)) => {}
        (event, response) => panic!("{response:?} is no answer to {event:?}"),
    }
}

/// All members of a generation agree on its protocol.
fn joined(world: &mut World, request: &JoinRequest, response: &JoinResponse) {
    let life = world.lives.get(&request.group_id).copied().unwrap_or(0);
    let key = (world.crashes, (Arc::clone(&request.group_id), life, response.generation));
    let chosen = world.chosen.entry(key).or_insert_with(|| response.protocol_name.clone());
    assert_eq!(*chosen, response.protocol_name);
    assert!(request.protocols.iter().any(|(name, _)| Some(name) == response.protocol_name.as_ref()));
    let quick = request.group_instance_id.is_some() && request.member_id.is_empty();
    let group = &world.coordinator.groups[&request.group_id];
    world.static_rejoins += usize::from(quick && group.state() == State::Stable);
}

/// A member has one assignment in a generation, also across crashes.
fn synced(world: &mut World, request: &SyncRequest, response: &SyncResponse) {
    let life = world.lives.get(&request.group_id).copied().unwrap_or(0);
    let generation = (Arc::clone(&request.group_id), life, request.generation);
    let key = (generation, Arc::clone(&request.member_id));
    let assigned = world.assigned.entry(key).or_insert_with(|| response.assignment.clone());
    assert_eq!(*assigned, response.assignment, "two assignments for {request:?}");
    if !response.assignment.is_empty() {
        assert!(response.assignment.starts_with(format!("{}/", request.generation).as_bytes()));
    }
    world.syncs_granted += 1;
}

/// An acknowledged commit is in the log.
fn committed(world: &mut World, request: &CommitRequest, response: &CommitResponse) {
    fold_log(world);
    for (topic, answer) in request.topics.iter().zip(&response.topics) {
        for (partition, (_, error)) in topic.partitions.iter().zip(&answer.partitions) {
            if error.is_ok() {
                let offset = partition.offset;
                assert!(world.ever_committed.contains(&offset), "{offset} is lost");
                world.commits_granted += 1;
            }
        }
    }
}

fn fold_log(world: &mut World) {
    for record in &world.log[world.folded..] {
        if let Key::Offset { group, topic, partition } = decode_key(record.key.clone()).unwrap() {
            match &record.value {
                Some(value) => {
                    let offset = decode_offset(value.clone()).unwrap().offset;
                    world.ever_committed.insert(offset);
                    world.durable.insert((group, topic, partition), offset);
                }
                None => {
                    world.durable.remove(&(group, topic, partition));
                }
            }
        }
    }
    world.folded = world.log.len();
}

/// What the coordinator says is committed is what the durable log says.
fn check_offsets(world: &mut World) {
    fold_log(world);
    let entries = world.coordinator.committed_offsets();
    let found: BTreeMap<Partition, i64> = entries
        .map(|entry| {
            let partition = (Arc::clone(entry.group_id), Arc::clone(entry.topic), entry.partition);
            (partition, entry.committed.offset)
        })
        .collect();
    assert_eq!(found, world.durable);
}

fn note_vanished_groups(world: &mut World) {
    let alive = world.coordinator.groups.keys().cloned().collect();
    for gone in world.alive.difference(&alive) {
        *world.lives.entry(Arc::clone(gone)).or_default() += 1;
    }
    world.alive = alive;
}

/// As long as one coordinator keeps a group, its generation only grows.
fn check_generations(world: &mut World) {
    for group in world.coordinator.groups.values() {
        let life = world.lives.get(&group.id).copied().unwrap_or(0);
        let now = (world.crashes, life, group.generation);
        let before = world.generations.insert(Arc::clone(&group.id), now).unwrap_or(now);
        assert!(before <= now, "{} went from {before:?} to {now:?}", group.id);
    }
}

fn check_group(group: &Group) {
    let waiting = group.members().filter(|member| member.awaiting_join.is_some()).count();
    assert_eq!(group.members_awaiting_join(), waiting);
    assert!(group.pending_sync.iter().all(|id| group.member(id).is_some()));
    assert!(group.pending_join.iter().all(|id| group.member(id).is_none()));
    assert_eq!(group.leader.as_ref().is_some_and(|leader| group.member(leader).is_some()), group.len() != 0);
    for member in group.members() {
        if let Some(instance) = &member.group_instance_id {
            assert_eq!(group.static_member_id(instance).as_ref(), Some(&member.id));
        }
    }
    match group.state() {
        State::Empty | State::Dead => assert_eq!(group.len(), 0),
        State::Stable => assert!(group.members().all(|member| member.awaiting_sync.is_none())),
        _ => {}
    }
    if matches!(group.state(), State::Stable | State::CompletingRebalance) {
        let protocol = group.protocol_name.as_ref().expect("a generation has a protocol");
        let knows =
            |member: &super::super::super::member::Member| member.protocols.iter().any(|(name, _)| name == protocol);
        assert!(group.members().all(knows), "{} does not agree on {protocol}", group.id);
    }
}
