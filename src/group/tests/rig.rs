//! A coordinator with a log and a clock, for tests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::group::*;

pub(super) const GROUP: &str = "g";
pub(super) const TOPIC: &str = "t";

/// Appends are durable at once unless `hold` is set.
pub(super) struct Rig {
    pub(super) coordinator: Coordinator,
    pub(super) now: i64,
    pub(super) log: Vec<Record>,
    pub(super) hold: bool,
    pub(super) held: VecDeque<(AppendId, Vec<Record>)>,
    replies: BTreeMap<ReplyTo, Response>,
    asked: u64,
}

impl Rig {
    /// No initial delay, Kafka's defaults else.
    pub(super) fn new() -> Self {
        Rig::with(Config { initial_rebalance_delay_ms: 0, ..Config::default() })
    }

    pub(super) fn with(config: Config) -> Self {
        Rig {
            coordinator: Loader::new(config).finish(0, &mut Vec::new()),
            now: 0,
            log: Vec::new(),
            hold: false,
            held: VecDeque::new(),
            replies: BTreeMap::new(),
            asked: 0,
        }
    }

    pub(super) fn send(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.coordinator.step(self.now, event, &mut effects);
        self.carry_out(effects);
        if self.coordinator.next_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.send(Event::Tick);
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Reply { to, response } => {
                    assert!(self.replies.insert(to, response).is_none(), "{to:?} is answered twice");
                }
                Effect::Append { id, records } => {
                    self.held.push_back((id, records));
                    if !self.hold {
                        self.complete(Ok(()));
                    }
                }
            }
        }
    }

    /// Ends the oldest append that is held.
    pub(super) fn complete(&mut self, result: Result<(), AppendError>) {
        let (id, records) = self.held.pop_front().expect("an append is held");
        if result.is_ok() {
            self.log.extend(records);
        }
        self.send(Event::AppendDone { id, result: result.map(|()| self.log.len() as i64) });
    }

    /// Lets time pass, timer by timer.
    pub(super) fn advance(&mut self, ms: i64) {
        let end = self.now + ms;
        while let Some(deadline) = self.coordinator.next_deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.send(Event::Tick);
        }
        self.now = end;
    }

    pub(super) fn next_reply(&mut self) -> ReplyTo {
        self.asked += 1;
        ReplyTo(self.asked)
    }

    pub(super) fn reply(&self, to: ReplyTo) -> Option<Response> {
        self.replies.get(&to).cloned()
    }

    fn answered(&self, to: ReplyTo) -> Response {
        self.reply(to).expect("the request is answered")
    }

    /// Sends a JoinGroup of group `g` and does not wait; `change` makes it differ from a plain consumer's.
    pub(super) fn start_join(&mut self, member: &str, change: impl FnOnce(&mut JoinRequest)) -> ReplyTo {
        let reply = self.next_reply();
        let mut request = JoinRequest {
            reply,
            group_id: GROUP.into(),
            member_id: member.into(),
            group_instance_id: None,
            client_id: "c".into(),
            client_host: "/127.0.0.1".into(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 60_000,
            protocol_type: "consumer".into(),
            protocols: vec![("range".into(), subscription(TOPIC))],
            requires_known_member_id: true,
            supports_skip_assignment: false,
            new_member_bits: u128::from(self.asked),
        };
        change(&mut request);
        self.send(Event::Join(request));
        reply
    }

    pub(super) fn join_response(&self, to: ReplyTo) -> JoinResponse {
        match self.answered(to) {
            Response::Join(response) => response,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn join(&mut self, member: &str, change: impl FnOnce(&mut JoinRequest)) -> JoinResponse {
        let reply = self.start_join(member, change);
        self.join_response(reply)
    }

    /// A member id for a new dynamic member.
    pub(super) fn member_id(&mut self) -> Arc<str> {
        let response = self.join("", |_| {});
        assert_eq!(response.error, ErrorCode::MemberIdRequired);
        response.member_id
    }

    pub(super) fn start_sync(&mut self, member: &str, generation: i32, assignments: &[(&str, &str)]) -> ReplyTo {
        let reply = self.next_reply();
        let assignments = assignments.iter().map(|(id, assignment)| ((*id).into(), assignment.to_string().into()));
        self.send(Event::Sync(SyncRequest {
            reply,
            group_id: GROUP.into(),
            member_id: member.into(),
            group_instance_id: None,
            generation,
            protocol_type: None,
            protocol_name: None,
            assignments: assignments.collect(),
        }));
        reply
    }

    pub(super) fn sync_response(&self, to: ReplyTo) -> SyncResponse {
        match self.answered(to) {
            Response::Sync(response) => response,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn sync(&mut self, member: &str, generation: i32, assignments: &[(&str, &str)]) -> SyncResponse {
        let reply = self.start_sync(member, generation, assignments);
        self.sync_response(reply)
    }

    pub(super) fn heartbeat(&mut self, member: &str, instance: Option<&str>, generation: i32) -> ErrorCode {
        let reply = self.next_reply();
        self.send(Event::Heartbeat(HeartbeatRequest {
            reply,
            group_id: GROUP.into(),
            member_id: member.into(),
            group_instance_id: instance.map(Into::into),
            generation,
        }));
        match self.answered(reply) {
            Response::Heartbeat(error) => error,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn leave(&mut self, members: &[(&str, Option<&str>)]) -> Vec<ErrorCode> {
        let reply = self.next_reply();
        let members = members.iter().map(|(member, instance)| LeavingMember {
            member_id: (*member).into(),
            group_instance_id: instance.map(Into::into),
        });
        self.send(Event::Leave(LeaveRequest { reply, group_id: GROUP.into(), members: members.collect() }));
        match self.answered(reply) {
            Response::Leave(response) if response.error.is_ok() => {
                response.members.iter().map(|member| member.error).collect()
            }
            Response::Leave(response) => vec![response.error],
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn start_commit(
        &mut self,
        member: &str,
        generation: i32,
        change: impl FnOnce(&mut CommitRequest),
    ) -> ReplyTo {
        let reply = self.next_reply();
        let mut request = CommitRequest {
            reply,
            group_id: GROUP.into(),
            generation,
            member_id: member.into(),
            group_instance_id: None,
            knows_group_id_not_found: true,
            retention_time_ms: None,
            topics: vec![commit_topic(TOPIC, 0, 5)],
        };
        change(&mut request);
        self.send(Event::CommitOffsets(request));
        reply
    }

    pub(super) fn commit_errors(&self, to: ReplyTo) -> Vec<ErrorCode> {
        match self.answered(to) {
            Response::CommitOffsets(response) => {
                response.topics.iter().flat_map(|topic| &topic.partitions).map(|(_, error)| *error).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn commit(&mut self, member: &str, generation: i32) -> ErrorCode {
        let reply = self.start_commit(member, generation, |_| {});
        self.commit_errors(reply)[0]
    }

    /// The offset that the group has committed for partition 0 of topic `t`.
    pub(super) fn fetch(&mut self) -> i64 {
        self.fetch_topics(Some(vec![(TOPIC.into(), vec![0])]))[0].partitions[0].offset
    }

    pub(super) fn fetch_topics(&mut self, topics: Option<Vec<(Arc<str>, Vec<i32>)>>) -> Vec<FetchedTopic> {
        let reply = self.next_reply();
        self.send(Event::FetchOffsets(FetchRequest { reply, group_id: GROUP.into(), topics }));
        match self.answered(reply) {
            Response::FetchOffsets(response) => response.topics,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn delete_offsets(&mut self, topic: &str, partitions: &[i32]) -> (ErrorCode, Vec<ErrorCode>) {
        let reply = self.next_reply();
        let topics = vec![(topic.into(), partitions.to_vec())];
        self.send(Event::DeleteOffsets(DeleteOffsetsRequest { reply, group_id: GROUP.into(), topics }));
        match self.answered(reply) {
            Response::DeleteOffsets(response) => {
                let errors = response.topics.iter().flat_map(|topic| &topic.partitions).map(|(_, error)| *error);
                (response.error, errors.collect())
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn start_delete_group(&mut self) -> ReplyTo {
        let reply = self.next_reply();
        self.send(Event::DeleteGroup(GroupRequest { reply, group_id: GROUP.into() }));
        reply
    }

    pub(super) fn delete_group(&mut self) -> ErrorCode {
        let reply = self.start_delete_group();
        self.deletion(reply)
    }

    pub(super) fn deletion(&self, to: ReplyTo) -> ErrorCode {
        match self.answered(to) {
            Response::DeleteGroup(error) => error,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn describe(&mut self) -> DescribeResponse {
        let reply = self.next_reply();
        self.send(Event::Describe(GroupRequest { reply, group_id: GROUP.into() }));
        match self.answered(reply) {
            Response::Describe(response) => response,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn state(&mut self) -> &'static str {
        self.describe().state
    }

    pub(super) fn list(&mut self, states: &[&str], types: &[&str]) -> Vec<ListedGroup> {
        let reply = self.next_reply();
        let owned = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        self.send(Event::List(ListRequest { reply, states: owned(states), types: owned(types) }));
        match self.answered(reply) {
            Response::List(response) => response.groups,
            other => panic!("{other:?}"),
        }
    }

    /// A stable group of `count` dynamic members, the first of which leads; its generation. Needs a delay of 0.
    pub(super) fn stable(&mut self, count: usize) -> (Vec<Arc<str>>, i32) {
        let ids: Vec<Arc<str>> = (0..count).map(|_| self.member_id()).collect();
        let mut join = self.start_join(&ids[0], |_| {});
        if count > 1 {
            for id in &ids[1..] {
                self.start_join(id, |_| {});
            }
            join = self.start_join(&ids[0], |_| {});
        }
        let response = self.join_response(join);
        assert_eq!(response.error, ErrorCode::None);
        let leader = ids.iter().position(|id| *id == response.leader).expect("the leader is a member");
        let mut ids = ids;
        ids.swap(0, leader);
        let assignments: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_ref(), id.as_ref())).collect();
        let syncs: Vec<ReplyTo> = ids
            .iter()
            .rev()
            .map(|id| self.start_sync(id, response.generation, if *id == ids[0] { &assignments } else { &[] }))
            .collect();
        for (id, sync) in ids.iter().rev().zip(syncs) {
            assert_eq!(self.sync_response(sync).assignment, id.to_string());
        }
        assert_eq!(self.state(), "Stable");
        (ids, response.generation)
    }

    /// The coordinator dies; another one replays the log.
    pub(super) fn restart(&mut self, config: Config) {
        let mut loader = Loader::new(config);
        for (offset, record) in self.log.iter().enumerate() {
            loader.replay(offset as i64, record.key.clone(), record.value.clone()).unwrap();
        }
        self.start(loader);
    }

    pub(super) fn start(&mut self, loader: Loader) {
        let mut effects = Vec::new();
        self.coordinator = loader.finish(self.now, &mut effects);
        self.held.clear();
        self.carry_out(effects);
    }
}

/// A consumer's metadata: version 0, one topic, no user data.
pub(super) fn subscription(topic: &str) -> Bytes {
    let mut bytes = vec![0, 0, 0, 0, 0, 1, 0, topic.len() as u8];
    bytes.extend_from_slice(topic.as_bytes());
    bytes.extend_from_slice(&[0xff; 4]);
    bytes.into()
}

pub(super) fn commit_topic(topic: &str, partition: i32, offset: i64) -> CommitTopic {
    let partition = CommitPartition { partition, offset, leader_epoch: -1, metadata: None };
    CommitTopic { topic: topic.into(), topic_id: [0; 16], partitions: vec![partition] }
}
