//! One error for a whole request, in the shape of its API.

use std::sync::Arc;

use super::effect::{
    CommitResponse, CommittedTopic, DeleteOffsetsResponse, DescribeResponse, Effect, FetchResponse, JoinResponse,
    LeaveResponse, ListResponse, Response, SyncResponse,
};
use super::error::ErrorCode;
use super::event::{CommitRequest, Event, ReplyTo};

/// Answers a request with nothing but an error; events that are not requests are dropped. For callers that have no
/// coordinator for the group: NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE.
pub fn refuse(event: Event, error: ErrorCode, effects: &mut Vec<Effect>) {
    if let Some((to, response)) = refusal(event, error) {
        effects.push(Effect::Reply { to, response });
    }
}

/// Answers a request while the groups are being loaded: COORDINATOR_LOAD_IN_PROGRESS, but a heartbeat is let pass, so
/// that no member leaves for that (as in Kafka).
pub fn refuse_while_loading(event: Event, effects: &mut Vec<Effect>) {
    let error = match event {
        Event::Heartbeat(_) => ErrorCode::None,
        _ => ErrorCode::CoordinatorLoadInProgress,
    };
    refuse(event, error, effects);
}

/// Whether handling the request may queue an append.
pub(super) fn may_append(event: &Event) -> bool {
    matches!(
        event,
        Event::Join(_)
            | Event::Sync(_)
            | Event::Leave(_)
            | Event::CommitOffsets(_)
            | Event::DeleteOffsets(_)
            | Event::DeleteGroup(_)
    )
}

/// A commit of which every partition gets the same code.
pub(super) fn commit_response(request: &CommitRequest, error: ErrorCode) -> CommitResponse {
    let topics = request.topics.iter().map(|topic| CommittedTopic {
        topic: Arc::clone(&topic.topic),
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(|partition| (partition.partition, error)).collect(),
    });
    CommitResponse { topics: topics.collect() }
}

fn refusal(event: Event, error: ErrorCode) -> Option<(ReplyTo, Response)> {
    Some(match event {
        Event::Join(request) => (request.reply, JoinResponse::failed(error, request.member_id)),
        Event::Sync(request) => (request.reply, SyncResponse::failed(error)),
        Event::Heartbeat(request) => (request.reply, Response::Heartbeat(error)),
        Event::Leave(request) => (request.reply, Response::Leave(LeaveResponse { error, members: Vec::new() })),
        Event::CommitOffsets(request) => (request.reply, Response::CommitOffsets(commit_response(&request, error))),
        Event::FetchOffsets(request) => {
            (request.reply, Response::FetchOffsets(FetchResponse { error, topics: Vec::new() }))
        }
        Event::DeleteOffsets(request) => {
            (request.reply, Response::DeleteOffsets(DeleteOffsetsResponse { error, topics: Vec::new() }))
        }
        Event::DeleteGroup(request) => (request.reply, Response::DeleteGroup(error)),
        Event::Describe(request) => (request.reply, DescribeResponse::dead(error, request.group_id)),
        Event::List(request) => (request.reply, Response::List(ListResponse { error, groups: Vec::new() })),
        Event::Tick | Event::AppendDone { .. } | Event::TopicDeleted { .. } => return None,
    })
}
