//! The coordinator of one partition of `__consumer_offsets`: its groups, and one step per event.
//!
//! Invariants: each request gets one reply; a reply that tells of a change to the log is sent after the change is
//! durable; offsets are visible only when they are durable; the same events give the same effects.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::appends::{Append, Appends, Change, Purpose};
use super::classic_group::{Group, State};
use super::config::{Config, TIMERS_PER_TICK_MAX};
use super::effect::{Effect, Response};
use super::error::{AppendError, ErrorCode};
use super::event::{Event, ReplyTo};
use super::offset_store::CommittedOffset;
use super::refuse::{self, refuse};
use super::timers::{Timer, Timers};

pub(super) type Groups = BTreeMap<Arc<str>, Group>;

/// The groups of one partition of `__consumer_offsets`. Made by a [`Loader`](super::Loader).
#[derive(Debug)]
pub struct Coordinator {
    pub(super) config: Config,
    pub(super) groups: Groups,
    pub(super) timers: Timers,
    pub(super) appends: Appends,
    /// The groups hold what the records below this offset say.
    pub(super) applied_offset: i64,
}

/// One committed offset, for metrics and lag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedEntry<'a> {
    pub group_id: &'a Arc<str>,
    pub topic: &'a Arc<str>,
    pub partition: i32,
    pub committed: &'a CommittedOffset,
}

impl Coordinator {
    /// Takes one event at the time `now_ms`, which never goes back, and pushes what is to be done.
    pub fn step(&mut self, now_ms: i64, event: Event, effects: &mut Vec<Effect>) {
        if refuse::may_append(&event) && self.appends.len() >= self.config.appends_in_flight_max {
            refuse(event, ErrorCode::CoordinatorNotAvailable, effects);
            return;
        }
        let (groups, mut context) = self.parts(now_ms, effects);
        match event {
            Event::Join(request) => context.join(groups, request),
            Event::Sync(request) => context.sync(groups, request),
            Event::Heartbeat(request) => context.heartbeat(groups, request),
            Event::Leave(request) => context.leave(groups, request),
            Event::CommitOffsets(request) => context.commit_offsets(groups, request),
            Event::FetchOffsets(request) => context.fetch_offsets(groups, request),
            Event::DeleteOffsets(request) => context.delete_offsets(groups, request),
            Event::DeleteGroup(request) => context.delete_group(groups, request),
            Event::Describe(request) => context.describe(groups, request),
            Event::List(request) => context.list(groups, request),
            Event::Tick => context.tick(groups),
            Event::AppendDone { id, result } => context.appends.finish(id, result),
            Event::TopicDeleted { topic, topic_id } => context.delete_topic(groups, &topic, topic_id),
        }
        self.finish_appends(now_ms, effects);
    }

    /// When the next Tick is due; one that comes late or early does no harm.
    pub fn next_deadline(&self) -> Option<i64> {
        self.timers.next_deadline()
    }

    /// Ends this coordinator: whoever waits is told to look for another one. To be called when the partition moves.
    pub fn unload(mut self, effects: &mut Vec<Effect>) {
        let (groups, mut context) = self.parts(0, effects);
        for append in context.appends.take_all() {
            if let Some((to, response)) = append.answer {
                context.reply(to, response.with_error(ErrorCode::NotCoordinator));
            }
        }
        for group in groups.values_mut() {
            context.fail_all(group, ErrorCode::NotCoordinator);
        }
    }

    /// All that is committed, by group, topic and partition in ascending order.
    pub fn committed_offsets(&self) -> impl Iterator<Item = CommittedEntry<'_>> {
        self.groups.iter().flat_map(|(group_id, group)| {
            let offsets = group.offsets.iter();
            offsets.map(move |(topic, partition, committed)| CommittedEntry { group_id, topic, partition, committed })
        })
    }

    /// How many groups are in which state, for metrics.
    pub fn groups_by_state(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for group in self.groups.values() {
            *counts.entry(group.state().name()).or_default() += 1;
        }
        counts
    }

    /// The offset up to which (exclusive) the log is in the durable state of this coordinator.
    pub fn applied_offset(&self) -> i64 {
        self.applied_offset
    }

    fn parts<'a>(&'a mut self, now_ms: i64, effects: &'a mut Vec<Effect>) -> (&'a mut Groups, Context<'a>) {
        let Coordinator { config, groups, timers, appends, .. } = self;
        (groups, Context { now_ms, config, timers, appends, effects })
    }

    fn finish_appends(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        while let Some((append, result)) = self.appends.pop_finished() {
            if let Ok(next_offset) = result {
                self.applied_offset = self.applied_offset.max(next_offset);
            }
            let (groups, mut context) = self.parts(now_ms, effects);
            context.finish_append(groups, append, result.map(|_| ()));
        }
    }
}

/// What a step works with, beside the groups.
pub(super) struct Context<'a> {
    pub(super) now_ms: i64,
    pub(super) config: &'a Config,
    pub(super) timers: &'a mut Timers,
    pub(super) appends: &'a mut Appends,
    pub(super) effects: &'a mut Vec<Effect>,
}

impl Context<'_> {
    pub(super) fn reply(&mut self, to: ReplyTo, response: Response) {
        self.effects.push(Effect::Reply { to, response });
    }

    pub(super) fn append(&mut self, changes: Vec<Change>, purpose: Purpose) {
        if let Some((id, records)) = self.appends.push(Append::new(changes, purpose)) {
            self.effects.push(Effect::Append { id, records });
        }
    }

    /// An append that a client waits for.
    pub(super) fn append_and_reply(&mut self, changes: Vec<Change>, purpose: Purpose, to: ReplyTo, response: Response) {
        let mut append = Append::new(changes, purpose);
        append.answer = Some((to, response));
        if let Some((id, records)) = self.appends.push(append) {
            self.effects.push(Effect::Append { id, records });
        }
    }

    /// Runs `change` and replies: after the append that it made, if it made one, else at once.
    pub(super) fn reply_after(&mut self, to: ReplyTo, response: Response, change: impl FnOnce(&mut Self)) {
        let before = self.appends.next_id();
        change(self);
        if self.appends.next_id() == before {
            self.reply(to, response);
        } else {
            self.appends.answer_after_last(to, response);
        }
    }

    fn tick(&mut self, groups: &mut Groups) {
        for _ in 0..TIMERS_PER_TICK_MAX {
            let Some(timer) = self.timers.pop_due(self.now_ms) else { return };
            match timer {
                Timer::Join(group) => self.with(groups, &group, Self::join_wait_ended),
                Timer::Sync(group) => self.with(groups, &group, Self::sync_wait_ended),
                Timer::Session(group, member) => {
                    self.with(groups, &group, |context, group| context.session_ended(group, &member));
                }
                Timer::ExpireOffsets { after } => self.expire_offsets(groups, after),
            }
        }
    }

    fn with(&mut self, groups: &mut Groups, id: &str, change: impl FnOnce(&mut Self, &mut Group)) {
        if let Some(group) = groups.get_mut(id) {
            change(self, group);
        }
    }

    fn finish_append(&mut self, groups: &mut Groups, append: Append, result: Result<(), AppendError>) {
        let error = result.err().map_or(ErrorCode::None, AppendError::to_response);
        if error.is_ok() {
            append.changes.into_iter().for_each(|change| apply(groups, change));
        }
        match append.purpose {
            Purpose::Nothing => {}
            Purpose::NewGroup { group } => self.new_group_written(groups, &group, error),
            Purpose::Assignment { group, generation, assignments } => {
                self.with(groups, &group, |context, group| {
                    context.assignment_written(group, generation, assignments, error);
                });
            }
            Purpose::StaticRejoin(rejoin) => {
                let id = Arc::clone(&rejoin.group);
                self.with(groups, &id, |context, group| context.static_rejoin_written(group, *rejoin, error));
            }
            Purpose::DeleteGroup { group, empty_since_ms } => {
                self.group_deletion_written(groups, &group, empty_since_ms, error);
            }
        }
        if let Some((to, response)) = append.answer {
            let response = if error.is_ok() { response } else { response.with_error(error) };
            self.reply(to, response);
        }
    }

    /// Takes a group out, with its timers. Nobody waits in it any more.
    pub(super) fn remove_group(&mut self, groups: &mut Groups, id: &str) {
        let Some(group) = groups.remove(id) else { return };
        self.timers.cancel(&Timer::Join(Arc::clone(&group.id)));
        self.timers.cancel(&Timer::Sync(Arc::clone(&group.id)));
        for member in group.member_ids().into_iter().chain(group.pending_join.iter().cloned()) {
            self.timers.cancel(&Timer::Session(Arc::clone(&group.id), member));
        }
    }

    fn new_group_written(&mut self, groups: &mut Groups, id: &str, error: ErrorCode) {
        if error.is_ok() {
            return;
        }
        let Some(group) = groups.get_mut(id).filter(|group| group.durable.is_none()) else { return };
        self.fail_all(group, error);
        if group.offsets.len() == 0 {
            self.remove_group(groups, id);
        }
    }
}

/// What a durable record means to the groups.
fn apply(groups: &mut Groups, change: Change) {
    match change {
        Change::Offset { group, topic, partition, committed: Some(committed) } => {
            let group = groups.entry(Arc::clone(&group)).or_insert_with(|| Group::new(group));
            group.offsets.put(&topic, partition, committed);
        }
        Change::Offset { group, topic, partition, committed: None } => {
            if let Some(group) = groups.get_mut(&group) {
                group.offsets.remove(&topic, partition);
            }
        }
        Change::Group { group, value } => {
            if let Some(group) = groups.get_mut(&group) {
                group.durable = value;
            }
        }
    }
}

impl State {
    /// Whether a rebalance may begin.
    pub(super) fn can_rebalance(self) -> bool {
        matches!(self, State::Empty | State::Stable | State::CompletingRebalance)
    }
}
