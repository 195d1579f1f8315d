//! AlterConfigs (key 33), which replaces all settings of a resource, and IncrementalAlterConfigs (key 44, KIP-339).
//!
//! Settings of a topic called `duramen.shard.PARTITION` are none: setting one moves that partition to the shard whose
//! number is given. It is a way for any Kafka client to do what Kafka has no request for.

use std::collections::BTreeMap;

use duramen_wire::ids::{PartitionIndex, ShardId, TopicId};
use duramen_wire::messages::alter_configs_response::AlterConfigsResourceResponse as FullResult;
use duramen_wire::messages::incremental_alter_configs_request::AlterableConfig;
use duramen_wire::messages::incremental_alter_configs_response::AlterConfigsResourceResponse as IncrementalResult;
use duramen_wire::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
    ResponseError, StrBytes,
};

use super::Context;
use super::controller::{Failure, commit, with_keeper};
use super::groups;
use super::resources::{self, known_name};
use crate::config::{Operation, OperationKind};
use crate::controller::{self, Change, Target};

/// Before the number of a partition that is to be moved.
const SHARD_OF: &str = "duramen.shard.";

/// What is to become of one resource.
struct Alteration {
    resource_type: i8,
    name: String,
    settings: Settings,
    /// Shards of partitions.
    moves: BTreeMap<PartitionIndex, ShardId>,
}

enum Settings {
    All(Vec<(String, Option<String>)>),
    Some(Vec<Operation>),
}

/// A decision on one resource.
struct Decided {
    change: Option<Change>,
    topic: Option<TopicId>,
    /// Whether group coordinators live on its partitions, and move with them.
    has_coordinators: bool,
    moves: Vec<(PartitionIndex, ShardId)>,
}

pub async fn answer(context: &Context, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let alterations = request.resources.iter().map(|resource| {
        let value = |value: &StrBytes| value.to_string();
        let configs = resource.configs.iter().map(|config| (value(&config.name), config.value.as_ref().map(value)));
        let settings = Settings::All(configs.collect());
        Ok(alteration(context, resource.resource_type, &resource.resource_name, settings, BTreeMap::new()))
    });
    let outcomes = alter(context, alterations.collect(), request.validate_only).await;
    let responses = request.resources.into_iter().zip(outcomes).map(|(resource, outcome)| {
        let (code, message) = told(outcome);
        FullResult::default()
            .with_error_code(code)
            .with_error_message(message)
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
    });
    AlterConfigsResponse::default().with_responses(responses.collect())
}

pub async fn incremental(
    context: &Context,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let alterations = request.resources.iter().map(|resource| {
        let (operations, moves) = operations(resource.resource_type, &resource.configs)?;
        let settings = Settings::Some(operations);
        Ok(alteration(context, resource.resource_type, &resource.resource_name, settings, moves))
    });
    let outcomes = alter(context, alterations.collect(), request.validate_only).await;
    let responses = request.resources.into_iter().zip(outcomes).map(|(resource, outcome)| {
        let (code, message) = told(outcome);
        IncrementalResult::default()
            .with_error_code(code)
            .with_error_message(message)
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

/// The error code and the message of what became of a resource.
fn told(outcome: Result<(), Failure>) -> (i16, Option<StrBytes>) {
    outcome.map_or_else(|failure| (failure.code, failure.text()), |()| (0, None))
}

fn alteration(
    context: &Context,
    resource_type: i8,
    name: &str,
    settings: Settings,
    moves: BTreeMap<PartitionIndex, ShardId>,
) -> Alteration {
    Alteration { resource_type, name: known_name(context, resource_type, name), settings, moves }
}

/// Splits the steps of one resource into those that change settings and those that move partitions.
fn operations(
    resource_type: i8,
    configs: &[AlterableConfig],
) -> Result<(Vec<Operation>, BTreeMap<PartitionIndex, ShardId>), Failure> {
    let mut operations = Vec::new();
    let mut moves = BTreeMap::new();
    for config in configs {
        let kind = OperationKind::from_number(config.config_operation).ok_or_else(|| {
            Failure::new(ResponseError::InvalidRequest, format!("Unknown operation {}", config.config_operation))
        })?;
        let partition = config.name.strip_prefix(SHARD_OF).and_then(|partition| partition.parse().ok());
        let Some(partition) = partition.filter(|_| resource_type == resources::TOPIC) else {
            let (name, value) = (config.name.to_string(), config.value.as_ref().map(ToString::to_string));
            operations.push(Operation { name, kind, value });
            continue;
        };
        let shard = config.value.as_ref().filter(|_| kind == OperationKind::Set).and_then(|value| value.parse().ok());
        let shard = shard.ok_or_else(|| {
            let message =
                format!("{}: set it to the number of the shard that the partition shall move to", &*config.name);
            Failure::new(ResponseError::InvalidRequest, message)
        })?;
        if moves.insert(PartitionIndex(partition), ShardId(shard)).is_some() {
            return Err(Failure::new(ResponseError::InvalidRequest, "Error due to duplicate config keys"));
        }
    }
    Ok((operations, moves))
}

/// Decides on all resources at once, each by itself, and then moves partitions one after the other.
async fn alter(
    context: &Context,
    alterations: Vec<Result<Alteration, Failure>>,
    validate_only: bool,
) -> Vec<Result<(), Failure>> {
    let count = alterations.len();
    let decided = commit(&context.shard, move |decision| {
        let twice = given_twice(&alterations);
        let decided = alterations.iter().zip(twice).map(|(alteration, twice)| match alteration {
            _ if twice => Err(Failure::new(ResponseError::InvalidRequest, "Each resource must appear at most once.")),
            Ok(alteration) => decide(decision, alteration),
            Err(failure) => Err(failure.clone()),
        });
        let mut decided: Vec<Result<Decided, Failure>> = decided.collect();
        let made = decided.iter_mut().flatten().filter_map(|decided| decided.change.take()).collect();
        (if validate_only { Vec::new() } else { made }, decided)
    });
    let decided = match decided.await {
        Ok(decided) => decided,
        Err(failure) => return vec![Err(failure); count],
    };
    let mut outcomes = Vec::with_capacity(count);
    for decided in decided {
        outcomes.push(match decided {
            Ok(decided) if !validate_only => move_partitions(context, decided).await,
            decided => decided.map(drop),
        });
    }
    outcomes
}

/// For each resource, whether another one is the same.
fn given_twice(alterations: &[Result<Alteration, Failure>]) -> Vec<bool> {
    let mut times = BTreeMap::<(i8, &str), usize>::new();
    for alteration in alterations.iter().flatten() {
        *times.entry((alteration.resource_type, &alteration.name)).or_default() += 1;
    }
    let twice = |alteration: &Alteration| times[&(alteration.resource_type, alteration.name.as_str())] > 1;
    alterations.iter().map(|alteration| alteration.as_ref().is_ok_and(twice)).collect()
}

fn decide(decision: &controller::Context<'_>, alteration: &Alteration) -> Result<Decided, Failure> {
    if let (resources::BROKER_LOGGER, Settings::Some(operations)) = (alteration.resource_type, &alteration.settings) {
        return decide_on_loggers(&alteration.name, decision.broker.node_id, operations);
    }
    let target = Target::parse(alteration.resource_type, &alteration.name, decision.broker.node_id)?;
    let change = match &alteration.settings {
        Settings::All(configs) => controller::alter_configs_fully(decision, &target, configs)?,
        Settings::Some(operations) => controller::alter_configs_incrementally(decision, &target, operations)?,
    };
    let mut moves = Vec::new();
    for (partition, shard) in &alteration.moves {
        if controller::move_partition(decision, &alteration.name, *partition, *shard)?.is_some() {
            moves.push((*partition, *shard));
        }
    }
    let topic = decision.image.topic_by_name(&alteration.name).map(|topic| topic.id);
    let has_coordinators = alteration.name == controller::CONSUMER_OFFSETS;
    Ok(Decided { change, topic, has_coordinators, moves })
}

/// There are no loggers that could be set while the broker runs.
fn decide_on_loggers(name: &str, node_id: i32, operations: &[Operation]) -> Result<Decided, Failure> {
    let invalid = |message: String| Err(Failure::new(ResponseError::InvalidRequest, message));
    match (name.parse::<i32>(), operations.first()) {
        (Err(_), _) => invalid(format!("Node id must be an integer, but it is: {name}")),
        (Ok(id), _) if id != node_id => invalid(format!("Unexpected node id. Expected {node_id}, but received {id}")),
        (Ok(_), None) => Ok(Decided { change: None, topic: None, has_coordinators: false, moves: Vec::new() }),
        (Ok(_), Some(operation)) => {
            let message = format!("Logger {} does not exist!", operation.name);
            Err(Failure::new(ResponseError::InvalidConfig, message))
        }
    }
}

async fn move_partitions(context: &Context, decided: Decided) -> Result<(), Failure> {
    let Some(topic) = decided.topic else { return Ok(()) };
    for (partition, shard) in decided.moves {
        let moved = with_keeper(&context.shard, move |keeper, controller| async move {
            let moved = match decided.has_coordinators {
                true => groups::move_coordinator(&keeper, &controller, topic, partition, shard).await,
                false => keeper.move_partition(topic, partition, shard).await,
            };
            moved.map_err(|error| Failure::from(&error))
        });
        moved.await??;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(name: &'static str, operation: i8, value: Option<&'static str>) -> AlterableConfig {
        AlterableConfig::default()
            .with_name(StrBytes::from_static_str(name))
            .with_config_operation(operation)
            .with_value(value.map(StrBytes::from_static_str))
    }

    #[test]
    fn shards_of_partitions_are_no_settings() {
        let configs = [config("retention.ms", 0, Some("5")), config("duramen.shard.3", 0, Some("1"))];
        let (settings, moves) = operations(resources::TOPIC, &configs).expect("both are fine");
        assert_eq!(settings.iter().map(|setting| setting.name.as_str()).collect::<Vec<_>>(), ["retention.ms"]);
        assert_eq!(moves, BTreeMap::from([(PartitionIndex(3), ShardId(1))]));
        let (settings, moves) = operations(resources::BROKER, &configs).expect("a broker has no partitions");
        assert_eq!((settings.len(), moves.len()), (2, 0));
        let ring = [config("duramen.shard.ring.slots", 0, Some("1"))];
        assert_eq!(operations(resources::TOPIC, &ring).expect("judged later").0.len(), 1);
    }

    #[test]
    fn a_move_needs_one_shard() {
        for configs in [
            vec![config("duramen.shard.3", 1, None)],
            vec![config("duramen.shard.3", 0, None)],
            vec![config("duramen.shard.3", 0, Some("left"))],
            vec![config("duramen.shard.3", 0, Some("1")), config("duramen.shard.03", 0, Some("2"))],
            vec![config("retention.ms", 9, Some("1"))],
        ] {
            let refused = operations(resources::TOPIC, &configs).expect_err("not a move");
            assert_eq!(refused.code, ResponseError::InvalidRequest.code());
        }
    }

    #[test]
    fn the_same_resource_twice_is_seen() {
        let of = |resource_type, name: &str| {
            let (name, settings) = (name.to_string(), Settings::All(Vec::new()));
            Ok(Alteration { resource_type, name, settings, moves: BTreeMap::new() })
        };
        let failed = Err(Failure::new(ResponseError::InvalidRequest, ""));
        let all = [of(2, "a"), of(4, "a"), failed, of(2, "a")];
        assert_eq!(given_twice(&all), [true, false, false, true]);
    }

    #[test]
    fn no_logger_exists_and_only_on_this_broker() {
        let (operations, _) = operations(resources::BROKER_LOGGER, &[config("a.b", 0, Some("INFO"))]).expect("a step");
        let refused = |name, operations: &[Operation]| decide_on_loggers(name, 1, operations).err();
        assert_eq!(refused("1", &[]), None);
        assert_eq!(
            refused("1", &operations),
            Some(Failure::new(ResponseError::InvalidConfig, "Logger a.b does not exist!"))
        );
        let message = "Unexpected node id. Expected 1, but received 7";
        assert_eq!(refused("7", &operations), Some(Failure::new(ResponseError::InvalidRequest, message)));
    }
}
