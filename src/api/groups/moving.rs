//! A coordinator's move to another shard, with its partition of `__consumer_offsets`.
//!
//! The old shard unloads it first: whoever waits, or asks from then on, is told NOT_COORDINATOR and looks again, as in
//! Kafka. The new shard loads it as soon as it has the partition. What was durable is all that a coordinator knows, so
//! members stay members, in their generation; a rebalance that was under way begins anew.

use std::rc::Rc;

use duramen_wire::ids::{PartitionIndex, ShardId, TopicId, TopicPartitionId};

use super::hosting;
use super::{Groups, Host};
use crate::api::Services;
use crate::errors::chain;
use crate::metadata::{self, Keeper};
use crate::shard::Shard;

/// Moves a partition of `__consumer_offsets`. To be run on the controller's shard.
///
/// # Errors
/// As for [`Keeper::move_partition`]; the coordinator is then loaded where the partition is.
pub async fn move_coordinator(
    keeper: &Keeper,
    shard: &Shard,
    topic: TopicId,
    partition: PartitionIndex,
    to: ShardId,
) -> Result<(), metadata::Error> {
    let services = Services::of(shard);
    // One after the other: each has to find the coordinator where the one before has left it.
    let _turn = services.groups.moves.take().await;
    let id = TopicPartitionId { topic, partition };
    let Some(from) = owner(shard, id).filter(|from| *from != to) else {
        return keeper.move_partition(topic, partition, to).await;
    };
    shard.call(to, move |shard| async move { Services::of(&shard).groups.moving.borrow_mut().insert(partition) }).await;
    let snapshot = shard.call(from, move |shard| async move { Services::of(&shard).groups.leave(&shard, id) }).await;
    let moved = keeper.move_partition(topic, partition, to).await;
    let now = owner(shard, id).unwrap_or(from);
    for end in [from, to] {
        let snapshot = snapshot.clone().filter(|_| end == now);
        shard.call(end, move |shard| async move { Services::of(&shard).groups.arrive(&shard, id, snapshot) }).await;
    }
    moved
}

fn owner(shard: &Shard, id: TopicPartitionId) -> Option<ShardId> {
    shard.image.borrow().partition(id.topic, id.partition).map(|partition| partition.shard)
}

impl Groups {
    /// Unloads a coordinator, and keeps it from being loaded here again. What it knew comes back as a snapshot.
    fn leave(&self, shard: &Shard, id: TopicPartitionId) -> Option<Vec<u8>> {
        self.moving.borrow_mut().insert(id.partition);
        let host = self.hosts.borrow().get(&id.partition).cloned()?;
        let snapshot = snapshot(&host);
        hosting::end(self, &host);
        shard.log().attach(&hosting::attachment_name(id), Vec::new());
        snapshot
    }

    /// Ends the move on this shard. Where the partition is now, its coordinator is loaded: its members are to be heard of,
    /// so nobody has to ask for it first.
    fn arrive(&self, shard: &Rc<Shard>, id: TopicPartitionId, snapshot: Option<Vec<u8>>) {
        self.moving.borrow_mut().remove(&id.partition);
        if let Some(bytes) = snapshot {
            let name = hosting::attachment_name(id);
            shard.log().attach(&name, bytes.clone());
            self.snapshots.borrow_mut().entry(name).or_default().push(bytes);
        }
        // It is not here at the old end, nor if the move has failed for good, which the keeper has told.
        let _host = self.host(shard, id.partition);
    }
}

fn snapshot(host: &Host) -> Option<Vec<u8>> {
    let coordinator = host.coordinator.borrow();
    let bytes = coordinator.as_ref()?.snapshot();
    bytes
        .inspect_err(|error| tracing::warn!(partition = %host.id, error = chain(error), "groups cannot be snapshotted"))
        .ok()
}
