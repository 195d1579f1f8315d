//! Point 32: `validate_only` is honoured by each API that has it.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::{AlterConfigsRequest, CreatePartitionsRequest};

use crate::broker::shared;
use crate::configs::{TOPIC, altering, setting};
use crate::requests::*;
use crate::wire::text;

const DEFAULT_RETENTION: Option<&str> = Some("604800000");

#[test]
fn create_topics_makes_nothing() {
    let broker = shared();
    let mut client = broker.connect();
    let name = fresh("t");
    let request = create_request(vec![creatable(&name, 3, &[])]).with_validate_only(true);
    let answer = client.call(7, &request).topics.remove(0);
    assert_eq!((error(answer.error_code), answer.num_partitions), (None, 3));
    assert_eq!(error(describe(&mut client, &name).error_code), Some(ResponseError::UnknownTopicOrPartition));
    let bad = create_request(vec![creatable(&name, 0, &[])]).with_validate_only(true);
    assert_eq!(error(client.call(7, &bad).topics[0].error_code), Some(ResponseError::InvalidPartitions));
}

#[test]
fn create_partitions_adds_none() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let mut grow = |count| {
        let topic =
            CreatePartitionsTopic::default().with_name(topic_name(&topic)).with_count(count).with_assignments(None);
        let request = CreatePartitionsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(30_000)
            .with_validate_only(true);
        error(client.call(3, &request).results[0].error_code)
    };
    assert_eq!(grow(4), None);
    assert_eq!(grow(1), Some(ResponseError::InvalidPartitions));
    assert_eq!(describe(&mut client, &topic).partitions.len(), 1);
}

#[test]
fn incremental_alter_configs_changes_nothing() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let mut alter = |value| {
        let request = altering(TOPIC, &topic, 0, "retention.ms", Some(value)).with_validate_only(true);
        error(client.call(1, &request).responses[0].error_code)
    };
    assert_eq!(alter("1000"), None);
    assert_eq!(alter("soon"), Some(ResponseError::InvalidConfig));
    assert_eq!(setting(&mut client, TOPIC, &topic, "retention.ms").value.as_deref(), DEFAULT_RETENTION);
}

#[test]
fn alter_configs_changes_nothing() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let mut alter = |value| {
        let config = AlterableConfig::default().with_name(text("retention.ms")).with_value(Some(text(value)));
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(&topic))
            .with_configs(vec![config]);
        let request = AlterConfigsRequest::default().with_resources(vec![resource]).with_validate_only(true);
        error(client.call(2, &request).responses[0].error_code)
    };
    assert_eq!(alter("1000"), None);
    assert_eq!(alter("soon"), Some(ResponseError::InvalidConfig));
    assert_eq!(setting(&mut client, TOPIC, &topic, "retention.ms").value.as_deref(), DEFAULT_RETENTION);
}
