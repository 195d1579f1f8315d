//! Decisions of the controller, each from an image and a request to changes.

use super::*;
use crate::config::{Configs, Operation, OperationKind, Settings};
use crate::controller::change::{Change, Owner, PartitionMoved};
use crate::controller::name::CONSUMER_OFFSETS;
use duramen_wire::ids::{PartitionIndex, ShardId, TopicId};

/// A cluster of two shards and its settings, on which decisions are taken.
struct World {
    image: Image,
    settings: Settings,
    topics_made: u128,
}

impl World {
    fn new(settings: &str) -> Self {
        let mut image = Image::new();
        image.apply(&create_cluster("AAAAAAAAAAAAAAAAAAAAAA".to_string(), 2)).expect("first");
        let settings = Settings::from_sources(Some(settings), &[]).expect("valid");
        Self { image, settings, topics_made: 0 }
    }

    fn decide<T>(&self, decide: impl FnOnce(&Context<'_>) -> T) -> T {
        let none = Configs::new();
        let broker = Broker::new(&self.settings, &none, &none);
        let layers = self.image.layers(&self.settings, broker.node_id);
        decide(&Context { image: &self.image, broker: &broker, layers, loads: &[] })
    }

    fn create(&mut self, topics: &[CreateTopic]) -> Vec<Result<(), (Code, String)>> {
        let topics: Vec<CreateTopic> = topics
            .iter()
            .map(|topic| {
                self.topics_made += 1;
                CreateTopic { topic_id: TopicId(uuid::Uuid::from_u128(self.topics_made)), ..topic.clone() }
            })
            .collect();
        let answers = self.decide(|context| create_topics(context, &topics));
        let apply = |answer: Result<_, Refusal>| match answer {
            Ok(change) => {
                self.image.apply(&Change::from(change)).expect("decided to fit");
                Ok(())
            }
            Err(refusal) => Err((refusal.code, refusal.message)),
        };
        answers.into_iter().map(apply).collect()
    }

    fn create_one(&mut self, topic: CreateTopic) -> Result<(), (Code, String)> {
        self.create(&[topic]).remove(0)
    }

    fn partitions(&self, request: CreatePartitions) -> Result<usize, (Code, String)> {
        let answer = self.decide(|context| create_partitions(context, &[request])).remove(0);
        answer.map(|added| added.partitions.len()).map_err(|refusal| (refusal.code, refusal.message))
    }
}

fn topic(name: &str, partitions: i32, replication_factor: i16) -> CreateTopic {
    CreateTopic {
        name: name.to_string(),
        topic_id: TopicId::default(),
        partitions,
        replication_factor,
        assignments: Vec::new(),
        configs: Vec::new(),
    }
}

fn with_config(topic: CreateTopic, name: &str, value: &str) -> CreateTopic {
    CreateTopic { configs: vec![(name.to_string(), Some(value.to_string()))], ..topic }
}

fn assigned(assignments: &[(i32, &[i32])]) -> CreateTopic {
    let assignments = assignments.iter().map(|(partition, replicas)| (*partition, replicas.to_vec())).collect();
    CreateTopic { assignments, ..topic("assigned", -1, -1) }
}

/// The request and the code and message of Kafka 4.3.1.
#[test]
fn topics_are_refused_as_by_kafka() {
    let mut world = World::new("");
    world.create_one(topic("t", 2, 1)).expect("new");
    world.create_one(topic("a.b", 1, 1)).expect("new");
    let cannot = "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached \
                  because only 1 broker(s) are registered or some brokers have all their log directories cordoned.";
    let factor = "Replication factor must be larger than 0, or -1 to use the default value.";
    let count = "Number of partitions was set to an invalid non-positive value.";
    let unknown = "Unknown topic config name: foo";
    let manual = "The manual partition assignment includes";
    for (request, code, message) in [
        (topic("t", 2, 1), Code::TopicAlreadyExists, "Topic 't' already exists.".to_string()),
        (with_config(topic("t", 1, 1), "foo", "1"), Code::TopicAlreadyExists, "Topic 't' already exists.".to_string()),
        (topic("a_b", 1, 1), Code::InvalidTopicException, "Topic 'a_b' collides with existing topic: a.b".to_string()),
        (topic("..", 1, 1), Code::InvalidTopicException, "Topic name is invalid: '..' is not allowed".to_string()),
        (topic("x", 1, 3), Code::InvalidReplicationFactor, cannot.to_string()),
        (topic("x", 1, 0), Code::InvalidReplicationFactor, factor.to_string()),
        (topic("x", 1, -2), Code::InvalidReplicationFactor, factor.to_string()),
        (topic("x", 0, 1), Code::InvalidPartitions, count.to_string()),
        (topic("x", -2, 1), Code::InvalidPartitions, count.to_string()),
        (with_config(topic("x", 0, 3), "foo", "1"), Code::InvalidConfig, unknown.to_string()),
        (
            topic("x", 10_001, 1),
            Code::PolicyViolation,
            "Excessively large number of partitions per request.".to_string(),
        ),
        (
            topic("__cluster_metadata", 1, 1),
            Code::InvalidRequest,
            "Creation of internal topic __cluster_metadata is prohibited.".to_string(),
        ),
        (
            assigned(&[(0, &[1]), (2, &[1])]),
            Code::InvalidReplicaAssignment,
            "partitions should be a consecutive 0-based integer sequence".to_string(),
        ),
        (assigned(&[(0, &[])]), Code::InvalidReplicaAssignment, format!("{manual} an empty replica list.")),
        (
            assigned(&[(0, &[5])]),
            Code::InvalidReplicaAssignment,
            format!("{manual} broker 5, but no such broker is registered."),
        ),
        (assigned(&[(0, &[1, 1])]), Code::InvalidReplicaAssignment, format!("{manual} the broker 1 more than once.")),
        (
            CreateTopic { partitions: 1, ..assigned(&[(0, &[1])]) },
            Code::InvalidRequest,
            "A manual partition assignment was specified, but numPartitions was not set to -1.".to_string(),
        ),
    ] {
        assert_eq!(world.create_one(request.clone()), Err((code, message)), "{request:?}");
    }
    world.create_one(assigned(&[(1, &[1]), (0, &[1])])).expect("valid");
    assert_eq!(world.image.topic_by_name("assigned").expect("made").partitions.len(), 2);
}

#[test]
fn defaults_stand_in_for_minus_one() {
    let mut world = World::new("num.partitions=5");
    world.create_one(topic("t", -1, -1)).expect("new");
    let made = world.image.topic_by_name("t").expect("made");
    assert_eq!(made.partitions.iter().map(|partition| partition.shard.0).collect::<Vec<_>>(), [0, 1, 0, 1, 0]);
    assert!(!made.internal && made.partitions.iter().all(|partition| partition.leader_epoch.0 == 0));
    let mut three = World::new("default.replication.factor=3");
    assert_eq!(three.create_one(topic("t", 1, -1)).expect_err("three").0, Code::InvalidReplicationFactor);
}

#[test]
fn topics_of_one_request_know_of_each_other() {
    let mut world = World::new("");
    let answers = world.create(&[
        topic("a", 1, 1),
        topic("twice", 1, 1),
        topic("twice", 2, 1),
        topic("b.c", 1, 1),
        topic("b_c", 1, 1),
    ]);
    let codes: Vec<_> = answers.iter().map(|answer| answer.as_ref().map_err(|(code, _)| *code).copied()).collect();
    let twice = Err(Code::InvalidRequest);
    assert_eq!(codes, [Ok(()), twice, twice, Ok(()), Err(Code::InvalidTopicException)]);
    let halves = [topic("x", 6_000, 1), topic("y", 6_000, 1)];
    assert!(world.create(&halves).iter().all(|answer| matches!(answer, Err((Code::PolicyViolation, _)))));
}

#[test]
fn a_host_takes_only_so_many_partitions() {
    let mut world = World::new("duramen.partitions.max=5");
    let answers = world.create(&[topic("a", 3, 1), topic("b", 3, 1), topic("c", 2, 1)]);
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    let more = CreatePartitions { name: "a".to_string(), count: 4, assignments: None };
    assert_eq!(world.partitions(more).expect_err("full").0, Code::PolicyViolation);
}

#[test]
fn first_use_makes_topics_if_it_may() {
    let id = TopicId(uuid::Uuid::from_u128(9));
    let world = World::new("num.partitions=3");
    let made = world.decide(|context| auto_create_topic(context, "t", id)).expect("made");
    assert_eq!((made.topic_id, made.partitions.len()), (id, 3));
    let refused = world.decide(|context| auto_create_topic(context, "a b", id)).expect_err("a name");
    assert_eq!(refused.code, Code::InvalidTopicException);

    let closed = World::new("auto.create.topics.enable=false");
    let refused = closed.decide(|context| auto_create_topic(context, "t", id)).expect_err("closed");
    assert_eq!(refused.code, Code::UnknownTopicOrPartition);
    let offsets = closed.decide(|context| auto_create_topic(context, CONSUMER_OFFSETS, id)).expect("always");
    assert_eq!(offsets.partitions.len(), 50);
    assert_eq!(offsets.configs["cleanup.policy"], "compact");
    assert_eq!(offsets.configs["segment.bytes"], "104857600");
}

#[test]
fn internal_topics_are_known_as_such() {
    let mut world = World::new("offsets.topic.num.partitions=4");
    let made = world.decide(|context| offsets_topic(context, TopicId::default())).expect("made");
    world.image.apply(&made.into()).expect("fits");
    let topic = world.image.topic_by_name(CONSUMER_OFFSETS).expect("made");
    assert!(topic.internal);
    assert_eq!(topic.partitions.len(), 4);
}

#[test]
fn partitions_are_refused_as_by_kafka() {
    let mut world = World::new("");
    world.create_one(topic("t", 2, 1)).expect("new");
    let ask = |name: &str, count, assignments: Option<&[&[i32]]>| CreatePartitions {
        name: name.to_string(),
        count,
        assignments: assignments.map(|all| all.iter().map(|replicas| replicas.to_vec()).collect()),
    };
    let no_increase = |count| format!("The topic t currently has 2 partition(s); {count} would not be an increase.");
    let manual = "The manual partition assignment includes";
    for (request, code, message) in [
        (ask("t", 1, None), Code::InvalidPartitions, no_increase(1)),
        (ask("t", -1, None), Code::InvalidPartitions, no_increase(-1)),
        (ask("t", 2, None), Code::InvalidPartitions, "Topic already has 2 partition(s).".to_string()),
        (
            ask("nope", 3, None),
            Code::UnknownTopicOrPartition,
            "This server does not host this topic-partition.".to_string(),
        ),
        (
            ask("t", 4, Some(&[&[1]])),
            Code::InvalidReplicaAssignment,
            "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.".to_string(),
        ),
        (
            ask("t", 3, Some(&[&[7]])),
            Code::InvalidReplicaAssignment,
            format!("{manual} broker 7, but no such broker is registered."),
        ),
        (ask("t", 3, Some(&[&[]])), Code::InvalidReplicaAssignment, format!("{manual} an empty replica list.")),
        (
            ask("t", 3, Some(&[&[1, 1]])),
            Code::InvalidReplicaAssignment,
            format!("{manual} the broker 1 more than once."),
        ),
        (
            ask("t", 20_000, None),
            Code::PolicyViolation,
            "Excessively large number of partitions per request.".to_string(),
        ),
    ] {
        assert_eq!(world.partitions(request.clone()), Err((code, message)), "{request:?}");
    }
    assert_eq!(world.partitions(ask("t", 5, None)), Ok(3));
    assert_eq!(world.partitions(ask("t", 3, Some(&[&[1]]))), Ok(1));
}

#[test]
fn topics_are_deleted_by_name_or_id_once() {
    let mut world = World::new("");
    world.create_one(topic("t", 2, 1)).expect("new");
    let id = world.image.topic_by_name("t").expect("made").id;
    let by_name = |name: &str| TopicSelector::Name(name.to_string());
    let all = [by_name("t"), TopicSelector::Id(id), by_name("nope"), TopicSelector::Id(TopicId(uuid::Uuid::max()))];
    let answers = world.decide(|context| delete_topics(context, &all));
    let codes: Vec<_> = answers.iter().map(|answer| answer.as_ref().map_err(|refusal| refusal.code)).collect();
    assert_eq!(codes[1..], [Err(Code::InvalidRequest), Err(Code::UnknownTopicOrPartition), Err(Code::UnknownTopicId)]);
    world.image.apply(&answers[0].clone().expect("there").into()).expect("fits");
    assert!(world.image.topic(id).is_none() && world.image.topic_by_name("t").is_none());
    assert_eq!(world.image.partition_count(), 0);

    let closed = World::new("delete.topic.enable=false");
    let refused = closed.decide(|context| delete_topics(context, &[by_name("t")])).remove(0).expect_err("closed");
    assert_eq!(refused.code, Code::TopicDeletionDisabled);
}

#[test]
fn settings_change_and_are_forgotten() {
    let mut world = World::new("");
    world.create_one(topic("t", 1, 1)).expect("new");
    let set = |name: &str, value: &str| {
        [Operation { name: name.to_string(), kind: OperationKind::Set, value: Some(value.to_string()) }]
    };
    let target = Target::parse(2, "t", 1).expect("a topic");
    let alter = |world: &World, target: &Target, steps: &[Operation]| {
        world.decide(|context| alter_configs_incrementally(context, target, steps))
    };
    let change = alter(&world, &target, &set("retention.ms", "5")).expect("valid").expect("a change");
    world.image.apply(&change).expect("fits");
    assert_eq!(world.image.topic_by_name("t").expect("made").configs["retention.ms"], "5");
    assert_eq!(alter(&world, &target, &set("retention.ms", "5")), Ok(None), "nothing changes");

    let cluster = Target::parse(4, "", 1).expect("all brokers");
    let change = alter(&world, &cluster, &set("log.retention.ms", "7")).expect("valid").expect("a change");
    world.image.apply(&change).expect("fits");
    assert_eq!(world.image.configs(&Owner::Cluster)["log.retention.ms"], "7");
    let empty = world.decide(|context| alter_configs_fully(context, &cluster, &[])).expect("valid").expect("a change");
    world.image.apply(&empty).expect("fits");
    assert_eq!(world.image.config_owners().count(), 0);
}

#[test]
fn targets_are_refused_as_by_kafka() {
    let refused = |kind, name: &str| Target::parse(kind, name, 1).expect_err(name).message;
    assert_eq!(refused(2, ""), "Default topic resources are not allowed.");
    assert_eq!(refused(4, "9"), "Unexpected broker id, expected 1, but received 9");
    assert_eq!(refused(4, "x"), "Node id must be an integer, but it is: x");
    assert_eq!(refused(32, ""), "Default group resources are not allowed.");
    assert_eq!(refused(16, ""), "Subscription name can't be empty");
    assert_eq!(refused(99, "x"), "Unknown resource type 99");
    let world = World::new("");
    for (name, code, message) in [
        ("nope", Code::UnknownTopicOrPartition, "The topic 'nope' does not exist."),
        (
            "a b",
            Code::InvalidTopicException,
            "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' \
             and '-'",
        ),
    ] {
        let target = Target::parse(2, name, 1).expect("a topic");
        let refusal = world.decide(|context| alter_configs_fully(context, &target, &[])).expect_err(name);
        assert_eq!((refusal.code, refusal.message.as_str()), (code, message));
    }
}

#[test]
fn resources_are_described_or_refused_as_by_kafka() {
    let mut world = World::new("");
    world.create_one(with_config(topic("t", 1, 1), "retention.ms", "5")).expect("new");
    let describe = |kind, name: &str, names: Option<&[String]>| {
        world.decide(|context| describe_configs(context, kind, name, names))
    };
    for (kind, name, code, message) in [
        (2, "nope", Code::UnknownTopicOrPartition, ""),
        (2, "", Code::InvalidTopicException, "Topic name is invalid: the empty string is not allowed"),
        (4, "9", Code::InvalidRequest, "Unexpected broker id, expected 1 or empty string, but received 9"),
        (4, "x", Code::InvalidRequest, "Broker id must be an integer, but it is: x"),
        (16, "", Code::InvalidRequest, "Client metrics subscription name must not be empty"),
        (32, "", Code::InvalidRequest, "Group name must not be empty"),
        (99, "x", Code::InvalidRequest, "Unsupported resource type: 99"),
    ] {
        let refusal = describe(kind, name, None).expect_err(name);
        assert_eq!((refusal.code, refusal.message.as_str()), (code, message));
    }
    let names = ["retention.ms".to_string(), "unknown".to_string()];
    let entries = describe(2, "t", Some(&names)).expect("there");
    assert_eq!(entries.iter().map(|entry| entry.value.as_deref()).collect::<Vec<_>>(), [Some("5")]);
    assert!(describe(4, "1", None).expect("this broker").len() > 340);
    assert!(describe(4, "", None).expect("all brokers").is_empty());
    assert_eq!(describe(32, "g", None).expect("any group").len(), 17);
    assert_eq!(describe(16, "m", None).expect("any subscription").len(), 3);
}

#[test]
fn partitions_move_to_shards_that_exist() {
    let mut world = World::new("");
    world.create_one(topic("t", 2, 1)).expect("new");
    let id = world.image.topic_by_name("t").expect("made").id;
    let decide = |name: &str, partition, shard| {
        world.decide(|context| move_partition(context, name, PartitionIndex(partition), ShardId(shard)))
    };
    let moved = PartitionMoved { topic_id: id, partition: PartitionIndex(0), shard: ShardId(1) };
    assert_eq!(decide("t", 0, 1), Ok(Some(moved)));
    assert_eq!(decide("t", 1, 1), Ok(None), "it is there");
    assert_eq!(decide("t", 0, 2).expect_err("no shard").code, Code::InvalidRequest);
    assert_eq!(decide("t", 2, 0).expect_err("no partition").code, Code::UnknownTopicOrPartition);
    assert_eq!(decide("t", -1, 0).expect_err("no partition").code, Code::UnknownTopicOrPartition);
    assert_eq!(decide("u", 0, 0).expect_err("no topic").code, Code::UnknownTopicOrPartition);
}

#[test]
fn new_partitions_go_where_there_is_less_to_do() {
    let mut world = World::new("");
    world.create_one(topic("t", 2, 1)).expect("new");
    let busy = |first, second| [first, second].map(|bytes_per_second| ShardLoad { bytes_per_second });
    for (loads, idle) in [(busy(1 << 20, 0), 1), (busy(0, 1 << 20), 0)] {
        let none = Configs::new();
        let broker = Broker::new(&world.settings, &none, &none);
        let layers = world.image.layers(&world.settings, broker.node_id);
        let context = Context { image: &world.image, broker: &broker, layers, loads: &loads };
        let made = create_topics(&context, &[topic("u", 1, 1)]).remove(0).expect("new");
        assert_eq!(made.partitions[0].shard, ShardId(idle));
        let more = CreatePartitions { name: "t".to_string(), count: 3, assignments: None };
        let added = create_partitions(&context, &[more]).remove(0).expect("one more");
        assert_eq!(added.partitions[0].shard, ShardId(idle));
    }
}

#[test]
fn producer_ids_are_never_given_out_twice() {
    let mut world = World::new("");
    let mut next = 0;
    for _ in 0..3 {
        let (block, change) = allocate_producer_ids(&world.image).expect("plenty");
        assert_eq!((block.first, block.end), (next, next + PRODUCER_IDS_PER_BLOCK));
        world.image.apply(&change.into()).expect("fits");
        next = block.end;
    }
    let (_, change) = allocate_producer_ids(&World::new("").image).expect("plenty");
    world.image.apply(&change.into()).expect_err("ids that were given out");
}

#[test]
fn a_start_raises_epochs_only_when_unclean() {
    let mut world = World::new("");
    assert!(start(&world.image, 2, true).is_empty(), "there is no partition yet");
    world.create_one(topic("t", 3, 1)).expect("new");
    assert!(start(&world.image, 2, false).is_empty());
    for change in start(&world.image, 1, true) {
        world.image.apply(&change).expect("fits");
    }
    assert!(world.image.partitions().all(|(_, partition)| partition.leader_epoch.0 == 1 && partition.shard.0 == 0));
}
