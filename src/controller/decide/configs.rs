//! Settings changed and described by request. Resource types are the protocol's: 2 topic, 4 broker, 16 client metrics,
//! 32 group.

use super::{Context, Refusal};
use crate::config::{self, Configs, Entry, Operation, Resource};
use crate::controller::change::{Change, Owner, OwnerConfigsChanged, TopicConfigsChanged};
use crate::controller::code::Code;
use crate::controller::name::validate_topic_name;

/// Groups and client metrics subscriptions with settings of their own; no more are stored.
const NAMED_OWNERS_MAX: usize = 10_000;

/// Whose settings are to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Topic(String),
    Owner(Owner),
}

impl Target {
    /// From a config resource's type and name, as the protocol has them.
    ///
    /// # Errors
    /// INVALID_REQUEST for a type that has no settings here, an empty name where one is needed, or another broker.
    pub fn parse(resource_type: i8, name: &str, node_id: i32) -> Result<Self, Refusal> {
        let invalid = |message: String| Err(Refusal::new(Code::InvalidRequest, message));
        match (resource_type, name) {
            (2, "") => invalid("Default topic resources are not allowed.".to_string()),
            (2, name) => Ok(Self::Topic(name.to_string())),
            (4, "") => Ok(Self::Owner(Owner::Cluster)),
            (4, name) => match name.parse::<i32>() {
                Ok(id) if id == node_id => Ok(Self::Owner(Owner::Broker(id))),
                Ok(id) => invalid(format!("Unexpected broker id, expected {node_id}, but received {id}")),
                Err(_) => invalid(format!("Node id must be an integer, but it is: {name}")),
            },
            (16, "") => invalid("Subscription name can't be empty".to_string()),
            (16, name) => Ok(Self::Owner(Owner::ClientMetrics(name.to_string()))),
            (32, "") => invalid("Default group resources are not allowed.".to_string()),
            (32, name) => Ok(Self::Owner(Owner::Group(name.to_string()))),
            (other, _) => invalid(format!("Unknown resource type {other}")),
        }
    }

    fn resource(&self) -> Resource {
        match self {
            Self::Topic(_) => Resource::Topic,
            Self::Owner(Owner::Cluster) => Resource::Cluster,
            Self::Owner(Owner::Broker(_)) => Resource::Broker,
            Self::Owner(Owner::Group(_)) => Resource::Group,
            Self::Owner(Owner::ClientMetrics(_)) => Resource::ClientMetrics,
        }
    }
}

/// Decides on one resource of IncrementalAlterConfigs; `None` where nothing changes.
///
/// # Errors
/// The topic does not exist, or `config` refuses the settings.
pub fn alter_configs_incrementally(
    context: &Context<'_>,
    target: &Target,
    operations: &[Operation],
) -> Result<Option<Change>, Refusal> {
    alter(context, target, |stored| config::alter_incrementally(target.resource(), stored, operations, &context.layers))
}

/// Decides on one resource of AlterConfigs, which replaces all of its settings; `None` where nothing changes.
///
/// # Errors
/// As for [`alter_configs_incrementally`].
pub fn alter_configs_fully(
    context: &Context<'_>,
    target: &Target,
    configs: &[(String, Option<String>)],
) -> Result<Option<Change>, Refusal> {
    alter(context, target, |stored| config::alter_fully(target.resource(), stored, configs, &context.layers))
}

/// Answers one resource of DescribeConfigs. `names` chooses settings; `None` is all.
///
/// # Errors
/// UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION, and INVALID_REQUEST for another broker, an empty name where
/// one is needed, or a type that has no settings here.
pub fn describe_configs(
    context: &Context<'_>,
    resource_type: i8,
    name: &str,
    names: Option<&[String]>,
) -> Result<Vec<Entry>, Refusal> {
    let (layers, node_id) = (&context.layers, context.broker.node_id);
    let invalid = |message: String| Err(Refusal::new(Code::InvalidRequest, message));
    let named = |resource, owner| config::describe_named(resource, context.image.configs(&owner), layers, names);
    match (resource_type, name) {
        (2, name) => {
            validate_topic_name(name).map_err(|why| Refusal::new(Code::InvalidTopicException, why))?;
            let missing = || Refusal::new(Code::UnknownTopicOrPartition, "");
            let topic = context.image.topic_by_name(name).ok_or_else(missing)?;
            Ok(config::describe_topic(&topic.configs, layers, names))
        }
        (4, "") => Ok(config::describe_cluster(layers, names)),
        (4, name) => match name.parse::<i32>() {
            Ok(id) if id == node_id => Ok(config::describe_broker(layers, names)),
            Ok(id) => invalid(format!("Unexpected broker id, expected {node_id} or empty string, but received {id}")),
            Err(_) => invalid(format!("Broker id must be an integer, but it is: {name}")),
        },
        (16, "") => invalid("Client metrics subscription name must not be empty".to_string()),
        (16, name) => Ok(named(Resource::ClientMetrics, Owner::ClientMetrics(name.to_string()))),
        (32, "") => invalid("Group name must not be empty".to_string()),
        (32, name) => Ok(named(Resource::Group, Owner::Group(name.to_string()))),
        (other, _) => invalid(format!("Unsupported resource type: {other}")),
    }
}

fn alter(
    context: &Context<'_>,
    target: &Target,
    decide: impl FnOnce(&Configs) -> Result<Configs, config::Refusal>,
) -> Result<Option<Change>, Refusal> {
    match target {
        Target::Topic(name) => {
            validate_topic_name(name).map_err(|why| Refusal::new(Code::InvalidTopicException, why))?;
            let topic = context.image.topic_by_name(name).ok_or_else(|| {
                Refusal::new(Code::UnknownTopicOrPartition, format!("The topic '{name}' does not exist."))
            })?;
            let configs = decide(&topic.configs)?;
            let changed = configs != topic.configs;
            Ok(changed.then(|| TopicConfigsChanged { topic_id: topic.id, configs }.into()))
        }
        Target::Owner(owner) => {
            let stored = context.image.configs(owner);
            let configs = decide(stored)?;
            if stored.is_empty() && !configs.is_empty() {
                refuse_too_many_owners(context, owner)?;
            }
            let changed = configs != *stored;
            Ok(changed.then(|| OwnerConfigsChanged { owner: owner.clone(), configs }.into()))
        }
    }
}

fn refuse_too_many_owners(context: &Context<'_>, owner: &Owner) -> Result<(), Refusal> {
    let named = |owner: &Owner| matches!(owner, Owner::Group(_) | Owner::ClientMetrics(_));
    if !named(owner) || context.image.config_owners().filter(|owner| named(owner)).count() < NAMED_OWNERS_MAX {
        return Ok(());
    }
    let message = format!("No more than {NAMED_OWNERS_MAX} groups and subscriptions have settings of their own");
    Err(Refusal::new(Code::PolicyViolation, message))
}
