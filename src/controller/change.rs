//! The changes that metadata is made of. Each body is an archive of its own, so that a new kind of change leaves the
//! bytes of the others as they are.

use duramen_wire::ids::{LeaderEpoch, PartitionIndex, ShardId, TopicId};
use rkyv::{Archive, Deserialize, Serialize};

use super::archive::Plain;
use crate::config::Configs;

/// One change. Its order in the log is its only time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    ClusterCreated(ClusterCreated),
    TopicCreated(TopicCreated),
    TopicDeleted(TopicDeleted),
    PartitionsAdded(PartitionsAdded),
    TopicConfigsChanged(TopicConfigsChanged),
    OwnerConfigsChanged(OwnerConfigsChanged),
    PartitionMoved(PartitionMoved),
    ProducerIdBlockAllocated(ProducerIdBlockAllocated),
    LeaderEpochsRaised(LeaderEpochsRaised),
    ShardsChanged(ShardsChanged),
}

/// The first change of all.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct ClusterCreated {
    /// 22 characters: 16 bytes in base64 without padding.
    pub cluster_id: String,
    pub shard_count: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct TopicCreated {
    #[rkyv(with = Plain)]
    pub topic_id: TopicId,
    pub name: String,
    /// The topic's own settings alone.
    #[rkyv(with = rkyv::with::AsVec)]
    pub configs: Configs,
    /// In the order of their numbers, from 0.
    pub partitions: Vec<PartitionPlacement>,
}

/// Where a partition starts its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct PartitionPlacement {
    #[rkyv(with = Plain)]
    pub shard: ShardId,
    #[rkyv(with = Plain)]
    pub leader_epoch: LeaderEpoch,
}

#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct TopicDeleted {
    #[rkyv(with = Plain)]
    pub topic_id: TopicId,
}

#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct PartitionsAdded {
    #[rkyv(with = Plain)]
    pub topic_id: TopicId,
    /// The number of the first new partition: how many there were.
    #[rkyv(with = Plain)]
    pub first: PartitionIndex,
    pub partitions: Vec<PartitionPlacement>,
}

#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct TopicConfigsChanged {
    #[rkyv(with = Plain)]
    pub topic_id: TopicId,
    /// All of them; they replace what was there.
    #[rkyv(with = rkyv::with::AsVec)]
    pub configs: Configs,
}

#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct OwnerConfigsChanged {
    pub owner: Owner,
    /// All of them; they replace what was there.
    #[rkyv(with = rkyv::with::AsVec)]
    pub configs: Configs,
}

/// What has settings besides topics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Archive, Serialize, Deserialize)]
pub enum Owner {
    /// All brokers.
    Cluster,
    /// One broker, by node id.
    Broker(i32),
    Group(String),
    ClientMetrics(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct PartitionMoved {
    #[rkyv(with = Plain)]
    pub topic_id: TopicId,
    #[rkyv(with = Plain)]
    pub partition: PartitionIndex,
    #[rkyv(with = Plain)]
    pub shard: ShardId,
}

/// Once this is durable, the ids below `next` may be in use.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct ProducerIdBlockAllocated {
    pub next: i64,
}

/// An unclean start: the epoch of every partition is one higher (KIP-101).
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct LeaderEpochsRaised {}

/// A start with another number of shards.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct ShardsChanged {
    pub shard_count: u16,
    /// Only the partitions that change their shard.
    pub moved: Vec<Relocation>,
}

/// A partition and its new shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Relocation {
    #[rkyv(with = Plain)]
    pub topic_id: TopicId,
    #[rkyv(with = Plain)]
    pub partition: PartitionIndex,
    #[rkyv(with = Plain)]
    pub shard: ShardId,
}

macro_rules! from_body {
    ($($body:ident),*) => {$(
        impl From<$body> for Change {
            fn from(body: $body) -> Self {
                Change::$body(body)
            }
        }
    )*};
}

from_body!(
    ClusterCreated,
    TopicCreated,
    TopicDeleted,
    PartitionsAdded,
    TopicConfigsChanged,
    OwnerConfigsChanged,
    PartitionMoved,
    ProducerIdBlockAllocated,
    LeaderEpochsRaised,
    ShardsChanged
);
