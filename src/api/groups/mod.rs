//! Group coordination (keys 8, 9, 11 to 16, 42, 47): each request goes to the shard that holds the group's partition of
//! `__consumer_offsets`, where the pure coordinator decides. This module is the shell around it: it carries requests
//! there, appends what the coordinator wants written, and keeps its clock.

mod admin;
mod figures;
pub mod hosting;
mod membership;
mod moving;
mod offsets;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use duramen_wire::ids::{Offset, PartitionIndex, ShardId, TopicId, TopicPartitionId};
use slab::Slab;

pub use admin::{delete, delete_offsets, describe, list};
pub use figures::Committed;
pub use membership::{heartbeat, join, leave, sync};
pub use moving::move_coordinator;
pub use offsets::{commit_offsets, fetch_offsets};

use super::{Context, Services};
use crate::controller::CONSUMER_OFFSETS;
use crate::group::{self, AppendId, Coordinator, Effect, ErrorCode, Event, Record, ReplyTo, Response};
use crate::shard::Shard;
use crate::shard::notify::{Notify, Turns};

/// The name and id of a topic that is gone.
pub type DeletedTopic = (Arc<str>, TopicId);

/// The coordinators of one shard, by their partition of `__consumer_offsets`.
#[derive(Default)]
pub struct Groups {
    hosts: RefCell<BTreeMap<PartitionIndex, Rc<Host>>>,
    /// Requests that wait for their answer.
    waiting: RefCell<Slab<Waiting>>,
    /// Something is to be appended, or a clock was set.
    work: Rc<Notify>,
    /// Partitions on their way from or to this shard: they have no coordinator here, and get none until they are there.
    moving: RefCell<BTreeSet<PartitionIndex>>,
    /// On the controller's shard: moves of coordinators, one at a time.
    moves: Turns,
    /// Snapshots that the shards' last checkpoints held, by name, until their coordinator is loaded.
    pub snapshots: RefCell<BTreeMap<String, Vec<Vec<u8>>>>,
}

/// One coordinator, with what it wants written.
struct Host {
    id: TopicPartitionId,
    /// `None` while its groups are being loaded.
    coordinator: RefCell<Option<Coordinator>>,
    to_append: RefCell<VecDeque<(AppendId, Vec<Record>)>>,
    /// Appended, but not yet committed: the append and the offset that must be committed.
    to_commit: RefCell<VecDeque<(AppendId, Offset)>>,
    /// The offset of the last snapshot that was attached to a checkpoint.
    snapshot_at: Cell<i64>,
}

#[derive(Default)]
struct Waiting {
    response: Option<Response>,
    caller: Option<Waker>,
}

/// A caller's place among the waiting; given up when the caller ends.
struct Place<'a> {
    groups: &'a Groups,
    key: usize,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.groups.waiting.borrow_mut().remove(self.key);
    }
}

/// Finds the partition that keeps a group, and its owner.
fn locate(context: &Context, group_id: &str) -> Result<(ShardId, PartitionIndex), ErrorCode> {
    let image = context.shard.image.borrow();
    let topic = image.topic_by_name(CONSUMER_OFFSETS).ok_or(ErrorCode::NotCoordinator)?;
    let count = u32::try_from(topic.partitions.len()).unwrap_or(0);
    let index = group::partition_for(group_id, count).ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let index = PartitionIndex(i32::try_from(index).expect("a partition's number is an i32"));
    let partition = image.partition(topic.id, index).ok_or(ErrorCode::NotCoordinator)?;
    Ok((partition.shard, index))
}

/// Asks the coordinator of a group. `event` is made on its shard, with the place where the answer is awaited.
async fn ask(
    context: &Context,
    group_id: &str,
    event: impl FnOnce(ReplyTo) -> Event + Send + 'static,
) -> Result<Response, ErrorCode> {
    let (owner, index) = locate(context, group_id)?;
    ask_at(context, owner, index, event).await
}

async fn ask_at(
    context: &Context,
    owner: ShardId,
    index: PartitionIndex,
    event: impl FnOnce(ReplyTo) -> Event + Send + 'static,
) -> Result<Response, ErrorCode> {
    let answer = context.shard.call_long(owner, move |shard| async move {
        let services = Services::of(&shard);
        services.groups.handle(&shard, index, event).await
    });
    answer.await
}

impl Groups {
    /// Coordinators that begin with what their snapshots hold.
    pub fn with_snapshots(snapshots: &[(String, Vec<u8>)]) -> Self {
        let groups = Self::default();
        for (name, bytes) in snapshots {
            groups.snapshots.borrow_mut().entry(name.clone()).or_default().push(bytes.clone());
        }
        groups
    }

    /// Makes a response wait for its answer.
    fn open(&self) -> Place<'_> {
        Place { groups: self, key: self.waiting.borrow_mut().insert(Waiting::default()) }
    }

    async fn handle(
        &self,
        shard: &Rc<Shard>,
        index: PartitionIndex,
        event: impl FnOnce(ReplyTo) -> Event,
    ) -> Result<Response, ErrorCode> {
        let host = self.host(shard, index).ok_or(ErrorCode::NotCoordinator)?;
        let place = self.open();
        self.step(shard, &host, event(ReplyTo(place.key as u64)));
        Ok(place.response().await)
    }

    /// The coordinator of a partition that this shard holds; it is loaded when it is first asked for.
    fn host(&self, shard: &Rc<Shard>, index: PartitionIndex) -> Option<Rc<Host>> {
        if self.moving.borrow().contains(&index) {
            return None;
        }
        let known = self.hosts.borrow().get(&index).cloned();
        match known {
            Some(host) if shard.partitions.borrow().get(host.id).is_some() => return Some(host),
            Some(host) => hosting::end(self, &host),
            None => {}
        }
        hosting::start(self, shard, index)
    }

    /// Has the coordinators of this shard drop what was committed in topics that are gone. Those that are being loaded
    /// do so when they are.
    pub fn forget(&self, shard: &Shard, topics: &[DeletedTopic]) {
        let hosts: Vec<Rc<Host>> = self.hosts.borrow().values().cloned().collect();
        for host in hosts {
            for (topic, id) in topics {
                let event = Event::TopicDeleted { topic: topic.clone(), topic_id: *id.0.as_bytes() };
                self.step(shard, &host, event);
            }
        }
    }

    fn step(&self, shard: &Shard, host: &Host, event: Event) {
        let mut effects = Vec::new();
        match host.coordinator.borrow_mut().as_mut() {
            Some(coordinator) => coordinator.step(shard.now_ms(), event, &mut effects),
            None => group::refuse_while_loading(event, &mut effects),
        }
        self.carry_out(host, effects);
    }

    fn carry_out(&self, host: &Host, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Reply { to, response } => self.reply(to, response),
                Effect::Append { id, records } => host.to_append.borrow_mut().push_back((id, records)),
            }
        }
        self.work.raise();
    }

    /// Answers one request; one whose caller has gone is dropped.
    fn reply(&self, to: ReplyTo, response: Response) {
        let mut waiting = self.waiting.borrow_mut();
        let Some(place) = usize::try_from(to.0).ok().and_then(|key| waiting.get_mut(key)) else { return };
        place.response = Some(response);
        if let Some(caller) = place.caller.take() {
            caller.wake();
        }
    }
}

impl Place<'_> {
    async fn response(&self) -> Response {
        poll_fn(|context| {
            let mut waiting = self.groups.waiting.borrow_mut();
            let place = &mut waiting[self.key];
            match place.response.take() {
                Some(response) => Poll::Ready(response),
                None => {
                    place.caller = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}
