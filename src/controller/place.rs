//! Which shard a partition lives on. Decided once, recorded in the metadata, and changed only by a decision: never a
//! hash. The same image and loads give the same placement.

use std::collections::BTreeMap;

use duramen_wire::ids::{ShardId, TopicId};

use super::change::Relocation;
use super::image::Image;

/// How busy a shard is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardLoad {
    /// What its partitions take in and give out.
    pub bytes_per_second: u64,
}

/// Shards for further partitions of a topic; `None` is a topic that has none yet. A topic's partitions are spread
/// evenly first, so that a busy topic has all cores; then the shard with the smallest share of partitions and bytes is
/// taken; then the one with the lowest number. `loads` is by shard number; missing ones are idle. Without shards there
/// is no place.
pub fn place(image: &Image, loads: &[ShardLoad], topic: Option<TopicId>, partitions: usize) -> Vec<ShardId> {
    let mut own = vec![0; usize::from(image.shard_count())];
    let present = topic.and_then(|id| image.topic(id)).map(|topic| topic.partitions.as_slice()).unwrap_or_default();
    for partition in present {
        if let Some(count) = own.get_mut(usize::from(partition.shard.0)) {
            *count += 1;
        }
    }
    Placer::new(image, loads).place(&mut own, partitions)
}

/// Relocations for a start with `shard_count` shards: of partitions whose shard is no more, and, where there are more
/// shards than before, of as many as it takes to even them out. None where nothing has changed.
pub fn rebalance_for(image: &Image, shard_count: u16) -> Vec<Relocation> {
    let grown = shard_count > image.shard_count();
    let quota = image.partition_count().div_ceil(usize::from(shard_count).max(1));
    let mut counts = vec![0; usize::from(shard_count)];
    let mut by_topic = BTreeMap::<TopicId, Vec<usize>>::new();
    let mut homeless = Vec::new();
    for (id, partition) in image.partitions() {
        let own = by_topic.entry(id.topic).or_insert_with(|| vec![0; counts.len()]);
        match counts.get_mut(usize::from(partition.shard.0)) {
            Some(count) if !grown || *count < quota => {
                *count += 1;
                own[usize::from(partition.shard.0)] += 1;
            }
            _ => homeless.push(id),
        }
    }
    let mut moved = Vec::with_capacity(homeless.len());
    for id in homeless {
        let own = by_topic.entry(id.topic).or_default();
        let Some(shard) = (0..counts.len()).min_by_key(|shard| (counts[*shard], own[*shard], *shard)) else { break };
        counts[shard] += 1;
        own[shard] += 1;
        moved.push(Relocation { topic_id: id.topic, partition: id.partition, shard: shard_id(shard) });
    }
    moved
}

/// Shares of the shards as they grow while several topics are placed at once.
pub(super) struct Placer {
    shards: Vec<Share>,
    partitions: u128,
    bytes_per_second: u128,
}

#[derive(Clone, Copy)]
struct Share {
    partitions: u64,
    bytes_per_second: u64,
}

impl Placer {
    pub(super) fn new(image: &Image, loads: &[ShardLoad]) -> Self {
        let loads = loads.iter().map(|load| load.bytes_per_second).chain(std::iter::repeat(0));
        let counts = image.partitions_by_shard().iter().map(|count| *count as u64);
        let shards: Vec<Share> =
            counts.zip(loads).map(|(partitions, bytes_per_second)| Share { partitions, bytes_per_second }).collect();
        let partitions = shards.iter().map(|share| u128::from(share.partitions)).sum();
        let bytes_per_second = shards.iter().map(|share| u128::from(share.bytes_per_second)).sum();
        Self { shards, partitions, bytes_per_second }
    }

    /// Places partitions of one topic, whose present ones `own` counts by shard.
    pub(super) fn place(&mut self, own: &mut [usize], partitions: usize) -> Vec<ShardId> {
        let mut placed = Vec::with_capacity(partitions);
        // What a partition of average traffic adds.
        let bytes = u64::try_from(self.bytes_per_second / self.partitions.max(1)).unwrap_or(u64::MAX);
        for _ in 0..partitions {
            let shards = 0..self.shards.len().min(own.len());
            let Some(shard) = shards.min_by_key(|shard| (own[*shard], self.score(*shard), *shard)) else { break };
            own[shard] += 1;
            self.shards[shard].partitions += 1;
            self.shards[shard].bytes_per_second = self.shards[shard].bytes_per_second.saturating_add(bytes);
            self.partitions += 1;
            self.bytes_per_second += u128::from(bytes);
            placed.push(shard_id(shard));
        }
        placed
    }

    /// Places all partitions of a new topic.
    pub(super) fn place_new(&mut self, partitions: usize) -> Vec<ShardId> {
        let mut own = vec![0; self.shards.len()];
        self.place(&mut own, partitions)
    }

    /// A shard's part of all partitions plus its part of all bytes, in millionths.
    fn score(&self, shard: usize) -> u128 {
        let share = self.shards[shard];
        let part = |own: u64, all: u128| u128::from(own) * 1_000_000 / all.max(1);
        part(share.partitions, self.partitions) + part(share.bytes_per_second, self.bytes_per_second)
    }
}

fn shard_id(index: usize) -> ShardId {
    ShardId(u16::try_from(index).expect("shards are counted in a u16"))
}

#[cfg(test)]
mod tests {
    use super::super::change::{Change, ClusterCreated, PartitionPlacement, ShardsChanged, TopicCreated};
    use super::*;
    use duramen_wire::ids::LeaderEpoch;

    fn cluster(shard_count: u16) -> Image {
        let mut image = Image::new();
        let cluster_id = "AAAAAAAAAAAAAAAAAAAAAA".to_string();
        image.apply(&ClusterCreated { cluster_id, shard_count }.into()).expect("first");
        image
    }

    fn add(image: &mut Image, number: u8, shards: &[u16]) -> TopicId {
        let topic_id = TopicId(uuid::Uuid::from_bytes([number; 16]));
        let placement = |shard: &u16| PartitionPlacement { shard: ShardId(*shard), leader_epoch: LeaderEpoch(0) };
        let change = Change::TopicCreated(TopicCreated {
            topic_id,
            name: format!("topic-{number}"),
            configs: Default::default(),
            partitions: shards.iter().map(placement).collect(),
        });
        image.apply(&change).expect("fits");
        topic_id
    }

    fn numbers(shards: &[ShardId]) -> Vec<u16> {
        shards.iter().map(|shard| shard.0).collect()
    }

    fn load(bytes_per_second: u64) -> ShardLoad {
        ShardLoad { bytes_per_second }
    }

    #[test]
    fn empty_shards_are_taken_in_turn() {
        assert_eq!(numbers(&place(&cluster(3), &[], None, 7)), [0, 1, 2, 0, 1, 2, 0]);
        assert!(place(&Image::new(), &[], None, 2).is_empty());
    }

    #[test]
    fn the_least_loaded_comes_first() {
        let mut image = cluster(3);
        add(&mut image, 1, &[0, 0, 1]);
        assert_eq!(numbers(&place(&image, &[], None, 3)), [2, 1, 0]);
        assert_eq!(numbers(&place(&image, &[load(0), load(0), load(1000)], None, 1)), [1]);
    }

    #[test]
    fn a_topic_is_spread_even_if_shards_are_not() {
        let mut image = cluster(2);
        let topic = add(&mut image, 1, &[0]);
        add(&mut image, 2, &[1; 50]);
        assert_eq!(numbers(&place(&image, &[], Some(topic), 1)), [1], "the topic has its other partition on 0");
        assert_eq!(numbers(&place(&image, &[], None, 4)), [0, 1, 0, 1]);
    }

    #[test]
    fn a_restart_with_the_same_shards_moves_nothing() {
        let mut image = cluster(3);
        add(&mut image, 1, &[0, 0, 0, 0]);
        assert!(rebalance_for(&image, 3).is_empty());
    }

    #[test]
    fn fewer_shards_move_only_what_lost_its_own() {
        let mut image = cluster(4);
        add(&mut image, 1, &[0, 1, 2, 3]);
        let moved = rebalance_for(&image, 2);
        assert_eq!(moved.iter().map(|moved| moved.partition.0).collect::<Vec<_>>(), [2, 3]);
        image.apply(&ShardsChanged { shard_count: 2, moved }.into()).expect("fits");
        assert_eq!(image.partitions_by_shard(), [2, 2]);
    }

    #[test]
    fn more_shards_even_out() {
        let mut image = cluster(1);
        for number in 0..7 {
            add(&mut image, number, &[0, 0]);
        }
        let moved = rebalance_for(&image, 4);
        assert_eq!(moved.len(), 10, "four of fourteen stay");
        image.apply(&ShardsChanged { shard_count: 4, moved }.into()).expect("fits");
        assert_eq!(image.partitions_by_shard(), [4, 4, 3, 3]);
    }
}
