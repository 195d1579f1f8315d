//! Random histories: what one image decides, another replays from bytes.

use std::collections::BTreeSet;

use duramen_wire::ids::{PartitionIndex, ShardId, TopicId};
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::config::{Broker, Configs, Operation, OperationKind, Settings};

const STEPS_PER_HISTORY: usize = 60;

/// Takes random decisions; every choice comes from the seed.
struct History {
    random: SmallRng,
    settings: Settings,
    image: Image,
    log: Vec<Vec<u8>>,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let shards = random.random_range(1..=5);
        let settings = Settings::from_sources(None, &[]).expect("valid");
        let mut history = Self { random, settings, image: Image::new(), log: Vec::new() };
        history.record(vec![create_cluster("AAAAAAAAAAAAAAAAAAAAAA".to_string(), shards)]);
        history
    }

    fn record(&mut self, changes: Vec<Change>) {
        for change in changes {
            self.image.apply(&change).expect("decided on this image");
            self.log.push(encode(&change));
        }
    }

    fn name(&mut self) -> String {
        let names = ["a", "b", "a.b", "a_b", "c", "__consumer_offsets", "bad name", "d"];
        names[self.random.random_range(0..names.len())].to_string()
    }

    fn step(&mut self) {
        let none = Configs::new();
        let broker = Broker::new(&self.settings, &none, &none);
        let settings = self.settings.clone();
        let image = self.image.clone();
        let loads: Vec<ShardLoad> =
            (0..3).map(|_| ShardLoad { bytes_per_second: self.random.random_range(0..1000) }).collect();
        let context =
            Context { image: &image, broker: &broker, layers: image.layers(&settings, broker.node_id), loads: &loads };
        let changes = match self.random.random_range(0..9) {
            0 | 1 => self.create(&context),
            2 => self.delete(&context),
            3 => self.grow(&context),
            4 => self.alter(&context),
            5 => self.relocate(&context),
            6 => vec![allocate_producer_ids(&image).expect("plenty").1.into()],
            7 => start(&image, self.random.random_range(1..=6), self.random.random_bool(0.5)),
            _ => {
                let id = self.topic_id();
                auto_create_topic(&context, &self.name(), id).map(Change::from).into_iter().collect()
            }
        };
        self.record(changes);
    }

    fn topic_id(&mut self) -> TopicId {
        TopicId(uuid::Uuid::from_u128(self.random.random()))
    }

    fn create(&mut self, context: &Context<'_>) -> Vec<Change> {
        let topics: Vec<CreateTopic> = (0..self.random.random_range(1..4))
            .map(|_| CreateTopic {
                name: self.name(),
                topic_id: self.topic_id(),
                partitions: self.random.random_range(-1..8),
                replication_factor: 1,
                assignments: Vec::new(),
                configs: Vec::new(),
            })
            .collect();
        create_topics(context, &topics).into_iter().flatten().map(Change::from).collect()
    }

    fn delete(&mut self, context: &Context<'_>) -> Vec<Change> {
        let topics: Vec<TopicSelector> = (0..2).map(|_| TopicSelector::Name(self.name())).collect();
        delete_topics(context, &topics).into_iter().flatten().map(Change::from).collect()
    }

    fn grow(&mut self, context: &Context<'_>) -> Vec<Change> {
        let (name, count) = (self.name(), self.random.random_range(0..12));
        let request = CreatePartitions { name, count, assignments: None };
        create_partitions(context, &[request]).into_iter().flatten().map(Change::from).collect()
    }

    fn alter(&mut self, context: &Context<'_>) -> Vec<Change> {
        let target = match self.random.random_range(0..4) {
            0 => Target::Owner(Owner::Cluster),
            1 => Target::Owner(Owner::Broker(1)),
            2 => Target::Owner(Owner::Group(self.name())),
            _ => Target::Topic(self.name()),
        };
        let names = ["retention.ms", "log.retention.ms", "consumer.session.timeout.ms", "durability"];
        let name = names[self.random.random_range(0..names.len())].to_string();
        let kind = if self.random.random_bool(0.7) { OperationKind::Set } else { OperationKind::Delete };
        let value = Some(self.random.random_range(45_000..60_000).to_string());
        let altered = alter_configs_incrementally(context, &target, &[Operation { name, kind, value }]);
        altered.ok().flatten().into_iter().collect()
    }

    fn relocate(&mut self, context: &Context<'_>) -> Vec<Change> {
        let (name, partition) = (self.name(), PartitionIndex(self.random.random_range(0..8)));
        let shard = ShardId(self.random.random_range(0..6));
        let moved = move_partition(context, &name, partition, shard);
        moved.ok().flatten().map(Change::from).into_iter().collect()
    }
}

fn check_invariants(image: &Image) {
    let names: BTreeSet<&str> = image.topics().map(|topic| topic.name.as_str()).collect();
    assert_eq!(names.len(), image.topics().count(), "names are unique");
    let keys: BTreeSet<String> = names.iter().map(|name| name.replace('.', "_")).collect();
    assert_eq!(keys.len(), names.len(), "names do not collide");
    assert!(image.partitions().all(|(_, partition)| partition.shard.0 < image.shard_count()));
    assert_eq!(image.partitions().count(), image.partition_count());
    for topic in image.topics() {
        assert_eq!(image.topic(topic.id), Some(topic));
        assert!(validate_topic_name(&topic.name).is_ok() && !topic.partitions.is_empty());
    }
    let mut counts = vec![0; usize::from(image.shard_count())];
    for (_, partition) in image.partitions() {
        counts[usize::from(partition.shard.0)] += 1;
    }
    assert_eq!(image.partitions_by_shard(), counts);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_replay_gives_an_equal_image(seed in any::<u64>()) {
        let mut history = History::new(seed);
        for _ in 0..STEPS_PER_HISTORY {
            history.step();
            check_invariants(&history.image);
        }
        let (mut replayed, snapshot_every) = (Image::new(), history.random.random_range(1..20));
        for (index, bytes) in history.log.iter().enumerate() {
            replayed.apply(&decode(bytes).expect("encoded above")).expect("it fitted before");
            if index % snapshot_every == 0 {
                replayed = decode_snapshot(&encode_snapshot(&replayed).expect("small")).expect("encoded above");
            }
        }
        prop_assert_eq!(replayed.applied(), history.log.len() as u64);
        prop_assert_eq!(&replayed, &history.image);
    }

    #[test]
    fn the_same_seed_gives_the_same_log(seed in any::<u64>()) {
        let log = |seed| {
            let mut history = History::new(seed);
            (0..STEPS_PER_HISTORY).for_each(|_| history.step());
            history.log
        };
        prop_assert_eq!(log(seed), log(seed));
    }

    /// A log with a lost or repeated change is noticed or at least never a panic, and a refused change alters nothing.
    #[test]
    fn a_damaged_log_is_an_error_and_alters_nothing(seed in any::<u64>(), lost in any::<prop::sample::Index>()) {
        let mut history = History::new(seed);
        (0..STEPS_PER_HISTORY).for_each(|_| history.step());
        history.log.remove(lost.index(history.log.len()));
        let mut image = Image::new();
        for bytes in &history.log {
            let before = image.clone();
            if image.apply(&decode(bytes).expect("whole")).is_err() {
                prop_assert_eq!(&image, &before);
            }
        }
    }
}

fn small_image() -> Image {
    let mut image = Image::new();
    image.apply(&create_cluster("AAECAwQFBgcICQoLDA0ODw".to_string(), 2)).expect("first");
    let topic_id = TopicId(uuid::Uuid::from_bytes([7; 16]));
    let placement = |shard| PartitionPlacement { shard: ShardId(shard), leader_epoch: Default::default() };
    let topic = TopicCreated {
        topic_id,
        name: "events".to_string(),
        configs: [("retention.ms".to_string(), "1000".to_string())].into(),
        partitions: vec![placement(0), placement(1)],
    };
    let configs = [("log.retention.ms".to_string(), "5000".to_string())].into();
    for change in [
        topic.into(),
        LeaderEpochsRaised {}.into(),
        OwnerConfigsChanged { owner: Owner::Cluster, configs }.into(),
        ProducerIdBlockAllocated { next: 1000 }.into(),
    ] {
        image.apply(&change).expect("fits");
    }
    image
}

#[test]
fn a_snapshot_of_version_1_keeps_its_bytes() {
    let bytes = encode_snapshot(&small_image()).expect("small");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, include_str!("golden/snapshot.v1.hex").trim());
    assert_eq!(decode_snapshot(&bytes), Ok(small_image()));
}

#[test]
fn a_snapshot_with_a_flipped_bit_is_refused() {
    let bytes = encode_snapshot(&small_image()).expect("small");
    for bit in 0..bytes.len() * 8 {
        let mut broken = bytes.clone();
        broken[bit / 8] ^= 1 << (bit % 8);
        decode_snapshot(&broken).expect_err("a flipped bit");
    }
    assert_eq!(decode(&bytes), Err(Error::Kind { found: 128 }));
}
