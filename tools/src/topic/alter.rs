//! `topic alter` and `topic move`: incremental changes of settings, and more partitions.

use std::io::{Write, stdout};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{CreatePartitionsRequest, IncrementalAlterConfigsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::create::{BROKER_TIMEOUT_MS, plural};
use super::{Alter, Move};
use crate::client::{Cluster, check};
use crate::{Error, Exit, Outcome};

/// The pseudo setting of a topic by which a Duramen broker moves one of its partitions.
const SHARD_SETTING: &str = "duramen.shard.";

/// What IncrementalAlterConfigs does to a setting (KIP-339).
#[derive(Clone, Copy)]
enum Operation {
    Set = 0,
    Delete = 1,
}

pub(super) fn alter(command: Alter) -> Outcome {
    let mut cluster = Cluster::connect(&command.server)?;
    cluster.topic(&command.name)?;
    let set = command.config.iter().map(|setting| change(&setting.name, Operation::Set, Some(&setting.value)));
    let delete = command.delete_config.iter().map(|name| change(name, Operation::Delete, None));
    let changes: Vec<AlterableConfig> = set.chain(delete).collect();
    if !changes.is_empty() {
        alter_configs(&mut cluster, &command.name, changes)?;
        for setting in &command.config {
            writeln!(stdout(), "{}: {}={}", command.name, setting.name, setting.value)?;
        }
        for name in &command.delete_config {
            writeln!(stdout(), "{}: {name} has its default", command.name)?;
        }
    }
    if let Some(partitions) = command.partitions {
        add_partitions(&mut cluster, &command.name, partitions)?;
        writeln!(stdout(), "{}: {}", command.name, plural(partitions, "partition"))?;
    }
    Ok(Exit::Success)
}

/// Sets the pseudo setting; any other broker refuses its name, which is how it is told apart.
pub(super) fn move_partition(command: Move) -> Outcome {
    let mut cluster = Cluster::connect(&command.server)?;
    let (topic, partition) = (&command.partition.topic, command.partition.partition);
    cluster.topic(topic)?.select(Some(partition))?;
    let setting = change(&format!("{SHARD_SETTING}{partition}"), Operation::Set, Some(&command.shard.to_string()));
    alter_configs(&mut cluster, topic, vec![setting]).map_err(|error| match error {
        Error::Refused { code: ResponseError::InvalidConfig, message: Some(reason), .. } if is_unknown(&reason) => {
            Error::NotDuramen { server: command.server.bootstrap_server.clone(), reason }
        }
        Error::Refused { code, message, .. } => {
            Error::Refused { what: format!("move {topic}:{partition}"), code, message }
        }
        other => other,
    })?;
    writeln!(stdout(), "{topic}:{partition} is on shard {}", command.shard)?;
    Ok(Exit::Success)
}

/// Whether a refusal speaks of a setting that the broker does not know, as Kafka and its kin word it.
fn is_unknown(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    reason.contains("unknown") || reason.contains("unrecognized") || reason.contains("not recognized")
}

fn change(name: &str, operation: Operation, value: Option<&str>) -> AlterableConfig {
    AlterableConfig::default()
        .with_name(StrBytes::from_string(name.to_owned()))
        .with_config_operation(operation as i8)
        .with_value(value.map(|value| StrBytes::from_string(value.to_owned())))
}

fn alter_configs(cluster: &mut Cluster, topic: &str, changes: Vec<AlterableConfig>) -> Result<(), Error> {
    const TOPIC: i8 = 2;
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(StrBytes::from_string(topic.to_owned()))
        .with_configs(changes);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    for response in cluster.controller()?.call(&request)?.responses {
        let what = || format!("change the settings of topic {topic}");
        check(response.error_code, response.error_message.as_ref(), what)?;
    }
    Ok(())
}

fn add_partitions(cluster: &mut Cluster, topic: &str, count: i32) -> Result<(), Error> {
    let topic_request = CreatePartitionsTopic::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_count(count)
        .with_assignments(None);
    let request =
        CreatePartitionsRequest::default().with_topics(vec![topic_request]).with_timeout_ms(BROKER_TIMEOUT_MS);
    for result in cluster.controller()?.call(&request)?.results {
        let what = || format!("give topic {topic} {count} partitions");
        check(result.error_code, result.error_message.as_ref(), what)?;
    }
    Ok(())
}
