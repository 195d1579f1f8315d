//! Metadata as a replayable log of changes: the cluster id, topics and where their partitions live, settings changed
//! while running, leader epochs, producer ids.
//!
//! A request becomes changes in `decide`, which alone refuses; changes are made durable elsewhere, in one order, and
//! then every shard applies them to an [`Image`] of its own. The same changes in the same order give equal images, so
//! nothing here reads a clock, a random number or a file: ids and loads come in as arguments. A change that does not
//! fit its image is an error of the log, never a panic.

mod archive;
mod change;
mod code;
mod decide;
mod envelope;
mod error;
mod image;
mod name;
mod place;
mod snapshot;
#[cfg(test)]
mod tests;

pub use change::{
    Change, ClusterCreated, LeaderEpochsRaised, Owner, OwnerConfigsChanged, PartitionMoved, PartitionPlacement,
    PartitionsAdded, ProducerIdBlockAllocated, Relocation, ShardsChanged, TopicConfigsChanged, TopicCreated,
    TopicDeleted,
};
pub use code::Code;
pub use decide::{
    Context, CreatePartitions, CreateTopic, PARTITIONS_PER_REQUEST_MAX, PRODUCER_IDS_PER_BLOCK, ProducerIdBlock,
    Refusal, Target, TopicSelector, allocate_producer_ids, alter_configs_fully, alter_configs_incrementally,
    auto_create_topic, create_cluster, create_partitions, create_topics, delete_topics, describe_configs,
    move_partition, offsets_topic, start,
};
pub use envelope::{decode, encode};
pub use error::Error;
pub use image::{Image, Partition, Topic};
pub use name::{CLUSTER_METADATA, CONSUMER_OFFSETS, is_internal, validate_topic_name};
pub use place::{ShardLoad, place, rebalance_for};
pub use snapshot::{decode_snapshot, encode_snapshot};
