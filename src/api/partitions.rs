//! Asking the log of one partition something, on the shard that owns it.

use std::future::Future;

use duramen_wire::ids::{LeaderEpoch, PartitionIndex, ShardId, TopicPartitionId};
use duramen_wire::messages::ResponseError;

use super::Context;
use crate::log::Partition;
use crate::runtime::disk::RealDisk;

/// A partition and its owner.
pub type Place = (ShardId, TopicPartitionId);

/// Finds a partition by its topic's name.
pub fn find(context: &Context, topic: &str, index: i32) -> Result<Place, ResponseError> {
    let image = context.shard.image.borrow();
    let topic = image.topic_by_name(topic).ok_or(ResponseError::UnknownTopicOrPartition)?;
    let at = usize::try_from(index).map_err(|_| ResponseError::UnknownTopicOrPartition)?;
    let partition = topic.partitions.get(at).ok_or(ResponseError::UnknownTopicOrPartition)?;
    Ok((partition.shard, TopicPartitionId { topic: topic.id, partition: PartitionIndex(index) }))
}

/// Runs `ask` with a partition's log, on its shard.
pub async fn with_log<R, F>(
    context: &Context,
    place: Result<Place, ResponseError>,
    ask: impl FnOnce(Partition<RealDisk>) -> F + Send + 'static,
) -> Result<R, ResponseError>
where
    R: Send + 'static,
    F: Future<Output = Result<R, ResponseError>> + 'static,
{
    let (shard, id) = place?;
    let answer = context.shard.call(shard, move |shard| async move {
        let log = shard.partitions.borrow().get(id).map(|hosted| hosted.log.clone());
        match log {
            Some(log) => ask(log).await,
            None => Err(ResponseError::NotLeaderOrFollower),
        }
    });
    answer.await
}

/// Compares the epoch that a client believes in with the partition's (KIP-320).
pub fn check_epoch(log: &Partition<RealDisk>, believed: Option<LeaderEpoch>) -> Result<(), ResponseError> {
    let epoch = log.leader_epoch();
    match believed {
        Some(believed) if believed < epoch => Err(ResponseError::FencedLeaderEpoch),
        Some(believed) if believed > epoch => Err(ResponseError::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}
