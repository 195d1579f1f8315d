//! An image as bytes, so that a start need not replay every change since the first. Versioned and checked like a
//! change; what is read back is held against the same rules as the changes themselves.

use duramen_wire::ids::TopicId;
use rkyv::{Archive, Deserialize, Serialize};

use super::archive::Plain;
use super::change::{Owner, PartitionPlacement};
use super::envelope;
use super::error::Error;
use super::image::{Image, Topic};
use super::name::is_internal;
use crate::config::Configs;

#[derive(Archive, Serialize, Deserialize)]
struct Snapshot {
    applied: u64,
    cluster_id: Option<String>,
    shard_count: u16,
    next_producer_id: i64,
    topics: Vec<SnapshotTopic>,
    configs: Vec<SnapshotConfigs>,
}

#[derive(Archive, Serialize, Deserialize)]
struct SnapshotTopic {
    #[rkyv(with = Plain)]
    id: TopicId,
    name: String,
    #[rkyv(with = rkyv::with::AsVec)]
    configs: Configs,
    partitions: Vec<PartitionPlacement>,
}

#[derive(Archive, Serialize, Deserialize)]
struct SnapshotConfigs {
    owner: Owner,
    #[rkyv(with = rkyv::with::AsVec)]
    configs: Configs,
}

/// The whole image as bytes.
///
/// # Errors
/// The image is larger than the 2 GiB that an archive holds.
pub fn encode_snapshot(image: &Image) -> Result<Vec<u8>, Error> {
    envelope::seal(envelope::SNAPSHOT, &Snapshot::from(image))
}

/// Reads an image back.
///
/// # Errors
/// Bytes that [`encode_snapshot`] has not written, or topics that contradict each other.
pub fn decode_snapshot(bytes: &[u8]) -> Result<Image, Error> {
    match envelope::open(bytes)? {
        (envelope::SNAPSHOT, archive) => envelope::read::<Snapshot>(archive)?.into_image(),
        (found, _) => Err(Error::Kind { found }),
    }
}

impl From<&Image> for Snapshot {
    fn from(image: &Image) -> Self {
        let topics = image.topics.values().map(|topic| SnapshotTopic {
            id: topic.id,
            name: topic.name.clone(),
            configs: topic.configs.clone(),
            partitions: topic
                .partitions
                .iter()
                .map(|partition| PartitionPlacement { shard: partition.shard, leader_epoch: partition.leader_epoch })
                .collect(),
        });
        let configs = image.configs.iter();
        Self {
            applied: image.applied,
            cluster_id: image.cluster_id.clone(),
            shard_count: image.shard_count,
            next_producer_id: image.next_producer_id,
            topics: topics.collect(),
            configs: configs
                .map(|(owner, configs)| SnapshotConfigs { owner: owner.clone(), configs: configs.clone() })
                .collect(),
        }
    }
}

impl Snapshot {
    fn into_image(self) -> Result<Image, Error> {
        let mut image = Image::new();
        image.applied = self.applied;
        image.cluster_id = self.cluster_id;
        image.next_producer_id = self.next_producer_id;
        image.set_shard_count(self.shard_count);
        for topic in self.topics {
            image.insert_topic(Topic {
                id: topic.id,
                internal: is_internal(&topic.name),
                name: topic.name,
                configs: topic.configs,
                partitions: topic.partitions.into_iter().map(Into::into).collect(),
            })?;
        }
        for entry in self.configs {
            if image.configs.insert(entry.owner.clone(), entry.configs).is_some() {
                return Err(Error::OwnerTwice { owner: entry.owner });
            }
        }
        Ok(image)
    }
}
