//! A member as a client library plays it, with its bad habits.

use std::sync::Arc;

use bytes::Bytes;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::group::tests::rig::{TOPIC, commit_topic, subscription};
use crate::group::*;

pub(super) struct Client {
    pub(super) group: Arc<str>,
    instance: Option<Arc<str>>,
    protocols: Vec<(Arc<str>, Bytes)>,
    /// Before version 4 a client joins without an id.
    modern: bool,
    pub(super) member_id: Arc<str>,
    pub(super) generation: i32,
    pub(super) phase: Phase,
    /// In the leader: whom to assign something.
    members: Option<Vec<Arc<str>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Out,
    Joining(ReplyTo),
    Joined,
    Syncing(ReplyTo),
    Stable,
}

impl Client {
    pub(super) fn new(index: usize, random: &mut SmallRng) -> Self {
        let mut protocols: Vec<(Arc<str>, Bytes)> = vec![("a".into(), subscription(TOPIC))];
        if random.random_bool(0.7) {
            protocols.insert(random.random_range(0..2), ("b".into(), subscription("other")));
        }
        Client {
            group: format!("g{}", random.random_range(0..3)).into(),
            instance: random.random_bool(0.4).then(|| format!("i{}", index / 2).into()),
            protocols,
            modern: random.random_bool(0.8),
            member_id: "".into(),
            generation: -1,
            phase: Phase::Out,
            members: None,
        }
    }

    /// What the client does next.
    pub(super) fn act(&mut self, reply: ReplyTo, offset: i64, random: &mut SmallRng) -> Option<Event> {
        match (self.phase, random.random_range(0..100)) {
            (_, 0..=1) => {
                self.forget();
                None
            }
            (Phase::Joining(_) | Phase::Syncing(_), 2..=4) => {
                self.phase = Phase::Out;
                None
            }
            (Phase::Joining(_) | Phase::Syncing(_), _) => None,
            (Phase::Out, _) => Some(self.join(reply, random)),
            (Phase::Joined, 2..=79) => Some(self.sync(reply)),
            (Phase::Stable, 2..=5) => Some(self.join(reply, random)),
            (_, 6..=9) => Some(self.leave(reply)),
            (_, 10..=59) => Some(self.commit(reply, offset, random)),
            _ => Some(self.heartbeat(reply)),
        }
    }

    /// The process is gone, and with it what it knew.
    pub(super) fn forget(&mut self) {
        self.member_id = "".into();
        self.phase = Phase::Out;
    }

    /// The connection is lost: whatever was asked is not answered.
    pub(super) fn disconnect(&mut self) {
        if matches!(self.phase, Phase::Joining(_) | Phase::Syncing(_)) {
            self.phase = Phase::Out;
        }
    }

    pub(super) fn hear(&mut self, to: ReplyTo, response: &Response) {
        match response {
            Response::Join(response) if self.phase == Phase::Joining(to) => self.joined(response),
            Response::Sync(response) if self.phase == Phase::Syncing(to) => match response.error {
                ErrorCode::None => self.phase = Phase::Stable,
                error => self.refused(error),
            },
            Response::Heartbeat(error) if self.phase == Phase::Stable && !error.is_ok() => self.refused(*error),
            _ => {}
        }
    }

    fn joined(&mut self, response: &JoinResponse) {
        match response.error {
            ErrorCode::None => {
                self.member_id = Arc::clone(&response.member_id);
                self.generation = response.generation;
                let leads = response.leader == response.member_id && !response.skip_assignment;
                let ids = response.members.iter().map(|member| Arc::clone(&member.member_id));
                self.members = leads.then(|| ids.collect());
                self.phase = Phase::Joined;
            }
            ErrorCode::MemberIdRequired => {
                self.member_id = Arc::clone(&response.member_id);
                self.phase = Phase::Out;
            }
            error => self.refused(error),
        }
    }

    fn refused(&mut self, error: ErrorCode) {
        self.phase = Phase::Out;
        if matches!(error, ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId | ErrorCode::IllegalGeneration) {
            self.member_id = "".into();
        }
    }

    fn join(&mut self, reply: ReplyTo, random: &mut SmallRng) -> Event {
        self.phase = Phase::Joining(reply);
        Event::Join(JoinRequest {
            reply,
            group_id: Arc::clone(&self.group),
            member_id: Arc::clone(&self.member_id),
            group_instance_id: self.instance.clone(),
            client_id: "c".into(),
            client_host: "/h".into(),
            session_timeout_ms: 6_000,
            rebalance_timeout_ms: 9_000,
            protocol_type: "consumer".into(),
            protocols: self.protocols.clone(),
            requires_known_member_id: self.modern,
            supports_skip_assignment: true,
            new_member_bits: random.random(),
        })
    }

    fn sync(&mut self, reply: ReplyTo) -> Event {
        self.phase = Phase::Syncing(reply);
        let assign = |id: &Arc<str>| (Arc::clone(id), Bytes::from(format!("{}/{id}", self.generation)));
        Event::Sync(SyncRequest {
            reply,
            group_id: Arc::clone(&self.group),
            member_id: Arc::clone(&self.member_id),
            group_instance_id: self.instance.clone(),
            generation: self.generation,
            protocol_type: None,
            protocol_name: None,
            assignments: self.members.iter().flatten().map(assign).collect(),
        })
    }

    fn heartbeat(&self, reply: ReplyTo) -> Event {
        Event::Heartbeat(HeartbeatRequest {
            reply,
            group_id: Arc::clone(&self.group),
            member_id: Arc::clone(&self.member_id),
            group_instance_id: self.instance.clone(),
            generation: self.generation,
        })
    }

    fn leave(&mut self, reply: ReplyTo) -> Event {
        let member = LeavingMember { member_id: Arc::clone(&self.member_id), group_instance_id: self.instance.clone() };
        self.forget();
        Event::Leave(LeaveRequest { reply, group_id: Arc::clone(&self.group), members: vec![member] })
    }

    fn commit(&self, reply: ReplyTo, offset: i64, random: &mut SmallRng) -> Event {
        let simple = random.random_bool(0.1);
        Event::CommitOffsets(CommitRequest {
            reply,
            group_id: Arc::clone(&self.group),
            generation: if simple { -1 } else { self.generation },
            member_id: if simple { "".into() } else { Arc::clone(&self.member_id) },
            group_instance_id: if simple { None } else { self.instance.clone() },
            knows_group_id_not_found: true,
            retention_time_ms: None,
            topics: vec![commit_topic(TOPIC, random.random_range(0..3), offset)],
        })
    }
}
