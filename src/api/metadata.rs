//! Metadata (key 3): who leads what, with the addresses of the listener that was asked.

use duramen_wire::ids::TopicId;
use duramen_wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use duramen_wire::messages::{BrokerId, MetadataRequest, MetadataResponse, ResponseError, StrBytes, TopicName};

use super::{Caller, Context};
use crate::controller::Topic;
use crate::metadata::CONTROLLER_SHARD;

/// The operations of something for which they were not asked (KIP-430).
pub const OPERATIONS_NOT_ASKED: i32 = i32::MIN;
/// All that a topic's operations can be: read, write, create, delete, alter, describe, describe configs, alter configs.
pub const TOPIC_OPERATIONS: i32 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;
/// Topics described between two looks at the clock.
const TOPICS_PER_LOOK: usize = 16;

/// A topic that was asked for.
enum Wanted {
    Name(String),
    Id(TopicId),
}

pub async fn answer(context: &Context, caller: &Caller, request: MetadataRequest) -> MetadataResponse {
    let mut topics = Vec::new();
    let may_create = caller.version < 4 || request.allow_auto_topic_creation;
    for (at, wanted) in wanted(context, caller, &request).into_iter().enumerate() {
        topics.push(match wanted {
            Wanted::Id(id) => by_id(context, id),
            Wanted::Name(name) => by_name(context, &name, may_create).await,
        });
        if at % TOPICS_PER_LOOK == 0 {
            context.shard.reactor.yield_if_due().await;
        }
    }
    if caller.version >= 8 && request.include_topic_authorized_operations {
        topics.iter_mut().for_each(|topic| topic.topic_authorized_operations = TOPIC_OPERATIONS);
    }
    let brokers = context.nodes().iter().map(|node| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(node.id))
            .with_host(StrBytes::from_string(node.host.clone()))
            .with_port(node.port)
    });
    MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(StrBytes::from_string(context.cluster_id())))
        .with_controller_id(BrokerId(context.node_of(CONTROLLER_SHARD).id))
        .with_topics(topics)
}

/// All topics for null, and in version 0 for an empty list too.
fn wanted(context: &Context, caller: &Caller, request: &MetadataRequest) -> Vec<Wanted> {
    match &request.topics {
        Some(topics) if caller.version > 0 || !topics.is_empty() => topics
            .iter()
            // A client that names an id may leave the name empty instead of null.
            .map(|topic| match &topic.name {
                Some(name) if topic.topic_id.is_nil() => Wanted::Name(name.to_string()),
                _ => Wanted::Id(TopicId(topic.topic_id)),
            })
            .collect(),
        _ => context.shard.image.borrow().topics().map(|topic| Wanted::Name(topic.name.to_string())).collect(),
    }
}

async fn by_name(context: &Context, name: &str, may_create: bool) -> MetadataResponseTopic {
    if let Some(topic) = context.shard.image.borrow().topic_by_name(name) {
        return describe(context, topic);
    }
    let error = match may_create && context.config().auto_create_topics_enable {
        false if crate::controller::validate_topic_name(name).is_err() => ResponseError::InvalidTopicException,
        false => ResponseError::UnknownTopicOrPartition,
        true => match super::create_topics::on_first_use(context, name).await {
            // Kafka answers the first request so too; clients ask again at once.
            Ok(()) => match context.shard.image.borrow().topic_by_name(name) {
                Some(topic) => return describe(context, topic),
                None => ResponseError::LeaderNotAvailable,
            },
            Err(error) => error,
        },
    };
    MetadataResponseTopic::default()
        .with_error_code(error.code())
        .with_name(Some(TopicName(StrBytes::from_string(name.to_string()))))
}

fn by_id(context: &Context, id: TopicId) -> MetadataResponseTopic {
    match context.shard.image.borrow().topic(id) {
        Some(topic) => describe(context, topic),
        None => MetadataResponseTopic::default()
            .with_error_code(ResponseError::UnknownTopicId.code())
            .with_topic_id(id.0)
            .with_name(None),
    }
}

fn describe(context: &Context, topic: &Topic) -> MetadataResponseTopic {
    let partitions = topic.partitions.iter().enumerate().map(|(index, partition)| {
        let node = BrokerId(context.node_of(partition.shard).id);
        MetadataResponsePartition::default()
            .with_partition_index(i32::try_from(index).unwrap_or(i32::MAX))
            .with_leader_id(node)
            .with_leader_epoch(partition.leader_epoch.0)
            .with_replica_nodes(vec![node])
            .with_isr_nodes(vec![node])
    });
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(topic.name.to_string()))))
        .with_topic_id(topic.id.0)
        .with_is_internal(topic.internal)
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(OPERATIONS_NOT_ASKED)
}
