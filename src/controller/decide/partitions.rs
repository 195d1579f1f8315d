//! Partitions: more of them, and another shard for one.

use std::collections::BTreeMap;

use duramen_wire::ids::{PartitionIndex, ShardId};

use super::topics::first_placements;
use super::validate_replicas;
use super::{Context, PARTITIONS_PER_REQUEST_MAX, Refusal, no_such_topic, refuse_beyond_host, too_many_at_once};
use crate::controller::change::{PartitionMoved, PartitionsAdded};
use crate::controller::code::Code;
use crate::controller::image::Topic;
use crate::controller::place::place;

/// More partitions for a topic.
#[derive(Clone, Debug)]
pub struct CreatePartitions {
    pub name: String,
    /// How many there are to be in the end.
    pub count: i32,
    /// The replicas of each new partition; `None` leaves it to the broker.
    pub assignments: Option<Vec<Vec<i32>>>,
}

/// Decides on the topics of one CreatePartitions request.
pub fn create_partitions(context: &Context<'_>, topics: &[CreatePartitions]) -> Vec<Result<PartitionsAdded, Refusal>> {
    let mut times = BTreeMap::<&str, usize>::new();
    for topic in topics {
        *times.entry(&topic.name).or_default() += 1;
    }
    let mut granted = 0;
    let decide = |topic: &CreatePartitions| {
        if times.get(topic.name.as_str()).is_some_and(|times| *times > 1) {
            return Err(Refusal::new(Code::InvalidRequest, "Duplicate topic name."));
        }
        let added = add_partitions(context, topic, granted)?;
        granted += added.partitions.len();
        Ok(added)
    };
    topics.iter().map(decide).collect()
}

fn add_partitions(
    context: &Context<'_>,
    request: &CreatePartitions,
    granted: usize,
) -> Result<PartitionsAdded, Refusal> {
    let topic = context.image.topic_by_name(&request.name).ok_or_else(no_such_topic)?;
    let more = additional(topic, request)?;
    if granted + more > PARTITIONS_PER_REQUEST_MAX {
        return Err(too_many_at_once());
    }
    if let Some(assignments) = &request.assignments {
        if assignments.len() != more {
            let message = format!(
                "Attempted to add {more} additional partition(s), but only {} assignment(s) were specified.",
                assignments.len()
            );
            return Err(Refusal::new(Code::InvalidReplicaAssignment, message));
        }
        for replicas in assignments {
            validate_replicas(replicas, context.broker.node_id, Some(1))?;
        }
    }
    refuse_beyond_host(context, granted + more)?;
    let shards = place(context.image, context.loads, Some(topic.id), more);
    let first = PartitionIndex(i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX));
    Ok(PartitionsAdded { topic_id: topic.id, first, partitions: first_placements(&shards) })
}

/// How many partitions are to be added.
fn additional(topic: &Topic, request: &CreatePartitions) -> Result<usize, Refusal> {
    let (present, count) = (topic.partitions.len(), request.count);
    let message = match usize::try_from(count) {
        Ok(count) if count > present => return Ok(count - present),
        Ok(count) if count == present => format!("Topic already has {present} partition(s)."),
        _ => format!(
            "The topic {} currently has {present} partition(s); {count} would not be an increase.",
            request.name
        ),
    };
    Err(Refusal::new(Code::InvalidPartitions, message))
}

/// Decides to move a partition to another shard; `None` where it is there already.
///
/// # Errors
/// UNKNOWN_TOPIC_OR_PARTITION, and INVALID_REQUEST for a shard that does not exist.
pub fn move_partition(
    context: &Context<'_>,
    name: &str,
    partition: PartitionIndex,
    shard: ShardId,
) -> Result<Option<PartitionMoved>, Refusal> {
    let topic = context.image.topic_by_name(name).ok_or_else(no_such_topic)?;
    let present = context.image.partition(topic.id, partition).ok_or_else(no_such_topic)?;
    let shards = context.image.shard_count();
    if shard.0 >= shards {
        let message = format!("There is no shard {shard}: this host has {shards}, from 0 on");
        return Err(Refusal::new(Code::InvalidRequest, message));
    }
    Ok((present.shard != shard).then_some(PartitionMoved { topic_id: topic.id, partition, shard }))
}
