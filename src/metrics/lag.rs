//! How far groups are behind: what each has committed against the end of the partition, which another shard may own.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use duramen_wire::ids::{PartitionIndex, ShardId, TopicPartitionId};

use crate::api::Services;
use crate::api::groups::Committed;
use crate::shard::Shard;

/// Most lags that one scrape shows.
const LAGS_MAX: usize = 10_000;

/// The lags of all groups.
#[derive(Clone, Debug, Default)]
pub struct Lags {
    /// In the order of the coordinators; within one, by group, topic and partition.
    pub shown: Vec<Lag>,
    /// There are more than [`LAGS_MAX`].
    pub truncated: bool,
}

/// How far a group is behind in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    pub group: Arc<str>,
    pub topic: Arc<str>,
    pub partition: i32,
    pub committed: i64,
    /// Records between the committed offset and the high watermark.
    pub lag: i64,
}

/// Asks the coordinators for what is committed, then the owners of the partitions for their ends.
pub async fn all(shard: &Rc<Shard>) -> Lags {
    let mut committed: Vec<Committed> = Vec::new();
    let mut truncated = false;
    for id in (0..shard.shards()).map(ShardId) {
        let room = LAGS_MAX - committed.len();
        let asked = shard.call(id, move |shard| async move { Services::of(&shard).groups.committed_offsets(room) });
        let (found, complete) = asked.await;
        committed.extend(found);
        truncated |= !complete;
    }
    let placed = place(shard, &committed);
    let ends = ends(shard, placed.values()).await;
    let shown = committed
        .into_iter()
        .enumerate()
        .filter_map(|(index, entry)| {
            let (_, id) = placed.get(&index)?;
            let end = ends.get(id)?;
            let Committed { group, topic, partition, offset } = entry;
            Some(Lag { group, topic, partition, committed: offset, lag: (end - offset).max(0) })
        })
        .collect();
    Lags { shown, truncated }
}

/// The owner and the id of each entry's partition, by the entry's place. Offsets of deleted topics have none.
fn place(shard: &Shard, committed: &[Committed]) -> BTreeMap<usize, (ShardId, TopicPartitionId)> {
    let image = shard.image.borrow();
    let place = |entry: &Committed| {
        let topic = image.topic_by_name(&entry.topic)?.id;
        let partition = PartitionIndex(entry.partition);
        let owner = image.partition(topic, partition)?.shard;
        Some((owner, TopicPartitionId { topic, partition }))
    };
    committed.iter().enumerate().filter_map(|(index, entry)| Some((index, place(entry)?))).collect()
}

async fn ends(
    shard: &Rc<Shard>,
    placed: impl Iterator<Item = &(ShardId, TopicPartitionId)>,
) -> BTreeMap<TopicPartitionId, i64> {
    let mut by_owner: BTreeMap<ShardId, Vec<TopicPartitionId>> = BTreeMap::new();
    for (owner, id) in placed {
        by_owner.entry(*owner).or_default().push(*id);
    }
    let mut ends = BTreeMap::new();
    for (owner, mut ids) in by_owner {
        ids.sort();
        ids.dedup();
        let found = shard.call(owner, move |shard| async move {
            let partitions = shard.partitions.borrow();
            let end = |id: &TopicPartitionId| Some((*id, partitions.get(*id)?.log.committed().0));
            ids.iter().filter_map(end).collect::<Vec<_>>()
        });
        ends.extend(found.await);
    }
    ends
}
