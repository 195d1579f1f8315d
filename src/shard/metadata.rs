//! What a change of the metadata means for one shard: partitions to make, to drop, or to treat otherwise.

use std::rc::Rc;
use std::sync::Arc;

use duramen_wire::ids::{PartitionIndex, TopicId, TopicPartitionId};

use super::Shard;
use super::hosted::Hosted;
use super::message::AppendRefusal;
use super::reads::Outcome;
use crate::config::{self, Durability, Settings};
use crate::controller::{self, Change, Image, Topic};
use crate::log::{self, PartitionConfig};
use crate::runtime::disk::RealDisk;

/// Why a change could not be carried out whole on a shard. The change itself stands.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Image(#[from] controller::Error),
    #[error("partition {topic}-{partition}: {reason}")]
    Log { topic: String, partition: PartitionIndex, reason: String },
}

/// What it takes to make a partition.
#[derive(Clone)]
pub struct Unmade {
    settings: Arc<Settings>,
    node_id: i32,
}

/// The settings of a topic as its log wants them.
pub fn partition_config(image: &Image, settings: &Settings, node_id: i32, topic: &Topic) -> PartitionConfig {
    let layers = image.layers(settings, node_id);
    let owners = [controller::Owner::Broker(node_id), controller::Owner::Cluster];
    let broker = config::Broker::new(settings, image.configs(&owners[0]), image.configs(&owners[1]));
    let own = config::Topic::new(&topic.configs, &layers);
    PartitionConfig {
        durability: match own.durability {
            Durability::Fsync => log::Durability::Fsync,
            Durability::Replicated => log::Durability::Replicated,
        },
        segment_bytes: u32::try_from(own.segment_bytes).unwrap_or(u32::MAX),
        segment_ms: own.segment_ms,
        segment_jitter_ms: own.segment_jitter_ms,
        retention_ms: own.retention_ms,
        retention_bytes: own.retention_bytes,
        index_interval_bytes: u32::try_from(own.index_interval_bytes).unwrap_or(0),
        flush_messages: own.flush_messages,
        flush_ms: own.flush_ms,
        max_message_bytes: u32::try_from(own.max_message_bytes).unwrap_or(0),
        compact: own.cleanup_policy.compact,
        timestamp_before_max_ms: own.message_timestamp_before_max_ms,
        timestamp_after_max_ms: own.message_timestamp_after_max_ms,
        producer_id_expiration_ms: i64::from(broker.producer_id_expiration_ms),
        ..PartitionConfig::default()
    }
}

impl Shard {
    /// Applies changes in order, first to the image, then to the partitions that this shard owns.
    pub async fn apply(
        self: Rc<Self>,
        changes: Arc<[Change]>,
        settings: Arc<Settings>,
        node_id: i32,
    ) -> Result<(), Error> {
        let _turn = self.changes.take().await;
        let mut first_error = Ok(());
        for change in changes.iter() {
            self.image.borrow_mut().apply(change)?;
            let carried_out = self.carry_out(change, &settings, node_id).await;
            if first_error.is_ok() {
                first_error = carried_out;
            }
        }
        first_error
    }

    async fn carry_out(&self, change: &Change, settings: &Arc<Settings>, node_id: i32) -> Result<(), Error> {
        match change {
            Change::TopicCreated(body) => self.make_partitions(body.topic_id, settings, node_id).await,
            Change::PartitionsAdded(body) => self.make_partitions(body.topic_id, settings, node_id).await,
            Change::TopicDeleted(body) => self.drop_topic(body.topic_id).await,
            Change::TopicConfigsChanged(body) => {
                self.configure(settings, node_id, |topic| topic.id == body.topic_id);
                Ok(())
            }
            Change::OwnerConfigsChanged(_) => {
                self.configure(settings, node_id, |_| true);
                Ok(())
            }
            // Moves and starts have their own way through; the rest concerns the image alone.
            _ => Ok(()),
        }
    }

    /// Makes the partitions of a topic that belong here. The topic is there already, so what cannot be made now is tried
    /// again in time.
    async fn make_partitions(&self, topic: TopicId, settings: &Arc<Settings>, node_id: i32) -> Result<(), Error> {
        let made = self.host_missing(topic, settings, node_id).await;
        if made.is_err() {
            let unmade = Unmade { settings: settings.clone(), node_id };
            let missing = self.missing(topic).into_iter().map(|id| (id, unmade.clone()));
            self.unmade.borrow_mut().extend(missing);
        }
        made
    }

    /// Tries again to make the partitions that could not be made: the disk may have room by now.
    pub(super) async fn make_unmade(&self) {
        if self.unmade.borrow().is_empty() {
            return;
        }
        let _turn = self.changes.take().await;
        let unmade = self.unmade.borrow().clone();
        for (id, Unmade { settings, node_id }) in unmade {
            let is_wanted = self.missing(id.topic).contains(&id);
            if !is_wanted || self.host(id, &settings, node_id).await.is_ok() {
                self.unmade.borrow_mut().remove(&id);
            }
        }
    }

    /// Makes the partitions of a topic that belong here and are not here yet.
    pub async fn host_missing(&self, topic: TopicId, settings: &Settings, node_id: i32) -> Result<(), Error> {
        for id in self.missing(topic) {
            self.host(id, settings, node_id).await?;
        }
        Ok(())
    }

    fn missing(&self, topic: TopicId) -> Vec<TopicPartitionId> {
        let image = self.image.borrow();
        let Some(topic) = image.topic(topic) else { return Vec::new() };
        let partitions = self.partitions.borrow();
        let all = (0..).map(PartitionIndex).zip(&topic.partitions);
        let own = all.filter(|(_, partition)| partition.shard == self.id);
        own.map(|(index, _)| TopicPartitionId { topic: topic.id, partition: index })
            .filter(|id| partitions.get(*id).is_none())
            .collect()
    }

    /// Makes one partition, if the metadata still knows it.
    async fn host(&self, id: TopicPartitionId, settings: &Settings, node_id: i32) -> Result<(), Error> {
        let (name, config, epoch) = {
            let image = self.image.borrow();
            let placed = image.topic(id.topic).zip(image.partition(id.topic, id.partition));
            let Some((topic, partition)) = placed else { return Ok(()) };
            (topic.name.clone(), partition_config(&image, settings, node_id, topic), partition.leader_epoch)
        };
        let made = self.log().create(id, &name, config, epoch, self.now_ms()).await;
        let log = made.map_err(|error| Error::Log {
            topic: name,
            partition: id.partition,
            reason: crate::errors::chain(&error),
        })?;
        self.partitions.borrow_mut().insert(id, log);
        Ok(())
    }

    async fn drop_topic(&self, topic: TopicId) -> Result<(), Error> {
        let gone: Vec<_> =
            self.partitions.borrow().iter().map(|hosted| hosted.id).filter(|id| id.topic == topic).collect();
        for id in gone {
            self.unhost(id);
            self.log().delete(id).await.map_err(|error| Error::Log {
                topic: topic.to_string(),
                partition: id.partition,
                reason: crate::errors::chain(&error),
            })?;
        }
        Ok(())
    }

    /// Takes a partition out of service; whoever waits for it is told that it is not here.
    pub fn unhost(&self, id: TopicPartitionId) {
        let removed = self.partitions.borrow_mut().remove(id);
        let Some(mut hosted) = removed else { return };
        let mut done = Vec::new();
        self.appends.borrow_mut().refuse_all(&mut hosted, || AppendRefusal::NotHere, &mut done);
        done.drain(..).for_each(|batch| self.answer_append(batch));
        self.wake_readers(&hosted);
    }

    /// Lets parked reads look at a partition again.
    fn wake_readers(&self, hosted: &Hosted<RealDisk>) {
        for key in &hosted.read_waits {
            let outcome = self.reads.borrow_mut().look_again(&mut self.partitions.borrow_mut(), *key);
            if !matches!(outcome, Outcome::Parked) {
                self.finish_read(outcome);
            }
        }
    }

    /// Gives the partitions of some topics their settings as they are now.
    fn configure(&self, settings: &Settings, node_id: i32, concerned: impl Fn(&Topic) -> bool) {
        let image = self.image.borrow();
        for hosted in self.partitions.borrow().iter() {
            if let Some(topic) = image.topic(hosted.id.topic).filter(|topic| concerned(topic)) {
                hosted.log.set_config(partition_config(&image, settings, node_id, topic));
            }
        }
    }
}
