//! The state that the changes add up to. Every shard has one of its own; equal changes give equal images.
//!
//! Invariants: names and ids are unique; every partition's shard is below `shard_count`; what follows `topics` agrees
//! with it. Each change is checked whole before anything is altered.

use std::collections::BTreeMap;

use duramen_wire::ids::{LeaderEpoch, PartitionIndex, ShardId, TopicId, TopicPartitionId};

use super::change::{
    Change, ClusterCreated, Owner, OwnerConfigsChanged, PartitionMoved, PartitionPlacement, PartitionsAdded,
    ProducerIdBlockAllocated, ShardsChanged, TopicConfigsChanged, TopicCreated, TopicDeleted,
};
use super::error::Error;
use super::name::{collision_key, is_internal};
use crate::config::{Configs, Layers, Settings};

/// Cluster metadata after so many changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    pub(super) applied: u64,
    pub(super) cluster_id: Option<String>,
    pub(super) shard_count: u16,
    pub(super) next_producer_id: i64,
    pub(super) configs: BTreeMap<Owner, Configs>,
    pub(super) topics: BTreeMap<TopicId, Topic>,
    /// Follows `topics`.
    ids_by_name: BTreeMap<String, TopicId>,
    /// Follows `topics`; names that differ in '.' and '_' alone share a key.
    ids_by_collision: BTreeMap<String, TopicId>,
    /// Follows `topics`; one count per shard.
    partitions_by_shard: Vec<usize>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub id: TopicId,
    pub name: String,
    /// The topic's own settings alone.
    pub configs: Configs,
    /// By number, from 0.
    pub partitions: Vec<Partition>,
    /// Whether clients are told that it is the broker's own.
    pub internal: bool,
}

/// One partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    pub shard: ShardId,
    pub leader_epoch: LeaderEpoch,
}

impl From<PartitionPlacement> for Partition {
    fn from(placement: PartitionPlacement) -> Self {
        Self { shard: placement.shard, leader_epoch: placement.leader_epoch }
    }
}

static NO_CONFIGS: Configs = Configs::new();

impl Image {
    pub fn new() -> Self {
        Self::default()
    }

    /// How many changes led here.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// `None` until the cluster is made.
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    pub fn shard_count(&self) -> u16 {
        self.shard_count
    }

    /// No producer id from here on was ever given out.
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    pub fn topic(&self, id: TopicId) -> Option<&Topic> {
        self.topics.get(&id)
    }

    pub fn topic_by_name(&self, name: &str) -> Option<&Topic> {
        self.topics.get(self.ids_by_name.get(name)?)
    }

    /// All topics in the order of their names.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.ids_by_name.values().filter_map(|id| self.topics.get(id))
    }

    pub fn partition(&self, topic: TopicId, partition: PartitionIndex) -> Option<&Partition> {
        self.topics.get(&topic)?.partitions.get(usize::try_from(partition.0).ok()?)
    }

    /// All partitions, by topic id and number.
    pub fn partitions(&self) -> impl Iterator<Item = (TopicPartitionId, &Partition)> {
        self.topics.values().flat_map(|topic| {
            (0..).zip(&topic.partitions).map(|(index, partition)| {
                (TopicPartitionId { topic: topic.id, partition: PartitionIndex(index) }, partition)
            })
        })
    }

    pub fn partition_count(&self) -> usize {
        self.partitions_by_shard.iter().sum()
    }

    /// How many partitions live on each shard.
    pub fn partitions_by_shard(&self) -> &[usize] {
        &self.partitions_by_shard
    }

    /// The settings of an owner that were changed while running.
    pub fn configs(&self, owner: &Owner) -> &Configs {
        self.configs.get(owner).unwrap_or(&NO_CONFIGS)
    }

    /// All owners with settings of their own.
    pub fn config_owners(&self) -> impl Iterator<Item = &Owner> {
        self.configs.keys()
    }

    /// The broker's settings as they are now.
    pub fn layers<'a>(&'a self, settings: &'a Settings, node_id: i32) -> Layers<'a> {
        settings.layers(self.configs(&Owner::Broker(node_id)), self.configs(&Owner::Cluster))
    }

    /// The name of the topic that a new topic would collide with.
    pub(super) fn collision(&self, name: &str) -> Option<&str> {
        let id = self.ids_by_collision.get(&collision_key(name))?;
        self.topics.get(id).map(|topic| topic.name.as_str())
    }

    /// Applies one change. A change that does not fit leaves the image as it was.
    ///
    /// # Errors
    /// The change contradicts what is there: the log is damaged or was written by something else.
    pub fn apply(&mut self, change: &Change) -> Result<(), Error> {
        match change {
            Change::ClusterCreated(body) => self.create_cluster(body)?,
            Change::TopicCreated(body) => self.create_topic(body)?,
            Change::TopicDeleted(body) => self.delete_topic(body)?,
            Change::PartitionsAdded(body) => self.add_partitions(body)?,
            Change::TopicConfigsChanged(body) => self.change_topic_configs(body)?,
            Change::OwnerConfigsChanged(body) => self.change_owner_configs(body),
            Change::PartitionMoved(body) => self.move_partition(body)?,
            Change::ProducerIdBlockAllocated(body) => self.allocate_producer_ids(body)?,
            Change::LeaderEpochsRaised(_) => self.raise_leader_epochs(),
            Change::ShardsChanged(body) => self.change_shards(body)?,
        }
        self.applied += 1;
        Ok(())
    }

    fn create_cluster(&mut self, body: &ClusterCreated) -> Result<(), Error> {
        if self.cluster_id.is_some() {
            return Err(Error::ClusterExists);
        }
        self.cluster_id = Some(body.cluster_id.clone());
        self.set_shard_count(body.shard_count);
        Ok(())
    }

    fn create_topic(&mut self, body: &TopicCreated) -> Result<(), Error> {
        let topic = Topic {
            id: body.topic_id,
            name: body.name.clone(),
            configs: body.configs.clone(),
            partitions: body.partitions.iter().map(|placement| (*placement).into()).collect(),
            internal: is_internal(&body.name),
        };
        self.insert_topic(topic)
    }

    /// Adds a topic with all that follows it.
    pub(super) fn insert_topic(&mut self, topic: Topic) -> Result<(), Error> {
        if self.topics.contains_key(&topic.id) || self.ids_by_name.contains_key(&topic.name) {
            return Err(Error::TopicExists { topic: topic.id, name: topic.name });
        }
        for partition in &topic.partitions {
            self.check_shard(partition.shard, self.shard_count)?;
        }
        for partition in &topic.partitions {
            self.partitions_by_shard[usize::from(partition.shard.0)] += 1;
        }
        self.ids_by_name.insert(topic.name.clone(), topic.id);
        self.ids_by_collision.insert(collision_key(&topic.name), topic.id);
        self.topics.insert(topic.id, topic);
        Ok(())
    }

    fn delete_topic(&mut self, body: &TopicDeleted) -> Result<(), Error> {
        let topic = self.topics.remove(&body.topic_id).ok_or(Error::NoTopic { topic: body.topic_id })?;
        for partition in &topic.partitions {
            self.partitions_by_shard[usize::from(partition.shard.0)] -= 1;
        }
        self.ids_by_name.remove(&topic.name);
        let key = collision_key(&topic.name);
        if self.ids_by_collision.get(&key) == Some(&topic.id) {
            self.ids_by_collision.remove(&key);
        }
        Ok(())
    }

    fn add_partitions(&mut self, body: &PartitionsAdded) -> Result<(), Error> {
        for placement in &body.partitions {
            self.check_shard(placement.shard, self.shard_count)?;
        }
        let topic = self.topics.get_mut(&body.topic_id).ok_or(Error::NoTopic { topic: body.topic_id })?;
        let (present, first) = (topic.partitions.len(), usize::try_from(body.first.0).unwrap_or(usize::MAX));
        if present != first {
            return Err(Error::PartitionCount { topic: body.topic_id, present, expected: first });
        }
        topic.partitions.extend(body.partitions.iter().map(|placement| Partition::from(*placement)));
        for placement in &body.partitions {
            self.partitions_by_shard[usize::from(placement.shard.0)] += 1;
        }
        Ok(())
    }

    fn change_topic_configs(&mut self, body: &TopicConfigsChanged) -> Result<(), Error> {
        let topic = self.topics.get_mut(&body.topic_id).ok_or(Error::NoTopic { topic: body.topic_id })?;
        topic.configs = body.configs.clone();
        Ok(())
    }

    fn change_owner_configs(&mut self, body: &OwnerConfigsChanged) {
        if body.configs.is_empty() {
            self.configs.remove(&body.owner);
        } else {
            self.configs.insert(body.owner.clone(), body.configs.clone());
        }
    }

    fn move_partition(&mut self, body: &PartitionMoved) -> Result<(), Error> {
        self.check_shard(body.shard, self.shard_count)?;
        let partition = self.partition_mut(body.topic_id, body.partition)?;
        let from = std::mem::replace(&mut partition.shard, body.shard);
        self.partitions_by_shard[usize::from(from.0)] -= 1;
        self.partitions_by_shard[usize::from(body.shard.0)] += 1;
        Ok(())
    }

    fn allocate_producer_ids(&mut self, body: &ProducerIdBlockAllocated) -> Result<(), Error> {
        if body.next <= self.next_producer_id {
            return Err(Error::ProducerIds { present: self.next_producer_id, next: body.next });
        }
        self.next_producer_id = body.next;
        Ok(())
    }

    fn raise_leader_epochs(&mut self) {
        for partition in self.topics.values_mut().flat_map(|topic| &mut topic.partitions) {
            partition.leader_epoch.0 = partition.leader_epoch.0.saturating_add(1);
        }
    }

    fn change_shards(&mut self, body: &ShardsChanged) -> Result<(), Error> {
        for relocation in &body.moved {
            self.check_shard(relocation.shard, body.shard_count)?;
            self.partition_mut(relocation.topic_id, relocation.partition)?;
        }
        let moved: BTreeMap<_, _> =
            body.moved.iter().map(|moved| ((moved.topic_id, moved.partition), moved.shard)).collect();
        for (id, partition) in self.partitions() {
            let shard = moved.get(&(id.topic, id.partition)).copied().unwrap_or(partition.shard);
            self.check_shard(shard, body.shard_count)?;
        }
        for ((topic, partition), shard) in moved {
            self.partition_mut(topic, partition)?.shard = shard;
        }
        self.set_shard_count(body.shard_count);
        Ok(())
    }

    /// Counts the partitions anew.
    pub(super) fn set_shard_count(&mut self, shard_count: u16) {
        self.shard_count = shard_count;
        let mut counts = vec![0; usize::from(shard_count)];
        for (_, partition) in self.partitions() {
            counts[usize::from(partition.shard.0)] += 1;
        }
        self.partitions_by_shard = counts;
    }

    fn check_shard(&self, shard: ShardId, count: u16) -> Result<(), Error> {
        if shard.0 < count { Ok(()) } else { Err(Error::NoShard { shard, count }) }
    }

    fn partition_mut(&mut self, topic: TopicId, partition: PartitionIndex) -> Result<&mut Partition, Error> {
        let found = self.topics.get_mut(&topic).ok_or(Error::NoTopic { topic })?;
        let index = usize::try_from(partition.0).ok();
        index.and_then(|index| found.partitions.get_mut(index)).ok_or(Error::NoPartition { topic, partition })
    }
}
