//! What a coordinator asks its caller to do: send a reply, append records.

use std::sync::Arc;

use bytes::Bytes;

use super::error::ErrorCode;
use super::event::{AppendId, ReplyTo};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Reply {
        to: ReplyTo,
        response: Response,
    },
    /// Write these to the coordinator's partition of `__consumer_offsets`, in the order of the ids, all or none, and
    /// say [`AppendDone`](super::Event::AppendDone) when they are durable by the topic's level.
    Append {
        id: AppendId,
        records: Vec<Record>,
    },
}

/// A record of `__consumer_offsets`; `None` is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub key: Bytes,
    pub value: Option<Bytes>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    Join(JoinResponse),
    Sync(SyncResponse),
    Heartbeat(ErrorCode),
    Leave(LeaveResponse),
    CommitOffsets(CommitResponse),
    FetchOffsets(FetchResponse),
    DeleteOffsets(DeleteOffsetsResponse),
    DeleteGroup(ErrorCode),
    Describe(DescribeResponse),
    List(ListResponse),
}

/// JoinGroup. Versions before 7 cannot carry a missing protocol name: it is empty there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinResponse {
    pub error: ErrorCode,
    /// -1 on an error.
    pub generation: i32,
    pub protocol_type: Option<Arc<str>>,
    pub protocol_name: Option<Arc<str>>,
    /// Empty on an error.
    pub leader: Arc<str>,
    pub skip_assignment: bool,
    pub member_id: Arc<str>,
    /// For the leader only.
    pub members: Vec<JoinedMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    pub member_id: Arc<str>,
    pub group_instance_id: Option<Arc<str>>,
    pub metadata: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncResponse {
    pub error: ErrorCode,
    pub protocol_type: Option<Arc<str>>,
    pub protocol_name: Option<Arc<str>>,
    pub assignment: Bytes,
}

/// LeaveGroup; versions before 3 carry the error of the only member at the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveResponse {
    pub error: ErrorCode,
    pub members: Vec<LeftMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftMember {
    pub member_id: Arc<str>,
    pub group_instance_id: Option<Arc<str>>,
    pub error: ErrorCode,
}

/// OffsetCommit: an error of the whole request stands at every partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitResponse {
    pub topics: Vec<CommittedTopic>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedTopic {
    pub topic: Arc<str>,
    pub topic_id: [u8; 16],
    pub partitions: Vec<(i32, ErrorCode)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchResponse {
    pub error: ErrorCode,
    pub topics: Vec<FetchedTopic>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTopic {
    pub topic: Arc<str>,
    pub partitions: Vec<FetchedOffset>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffset {
    pub partition: i32,
    /// -1 if nothing was committed.
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: Arc<str>,
    /// Of the topic that it was committed in; all zero if that is not known, or nothing was committed.
    pub topic_id: [u8; 16],
}

impl FetchedOffset {
    /// The answer where nothing was committed.
    pub fn nothing(partition: i32) -> Self {
        FetchedOffset { partition, offset: -1, leader_epoch: -1, metadata: "".into(), topic_id: [0; 16] }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteOffsetsResponse {
    pub error: ErrorCode,
    /// Empty on an error.
    pub topics: Vec<DeletedTopic>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    pub topic: Arc<str>,
    pub partitions: Vec<(i32, ErrorCode)>,
}

/// DescribeGroups. Versions before 6 answer a group that is not there with the state alone, without the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeResponse {
    pub error: ErrorCode,
    pub group_id: Arc<str>,
    /// `Stable`, `Empty`, ... as Kafka names it.
    pub state: &'static str,
    pub protocol_type: Arc<str>,
    /// The protocol's name, in a stable group.
    pub protocol_data: Arc<str>,
    pub members: Vec<DescribedMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    pub member_id: Arc<str>,
    pub group_instance_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    /// Empty unless the group is stable.
    pub metadata: Bytes,
    pub assignment: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListResponse {
    pub error: ErrorCode,
    pub groups: Vec<ListedGroup>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    pub group_id: Arc<str>,
    /// Empty for a group that only stores offsets.
    pub protocol_type: Arc<str>,
    pub state: &'static str,
    pub group_type: &'static str,
}

impl JoinResponse {
    pub(super) fn failed(error: ErrorCode, member_id: Arc<str>) -> Response {
        Response::Join(JoinResponse {
            error,
            generation: -1,
            protocol_type: None,
            protocol_name: None,
            leader: "".into(),
            skip_assignment: false,
            member_id,
            members: Vec::new(),
        })
    }
}

impl SyncResponse {
    pub(super) fn failed(error: ErrorCode) -> Response {
        Response::Sync(SyncResponse { error, protocol_type: None, protocol_name: None, assignment: Bytes::new() })
    }
}

impl DescribeResponse {
    pub(super) fn dead(error: ErrorCode, group_id: Arc<str>) -> Response {
        Response::Describe(DescribeResponse {
            error,
            group_id,
            state: "Dead",
            protocol_type: "".into(),
            protocol_data: "".into(),
            members: Vec::new(),
        })
    }
}

impl Response {
    /// The same answer turned into a refusal: what a client gets whose records could not be written.
    pub(super) fn with_error(mut self, error: ErrorCode) -> Response {
        match &mut self {
            Response::Join(join) => return JoinResponse::failed(error, Arc::clone(&join.member_id)),
            Response::Sync(_) => return SyncResponse::failed(error),
            Response::Describe(describe) => return DescribeResponse::dead(error, Arc::clone(&describe.group_id)),
            Response::Heartbeat(code) | Response::DeleteGroup(code) => *code = error,
            Response::Leave(leave) => *leave = LeaveResponse { error, members: Vec::new() },
            Response::FetchOffsets(fetch) => *fetch = FetchResponse { error, topics: Vec::new() },
            Response::DeleteOffsets(delete) => *delete = DeleteOffsetsResponse { error, topics: Vec::new() },
            Response::List(list) => *list = ListResponse { error, groups: Vec::new() },
            Response::CommitOffsets(commit) => {
                let partitions = commit.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
                partitions.for_each(|(_, code)| *code = error);
            }
        }
        self
    }
}
