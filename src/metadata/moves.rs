//! A partition's move to another shard, while the broker runs.
//!
//! Order of steps, and why it is safe to stop between any two:
//! 1. The old shard takes no more writes, syncs everything, and gives the partition up. From here on clients are told to
//!    look again. A kill leaves the metadata as it was, so the old shard gets the partition back at the start.
//! 2. The move becomes durable. After a kill the metadata gives the partition to the new shard, and recovery finds it by
//!    what the old shard's checkpoint or its own directory says.
//! 3. The new shard adopts it, which makes a checkpoint that supersedes the old shard's.
//! 4. All shards learn where it is.
//!
//! It is done in the keeper's turn, so that the topic is not deleted or changed in between.

use duramen_wire::ids::{PartitionIndex, ShardId, TopicId, TopicPartitionId};

use super::{Error, Keeper};
use crate::controller::PartitionMoved;
use crate::log::PartitionState;

impl Keeper {
    /// Moves a partition; nothing is done if it is there already.
    ///
    /// # Errors
    /// The partition does not exist; or a step failed. What was released is then taken back, or, where that is not
    /// possible either, is not served until the next start; the broker's log says so.
    pub async fn move_partition(&self, topic: TopicId, partition: PartitionIndex, to: ShardId) -> Result<(), Error> {
        let _turn = self.turns.take().await;
        let id = TopicPartitionId { topic, partition };
        let placed = self.shard.image.borrow().partition(topic, partition).copied();
        let from = placed.ok_or_else(|| failed(id, "it does not exist"))?.shard;
        if from == to {
            return Ok(());
        }
        let released = self.shard.call(from, move |shard| async move { shard.release(id).await }).await;
        let state = released.map_err(|reason| failed(id, reason))?;
        let change = PartitionMoved { topic_id: topic, partition, shard: to }.into();
        if let Err(error) = self.write(std::slice::from_ref(&change)).await {
            self.adopt(id, from, state).await?;
            return Err(error);
        }
        let adopted = self.adopt(id, to, state).await;
        let applied = self.apply(vec![change]).await;
        adopted?;
        applied?;
        tracing::info!(partition = %id, %from, %to, "a partition has moved");
        Ok(())
    }

    async fn adopt(&self, id: TopicPartitionId, shard: ShardId, state: PartitionState) -> Result<(), Error> {
        let (settings, node_id) = (self.settings.clone(), self.node_id);
        let adopted = self.shard.call(shard, move |shard| async move { shard.adopt(state, &settings, node_id).await });
        adopted.await.map_err(|reason| {
            tracing::error!(partition = %id, %shard, %reason, "a partition is not served until the broker is restarted");
            failed(id, reason)
        })
    }
}

fn failed(partition: TopicPartitionId, reason: impl Into<String>) -> Error {
    Error::Move { partition, reason: reason.into() }
}
