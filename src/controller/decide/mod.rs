//! From requests to changes. Everything that can be refused is refused here, against the image as it is; what comes
//! out is to be made durable and applied. A request that only asks to be validated goes the same way, and its changes
//! are dropped.

mod configs;
mod partitions;
mod start;
mod topics;

pub use configs::{Target, alter_configs_fully, alter_configs_incrementally, describe_configs};
pub use partitions::{CreatePartitions, create_partitions, move_partition};
pub use start::{PRODUCER_IDS_PER_BLOCK, ProducerIdBlock, allocate_producer_ids, create_cluster, start};
pub use topics::{CreateTopic, TopicSelector, auto_create_topic, create_topics, delete_topics, offsets_topic};

use super::code::Code;
use super::image::Image;
use super::place::ShardLoad;
use crate::config::{self, Broker, Layers};

/// More partitions than these are not made by one request; Kafka has the same bound.
pub const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;

/// What a decision is taken from.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub image: &'a Image,
    pub broker: &'a Broker,
    pub layers: Layers<'a>,
    /// By shard number; missing ones count as idle.
    pub loads: &'a [ShardLoad],
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub code: Code,
    pub message: String,
}

impl Refusal {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<config::Refusal> for Refusal {
    fn from(refusal: config::Refusal) -> Self {
        match refusal {
            config::Refusal::InvalidConfig(message) => Self::new(Code::InvalidConfig, message),
            config::Refusal::InvalidRequest(message) => Self::new(Code::InvalidRequest, message),
        }
    }
}

fn no_such_topic() -> Refusal {
    Refusal::new(Code::UnknownTopicOrPartition, "This server does not host this topic-partition.")
}

fn too_many_at_once() -> Refusal {
    Refusal::new(Code::PolicyViolation, "Excessively large number of partitions per request.")
}

/// Whether `more` partitions still fit on this host.
fn refuse_beyond_host(context: &Context<'_>, more: usize) -> Result<(), Refusal> {
    let max = usize::try_from(context.broker.partitions_max).unwrap_or(0);
    if context.image.partition_count() + more <= max {
        return Ok(());
    }
    Err(Refusal::new(
        Code::PolicyViolation,
        format!("This host takes {max} partitions at most: delete topics or raise duramen.partitions.max"),
    ))
}

/// The one replica of a manually assigned partition must be this node. `known` is the number of replicas of the
/// partitions before it.
fn validate_replicas(replicas: &[i32], node_id: i32, known: Option<usize>) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::new(Code::InvalidReplicaAssignment, message));
    if replicas.is_empty() {
        return refuse("The manual partition assignment includes an empty replica list.".to_string());
    }
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    let mut previous = None;
    for broker in sorted {
        if broker != node_id {
            return refuse(format!(
                "The manual partition assignment includes broker {broker}, but no such broker is registered."
            ));
        }
        if previous.replace(broker) == Some(broker) {
            return refuse(format!("The manual partition assignment includes the broker {broker} more than once."));
        }
    }
    match known {
        Some(known) if known != replicas.len() => refuse(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is not consistent with \
             previous partitions, which have {known} replica(s).",
            replicas.len()
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
