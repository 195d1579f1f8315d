//! `topic create` and `topic delete`.

use std::io::{Write, stdout};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{CreateTopicsRequest, DeleteTopicsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::{Create, Delete};
use crate::client::{Cluster, check};
use crate::{Error, Exit, Outcome};

/// How long the broker may take to make or delete a topic before it answers.
pub(super) const BROKER_TIMEOUT_MS: i32 = 10_000;
/// Lets the broker choose, from CreateTopics version 4 on.
const BROKER_DEFAULT: i16 = -1;

pub(super) fn create(command: Create) -> Outcome {
    const DEFAULTS: i16 = 4;
    let mut cluster = Cluster::connect(&command.server)?;
    let controller = cluster.controller()?;
    let version = controller.version::<CreateTopicsRequest>()?;
    let default = if version >= DEFAULTS { BROKER_DEFAULT } else { 1 };
    let setting = |setting: &super::Setting| {
        CreatableTopicConfig::default()
            .with_name(StrBytes::from_string(setting.name.clone()))
            .with_value(Some(StrBytes::from_string(setting.value.clone())))
    };
    let topic = CreatableTopic::default()
        .with_name(topic_name(&command.name))
        .with_num_partitions(command.partitions.unwrap_or(i32::from(default)))
        .with_replication_factor(command.replication_factor.unwrap_or(default))
        .with_configs(command.config.iter().map(setting).collect());
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(BROKER_TIMEOUT_MS);
    let response = controller.call_version(&request, version)?;
    let made = response.topics.into_iter().next().unwrap_or_default();
    check(made.error_code, made.error_message.as_ref(), || format!("make topic {}", command.name))?;
    let detail = if made.num_partitions > 0 {
        format!(": {}, {}", plural(made.num_partitions, "partition"), plural(made.replication_factor, "replica"))
    } else {
        String::new()
    };
    writeln!(stdout(), "created {}{detail}", command.name)?;
    Ok(Exit::Success)
}

/// Deletes what it can and fails with the first that it could not.
pub(super) fn delete(command: Delete) -> Outcome {
    const STATES: i16 = 6;
    let mut cluster = Cluster::connect(&command.server)?;
    let controller = cluster.controller()?;
    let version = controller.version::<DeleteTopicsRequest>()?;
    let names = command.names.iter().map(|name| topic_name(name));
    let request = DeleteTopicsRequest::default().with_timeout_ms(BROKER_TIMEOUT_MS);
    let request = if version >= STATES {
        request.with_topics(names.map(|name| DeleteTopicState::default().with_name(Some(name))).collect())
    } else {
        request.with_topic_names(names.collect())
    };
    let mut failure = None;
    for deleted in controller.call_version(&request, version)?.responses {
        let name = deleted.name.map(|name| name.0.to_string()).unwrap_or_default();
        match check(deleted.error_code, deleted.error_message.as_ref(), || format!("delete topic {name}")) {
            Ok(()) => writeln!(stdout(), "deleted {name}")?,
            Err(Error::Refused { code: ResponseError::UnknownTopicOrPartition, .. }) => {
                failure.get_or_insert(Error::NoTopic { topic: name, nearest: None });
            }
            Err(error) => {
                failure.get_or_insert(error);
            }
        }
    }
    match failure {
        None => Ok(Exit::Success),
        Some(Error::NoTopic { topic, .. }) => {
            let nearest = cluster.nearest_topic(&topic);
            Err(Error::NoTopic { topic, nearest })
        }
        Some(error) => Err(error),
    }
}

fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

pub(super) fn plural(count: impl Into<i64>, noun: &str) -> String {
    let count = count.into();
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
