//! Offsets of partitions, asked of their leaders: bounds, and positions resolved against them.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Instant;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, ListOffsetsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::{Cluster, RETRY_INTERVAL, RETRY_TIMEOUT, Topic};
use crate::Error;
use crate::position::Position;

const TIMESTAMP_BEGINNING: i64 = -2;
const TIMESTAMP_END: i64 = -1;
/// What a leader answers when no record is as late as the time that was asked for.
const NOT_FOUND: i64 = -1;

/// Which records count: `Committed` ends before the first open transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    Uncommitted = 0,
    Committed = 1,
}

/// What is readable of a partition: from `beginning`, up to but without `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionBounds {
    pub beginning: i64,
    pub end: i64,
}

impl PartitionBounds {
    /// The offset of a position that needs no look at the records.
    fn clamp(self, position: Position) -> i64 {
        match position {
            Position::Beginning => self.beginning,
            Position::End | Position::Time(_) => self.end,
            Position::Offset(offset) => offset.clamp(self.beginning, self.end.max(self.beginning)),
            Position::Last(count) => self.end.saturating_sub(count).max(self.beginning),
        }
    }
}

impl Cluster {
    /// The bounds of the given partitions.
    pub fn bounds(
        &mut self,
        topic: &Topic,
        partitions: &[i32],
        isolation: Isolation,
    ) -> Result<BTreeMap<i32, PartitionBounds>, Error> {
        let beginnings = self.list_offsets(topic, partitions, TIMESTAMP_BEGINNING, isolation)?;
        let ends = self.list_offsets(topic, partitions, TIMESTAMP_END, isolation)?;
        let bounds = beginnings.into_iter().map(|(partition, beginning)| {
            let end = ends.get(&partition).copied().unwrap_or(beginning);
            (partition, PartitionBounds { beginning, end })
        });
        Ok(bounds.collect())
    }

    /// The offset that a position means in each of the partitions.
    pub fn resolve(
        &mut self,
        topic: &Topic,
        position: Position,
        bounds: &BTreeMap<i32, PartitionBounds>,
    ) -> Result<BTreeMap<i32, i64>, Error> {
        let mut offsets: BTreeMap<i32, i64> =
            bounds.iter().map(|(&partition, bounds)| (partition, bounds.clamp(position))).collect();
        if let Position::Time(millis) = position {
            let partitions: Vec<i32> = bounds.keys().copied().collect();
            // Negative timestamps have meanings of their own in this request; all records are later than these.
            let found = self.list_offsets(topic, &partitions, millis.max(0), Isolation::Uncommitted)?;
            offsets.extend(found.into_iter().filter(|&(_, offset)| offset != NOT_FOUND));
        }
        Ok(offsets)
    }

    /// One offset for each partition; follows leaders that move.
    fn list_offsets(
        &mut self,
        topic: &Topic,
        partitions: &[i32],
        timestamp: i64,
        isolation: Isolation,
    ) -> Result<BTreeMap<i32, i64>, Error> {
        let deadline = Instant::now() + RETRY_TIMEOUT;
        let mut topic = topic.clone();
        loop {
            let outcome = self.list_offsets_once(&topic, partitions, timestamp, isolation);
            let passing = match &outcome {
                Err(Error::Refused { code, .. }) => code.is_retriable(),
                Err(Error::NoLeader { .. }) => true,
                _ => false,
            };
            if !passing || Instant::now() >= deadline {
                return outcome;
            }
            sleep(RETRY_INTERVAL);
            topic = self.topic(&topic.name)?;
        }
    }

    fn list_offsets_once(
        &mut self,
        topic: &Topic,
        partitions: &[i32],
        timestamp: i64,
        isolation: Isolation,
    ) -> Result<BTreeMap<i32, i64>, Error> {
        let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for partition in topic.partitions.iter().filter(|partition| partitions.contains(&partition.partition)) {
            let number = partition.partition;
            let leader =
                partition.leader.ok_or_else(|| Error::NoLeader { topic: topic.name.clone(), partition: number })?;
            by_leader.entry(leader).or_default().push(number);
        }
        let mut offsets = BTreeMap::new();
        for (leader, partitions) in by_leader {
            let request = request(&topic.name, &partitions, timestamp, isolation);
            for answer in self.broker(leader)?.call(&request)?.topics.iter().flat_map(|topic| &topic.partitions) {
                if let Some(code) = ResponseError::try_from_code(answer.error_code) {
                    let what = format!("ask for the offsets of {}:{}", topic.name, answer.partition_index);
                    return Err(Error::Refused { what, code, message: None });
                }
                offsets.insert(answer.partition_index, answer.offset);
            }
        }
        Ok(offsets)
    }
}

fn request(topic: &str, partitions: &[i32], timestamp: i64, isolation: Isolation) -> ListOffsetsRequest {
    const NO_REPLICA: BrokerId = BrokerId(-1);
    let partition = |&number: &i32| {
        ListOffsetsPartition::default()
            .with_partition_index(number)
            .with_current_leader_epoch(-1)
            .with_timestamp(timestamp)
    };
    let topic = ListOffsetsTopic::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partitions(partitions.iter().map(partition).collect());
    ListOffsetsRequest::default()
        .with_replica_id(NO_REPLICA)
        .with_isolation_level(isolation as i8)
        .with_topics(vec![topic])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_stay_within_the_bounds() {
        let bounds = PartitionBounds { beginning: 10, end: 100 };
        assert_eq!(bounds.clamp(Position::Beginning), 10);
        assert_eq!(bounds.clamp(Position::End), 100);
        assert_eq!(bounds.clamp(Position::Offset(42)), 42);
        assert_eq!(bounds.clamp(Position::Offset(3)), 10);
        assert_eq!(bounds.clamp(Position::Offset(300)), 100);
        assert_eq!(bounds.clamp(Position::Last(5)), 95);
        assert_eq!(bounds.clamp(Position::Last(500)), 10);
        assert_eq!(bounds.clamp(Position::Last(i64::MAX)), 10);
    }
}
