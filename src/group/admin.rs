//! DescribeGroups, ListGroups, DeleteGroups.

use std::sync::Arc;

use super::appends::Change;
use super::classic_group::{Group, State};
use super::coordinator::{Context, Groups};
use super::effect::{DescribeResponse, ListResponse, ListedGroup, Response};
use super::error::ErrorCode;
use super::event::{GroupRequest, ListRequest};

/// The only type of group that this coordinator keeps, as ListGroups names it.
const GROUP_TYPE: &str = "classic";

impl Context<'_> {
    pub(super) fn describe(&mut self, groups: &Groups, request: GroupRequest) {
        let response = match groups.get(&request.group_id) {
            Some(group) if group.state() != State::Dead => Response::Describe(described(group)),
            _ => DescribeResponse::dead(ErrorCode::GroupIdNotFound, request.group_id),
        };
        self.reply(request.reply, response);
    }

    pub(super) fn list(&mut self, groups: &Groups, request: ListRequest) {
        let passes = |filter: &[String], name: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
        };
        let of_type = groups.values().filter(|_| passes(&request.types, GROUP_TYPE));
        let listed = of_type.filter(|group| passes(&request.states, group.state().name())).map(|group| ListedGroup {
            group_id: Arc::clone(&group.id),
            protocol_type: group.protocol_type.clone().unwrap_or_default(),
            state: group.state().name(),
            group_type: GROUP_TYPE,
        });
        let groups = listed.collect();
        self.reply(request.reply, Response::List(ListResponse { error: ErrorCode::None, groups }));
    }

    /// Deletes an empty group with its offsets. Until that is durable the group is dead and takes nothing in.
    pub(super) fn delete_group(&mut self, groups: &mut Groups, request: GroupRequest) {
        let error = match groups.get(&request.group_id).map(Group::state) {
            None | Some(State::Dead) => ErrorCode::GroupIdNotFound,
            Some(State::Empty) => ErrorCode::None,
            Some(_) => ErrorCode::NonEmptyGroup,
        };
        let group = match groups.get_mut(&request.group_id) {
            Some(group) if error.is_ok() => group,
            _ => return self.reply(request.reply, Response::DeleteGroup(error)),
        };
        for pending in std::mem::take(&mut group.pending_join) {
            self.drop_member(group, &pending);
        }
        let mut partitions = self.appends.committing(&group.id);
        partitions.extend(group.offsets.iter().map(|(topic, partition, _)| (Arc::clone(topic), partition)));
        let tombstones =
            partitions.iter().map(|(topic, partition)| Change::tombstone(&group.id, topic, *partition)).collect();
        self.reply_after(request.reply, Response::DeleteGroup(ErrorCode::None), |context| {
            context.end_group(group, tombstones);
        });
    }

    /// The group is gone, or is what it was.
    pub(super) fn group_deletion_written(
        &mut self,
        groups: &mut Groups,
        id: &str,
        empty_since_ms: Option<i64>,
        error: ErrorCode,
    ) {
        if error.is_ok() {
            self.remove_group(groups, id);
        } else if let Some(group) = groups.get_mut(id) {
            group.restore_state(State::Empty, empty_since_ms);
        }
    }
}

fn described(group: &Group) -> DescribeResponse {
    let protocol = group.protocol_name.as_ref().filter(|_| group.state() == State::Stable);
    DescribeResponse {
        error: ErrorCode::None,
        group_id: Arc::clone(&group.id),
        state: group.state().name(),
        protocol_type: group.protocol_type.clone().unwrap_or_default(),
        protocol_data: protocol.cloned().unwrap_or_default(),
        members: group.members().map(|member| member.described(protocol.map(AsRef::as_ref))).collect(),
    }
}
