//! DescribeTopicPartitions (key 75): topics page by page (KIP-966).

use std::collections::BTreeSet;

use duramen_wire::ids::ShardId;
use duramen_wire::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use duramen_wire::messages::{
    BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, ResponseError, StrBytes, TopicName,
};

use super::Context;
use super::metadata::{OPERATIONS_NOT_ASKED, TOPIC_OPERATIONS};
use crate::controller::{Image, Topic, validate_topic_name};

/// Kafka's default of `max.request.partition.size.limit`.
const PARTITIONS_MAX: usize = 2000;

pub fn answer(context: &Context, request: DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let image = context.shard.image.borrow();
    let start = request.cursor.as_ref().map(|cursor| (cursor.topic_name.as_str(), cursor.partition_index));
    let asked: Vec<&str> = request.topics.iter().map(|topic| topic.name.as_str()).collect();
    if !is_place_in(start, &asked) {
        // There is no code for the whole: each topic that was named carries it.
        let refused = asked.iter().map(|name| {
            failed(name, ResponseError::InvalidRequest).with_topic_authorized_operations(OPERATIONS_NOT_ASKED)
        });
        return DescribeTopicPartitionsResponse::default().with_topics(refused.collect());
    }
    let max = usize::try_from(request.response_partition_limit).unwrap_or(0).clamp(1, PARTITIONS_MAX);
    page(&image, &asked, start, max, |shard| BrokerId(context.node_of(shard).id))
}

/// Whether a cursor points at a partition of what was asked for.
fn is_place_in(cursor: Option<(&str, i32)>, asked: &[&str]) -> bool {
    cursor.is_none_or(|(topic, partition)| partition >= 0 && (asked.is_empty() || asked.contains(&topic)))
}

/// Up to `max` partitions of the topics that were asked for, or of all, in the order of their names, from `start` on.
fn page(
    image: &Image,
    asked: &[&str],
    start: Option<(&str, i32)>,
    max: usize,
    node_of: impl Fn(ShardId) -> BrokerId,
) -> DescribeTopicPartitionsResponse {
    let all = || image.topics().map(|topic| topic.name.as_str()).collect();
    let names: BTreeSet<&str> = if asked.is_empty() { all() } else { asked.iter().copied().collect() };
    let (first_name, first_partition) = start.unwrap_or(("", 0));
    let mut left = max;
    let mut topics = Vec::new();
    for name in names.range(first_name..) {
        let Some(topic) = image.topic_by_name(name) else {
            let invalid = validate_topic_name(name).is_err();
            let error = [ResponseError::UnknownTopicOrPartition, ResponseError::InvalidTopicException];
            topics.push(failed(name, error[usize::from(invalid)]));
            continue;
        };
        let from = if *name == first_name { usize::try_from(first_partition).unwrap_or(0) } else { 0 };
        let next = if left == 0 { from } else { (from + left).min(topic.partitions.len()) };
        if left > 0 {
            topics.push(describe(topic, from..next.max(from), &node_of));
            left -= next.saturating_sub(from);
        }
        if next < topic.partitions.len() {
            return DescribeTopicPartitionsResponse::default().with_topics(topics).with_next_cursor(Some(
                Cursor::default()
                    .with_topic_name(TopicName(StrBytes::from_string(name.to_string())))
                    .with_partition_index(i32::try_from(next).unwrap_or(i32::MAX)),
            ));
        }
    }
    DescribeTopicPartitionsResponse::default().with_topics(topics)
}

fn describe(
    topic: &Topic,
    range: std::ops::Range<usize>,
    node_of: impl Fn(ShardId) -> BrokerId,
) -> DescribeTopicPartitionsResponseTopic {
    let partitions = topic.partitions.iter().enumerate().skip(range.start).take(range.len());
    let partitions = partitions.map(|(index, partition)| {
        let node = node_of(partition.shard);
        DescribeTopicPartitionsResponsePartition::default()
            .with_partition_index(i32::try_from(index).unwrap_or(i32::MAX))
            .with_leader_id(node)
            .with_leader_epoch(partition.leader_epoch.0)
            .with_replica_nodes(vec![node])
            .with_isr_nodes(vec![node])
            .with_eligible_leader_replicas(Some(Vec::new()))
            .with_last_known_elr(Some(Vec::new()))
    });
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(topic.name.clone()))))
        .with_topic_id(topic.id.0)
        .with_is_internal(topic.internal)
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(TOPIC_OPERATIONS)
}

fn failed(name: &str, error: ResponseError) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(name.to_string()))))
        .with_error_code(error.code())
        .with_topic_authorized_operations(TOPIC_OPERATIONS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{ClusterCreated, PartitionPlacement, TopicCreated};
    use duramen_wire::ids::{LeaderEpoch, TopicId};
    use uuid::Uuid;

    fn image(topics: &[(&str, usize)]) -> Image {
        let mut image = Image::new();
        image.apply(&ClusterCreated { cluster_id: "c".into(), shard_count: 1 }.into()).expect("first");
        for (number, (name, partitions)) in topics.iter().enumerate() {
            let placement = PartitionPlacement { shard: ShardId(0), leader_epoch: LeaderEpoch(0) };
            let topic = TopicCreated {
                topic_id: TopicId(Uuid::from_u128(number as u128 + 1)),
                name: name.to_string(),
                configs: Default::default(),
                partitions: vec![placement; *partitions],
            };
            image.apply(&topic.into()).expect("new");
        }
        image
    }

    type Page = (Vec<(String, Vec<i32>)>, Option<(String, i32)>);

    fn look(image: &Image, asked: &[&str], start: Option<(&str, i32)>, max: usize) -> Page {
        let page = page(image, asked, start, max, |_| BrokerId(1));
        let topics = page.topics.iter().map(|topic| {
            let name = topic.name.as_ref().map(|name| name.to_string()).unwrap_or_default();
            (name, topic.partitions.iter().map(|partition| partition.partition_index).collect())
        });
        let next = page.next_cursor.as_ref().map(|next| (next.topic_name.to_string(), next.partition_index));
        (topics.collect(), next)
    }

    #[test]
    fn pages_join_without_a_gap() {
        let image = image(&[("a", 3), ("b", 2), ("c", 4)]);
        for max in 1..=10 {
            let mut seen = Vec::new();
            let mut start: Option<(String, i32)> = None;
            loop {
                let at = start.as_ref().map(|(name, partition)| (name.as_str(), *partition));
                let (topics, next) = look(&image, &[], at, max);
                let partitions =
                    topics.iter().flat_map(|(name, indexes)| indexes.iter().map(move |i| (name.clone(), *i)));
                let before = seen.len();
                seen.extend(partitions);
                assert!(seen.len() - before <= max && (seen.len() > before));
                match next {
                    Some(next) => start = Some(next),
                    None => break,
                }
            }
            assert_eq!(seen.len(), 9, "pages of {max}");
            assert!(seen.is_sorted());
        }
    }

    #[test]
    fn a_full_page_points_at_what_follows_and_the_last_at_nothing() {
        let image = image(&[("a", 3), ("b", 2)]);
        assert_eq!(look(&image, &[], None, 3), (vec![("a".into(), vec![0, 1, 2])], Some(("b".into(), 0))));
        assert_eq!(look(&image, &[], Some(("b", 0)), 2), (vec![("b".into(), vec![0, 1])], None));
        assert_eq!(look(&image, &["b", "nope", "b"], None, 9).0, [("b".into(), vec![0, 1]), ("nope".into(), vec![])]);
        // The topic of the cursor is gone.
        assert_eq!(look(&image, &[], Some(("aa", 2)), 9), (vec![("b".into(), vec![0, 1])], None));
        let unknown = page(&image, &["nope", "no pe"], None, 9, |_| BrokerId(1));
        assert_eq!(unknown.topics.iter().map(|topic| topic.error_code).collect::<Vec<_>>(), [17, 3]);
    }

    #[test]
    fn a_cursor_lies_within_what_was_asked_for() {
        assert!(
            is_place_in(None, &["a"]) && is_place_in(Some(("a", 0)), &["b", "a"]) && is_place_in(Some(("x", 9)), &[])
        );
        assert!(!is_place_in(Some(("a", -1)), &["a"]) && !is_place_in(Some(("c", 0)), &["a", "b"]));
        // Beyond a topic's last partition nothing of it is left.
        assert_eq!(look(&image(&[("a", 2)]), &["a"], Some(("a", 9)), 5), (vec![("a".into(), vec![])], None));
    }
}
