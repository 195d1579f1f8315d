//! OffsetCommit and OffsetFetch. Topics may be named by id (version 10); the coordinator knows names.

use std::sync::Arc;

use duramen_wire::ids::TopicId;
use duramen_wire::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use duramen_wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use duramen_wire::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use duramen_wire::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, ResponseError, TopicName,
};

use super::ask;
use super::membership::{own, own_option, wire};
use crate::api::{Caller, Context};
use crate::controller::Image;
use crate::group::{self, CommitPartition, CommitTopic, ErrorCode, Event, FetchedOffset, Response};

/// The first version of both that names topics by id.
const TOPIC_IDS_SINCE: i16 = 10;
/// The id of a topic in a commit that did not know it.
const UNKNOWN_TOPIC: [u8; 16] = [0; 16];
/// The first OffsetFetch that asks for several groups (KIP-709).
const MANY_GROUPS_SINCE: i16 = 8;
/// The first OffsetCommit whose client knows GROUP_ID_NOT_FOUND.
const GROUP_ID_NOT_FOUND_SINCE: i16 = 9;

pub async fn commit_offsets(context: &Context, caller: &Caller, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let by_id = caller.version >= TOPIC_IDS_SINCE;
    let (topics, mut answers) = sort_commits(context, by_id, &request);
    let version = caller.version;
    let group_id = request.group_id.to_string();
    let named: Vec<(Arc<str>, Vec<i32>)> = topics.iter().map(|topic| (topic.topic.clone(), indexes(topic))).collect();
    let ids: Vec<[u8; 16]> = topics.iter().map(|topic| topic.topic_id).collect();
    let answer = ask(context, &group_id, move |reply| {
        Event::CommitOffsets(group::CommitRequest {
            reply,
            group_id: own(&request.group_id),
            generation: request.generation_id_or_member_epoch,
            member_id: own(&request.member_id),
            group_instance_id: own_option(request.group_instance_id.as_ref()),
            knows_group_id_not_found: version >= GROUP_ID_NOT_FOUND_SINCE,
            retention_time_ms: (version <= 4 && request.retention_time_ms >= 0).then_some(request.retention_time_ms),
            topics,
        })
    });
    match answer.await {
        Ok(Response::CommitOffsets(committed)) => {
            for topic in committed.topics {
                let partitions =
                    topic.partitions.iter().map(|(index, error)| committed_partition(*index, error.code()));
                answers.push(committed_topic(by_id, &topic.topic, topic.topic_id, partitions.collect()));
            }
        }
        other => {
            let error = other.err().unwrap_or(ErrorCode::UnknownServerError);
            for ((name, indexes), id) in named.iter().zip(ids) {
                let partitions = indexes.iter().map(|index| committed_partition(*index, error.code()));
                answers.push(committed_topic(by_id, name, id, partitions.collect()));
            }
        }
    }
    OffsetCommitResponse::default().with_topics(answers)
}

fn indexes(topic: &CommitTopic) -> Vec<i32> {
    topic.partitions.iter().map(|partition| partition.partition).collect()
}

/// What goes to the coordinator, and the answers for topics and partitions that do not exist.
fn sort_commits(
    context: &Context,
    by_id: bool,
    request: &OffsetCommitRequest,
) -> (Vec<CommitTopic>, Vec<OffsetCommitResponseTopic>) {
    let image = context.shard.image.borrow();
    let (mut topics, mut answers) = (Vec::new(), Vec::new());
    for topic in &request.topics {
        let found = match by_id {
            true => image.topic(TopicId(topic.topic_id)),
            false => image.topic_by_name(&topic.name),
        };
        let missing = if by_id { ResponseError::UnknownTopicId } else { ResponseError::UnknownTopicOrPartition };
        let name = found.map_or_else(|| own(&topic.name), |found| own(&found.name));
        let topic_id = found.map_or(*topic.topic_id.as_bytes(), |found| *found.id.0.as_bytes());
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for partition in &topic.partitions {
            let index = partition.partition_index;
            let exists =
                found.is_some_and(|found| usize::try_from(index).is_ok_and(|index| index < found.partitions.len()));
            if !exists {
                let error = if found.is_some() { ResponseError::UnknownTopicOrPartition } else { missing };
                unknown.push(committed_partition(index, error.code()));
                continue;
            }
            known.push(CommitPartition {
                partition: index,
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: own_option(partition.committed_metadata.as_ref()),
            });
        }
        if !unknown.is_empty() {
            answers.push(committed_topic(by_id, &name, topic_id, unknown));
        }
        if !known.is_empty() {
            topics.push(CommitTopic { topic: name, topic_id, partitions: known });
        }
    }
    (topics, answers)
}

fn committed_partition(index: i32, error: i16) -> OffsetCommitResponsePartition {
    OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(error)
}

fn committed_topic(
    by_id: bool,
    name: &str,
    id: [u8; 16],
    partitions: Vec<OffsetCommitResponsePartition>,
) -> OffsetCommitResponseTopic {
    let topic = OffsetCommitResponseTopic::default().with_partitions(partitions);
    match by_id {
        true => topic.with_topic_id(uuid::Uuid::from_bytes(id)),
        false => topic.with_name(TopicName(wire(name))),
    }
}

pub async fn fetch_offsets(context: &Context, caller: &Caller, request: OffsetFetchRequest) -> OffsetFetchResponse {
    if caller.version >= MANY_GROUPS_SINCE {
        let mut groups = Vec::new();
        for group in request.groups {
            groups.push(fetch_group(context, caller.version >= TOPIC_IDS_SINCE, group).await);
        }
        return OffsetFetchResponse::default().with_groups(groups);
    }
    let topics = request.topics.map(|topics| {
        topics.iter().map(|topic| (own(&topic.name), topic.partition_indexes.clone())).collect::<Vec<_>>()
    });
    let fetched = fetch_from(context, &request.group_id, topics.clone()).await;
    let topics = match (&fetched, caller.version >= 2) {
        (Ok(fetched), _) => fetched.topics.iter().map(fetched_topic).collect(),
        // The first versions have no place for an error of the whole request.
        (Err(error), false) => topics.iter().flatten().map(|topic| refused_topic(topic, *error)).collect(),
        (Err(_), true) => Vec::new(),
    };
    let response = OffsetFetchResponse::default().with_topics(topics);
    match (fetched, caller.version >= 2) {
        (Err(error), true) => response.with_error_code(error.code()),
        _ => response,
    }
}

async fn fetch_from(
    context: &Context,
    group_id: &str,
    topics: Option<Vec<(Arc<str>, Vec<i32>)>>,
) -> Result<group::FetchResponse, ErrorCode> {
    let id = own(group_id);
    let answer =
        ask(context, group_id, move |reply| Event::FetchOffsets(group::FetchRequest { reply, group_id: id, topics }));
    match answer.await? {
        Response::FetchOffsets(mut fetched) if fetched.error.is_ok() => {
            forget_former_topics(&context.shard.image.borrow(), &mut fetched);
            Ok(fetched)
        }
        Response::FetchOffsets(fetched) => Err(fetched.error),
        _ => Err(ErrorCode::UnknownServerError),
    }
}

/// A topic that was made again under its name begins without offsets, also before the coordinator has forgotten those of
/// the former one.
fn forget_former_topics(image: &Image, fetched: &mut group::FetchResponse) {
    for topic in &mut fetched.topics {
        let Some(now) = image.topic_by_name(&topic.topic).map(|topic| *topic.id.0.as_bytes()) else { continue };
        for partition in &mut topic.partitions {
            if partition.topic_id != now && partition.topic_id != UNKNOWN_TOPIC {
                *partition = FetchedOffset::nothing(partition.partition);
            }
        }
    }
}

fn fetched_topic(topic: &group::FetchedTopic) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(partition.partition)
            .with_committed_offset(partition.offset)
            .with_committed_leader_epoch(partition.leader_epoch)
            .with_metadata(Some(wire(&partition.metadata)))
    });
    OffsetFetchResponseTopic::default().with_name(TopicName(wire(&topic.topic))).with_partitions(partitions.collect())
}

fn refused_topic((name, indexes): &(Arc<str>, Vec<i32>), error: ErrorCode) -> OffsetFetchResponseTopic {
    let partitions = indexes.iter().map(|index| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(*index)
            .with_committed_offset(-1)
            .with_metadata(Some(wire("")))
            .with_error_code(error.code())
    });
    OffsetFetchResponseTopic::default().with_name(TopicName(wire(name))).with_partitions(partitions.collect())
}

async fn fetch_group(context: &Context, by_id: bool, group: OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
    let (mut wanted, mut answers) = (Vec::new(), Vec::new());
    for topic in group.topics.iter().flatten() {
        let name = match by_id {
            true => context.shard.image.borrow().topic(TopicId(topic.topic_id)).map(|found| own(&found.name)),
            false => Some(own(&topic.name)),
        };
        match name {
            Some(name) => wanted.push((name, topic.partition_indexes.clone())),
            None => {
                let partitions = topic
                    .partition_indexes
                    .iter()
                    .map(|index| fetched_partition(*index, -1, -1, "", ResponseError::UnknownTopicId.code()));
                let unknown = OffsetFetchResponseTopics::default().with_topic_id(topic.topic_id);
                answers.push(unknown.with_partitions(partitions.collect()));
            }
        }
    }
    let wanted = group.topics.is_some().then_some(wanted);
    let response = OffsetFetchResponseGroup::default().with_group_id(group.group_id.clone());
    let fetched = match fetch_from(context, &group.group_id, wanted).await {
        Ok(fetched) => fetched,
        Err(error) => return response.with_error_code(error.code()),
    };
    for topic in &fetched.topics {
        let partitions = topic
            .partitions
            .iter()
            .map(|one| fetched_partition(one.partition, one.offset, one.leader_epoch, &one.metadata, 0));
        let answer = OffsetFetchResponseTopics::default().with_partitions(partitions.collect());
        let image = context.shard.image.borrow();
        match (by_id, image.topic_by_name(&topic.topic)) {
            (false, _) => answers.push(answer.with_name(TopicName(wire(&topic.topic)))),
            (true, Some(found)) => answers.push(answer.with_topic_id(found.id.0)),
            // What was committed for a topic that is gone has no id to be named by.
            (true, None) => {}
        }
    }
    response.with_topics(answers)
}

fn fetched_partition(index: i32, offset: i64, epoch: i32, metadata: &str, error: i16) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions::default()
        .with_partition_index(index)
        .with_committed_offset(offset)
        .with_committed_leader_epoch(epoch)
        .with_metadata(Some(wire(metadata)))
        .with_error_code(error)
}
