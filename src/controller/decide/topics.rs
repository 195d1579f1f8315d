//! Topics: made by request, made on first use, deleted.

use std::collections::{BTreeMap, BTreeSet};

use duramen_wire::ids::{LeaderEpoch, ShardId, TopicId};

use super::validate_replicas;
use super::{Context, PARTITIONS_PER_REQUEST_MAX, Refusal, no_such_topic, refuse_beyond_host, too_many_at_once};
use crate::config::validate_topic;
use crate::controller::change::{PartitionPlacement, TopicCreated, TopicDeleted};
use crate::controller::code::Code;
use crate::controller::name::{CLUSTER_METADATA, CONSUMER_OFFSETS, collision_key, validate_topic_name};
use crate::controller::place::Placer;

/// A topic that a client asks for.
#[derive(Clone, Debug)]
pub struct CreateTopic {
    pub name: String,
    /// Fresh and random; it is the topic's if the topic is made.
    pub topic_id: TopicId,
    /// -1 is the broker's default, and goes with `assignments`.
    pub partitions: i32,
    /// -1 is the broker's default, and goes with `assignments`.
    pub replication_factor: i16,
    /// Partition numbers with their replicas; empty leaves it to the broker.
    pub assignments: Vec<(i32, Vec<i32>)>,
    pub configs: Vec<(String, Option<String>)>,
}

/// Which topic a client means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicSelector {
    Name(String),
    Id(TopicId),
}

/// Decides on the topics of one CreateTopics request, each by itself but for names that are given twice, names that
/// collide, and the number of partitions of all.
pub fn create_topics(context: &Context<'_>, topics: &[CreateTopic]) -> Vec<Result<TopicCreated, Refusal>> {
    let asked: usize = topics.iter().map(|topic| requested_partitions(context, topic)).fold(0, usize::saturating_add);
    if asked > PARTITIONS_PER_REQUEST_MAX {
        return topics.iter().map(|_| Err(too_many_at_once())).collect();
    }
    let mut times = BTreeMap::<&str, usize>::new();
    for topic in topics {
        *times.entry(&topic.name).or_default() += 1;
    }
    let mut batch = Batch { placer: Placer::new(context.image, context.loads), keys: BTreeMap::new(), partitions: 0 };
    let decide = |topic: &CreateTopic| {
        if times.get(topic.name.as_str()).is_some_and(|times| *times > 1) {
            return Err(Refusal::new(Code::InvalidRequest, "Duplicate topic name."));
        }
        if topic.name == CLUSTER_METADATA {
            let message = format!("Creation of internal topic {CLUSTER_METADATA} is prohibited.");
            return Err(Refusal::new(Code::InvalidRequest, message));
        }
        create_topic(context, topic, &mut batch)
    };
    topics.iter().map(decide).collect()
}

/// Decides on a topic that a client used without its being there.
///
/// # Errors
/// UNKNOWN_TOPIC_OR_PARTITION where topics are not made on first use, otherwise as for CreateTopics.
pub fn auto_create_topic(context: &Context<'_>, name: &str, topic_id: TopicId) -> Result<TopicCreated, Refusal> {
    if name == CONSUMER_OFFSETS {
        return offsets_topic(context, topic_id);
    }
    if !context.broker.auto_create_topics_enable {
        return Err(no_such_topic());
    }
    create_one(
        context,
        CreateTopic {
            name: name.to_string(),
            topic_id,
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        },
    )
}

/// Decides on `__consumer_offsets`, which the first group brings about, whatever `auto.create.topics.enable` says.
///
/// # Errors
/// It exists, or there is no room.
pub fn offsets_topic(context: &Context<'_>, topic_id: TopicId) -> Result<TopicCreated, Refusal> {
    let setting = |name: &str, value: String| (name.to_string(), Some(value));
    create_one(
        context,
        CreateTopic {
            name: CONSUMER_OFFSETS.to_string(),
            topic_id,
            partitions: context.broker.offsets_topic_num_partitions,
            replication_factor: 1,
            assignments: Vec::new(),
            configs: vec![
                setting("cleanup.policy", "compact".to_string()),
                setting("compression.type", "producer".to_string()),
                setting("segment.bytes", context.broker.offsets_topic_segment_bytes.to_string()),
            ],
        },
    )
}

/// Decides on the topics of one DeleteTopics request.
pub fn delete_topics(context: &Context<'_>, topics: &[TopicSelector]) -> Vec<Result<TopicDeleted, Refusal>> {
    let mut seen = BTreeSet::new();
    topics.iter().map(|selector| delete_topic(context, selector, &mut seen)).collect()
}

fn delete_topic(
    context: &Context<'_>,
    selector: &TopicSelector,
    seen: &mut BTreeSet<TopicId>,
) -> Result<TopicDeleted, Refusal> {
    if !context.broker.delete_topic_enable {
        return Err(Refusal::new(Code::TopicDeletionDisabled, "Topic deletion is disabled."));
    }
    let topic = match selector {
        TopicSelector::Name(name) => context.image.topic_by_name(name).ok_or_else(no_such_topic)?,
        TopicSelector::Id(id) => context
            .image
            .topic(*id)
            .ok_or_else(|| Refusal::new(Code::UnknownTopicId, "This server does not host this topic ID."))?,
    };
    if !seen.insert(topic.id) {
        let message = match selector {
            TopicSelector::Name(_) => "Duplicate topic name.",
            TopicSelector::Id(_) => "Duplicate topic id.",
        };
        return Err(Refusal::new(Code::InvalidRequest, message));
    }
    Ok(TopicDeleted { topic_id: topic.id })
}

/// What the topics of one request share.
struct Batch {
    placer: Placer,
    /// Names that were granted, by what they collide in.
    keys: BTreeMap<String, String>,
    partitions: usize,
}

fn create_one(context: &Context<'_>, topic: CreateTopic) -> Result<TopicCreated, Refusal> {
    create_topics(context, &[topic]).pop().expect("one topic has one answer")
}

/// Kafka's order: the name, then what is there, then the settings, then partitions and replicas.
fn create_topic(context: &Context<'_>, topic: &CreateTopic, batch: &mut Batch) -> Result<TopicCreated, Refusal> {
    validate_topic_name(&topic.name).map_err(|why| Refusal::new(Code::InvalidTopicException, why))?;
    refuse_taken_name(context, topic, batch)?;
    let configs = validate_topic(&topic.configs, &context.layers)?;
    let partitions = match topic.assignments.as_slice() {
        [] => validate_counts(context, topic)?,
        _ => validate_assignments(context, topic)?,
    };
    refuse_beyond_host(context, batch.partitions + partitions)?;
    let partitions = batch.placer.place_new(partitions);
    batch.partitions += partitions.len();
    batch.keys.insert(collision_key(&topic.name), topic.name.clone());
    Ok(TopicCreated {
        topic_id: topic.topic_id,
        name: topic.name.clone(),
        configs,
        partitions: first_placements(&partitions),
    })
}

fn refuse_taken_name(context: &Context<'_>, topic: &CreateTopic, batch: &Batch) -> Result<(), Refusal> {
    let name = &topic.name;
    if context.image.topic_by_name(name).is_some() {
        return Err(Refusal::new(Code::TopicAlreadyExists, format!("Topic '{name}' already exists.")));
    }
    let in_batch = || batch.keys.get(&collision_key(name)).map(String::as_str);
    if let Some(other) = context.image.collision(name).or_else(in_batch) {
        let message = format!("Topic '{name}' collides with existing topic: {other}");
        return Err(Refusal::new(Code::InvalidTopicException, message));
    }
    Ok(())
}

fn validate_counts(context: &Context<'_>, topic: &CreateTopic) -> Result<usize, Refusal> {
    let factor = match topic.replication_factor {
        -1 => context.broker.default_replication_factor,
        factor => i32::from(factor),
    };
    if factor < 1 {
        return Err(Refusal::new(
            Code::InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ));
    }
    if topic.partitions == 0 || topic.partitions < -1 {
        return Err(Refusal::new(
            Code::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ));
    }
    if factor > 1 {
        return Err(Refusal::new(
            Code::InvalidReplicationFactor,
            format!(
                "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} cannot \
                 be reached because only 1 broker(s) are registered or some brokers have all their log directories \
                 cordoned."
            ),
        ));
    }
    Ok(requested_partitions(context, topic))
}

fn validate_assignments(context: &Context<'_>, topic: &CreateTopic) -> Result<usize, Refusal> {
    for (given, what) in
        [(i32::from(topic.replication_factor), "replication factor"), (topic.partitions, "numPartitions")]
    {
        if given != -1 {
            let message = format!("A manual partition assignment was specified, but {what} was not set to -1.");
            return Err(Refusal::new(Code::InvalidRequest, message));
        }
    }
    let refuse = |message: String| Err(Refusal::new(Code::InvalidReplicaAssignment, message));
    let mut numbers = BTreeSet::new();
    let mut replicas_known = None;
    for (partition, replicas) in &topic.assignments {
        if !numbers.insert(*partition) {
            return refuse(format!("Found multiple manual partition assignments for partition {partition}"));
        }
        validate_replicas(replicas, context.broker.node_id, replicas_known)?;
        replicas_known = Some(replicas.len());
    }
    if !numbers.iter().copied().eq(0..topic.assignments.len() as i32) {
        return refuse("partitions should be a consecutive 0-based integer sequence".to_string());
    }
    Ok(topic.assignments.len())
}

/// How many partitions a topic asks for; a number that is not valid counts as none.
fn requested_partitions(context: &Context<'_>, topic: &CreateTopic) -> usize {
    match topic.partitions {
        _ if !topic.assignments.is_empty() => topic.assignments.len(),
        -1 => usize::try_from(context.broker.num_partitions).unwrap_or(0),
        partitions => usize::try_from(partitions).unwrap_or(0),
    }
}

/// A new partition starts at leader epoch 0.
pub(super) fn first_placements(shards: &[ShardId]) -> Vec<PartitionPlacement> {
    shards.iter().map(|shard| PartitionPlacement { shard: *shard, leader_epoch: LeaderEpoch(0) }).collect()
}
