//! Makes a coordinator from the records of its partition, or from a snapshot and the records behind it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::classic_group::{Group, State};
use super::config::Config;
use super::coordinator::{Context, Coordinator};
use super::effect::Effect;
use super::member::Member;
use super::offset_store::{CommittedOffset, Offsets};
use super::records::{self, GroupValue, Key, decode_group, decode_key, decode_offset};
use super::snapshot;

/// Why a record could not be replayed.
#[derive(Debug, thiserror::Error)]
#[error("the record at offset {offset} of the offsets topic cannot be read")]
pub struct Error {
    pub offset: i64,
    #[source]
    pub source: records::Error,
}

/// Replays records in the order of the log. Requests that come meanwhile are answered by
/// [`refuse_while_loading`](super::refuse_while_loading).
#[derive(Debug)]
pub struct Loader {
    config: Config,
    pub(super) groups: BTreeMap<Arc<str>, Loaded>,
    pub(super) next_offset: i64,
    skipped: u64,
}

/// What the records say of one group.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) value: Option<GroupValue>,
    pub(super) offsets: Offsets,
}

impl Loader {
    /// Begins with an empty log.
    pub fn new(config: Config) -> Self {
        Loader { config, groups: BTreeMap::new(), next_offset: 0, skipped: 0 }
    }

    /// Begins with what a snapshot holds.
    pub fn from_snapshot(config: Config, bytes: &[u8]) -> Result<Self, snapshot::Error> {
        let mut loader = Loader::new(config);
        snapshot::read(bytes, &mut loader)?;
        Ok(loader)
    }

    /// The offset of the first record to replay.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Records of kinds that this coordinator does not keep: other group protocols, other versions of keys.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Replays one record. What is below [`next_offset`](Self::next_offset) is known and passed over; after an error
    /// the record has changed nothing, and the next may follow.
    pub fn replay(&mut self, offset: i64, key: Bytes, value: Option<Bytes>) -> Result<(), Error> {
        if offset < self.next_offset {
            return Ok(());
        }
        self.next_offset = offset + 1;
        self.replay_record(key, value).map_err(|source| Error { offset, source })
    }

    /// Offsets of records that need no replay, such as control batches, end at `next_offset`.
    pub fn skip_to(&mut self, next_offset: i64) {
        self.next_offset = self.next_offset.max(next_offset);
    }

    /// Ends the loading: from `now_ms` on every member has its session timeout to be heard of.
    pub fn finish(self, now_ms: i64, effects: &mut Vec<Effect>) -> Coordinator {
        let mut coordinator = Coordinator::empty(self.config, self.next_offset);
        let kept = self.groups.into_iter().filter(|(_, loaded)| loaded.value.is_some() || loaded.offsets.len() != 0);
        for (id, loaded) in kept {
            let group = make_group(Arc::clone(&id), loaded);
            coordinator.groups.insert(id, group);
        }
        coordinator.start(now_ms, effects);
        coordinator
    }

    pub(super) fn put_group(&mut self, group: Arc<str>, value: GroupValue) {
        self.groups.entry(group).or_default().value = Some(value);
    }

    pub(super) fn put_offset(&mut self, group: Arc<str>, topic: &Arc<str>, partition: i32, committed: CommittedOffset) {
        self.groups.entry(group).or_default().offsets.put(topic, partition, committed);
    }

    fn replay_record(&mut self, key: Bytes, value: Option<Bytes>) -> Result<(), records::Error> {
        match (decode_key(key)?, value) {
            (Key::Offset { group, topic, partition }, Some(value)) => {
                let committed = decode_offset(value)?;
                self.put_offset(group, &topic, partition, committed);
            }
            (Key::Offset { group, topic, partition }, None) => {
                if let Some(loaded) = self.groups.get_mut(&group) {
                    loaded.offsets.remove(&topic, partition);
                }
            }
            (Key::Group { group }, Some(value)) => self.put_group(group, decode_group(value)?),
            (Key::Group { group }, None) => {
                if let Some(loaded) = self.groups.get_mut(&group) {
                    loaded.value = None;
                }
            }
            (Key::Other(_), _) => self.skipped += 1,
        }
        Ok(())
    }
}

impl Coordinator {
    pub(super) fn empty(config: Config, applied_offset: i64) -> Self {
        Coordinator {
            config,
            groups: BTreeMap::new(),
            timers: Default::default(),
            appends: Default::default(),
            applied_offset,
        }
    }

    /// Starts the sessions; a group that is larger than is allowed now has to rebalance.
    fn start(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        let max = self.config.members_per_group_max;
        let Coordinator { config, groups, timers, appends, .. } = self;
        let mut context = Context { now_ms, config, timers, appends, effects };
        for group in groups.values_mut() {
            group.member_ids().iter().for_each(|id| context.keep_alive(group, id));
            if group.len() > max {
                context.prepare_rebalance(group);
            }
        }
        context.schedule_expiry();
    }
}

/// A group as its records leave it: stable if it has members, else empty.
fn make_group(id: Arc<str>, loaded: Loaded) -> Group {
    let mut group = Group::new(id);
    group.offsets = loaded.offsets;
    let Some(value) = loaded.value else { return group };
    for member in &value.members {
        let known = group.member(&member.member_id).is_some();
        let instance_known = member.group_instance_id.as_ref().is_some_and(|id| group.static_member_id(id).is_some());
        if !known && !instance_known {
            group.add(make_member(member, &value), &value.protocol_type);
        }
    }
    group.generation = value.generation;
    group.protocol_type = Some(Arc::clone(&value.protocol_type)).filter(|name| !name.is_empty());
    group.protocol_name = value.protocol.clone();
    let leader = value.leader.clone().filter(|leader| group.member(leader).is_some());
    group.leader = leader.or_else(|| group.members().next().map(|member| Arc::clone(&member.id)));
    let state = if group.len() == 0 { State::Empty } else { State::Stable };
    group.restore_state(state, Some(value.state_timestamp_ms).filter(|at| *at != -1));
    group.refresh_subscriptions();
    group.durable = Some(value);
    group
}

fn make_member(member: &records::MemberValue, group: &GroupValue) -> Member {
    let protocol = group.protocol.clone().unwrap_or_default();
    let rebalance_ms = member.rebalance_timeout_ms;
    Member {
        id: Arc::clone(&member.member_id),
        group_instance_id: member.group_instance_id.clone(),
        client_id: Arc::clone(&member.client_id),
        client_host: Arc::clone(&member.client_host),
        session_timeout_ms: member.session_timeout_ms,
        rebalance_timeout_ms: if rebalance_ms == -1 { member.session_timeout_ms } else { rebalance_ms },
        protocols: vec![(protocol, member.subscription.clone())],
        assignment: member.assignment.clone(),
        awaiting_join: None,
        awaiting_sync: None,
        is_new: false,
    }
}
