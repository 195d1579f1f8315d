//! A member of a classic group.

use std::sync::Arc;

use bytes::Bytes;

use super::effect::{DescribedMember, JoinedMember};
use super::event::{JoinRequest, ReplyTo};

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) id: Arc<str>,
    pub(super) group_instance_id: Option<Arc<str>>,
    pub(super) client_id: Arc<str>,
    pub(super) client_host: Arc<str>,
    pub(super) session_timeout_ms: i32,
    pub(super) rebalance_timeout_ms: i32,
    /// In the order of preference, no name twice.
    pub(super) protocols: Vec<(Arc<str>, Bytes)>,
    pub(super) assignment: Bytes,
    /// The JoinGroup that is answered when the rebalance completes. Set and taken by [`Group`](super::classic_group::Group)
    /// alone, which counts it.
    pub(super) awaiting_join: Option<ReplyTo>,
    /// The SyncGroup that is answered when the leader's assignment is durable.
    pub(super) awaiting_sync: Option<ReplyTo>,
    /// The first JoinGroup has not been answered: the member cannot send heartbeats.
    pub(super) is_new: bool,
}

impl Member {
    pub(super) fn from_join(request: &JoinRequest, id: Arc<str>) -> Self {
        Member {
            id,
            group_instance_id: request.group_instance_id.clone(),
            client_id: Arc::clone(&request.client_id),
            client_host: Arc::clone(&request.client_host),
            session_timeout_ms: request.session_timeout_ms,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            protocols: request.protocols.clone(),
            assignment: Bytes::new(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: true,
        }
    }

    pub(super) fn is_static(&self) -> bool {
        self.group_instance_id.is_some()
    }

    /// Whether the end of the session may pass: whoever waits for the group need not send heartbeats. A new member's
    /// deadline is for the join itself, so it may not.
    pub(super) fn survives_session_end(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    /// The member's metadata for a protocol; empty if it does not know it.
    pub(super) fn metadata(&self, protocol: Option<&str>) -> Bytes {
        let known = self.protocols.iter().find(|(name, _)| Some(name.as_ref()) == protocol);
        known.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    pub(super) fn joined(&self, protocol: Option<&str>) -> JoinedMember {
        JoinedMember {
            member_id: Arc::clone(&self.id),
            group_instance_id: self.group_instance_id.clone(),
            metadata: self.metadata(protocol),
        }
    }

    /// `protocol`: whose metadata is shown, if any.
    pub(super) fn described(&self, protocol: Option<&str>) -> DescribedMember {
        DescribedMember {
            member_id: Arc::clone(&self.id),
            group_instance_id: self.group_instance_id.clone(),
            client_id: Arc::clone(&self.client_id),
            client_host: Arc::clone(&self.client_host),
            metadata: self.metadata(protocol),
            assignment: self.assignment.clone(),
        }
    }
}
