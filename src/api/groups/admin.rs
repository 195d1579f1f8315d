//! DescribeGroups, ListGroups, DeleteGroups and OffsetDelete.

use duramen_wire::ids::ShardId;
use duramen_wire::messages::delete_groups_response::DeletableGroupResult;
use duramen_wire::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use duramen_wire::messages::list_groups_response::ListedGroup;
use duramen_wire::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use duramen_wire::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, GroupId,
    ListGroupsRequest, ListGroupsResponse, OffsetDeleteRequest, OffsetDeleteResponse, TopicName,
};

use super::membership::{own, wire};
use super::{ask, ask_at};
use crate::api::{Caller, Context};
use crate::controller::CONSUMER_OFFSETS;
use crate::group::{self, ErrorCode, Event, GroupRequest, Response};

/// All that the operations on a group can be (KIP-430): read, delete, describe.
const GROUP_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8;

pub async fn describe(context: &Context, caller: &Caller, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let mut groups = Vec::new();
    for group_id in &request.groups {
        let id = own(group_id);
        let answer = ask(context, group_id, move |reply| Event::Describe(GroupRequest { reply, group_id: id }));
        let described = match answer.await {
            Ok(Response::Describe(described)) => described_group(caller.version, group_id, &described),
            Ok(_) => failed_description(group_id, ErrorCode::UnknownServerError),
            Err(error) => failed_description(group_id, error),
        };
        let with_operations = caller.version >= 3 && request.include_authorized_operations;
        groups.push(match with_operations {
            true => described.with_authorized_operations(GROUP_OPERATIONS),
            false => described,
        });
    }
    DescribeGroupsResponse::default().with_groups(groups)
}

fn failed_description(group_id: &GroupId, error: ErrorCode) -> DescribedGroup {
    DescribedGroup::default().with_group_id(group_id.clone()).with_error_code(error.code())
}

fn described_group(version: i16, group_id: &GroupId, described: &group::DescribeResponse) -> DescribedGroup {
    let members = described.members.iter().map(|member| {
        let described = DescribedGroupMember::default()
            .with_member_id(wire(&member.member_id))
            .with_client_id(wire(&member.client_id))
            .with_client_host(wire(&member.client_host))
            .with_member_metadata(member.metadata.clone())
            .with_member_assignment(member.assignment.clone());
        match version >= 4 {
            true => described.with_group_instance_id(member.group_instance_id.as_deref().map(wire)),
            false => described,
        }
    });
    let missing = described.error == ErrorCode::GroupIdNotFound;
    let error = if missing && version < 6 { ErrorCode::None } else { described.error };
    let answer = failed_description(group_id, error)
        .with_group_state(wire(described.state))
        .with_protocol_type(wire(&described.protocol_type))
        .with_protocol_data(wire(&described.protocol_data))
        .with_members(members.collect());
    match missing && version >= 6 {
        true => answer.with_error_message(Some(wire(&format!("Group {} not found.", &**group_id)))),
        false => answer,
    }
}

/// Asks every coordinator of every shard.
pub async fn list(context: &Context, caller: &Caller, request: ListGroupsRequest) -> ListGroupsResponse {
    let mut groups = Vec::new();
    let (states, types) = (texts(&request.states_filter), texts(&request.types_filter));
    for (shard, index) in partitions(context) {
        let (states, types) = (states.clone(), types.clone());
        let answer =
            ask_at(context, shard, index, move |reply| Event::List(group::ListRequest { reply, states, types }));
        match answer.await {
            Ok(Response::List(listed)) if listed.error.is_ok() => groups.extend(listed.groups),
            Ok(Response::List(listed)) => return ListGroupsResponse::default().with_error_code(listed.error.code()),
            Ok(_) => return ListGroupsResponse::default().with_error_code(ErrorCode::UnknownServerError.code()),
            Err(error) => return ListGroupsResponse::default().with_error_code(error.code()),
        }
    }
    let listed = groups.iter().map(|group| {
        let listed = ListedGroup::default()
            .with_group_id(GroupId(wire(&group.group_id)))
            .with_protocol_type(wire(&group.protocol_type));
        let listed = if caller.version >= 4 { listed.with_group_state(wire(group.state)) } else { listed };
        if caller.version >= 5 { listed.with_group_type(wire(group.group_type)) } else { listed }
    });
    ListGroupsResponse::default().with_groups(listed.collect())
}

fn texts(list: &[duramen_wire::messages::StrBytes]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn partitions(context: &Context) -> Vec<(ShardId, duramen_wire::ids::PartitionIndex)> {
    let image = context.shard.image.borrow();
    let Some(topic) = image.topic_by_name(CONSUMER_OFFSETS) else { return Vec::new() };
    let all = (0..).map(duramen_wire::ids::PartitionIndex).zip(&topic.partitions);
    all.map(|(index, partition)| (partition.shard, index)).collect()
}

pub async fn delete(context: &Context, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let mut results = Vec::new();
    for group_id in request.groups_names {
        let id = own(&group_id);
        let answer = ask(context, &group_id, move |reply| Event::DeleteGroup(GroupRequest { reply, group_id: id }));
        let error = match answer.await {
            Ok(Response::DeleteGroup(error)) | Err(error) => error,
            Ok(_) => ErrorCode::UnknownServerError,
        };
        results.push(DeletableGroupResult::default().with_group_id(group_id).with_error_code(error.code()));
    }
    DeleteGroupsResponse::default().with_results(results)
}

pub async fn delete_offsets(context: &Context, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let group_id = request.group_id.to_string();
    let answer = ask(context, &group_id, move |reply| {
        let topics = request.topics.iter().map(|topic| {
            (own(&topic.name), topic.partitions.iter().map(|partition| partition.partition_index).collect())
        });
        Event::DeleteOffsets(group::DeleteOffsetsRequest {
            reply,
            group_id: own(&request.group_id),
            topics: topics.collect(),
        })
    });
    let failed = |error: ErrorCode| OffsetDeleteResponse::default().with_error_code(error.code());
    let deleted = match answer.await {
        Ok(Response::DeleteOffsets(deleted)) => deleted,
        Ok(_) => return failed(ErrorCode::UnknownServerError),
        Err(error) => return failed(error),
    };
    let topics = deleted.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|(index, error)| {
            OffsetDeleteResponsePartition::default().with_partition_index(*index).with_error_code(error.code())
        });
        OffsetDeleteResponseTopic::default()
            .with_name(TopicName(wire(&topic.topic)))
            .with_partitions(partitions.collect())
    });
    failed(deleted.error).with_topics(topics.collect())
}
