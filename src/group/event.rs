//! What a coordinator is told: requests, the passing of time, the fate of its appends.
//!
//! The caller has decoded, authorised and version-normalised the requests; what a version changes in the meaning is a
//! field here. Topics that do not exist are sorted out by the caller.

use std::sync::Arc;

use bytes::Bytes;

use super::error::AppendError;

/// Names the request that a [`Reply`](super::Effect::Reply) answers. The caller chooses it; each gets one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyTo(pub u64);

/// Names an append, in the order in which the records have to reach the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppendId(pub u64);

#[derive(Clone, Debug)]
pub enum Event {
    Join(JoinRequest),
    Sync(SyncRequest),
    Heartbeat(HeartbeatRequest),
    Leave(LeaveRequest),
    CommitOffsets(CommitRequest),
    FetchOffsets(FetchRequest),
    DeleteOffsets(DeleteOffsetsRequest),
    /// DeleteGroups, for one of its groups.
    DeleteGroup(GroupRequest),
    /// DescribeGroups, for one of its groups.
    Describe(GroupRequest),
    List(ListRequest),
    /// Time has passed; see [`Coordinator::next_deadline`](super::Coordinator::next_deadline).
    Tick,
    /// The records of an append are durable, or never will be.
    AppendDone {
        id: AppendId,
        /// The offset after the last record that was written.
        result: Result<i64, AppendError>,
    },
    /// A topic is gone: what groups committed in it goes too, but not what they commit in a later one of that name.
    TopicDeleted {
        topic: Arc<str>,
        topic_id: [u8; 16],
    },
}

/// JoinGroup.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    pub reply: ReplyTo,
    pub group_id: Arc<str>,
    /// Empty for a member that has no id yet.
    pub member_id: Arc<str>,
    pub group_instance_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    /// As Kafka writes it: `/127.0.0.1`.
    pub client_host: Arc<str>,
    pub session_timeout_ms: i32,
    /// -1 where the version has none (0): the session timeout serves.
    pub rebalance_timeout_ms: i32,
    pub protocol_type: Arc<str>,
    /// Name and metadata, in the member's order of preference.
    pub protocols: Vec<(Arc<str>, Bytes)>,
    /// Version >= 4: a dynamic member without an id has to come back with one (KIP-394).
    pub requires_known_member_id: bool,
    /// Version >= 9: a static leader that rejoins is told to skip the assignment (KIP-814).
    pub supports_skip_assignment: bool,
    /// Random bits for the member id that may have to be made.
    pub new_member_bits: u128,
}

/// SyncGroup.
#[derive(Clone, Debug)]
pub struct SyncRequest {
    pub reply: ReplyTo,
    pub group_id: Arc<str>,
    pub member_id: Arc<str>,
    pub group_instance_id: Option<Arc<str>>,
    pub generation: i32,
    /// Version >= 5; checked against the group's where given.
    pub protocol_type: Option<Arc<str>>,
    pub protocol_name: Option<Arc<str>>,
    /// From the leader: what each member is assigned.
    pub assignments: Vec<(Arc<str>, Bytes)>,
}

/// Heartbeat.
#[derive(Clone, Debug)]
pub struct HeartbeatRequest {
    pub reply: ReplyTo,
    pub group_id: Arc<str>,
    pub member_id: Arc<str>,
    pub group_instance_id: Option<Arc<str>>,
    pub generation: i32,
}

/// LeaveGroup; versions before 3 name exactly one member.
#[derive(Clone, Debug)]
pub struct LeaveRequest {
    pub reply: ReplyTo,
    pub group_id: Arc<str>,
    pub members: Vec<LeavingMember>,
}

#[derive(Clone, Debug)]
pub struct LeavingMember {
    /// Empty when an administrator removes a static member by its instance id.
    pub member_id: Arc<str>,
    pub group_instance_id: Option<Arc<str>>,
}

/// OffsetCommit.
#[derive(Clone, Debug)]
pub struct CommitRequest {
    pub reply: ReplyTo,
    pub group_id: Arc<str>,
    /// -1 from a consumer outside group management.
    pub generation: i32,
    pub member_id: Arc<str>,
    pub group_instance_id: Option<Arc<str>>,
    /// Version >= 9: a group that is not there is GROUP_ID_NOT_FOUND, before it was ILLEGAL_GENERATION.
    pub knows_group_id_not_found: bool,
    /// Versions 2 to 4, if not -1.
    pub retention_time_ms: Option<i64>,
    pub topics: Vec<CommitTopic>,
}

#[derive(Clone, Debug)]
pub struct CommitTopic {
    pub topic: Arc<str>,
    /// All zero if it is not known.
    pub topic_id: [u8; 16],
    pub partitions: Vec<CommitPartition>,
}

#[derive(Clone, Debug)]
pub struct CommitPartition {
    pub partition: i32,
    pub offset: i64,
    /// -1 if it is not known.
    pub leader_epoch: i32,
    pub metadata: Option<Arc<str>>,
}

/// OffsetFetch, for one of its groups. What a transaction has not committed is not looked at: there are none yet.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    pub reply: ReplyTo,
    pub group_id: Arc<str>,
    /// `None`: all that the group has committed.
    pub topics: Option<Vec<(Arc<str>, Vec<i32>)>>,
}

/// OffsetDelete.
#[derive(Clone, Debug)]
pub struct DeleteOffsetsRequest {
    pub reply: ReplyTo,
    pub group_id: Arc<str>,
    pub topics: Vec<(Arc<str>, Vec<i32>)>,
}

#[derive(Clone, Debug)]
pub struct GroupRequest {
    pub reply: ReplyTo,
    pub group_id: Arc<str>,
}

/// ListGroups; an empty filter lets all pass, case does not matter.
#[derive(Clone, Debug)]
pub struct ListRequest {
    pub reply: ReplyTo,
    pub states: Vec<String>,
    pub types: Vec<String>,
}
