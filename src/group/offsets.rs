//! OffsetCommit, OffsetFetch, OffsetDelete.
//!
//! What is committed can be fetched when it is durable, not before.

use std::sync::Arc;

use super::appends::{Change, Purpose};
use super::classic_group::{Group, State};
use super::config::RECORDS_PER_APPEND_MAX;
use super::coordinator::{Context, Groups};
use super::effect::{
    CommitResponse, DeleteOffsetsResponse, DeletedTopic, FetchResponse, FetchedOffset, FetchedTopic, Response,
};
use super::error::ErrorCode;
use super::event::{CommitPartition, CommitRequest, CommitTopic, DeleteOffsetsRequest, FetchRequest};
use super::offset_store::{CommittedOffset, Offsets};
use super::refuse::commit_response;

impl Context<'_> {
    pub(super) fn commit_offsets(&mut self, groups: &mut Groups, request: CommitRequest) {
        if let Err(error) = self.check_commit(groups, &request) {
            let response = commit_response(&request, error);
            return self.reply(request.reply, Response::CommitOffsets(response));
        }
        if let Some(group) = groups.get(&request.group_id)
            && matches!(group.state(), State::Stable | State::PreparingRebalance)
        {
            self.keep_alive(group, &request.member_id);
        }
        let mut response = commit_response(&request, ErrorCode::None);
        let changes = self.commit_changes(&request, &mut response);
        let response = Response::CommitOffsets(response);
        if changes.is_empty() {
            self.reply(request.reply, response);
        } else {
            self.append_and_reply(changes, Purpose::Nothing, request.reply, response);
        }
    }

    /// Members commit in their generation; others (generation -1) only while nobody is in the group.
    fn check_commit(&self, groups: &Groups, request: &CommitRequest) -> Result<(), ErrorCode> {
        let partitions: usize = request.topics.iter().map(|topic| topic.partitions.len()).sum();
        if partitions > self.config.offsets_per_group_max {
            return Err(ErrorCode::InvalidCommitOffsetSize);
        }
        let Some(group) = groups.get(&request.group_id) else {
            return match (request.generation < 0, request.knows_group_id_not_found) {
                (true, _) if groups.len() >= self.config.groups_max => Err(ErrorCode::InvalidCommitOffsetSize),
                (true, _) => Ok(()),
                (false, true) => Err(ErrorCode::GroupIdNotFound),
                (false, false) => Err(ErrorCode::IllegalGeneration),
            };
        };
        if group.offsets.len() + partitions > self.config.offsets_per_group_max && grows(group, request) {
            return Err(ErrorCode::InvalidCommitOffsetSize);
        }
        match group.state() {
            State::Dead => return Err(ErrorCode::CoordinatorNotAvailable),
            State::Empty if request.generation < 0 => return Ok(()),
            _ => {}
        }
        let is_member = request.generation >= 0 || !request.member_id.is_empty() || request.group_instance_id.is_some();
        if is_member {
            group.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
            if request.generation != group.generation {
                return Err(ErrorCode::IllegalGeneration);
            }
        } else {
            return Err(ErrorCode::UnknownMemberId);
        }
        match group.state() {
            State::CompletingRebalance => Err(ErrorCode::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// The records of a commit; partitions whose metadata is too long are left out and get their error.
    fn commit_changes(&self, request: &CommitRequest, response: &mut CommitResponse) -> Vec<Change> {
        let mut changes = Vec::new();
        for (topic, answer) in request.topics.iter().zip(&mut response.topics) {
            for (partition, (_, error)) in topic.partitions.iter().zip(&mut answer.partitions) {
                let units = partition.metadata.as_ref().map_or(0, |metadata| metadata.encode_utf16().count());
                if units > self.config.offset_metadata_units_max {
                    *error = ErrorCode::OffsetMetadataTooLarge;
                } else {
                    changes.push(self.commit_change(request, topic, partition));
                }
            }
        }
        changes
    }

    fn commit_change(&self, request: &CommitRequest, topic: &CommitTopic, partition: &CommitPartition) -> Change {
        let committed = CommittedOffset {
            offset: partition.offset,
            leader_epoch: partition.leader_epoch,
            metadata: partition.metadata.clone().unwrap_or_default(),
            commit_timestamp_ms: self.now_ms,
            expire_timestamp_ms: request.retention_time_ms.map(|retention| self.now_ms.saturating_add(retention)),
            topic_id: topic.topic_id,
        };
        Change::Offset {
            group: Arc::clone(&request.group_id),
            topic: Arc::clone(&topic.topic),
            partition: partition.partition,
            committed: Some(committed),
        }
    }

    pub(super) fn fetch_offsets(&mut self, groups: &Groups, request: FetchRequest) {
        let group = groups.get(&request.group_id).filter(|group| group.state() != State::Dead);
        let offsets = group.map(|group| &group.offsets);
        let topics = match request.topics {
            Some(topics) => {
                topics.into_iter().map(|(topic, partitions)| fetch_topic(offsets, topic, &partitions)).collect()
            }
            None => offsets.map(fetch_all).unwrap_or_default(),
        };
        self.reply(request.reply, Response::FetchOffsets(FetchResponse { error: ErrorCode::None, topics }));
    }

    pub(super) fn delete_offsets(&mut self, groups: &mut Groups, request: DeleteOffsetsRequest) {
        let group = match check_delete(groups, &request) {
            Ok(group) => group,
            Err(error) => {
                let response = DeleteOffsetsResponse { error, topics: Vec::new() };
                return self.reply(request.reply, Response::DeleteOffsets(response));
            }
        };
        let committing = self.appends.committing(&group.id);
        let mut changes = Vec::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for (topic, partitions) in request.topics {
            let subscribed = group.is_subscribed_to(&topic);
            let error = if subscribed { ErrorCode::GroupSubscribedToTopic } else { ErrorCode::None };
            for &partition in &partitions {
                let known = group.offsets.get(&topic, partition).is_some();
                if !subscribed && (known || committing.contains(&(Arc::clone(&topic), partition))) {
                    changes.push(Change::tombstone(&group.id, &topic, partition));
                }
            }
            let partitions = partitions.into_iter().map(|partition| (partition, error)).collect();
            topics.push(DeletedTopic { topic, partitions });
        }
        let response = Response::DeleteOffsets(DeleteOffsetsResponse { error: ErrorCode::None, topics });
        if changes.is_empty() {
            self.reply(request.reply, response);
        } else {
            self.append_and_reply(changes, Purpose::Nothing, request.reply, response);
        }
    }

    /// Forgets what any group has committed, or is committing, in a topic that is gone.
    pub(super) fn delete_topic(&mut self, groups: &Groups, topic: &Arc<str>, topic_id: [u8; 16]) {
        let mut gone = self.appends.committing_in_topic(topic, topic_id);
        for group in groups.values() {
            gone.extend(group.offsets.partitions(topic, topic_id).map(|partition| (Arc::clone(&group.id), partition)));
        }
        let changes: Vec<Change> =
            gone.iter().map(|(group, partition)| Change::tombstone(group, topic, *partition)).collect();
        self.append_in_chunks(changes);
    }

    /// Appends that nobody waits for, none of them large.
    pub(super) fn append_in_chunks(&mut self, changes: Vec<Change>) {
        for chunk in changes.chunks(RECORDS_PER_APPEND_MAX) {
            self.append(chunk.to_vec(), Purpose::Nothing);
        }
    }
}

/// Whether the commit names a partition that the group has not committed before.
fn grows(group: &Group, request: &CommitRequest) -> bool {
    let mut partitions = request
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(move |partition| (&topic.topic, partition.partition)));
    partitions.any(|(topic, partition)| group.offsets.get(topic, partition).is_none())
}

fn check_delete<'g>(groups: &'g Groups, request: &DeleteOffsetsRequest) -> Result<&'g Group, ErrorCode> {
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let group = groups.get(&request.group_id).ok_or(ErrorCode::GroupIdNotFound)?;
    match group.state() {
        State::Dead => Err(ErrorCode::GroupIdNotFound),
        State::Empty => Ok(group),
        _ if group.uses_consumer_protocol() => Ok(group),
        _ => Err(ErrorCode::NonEmptyGroup),
    }
}

fn fetch_topic(offsets: Option<&Offsets>, topic: Arc<str>, partitions: &[i32]) -> FetchedTopic {
    let fetched = partitions.iter().map(|&partition| {
        let committed = offsets.and_then(|offsets| offsets.get(&topic, partition));
        committed.map_or_else(|| FetchedOffset::nothing(partition), |committed| fetched(partition, committed))
    });
    let partitions = fetched.collect();
    FetchedTopic { topic, partitions }
}

fn fetch_all(offsets: &Offsets) -> Vec<FetchedTopic> {
    let topics = offsets.topics().map(|(topic, partitions)| FetchedTopic {
        topic: Arc::clone(topic),
        partitions: partitions.iter().map(|(partition, committed)| fetched(*partition, committed)).collect(),
    });
    topics.collect()
}

fn fetched(partition: i32, committed: &CommittedOffset) -> FetchedOffset {
    FetchedOffset {
        partition,
        offset: committed.offset,
        leader_epoch: committed.leader_epoch,
        metadata: Arc::clone(&committed.metadata),
        topic_id: committed.topic_id,
    }
}
