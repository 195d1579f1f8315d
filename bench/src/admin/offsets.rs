//! Where partitions begin and end, asked of their leaders.

use std::collections::BTreeMap;

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, ListOffsetsRequest};

use super::topics::topic_name;
use super::{Cluster, Connection, Topic, check, retrying};
use crate::error::Error;

const TIMESTAMP_BEGINNING: i64 = -2;
const TIMESTAMP_END: i64 = -1;

/// What can be read of a partition: from `start`, up to but without `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub start: i64,
    pub end: i64,
}

impl Cluster {
    /// The end of each partition of a topic.
    pub fn ends(&mut self, topic: &str) -> Result<BTreeMap<i32, i64>, Error> {
        let topic = self.topic(topic)?;
        Ok((0..).zip(self.list_offsets(&topic, TIMESTAMP_END)?).collect())
    }

    /// The bounds of each partition of a topic, from 0.
    pub fn bounds(&mut self, topic: &Topic) -> Result<Vec<Bounds>, Error> {
        let starts = self.list_offsets(topic, TIMESTAMP_BEGINNING)?;
        let ends = self.list_offsets(topic, TIMESTAMP_END)?;
        Ok(starts.into_iter().zip(ends).map(|(start, end)| Bounds { start, end }).collect())
    }

    fn list_offsets(&mut self, topic: &Topic, timestamp: i64) -> Result<Vec<i64>, Error> {
        retrying(|| self.list_offsets_once(topic, timestamp))
    }

    fn list_offsets_once(&mut self, topic: &Topic, timestamp: i64) -> Result<Vec<i64>, Error> {
        let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for (partition, &leader) in (0..).zip(&topic.leaders) {
            by_leader.entry(leader).or_default().push(partition);
        }
        let mut offsets = vec![None; topic.leaders.len()];
        for (leader, partitions) in by_leader {
            let connection = self.broker(leader)?;
            let response = connection.call(&request(&topic.name, &partitions, timestamp))?;
            for answer in response.topics.iter().flat_map(|topic| &topic.partitions) {
                let index = answer.partition_index;
                check(answer.error_code, None, || format!("the offsets of {}:{index}", topic.name))?;
                if let Some(offset) = usize::try_from(index).ok().and_then(|index| offsets.get_mut(index)) {
                    *offset = Some(answer.offset);
                }
            }
            if partitions.iter().any(|&partition| offsets[partition as usize].is_none()) {
                return Err(connection.not_kafka("it does not tell the offsets of all partitions that it leads"));
            }
        }
        Ok(offsets.into_iter().flatten().collect())
    }
}

impl Connection {
    /// The first offset of a partition that this broker leads.
    pub fn log_start(&mut self, topic: &str, partition: i32) -> Result<i64, Error> {
        let response = self.call(&request(topic, &[partition], TIMESTAMP_BEGINNING))?;
        let Some(answer) = response.topics.iter().flat_map(|topic| &topic.partitions).next() else {
            return Err(self.not_kafka("it does not tell where a partition begins"));
        };
        check(answer.error_code, None, || format!("the offsets of {topic}:{partition}"))?;
        Ok(answer.offset)
    }
}

fn request(topic: &str, partitions: &[i32], timestamp: i64) -> ListOffsetsRequest {
    const NO_REPLICA: BrokerId = BrokerId(-1);
    let partition = |&index: &i32| {
        ListOffsetsPartition::default()
            .with_partition_index(index)
            .with_current_leader_epoch(-1)
            .with_timestamp(timestamp)
    };
    let topic = ListOffsetsTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(partitions.iter().map(partition).collect());
    ListOffsetsRequest::default().with_replica_id(NO_REPLICA).with_topics(vec![topic])
}
