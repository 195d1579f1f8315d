//! Topics as the cluster's metadata has them.

use std::thread::sleep;
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use kafka_protocol::messages::{MetadataRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use serde::Serialize;

use super::{Cluster, RETRY_INTERVAL};
use crate::Error;
use crate::error::nearest;

/// How long a topic that is being made on first use is waited for.
const CREATION_TIMEOUT: Duration = Duration::from_secs(5);

/// A topic and its partitions, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    pub name: String,
    /// Hyphenated; `None` from a broker older than Kafka 2.8.
    pub id: Option<String>,
    pub internal: bool,
    pub partitions: Vec<Partition>,
}

/// A partition and the node ids of its replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Partition {
    pub partition: i32,
    /// `None` while there is no leader.
    pub leader: Option<i32>,
    pub leader_epoch: i32,
    pub replicas: Vec<i32>,
    pub in_sync: Vec<i32>,
}

impl Topic {
    /// All partition numbers, or only `wanted` if the topic has it.
    pub fn select(&self, wanted: Option<i32>) -> Result<Vec<i32>, Error> {
        let all: Vec<i32> = self.partitions.iter().map(|partition| partition.partition).collect();
        match wanted {
            None => Ok(all),
            Some(partition) if all.contains(&partition) => Ok(vec![partition]),
            Some(partition) => Err(Error::NoPartition { topic: self.name.clone(), partition, count: all.len() }),
        }
    }
}

impl Cluster {
    /// All topics, by name.
    pub fn topics(&mut self) -> Result<Vec<Topic>, Error> {
        let response = self.metadata(MetadataRequest::default().with_topics(None))?;
        let mut topics: Vec<Topic> = response.topics.into_iter().map(Topic::from).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// One topic; its absence is an error that names the nearest one.
    pub fn topic(&mut self, name: &str) -> Result<Topic, Error> {
        let found = self.look_up(name, false)?;
        found.ok_or_else(|| Error::NoTopic { topic: name.to_owned(), nearest: self.nearest_topic(name) })
    }

    /// One topic, made with the broker's defaults if it is missing and the broker does that. The flag says so.
    pub fn topic_or_create(&mut self, name: &str) -> Result<(Topic, bool), Error> {
        if let Some(topic) = self.look_up(name, false)? {
            return Ok((topic, false));
        }
        let deadline = Instant::now() + CREATION_TIMEOUT;
        while Instant::now() < deadline {
            if let Some(topic) = self.look_up(name, true)? {
                return Ok((topic, true));
            }
            sleep(RETRY_INTERVAL);
        }
        Err(Error::NoTopic { topic: name.to_owned(), nearest: self.nearest_topic(name) })
    }

    /// One topic, given a moment to appear: a broker that has just started may not know all of its topics yet.
    pub fn topic_settled(&mut self, name: &str) -> Result<Topic, Error> {
        let deadline = Instant::now() + CREATION_TIMEOUT;
        loop {
            match self.topic(name) {
                Err(Error::NoTopic { .. }) if Instant::now() < deadline => sleep(RETRY_INTERVAL),
                outcome => return outcome,
            }
        }
    }

    /// `None` if there is no such topic, or none that has leaders yet.
    fn look_up(&mut self, name: &str, create: bool) -> Result<Option<Topic>, Error> {
        let topic = TopicName(StrBytes::from_string(name.to_owned()));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![MetadataRequestTopic::default().with_name(Some(topic))]))
            .with_allow_auto_topic_creation(create);
        let response = self.metadata(request)?;
        let Some(topic) = response.topics.into_iter().next() else { return Ok(None) };
        match ResponseError::try_from_code(topic.error_code) {
            None => Ok(Some(Topic::from(topic))),
            Some(ResponseError::UnknownTopicOrPartition | ResponseError::LeaderNotAvailable) => Ok(None),
            Some(code) => Err(Error::Refused { what: format!("use topic {name}"), code, message: None }),
        }
    }

    pub(crate) fn nearest_topic(&mut self, name: &str) -> Option<String> {
        let topics = self.topics().unwrap_or_default();
        nearest(name, topics.iter().filter(|topic| !topic.internal).map(|topic| topic.name.as_str()))
    }
}

impl From<MetadataResponseTopic> for Topic {
    fn from(topic: MetadataResponseTopic) -> Topic {
        let mut partitions: Vec<Partition> = topic.partitions.iter().map(Partition::from).collect();
        partitions.sort_by_key(|partition| partition.partition);
        Topic {
            name: topic.name.map(|name| name.0.to_string()).unwrap_or_default(),
            id: (!topic.topic_id.is_nil()).then(|| topic.topic_id.to_string()),
            internal: topic.is_internal,
            partitions,
        }
    }
}

impl From<&MetadataResponsePartition> for Partition {
    fn from(partition: &MetadataResponsePartition) -> Partition {
        Partition {
            partition: partition.partition_index,
            leader: Some(partition.leader_id.0).filter(|&leader| leader >= 0),
            leader_epoch: partition.leader_epoch,
            replicas: partition.replica_nodes.iter().map(|broker| broker.0).collect(),
            in_sync: partition.isr_nodes.iter().map(|broker| broker.0).collect(),
        }
    }
}
