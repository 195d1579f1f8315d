//! Topics: looked up, made, deleted. A topic that was made is only given back once each partition has a leader that
//! answers for its offsets: a fresh one refuses for a while, and a load must not begin with that.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::{Cluster, check, retrying};
use crate::error::Error;

/// How long the broker may take to make or delete a topic before it answers.
const BROKER_TIMEOUT_MS: i32 = 20_000;

/// A topic whose partitions all have leaders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub name: String,
    /// The leader's node id by partition, from 0.
    pub leaders: Vec<i32>,
}

impl Cluster {
    /// Makes a topic and waits for its leaders and their offsets.
    pub fn create_topic(
        &mut self,
        name: &str,
        partitions: i32,
        replicas: i16,
        configs: &[(String, String)],
    ) -> Result<(), Error> {
        let config = |(name, value): &(String, String)| {
            CreatableTopicConfig::default()
                .with_name(StrBytes::from_string(name.clone()))
                .with_value(Some(StrBytes::from_string(value.clone())))
        };
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(partitions)
            .with_replication_factor(replicas)
            .with_configs(configs.iter().map(config).collect());
        let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(BROKER_TIMEOUT_MS);
        let answer = self.controller()?.call(&request)?.topics.into_iter().next().unwrap_or_default();
        check(answer.error_code, answer.error_message.as_ref(), || format!("making topic {name}"))?;
        let topic = retrying(|| self.look_up(name))?;
        self.bounds(&topic)?;
        Ok(())
    }

    /// Deletes a topic; what is gone already is fine.
    pub fn delete_topic(&mut self, name: &str) -> Result<(), Error> {
        const STATES: i16 = 6;
        let controller = self.controller()?;
        let version = controller.version::<DeleteTopicsRequest>()?;
        let request = DeleteTopicsRequest::default().with_timeout_ms(BROKER_TIMEOUT_MS);
        let request = match version >= STATES {
            true => request.with_topics(vec![DeleteTopicState::default().with_name(Some(topic_name(name)))]),
            false => request.with_topic_names(vec![topic_name(name)]),
        };
        let answer = controller.call_version(&request, version)?.responses.into_iter().next().unwrap_or_default();
        match ResponseError::try_from_code(answer.error_code) {
            Some(ResponseError::UnknownTopicOrPartition) => Ok(()),
            _ => check(answer.error_code, answer.error_message.as_ref(), || format!("deleting topic {name}")),
        }
    }

    /// A topic that must exist, once all its partitions have leaders.
    pub fn topic(&mut self, name: &str) -> Result<Topic, Error> {
        if !self.exists(name)? {
            return Err(Error::NoTopic { topic: name.to_owned() });
        }
        retrying(|| self.look_up(name))
    }

    fn exists(&mut self, name: &str) -> Result<bool, Error> {
        let response = self.metadata(&about(name))?;
        let code = response.topics.first().map_or(0, |topic| topic.error_code);
        Ok(ResponseError::try_from_code(code) != Some(ResponseError::UnknownTopicOrPartition))
    }

    fn look_up(&mut self, name: &str) -> Result<Topic, Error> {
        let topic = self.metadata(&about(name))?.topics.into_iter().next().unwrap_or_default();
        check(topic.error_code, None, || format!("topic {name}"))?;
        let mut leaders = vec![-1; topic.partitions.len()];
        for partition in &topic.partitions {
            let index = partition.partition_index;
            check(partition.error_code, None, || format!("partition {name}:{index}"))?;
            if let Some(leader) = usize::try_from(index).ok().and_then(|index| leaders.get_mut(index)) {
                *leader = partition.leader_id.0;
            }
        }
        let unled = leaders.is_empty() || leaders.iter().any(|leader| !self.brokers().contains_key(leader));
        let code = if unled { ResponseError::LeaderNotAvailable.code() } else { 0 };
        check(code, None, || format!("topic {name}"))?;
        Ok(Topic { name: name.to_owned(), leaders })
    }
}

/// Asks for one topic, and never makes it.
fn about(name: &str) -> MetadataRequest {
    MetadataRequest::default()
        .with_topics(Some(vec![MetadataRequestTopic::default().with_name(Some(topic_name(name)))]))
        .with_allow_auto_topic_creation(false)
}

pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}
