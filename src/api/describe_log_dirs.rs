//! DescribeLogDirs (key 35): the one data directory, with the sizes of the partitions in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use duramen_wire::ids::{ShardId, TopicPartitionId};
use duramen_wire::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use duramen_wire::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, ResponseError, StrBytes, TopicName};

use super::Context;
use super::disk_space;

/// Topics with their partitions and what those take up.
type Sizes = BTreeMap<String, BTreeMap<i32, u64>>;

pub async fn answer(context: &Context, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let asked = request.topics.as_ref().map(|topics| {
        let partitions = topics.iter().flat_map(|topic| topic.partitions.iter().map(|index| (&*topic.topic.0, *index)));
        partitions.map(|(topic, index)| (topic.to_string(), index)).collect::<BTreeSet<_>>()
    });
    let mut sizes = Sizes::new();
    for shard in (0..context.shard.shards()).map(ShardId) {
        let here = context.shard.call(shard, |shard| async move {
            let partitions = shard.partitions.borrow();
            partitions.iter().map(|hosted| (hosted.id, hosted.log.size_bytes())).collect::<Vec<_>>()
        });
        add(context, &asked, here.await, &mut sizes);
        context.shard.reactor.yield_if_due().await;
    }
    let dir = absolute(&context.config().data_dir);
    let (path, name) = (dir.clone(), dir.to_string_lossy().into_owned());
    let result = DescribeLogDirsResult::default().with_log_dir(StrBytes::from_string(name)).with_topics(topics(sizes));
    let result = match context.shard.reactor.blocking(move || disk_space::of(&path)).await {
        Ok(space) => result.with_total_bytes(number(space.total)).with_usable_bytes(number(space.usable)),
        Err(error) => {
            tracing::warn!(dir = %dir.display(), %error, "the room in the data directory cannot be told");
            result.with_error_code(ResponseError::KafkaStorageError.code())
        }
    };
    DescribeLogDirsResponse::default().with_results(vec![result])
}

fn add(
    context: &Context,
    asked: &Option<BTreeSet<(String, i32)>>,
    found: Vec<(TopicPartitionId, u64)>,
    sizes: &mut Sizes,
) {
    let image = context.shard.image.borrow();
    for (id, size) in found {
        let Some(topic) = image.topic(id.topic) else { continue };
        let index = id.partition.0;
        if asked.as_ref().is_none_or(|asked| asked.contains(&(topic.name.clone(), index))) {
            sizes.entry(topic.name.clone()).or_default().insert(index, size);
        }
    }
}

fn topics(sizes: Sizes) -> Vec<DescribeLogDirsTopic> {
    let topic = |(name, partitions): (String, BTreeMap<i32, u64>)| {
        let partitions = partitions.into_iter().map(|(index, size)| {
            DescribeLogDirsPartition::default().with_partition_index(index).with_partition_size(number(size))
        });
        DescribeLogDirsTopic::default()
            .with_name(TopicName(StrBytes::from_string(name)))
            .with_partitions(partitions.collect())
    };
    sizes.into_iter().map(topic).collect()
}

fn absolute(dir: &str) -> PathBuf {
    std::path::absolute(dir).unwrap_or_else(|_| PathBuf::from(dir))
}

fn number(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_partitions_come_in_order() {
        let sizes =
            Sizes::from([("b".into(), BTreeMap::from([(1, 7), (0, 9)])), ("a".into(), BTreeMap::from([(2, 1)]))]);
        let told: Vec<_> = topics(sizes)
            .iter()
            .map(|topic| {
                let partitions = topic.partitions.iter();
                let partitions = partitions.map(|partition| (partition.partition_index, partition.partition_size));
                (topic.name.to_string(), partitions.collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(told, [("a".to_string(), vec![(2, 1)]), ("b".to_string(), vec![(0, 9), (1, 7)])]);
    }
}
