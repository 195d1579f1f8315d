//! Point 28, the topics' side: making, growing and deleting them.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::CreatableReplicaAssignment;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{BrokerId, CreatePartitionsRequest, DeleteTopicsRequest};
use uuid::Uuid;

use crate::broker::shared;
use crate::requests::*;
use crate::wire::Client;

pub fn delete(client: &mut Client, topic: &str) -> Option<ResponseError> {
    let state = DeleteTopicState::default().with_name(Some(topic_name(topic)));
    let request = DeleteTopicsRequest::default().with_topics(vec![state]).with_timeout_ms(30_000);
    error(client.call(6, &request).responses[0].error_code)
}

fn create(
    client: &mut Client,
    topic: kafka_protocol::messages::create_topics_request::CreatableTopic,
) -> Option<ResponseError> {
    error(client.call(7, &create_request(vec![topic])).topics[0].error_code)
}

#[test]
fn minus_1_means_the_brokers_defaults() {
    let broker = shared();
    let mut client = broker.connect();
    for version in 4..=7 {
        let topic = creatable(&fresh("t"), -1, &[]).with_replication_factor(-1);
        let made = client.call(version, &create_request(vec![topic])).topics.remove(0);
        assert_eq!(error(made.error_code), None, "version {version}");
        if version >= 5 {
            assert_eq!((made.num_partitions, made.replication_factor), (1, 1));
        }
    }
}

#[test]
fn an_existing_topic_is_told() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    assert_eq!(create(&mut client, creatable(&topic, 1, &[])), Some(ResponseError::TopicAlreadyExists));
}

#[test]
fn names_that_collide_in_metrics_are_refused() {
    let broker = shared();
    let mut client = broker.connect();
    let name = fresh("a.b");
    assert_eq!(create(&mut client, creatable(&name, 1, &[])), None);
    let colliding = name.replacen('.', "_", 1);
    assert_eq!(create(&mut client, creatable(&colliding, 1, &[])), Some(ResponseError::InvalidTopicException));
}

#[test]
fn a_topic_named_twice_in_a_request_is_an_invalid_request() {
    let broker = shared();
    let mut client = broker.connect();
    let name = fresh("t");
    let twice = vec![creatable(&name, 1, &[]), creatable(&name, 1, &[])];
    let response = client.call(7, &create_request(twice));
    assert!(response.topics.iter().all(|topic| error(topic.error_code) == Some(ResponseError::InvalidRequest)));
    assert_eq!(error(describe(&mut client, &name).error_code), Some(ResponseError::UnknownTopicOrPartition));
}

#[test]
fn counts_and_factors_that_cannot_be_are_refused() {
    let broker = shared();
    let mut client = broker.connect();
    assert_eq!(create(&mut client, creatable(&fresh("t"), 0, &[])), Some(ResponseError::InvalidPartitions));
    let three = creatable(&fresh("t"), 1, &[]).with_replication_factor(3);
    assert_eq!(create(&mut client, three), Some(ResponseError::InvalidReplicationFactor));
    let none = creatable(&fresh("t"), 1, &[]).with_replication_factor(0);
    assert_eq!(create(&mut client, none), Some(ResponseError::InvalidReplicationFactor));
    let nowhere = CreatableReplicaAssignment::default().with_broker_ids(vec![BrokerId(12_345)]);
    let assigned = creatable(&fresh("t"), -1, &[]).with_replication_factor(-1).with_assignments(vec![nowhere]);
    assert_eq!(create(&mut client, assigned), Some(ResponseError::InvalidReplicaAssignment));
}

#[test]
fn unknown_or_malformed_settings_are_an_invalid_config() {
    let broker = shared();
    let mut client = broker.connect();
    for setting in [("no.such.setting", "1"), ("retention.ms", "soon"), ("cleanup.policy", "shred")] {
        let code = create(&mut client, creatable(&fresh("t"), 1, &[setting]));
        assert_eq!(code, Some(ResponseError::InvalidConfig), "{setting:?}");
    }
}

#[test]
fn create_topics_7_answers_with_the_id_and_the_settings() {
    let broker = shared();
    let mut client = broker.connect();
    let name = fresh("t");
    let made = client.call(7, &create_request(vec![creatable(&name, 2, &[("retention.ms", "1000")])])).topics.remove(0);
    assert_ne!(made.topic_id, Uuid::nil());
    let configs = made.configs.unwrap();
    let retention = configs.iter().find(|config| &*config.name == "retention.ms").unwrap();
    assert_eq!((retention.value.as_deref(), retention.config_source), (Some("1000"), 1));
    assert!(configs.iter().any(|config| &*config.name == "cleanup.policy" && config.config_source == 5));
}

#[test]
fn topics_are_deleted_by_name_or_by_id() {
    let broker = shared();
    let mut client = broker.connect();
    let (by_name, by_id) = (topic(&mut client), topic(&mut client));
    assert_eq!(delete(&mut client, &by_name), None);
    let state = DeleteTopicState::default().with_name(None).with_topic_id(topic_id(&mut client, &by_id));
    let request = DeleteTopicsRequest::default().with_topics(vec![state]).with_timeout_ms(30_000);
    let deleted = client.call(6, &request).responses.remove(0);
    assert_eq!((error(deleted.error_code), deleted.name), (None, Some(topic_name(&by_id))));
    assert!(eventually(|| describe(&mut client, &by_id).error_code != 0));
    assert_eq!(error(client.call(6, &request).responses[0].error_code), Some(ResponseError::UnknownTopicId));
    assert_eq!(delete(&mut client, &by_name), Some(ResponseError::UnknownTopicOrPartition));
}

#[test]
fn partitions_only_grow_in_number() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic_with(&mut client, 2, &[]);
    let mut grow = |name: &str, count| {
        let topic =
            CreatePartitionsTopic::default().with_name(topic_name(name)).with_count(count).with_assignments(None);
        let request = CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
        error(client.call(3, &request).results[0].error_code)
    };
    assert_eq!(grow(&topic, 1), Some(ResponseError::InvalidPartitions));
    assert_eq!(grow(&topic, 2), Some(ResponseError::InvalidPartitions));
    assert_eq!(grow(&topic, 5), None);
    assert_eq!(grow(&fresh("none"), 5), Some(ResponseError::UnknownTopicOrPartition));
    assert!(eventually(|| describe(&mut client, &topic).partitions.len() == 5));
}
