//! One group: its state, its members, the protocols they share.
//!
//! Only this file changes the member maps and the counts derived from them. It sends nothing and sets no timer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::error::ErrorCode;
use super::event::ReplyTo;
use super::member::Member;
use super::offset_store::Offsets;
use super::records::{GroupValue, subscribed_topics};

/// The protocol type of consumers, whose metadata names the topics they read.
pub(super) const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// Kafka's states of a classic group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No members; it may hold offsets.
    Empty,
    /// Waits for its members to join the next generation.
    PreparingRebalance,
    /// The generation has begun; waits for the leader's assignment.
    CompletingRebalance,
    /// Every member has its assignment.
    Stable,
    /// Being deleted; gone when its tombstones are durable.
    Dead,
}

impl State {
    /// The name in DescribeGroups and ListGroups.
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
            State::Dead => "Dead",
        }
    }
}

/// How much longer the first rebalance of a group may wait for members.
#[derive(Clone, Copy, Debug)]
pub(super) struct InitialDelay {
    pub(super) delay_ms: i64,
    pub(super) remaining_ms: i64,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: Arc<str>,
    state: State,
    /// When the state was entered; `None` if the record that was loaded does not tell.
    pub(super) state_since_ms: Option<i64>,
    pub(super) protocol_type: Option<Arc<str>>,
    pub(super) protocol_name: Option<Arc<str>>,
    pub(super) generation: i32,
    pub(super) leader: Option<Arc<str>>,
    members: BTreeMap<Arc<str>, Member>,
    /// Instance id to member id.
    static_members: BTreeMap<Arc<str>, Arc<str>>,
    /// Ids that were handed out by MEMBER_ID_REQUIRED.
    pub(super) pending_join: BTreeSet<Arc<str>>,
    /// Members of this generation that have not sent SyncGroup.
    pub(super) pending_sync: BTreeSet<Arc<str>>,
    /// How many members know each protocol.
    supported: BTreeMap<Arc<str>, usize>,
    awaiting_join: usize,
    /// Set while the first rebalance waits.
    pub(super) initial_delay: Option<InitialDelay>,
    /// A member came while the first rebalance waited: the wait may be extended.
    pub(super) new_member_added: bool,
    /// `None` if the metadata of the members cannot be read.
    subscribed: Option<BTreeSet<String>>,
    pub(super) offsets: Offsets,
    /// The last group record that became durable: what a replay of the log would find.
    pub(super) durable: Option<GroupValue>,
}

impl Group {
    pub(super) fn new(id: Arc<str>) -> Self {
        Group {
            id,
            state: State::Empty,
            state_since_ms: None,
            protocol_type: None,
            protocol_name: None,
            generation: 0,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_join: BTreeSet::new(),
            pending_sync: BTreeSet::new(),
            supported: BTreeMap::new(),
            awaiting_join: 0,
            initial_delay: None,
            new_member_added: false,
            subscribed: None,
            offsets: Offsets::default(),
            durable: None,
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn enter(&mut self, state: State, now_ms: i64) {
        self.state = state;
        self.state_since_ms = Some(now_ms);
    }

    /// A state as it was before, with the time since when; for loading and for taking a deletion back.
    pub(super) fn restore_state(&mut self, state: State, since_ms: Option<i64>) {
        self.state = state;
        self.state_since_ms = since_ms;
    }

    pub(super) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    pub(super) fn member_ids(&self) -> Vec<Arc<str>> {
        self.members.keys().cloned().collect()
    }

    pub(super) fn member(&self, id: &str) -> Option<&Member> {
        self.members.get(id)
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn static_member_id(&self, instance_id: &str) -> Option<Arc<str>> {
        self.static_members.get(instance_id).cloned()
    }

    pub(super) fn is_leader(&self, id: &str) -> bool {
        self.leader.as_deref() == Some(id)
    }

    pub(super) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    /// Adds a member that is not in the group; the first one leads and sets the protocol type.
    pub(super) fn add(&mut self, member: Member, protocol_type: &Arc<str>) {
        if self.members.is_empty() {
            self.protocol_type = Some(Arc::clone(protocol_type));
        }
        if let Some(instance) = &member.group_instance_id {
            self.static_members.insert(Arc::clone(instance), Arc::clone(&member.id));
        }
        self.leader.get_or_insert_with(|| Arc::clone(&member.id));
        self.pending_join.remove(&member.id);
        self.count_protocols(&member.protocols);
        self.awaiting_join += usize::from(member.awaiting_join.is_some());
        let replaced = self.members.insert(Arc::clone(&member.id), member);
        assert!(replaced.is_none(), "a member is added once");
    }

    /// Removes a member or a pending id. The member's open requests are the caller's to answer.
    pub(super) fn remove(&mut self, id: &str) -> Option<Member> {
        self.pending_join.remove(id);
        self.pending_sync.remove(id);
        let member = self.members.remove(id)?;
        self.uncount_protocols(&member.protocols);
        self.awaiting_join -= usize::from(member.awaiting_join.is_some());
        if let Some(instance) = &member.group_instance_id {
            self.static_members.remove(instance);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    /// Gives a static member's place to a new member id, with its open requests taken out.
    pub(super) fn replace_static(
        &mut self,
        old_id: &str,
        new_id: &Arc<str>,
    ) -> Option<(Option<ReplyTo>, Option<ReplyTo>)> {
        let mut member = self.members.remove(old_id)?;
        let open = (member.awaiting_join.take(), member.awaiting_sync.take());
        self.awaiting_join -= usize::from(open.0.is_some());
        if self.pending_sync.remove(old_id) {
            self.pending_sync.insert(Arc::clone(new_id));
        }
        if self.is_leader(old_id) {
            self.leader = Some(Arc::clone(new_id));
        }
        if let Some(instance) = &member.group_instance_id {
            self.static_members.insert(Arc::clone(instance), Arc::clone(new_id));
        }
        member.id = Arc::clone(new_id);
        member.is_new = false;
        self.members.insert(Arc::clone(new_id), member);
        Some(open)
    }

    /// Sets what a member supports and how long it may take.
    pub(super) fn update_member(
        &mut self,
        id: &str,
        protocols: Vec<(Arc<str>, Bytes)>,
        rebalance_ms: i32,
        session_ms: i32,
    ) {
        let Some(member) = self.members.get_mut(id) else { return };
        let old = std::mem::replace(&mut member.protocols, protocols);
        member.rebalance_timeout_ms = rebalance_ms;
        member.session_timeout_ms = session_ms;
        let new = member.protocols.clone();
        self.uncount_protocols(&old);
        self.count_protocols(&new);
    }

    /// Parks a JoinGroup; the one that it takes the place of is returned.
    pub(super) fn park_join(&mut self, id: &str, reply: ReplyTo) -> Option<ReplyTo> {
        let member = self.members.get_mut(id)?;
        let before = member.awaiting_join.replace(reply);
        self.awaiting_join += usize::from(before.is_none());
        before
    }

    pub(super) fn take_join(&mut self, id: &str) -> Option<ReplyTo> {
        let taken = self.members.get_mut(id)?.awaiting_join.take();
        self.awaiting_join -= usize::from(taken.is_some());
        taken
    }

    /// Parks a SyncGroup; the one that it takes the place of is returned.
    pub(super) fn park_sync(&mut self, id: &str, reply: ReplyTo) -> Option<ReplyTo> {
        self.members.get_mut(id)?.awaiting_sync.replace(reply)
    }

    pub(super) fn take_sync(&mut self, id: &str) -> Option<ReplyTo> {
        self.members.get_mut(id)?.awaiting_sync.take()
    }

    pub(super) fn set_assignment(&mut self, id: &str, assignment: Bytes) {
        if let Some(member) = self.members.get_mut(id) {
            member.assignment = assignment;
        }
    }

    /// The member's first JoinGroup was answered.
    pub(super) fn set_known(&mut self, id: &str) {
        if let Some(member) = self.members.get_mut(id) {
            member.is_new = false;
        }
    }

    pub(super) fn members_awaiting_join(&self) -> usize {
        self.awaiting_join
    }

    pub(super) fn has_all_members_joined(&self) -> bool {
        self.members.len() == self.awaiting_join && self.pending_join.is_empty()
    }

    /// The longest of the members' rebalance timeouts.
    pub(super) fn rebalance_timeout_ms(&self) -> i64 {
        self.members.values().map(|member| i64::from(member.rebalance_timeout_ms)).max().unwrap_or(0).max(0)
    }

    /// Keeps a leader that has joined, else makes the first member that has joined the leader. False if there is none.
    pub(super) fn elect_joined_leader(&mut self) -> bool {
        let Some(leader) = &self.leader else { return false };
        if self.members.get(leader).is_some_and(|member| member.awaiting_join.is_some()) {
            return true;
        }
        let Some(joined) = self.members.values().find(|member| member.awaiting_join.is_some()) else { return false };
        self.leader = Some(Arc::clone(&joined.id));
        true
    }

    /// Whether a member with these protocols fits the group.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[(Arc<str>, Bytes)]) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let all = self.members.len();
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|(name, _)| self.supported.get(name).copied().unwrap_or(0) == all)
    }

    /// The protocol with the most votes; each member votes for the first in its list that all members know. On a tie
    /// the first by name (Kafka leaves it open).
    pub(super) fn select_protocol(&self) -> Option<Arc<str>> {
        let all = self.members.len();
        let known_to_all = |name: &Arc<str>| self.supported.get(name).copied() == Some(all);
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| known_to_all(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        let chosen = votes.into_iter().rev().max_by_key(|(_, count)| *count);
        chosen.map(|(name, _)| Arc::clone(name))
    }

    /// Begins the next generation: with members it awaits their SyncGroup, without it is empty.
    pub(super) fn next_generation(&mut self, now_ms: i64) {
        self.generation = self.generation.checked_add(1).unwrap_or(0);
        self.protocol_name = self.select_protocol();
        self.subscribed = self.read_subscriptions();
        self.pending_sync.clear();
        self.initial_delay = None;
        let state = if self.members.is_empty() { State::Empty } else { State::CompletingRebalance };
        self.enter(state, now_ms);
    }

    /// To be called when members and protocol were set otherwise than by a rebalance.
    pub(super) fn refresh_subscriptions(&mut self) {
        self.subscribed = self.read_subscriptions();
    }

    /// Whether the group reads the topic. A group of consumers whose metadata cannot be read may read any.
    pub(super) fn is_subscribed_to(&self, topic: &str) -> bool {
        self.subscribed.as_ref().map_or(self.uses_consumer_protocol(), |topics| topics.contains(topic))
    }

    pub(super) fn knows_subscriptions(&self) -> bool {
        self.subscribed.is_some()
    }

    /// The member exists, and the instance id, if given, is its own.
    pub(super) fn validate_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance_id {
            let current = self.static_members.get(instance).ok_or(ErrorCode::UnknownMemberId)?;
            if current.as_ref() != member_id {
                return Err(ErrorCode::FencedInstanceId);
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    fn read_subscriptions(&self) -> Option<BTreeSet<String>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol_name.as_deref()?;
        let mut all = BTreeSet::new();
        for member in self.members.values() {
            all.extend(subscribed_topics(member.metadata(Some(protocol))).ok()?);
        }
        Some(all)
    }

    fn count_protocols(&mut self, protocols: &[(Arc<str>, Bytes)]) {
        for (name, _) in protocols {
            *self.supported.entry(Arc::clone(name)).or_default() += 1;
        }
    }

    fn uncount_protocols(&mut self, protocols: &[(Arc<str>, Bytes)]) {
        for (name, _) in protocols {
            if let Some(count) = self.supported.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.supported.remove(name);
                }
            }
        }
    }
}
