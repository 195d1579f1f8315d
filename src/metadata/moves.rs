//! A partition's move to another shard, while the broker runs.
//!
//! Order of steps, and why it is safe to stop between any two:
//! 1. The old shard takes no more writes, syncs everything, and gives the partition up; its checkpoint goes on speaking of
//!    it. From here on clients are told to look again.
//! 2. The new shard adopts it, which makes a checkpoint durable that supersedes the old shard's. If it cannot, the old one
//!    takes the partition back in the same way.
//! 3. The move becomes durable in the metadata, and the old shard's checkpoint forgets the partition.
//! 4. All shards learn where it is.
//!
//! A kill before 3 leaves the metadata as it was, so the old shard gets the partition at the start; one after it, the
//! new shard. What is known of the partition is in one checkpoint or in both, and the higher generation wins.
//!
//! It is done in the keeper's turn, so that the topic is not deleted or changed in between.

use std::time::Duration;

use duramen_wire::ids::{PartitionIndex, ShardId, TopicId, TopicPartitionId};

use super::{Error, Keeper};
use crate::controller::PartitionMoved;
use crate::errors::chain;
use crate::log::PartitionState;

/// How often each shard in question is asked to take a released partition, and the pause before it is asked again.
const ROUNDS_MAX: usize = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// Where a released partition went, and why not to a shard that was asked before.
struct Placed {
    shard: ShardId,
    refused: Option<String>,
}

impl Keeper {
    /// Moves a partition; nothing is done if it is there already.
    ///
    /// # Errors
    /// The partition does not exist; or a step failed. The old shard then serves it as before. Only if no shard could take
    /// it, asked a bounded number of times, is it not served until the next start; the broker's log says so.
    pub async fn move_partition(&self, topic: TopicId, partition: PartitionIndex, to: ShardId) -> Result<(), Error> {
        let _turn = self.turns.take().await;
        let id = TopicPartitionId { topic, partition };
        let placed = self.shard.image.borrow().partition(topic, partition).copied();
        let from = placed.ok_or_else(|| failed(id, "it does not exist"))?.shard;
        if from == to {
            return Ok(());
        }
        let state = self.release(id, from).await?;
        let placed = self.place(id, state, &[to, from]).await?;
        if placed.shard == from {
            let refused = placed.refused.unwrap_or_default();
            return Err(failed(id, format!("shard {to} cannot take it, and {from} has it again: {refused}")));
        }
        let change = PartitionMoved { topic_id: topic, partition, shard: to }.into();
        if let Err(error) = self.write(std::slice::from_ref(&change)).await {
            // Which shard owns it after a restart is not known, and both can; until then clients look for it at the old.
            let state = self.release(id, to).await?;
            self.place(id, state, &[from]).await?;
            return Err(error);
        }
        let forgotten = self.shard.call(from, move |shard| async move { shard.log().let_go(id).await }).await;
        if let Err(error) = forgotten {
            tracing::warn!(partition = %id, shard = %from, error = chain(&error), "a checkpoint cannot be written now");
        }
        self.apply(vec![change]).await?;
        tracing::info!(partition = %id, %from, %to, "a partition has moved");
        Ok(())
    }

    async fn release(&self, id: TopicPartitionId, shard: ShardId) -> Result<Box<PartitionState>, Error> {
        let released = self.shard.call(shard, move |shard| async move { shard.release(id).await }).await;
        released.map_err(|reason| failed(id, reason))
    }

    /// Gives a released partition to the first of `shards` that can take it.
    async fn place(
        &self,
        id: TopicPartitionId,
        mut state: Box<PartitionState>,
        shards: &[ShardId],
    ) -> Result<Placed, Error> {
        let mut refused = None;
        for round in 0..ROUNDS_MAX {
            if round > 0 {
                self.shard.reactor.sleep_until(self.shard.reactor.now() + PAUSE).await;
            }
            for to in shards.iter().copied() {
                let (settings, node_id) = (self.settings.clone(), self.node_id);
                let adopted =
                    self.shard.call(to, move |shard| async move { shard.adopt(state, &settings, node_id).await });
                match adopted.await {
                    Ok(()) => return Ok(Placed { shard: to, refused }),
                    Err((back, reason)) => {
                        tracing::warn!(partition = %id, shard = %to, %reason, "a shard cannot take a partition");
                        state = back;
                        refused.get_or_insert(reason);
                    }
                }
            }
        }
        let reason = refused.unwrap_or_default();
        tracing::error!(partition = %id, %reason, "a partition is not served until the broker is restarted");
        Err(failed(id, format!("no shard can take it, and it is not served until the broker is restarted: {reason}")))
    }
}

fn failed(partition: TopicPartitionId, reason: impl Into<String>) -> Error {
    Error::Move { partition, reason: reason.into() }
}
