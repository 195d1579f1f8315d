//! Point 30: what DescribeConfigs tells of a setting, and how settings change.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};

use crate::broker::shared;
use crate::requests::*;
use crate::wire::{Client, text};

pub const TOPIC: i8 = 2;
pub const BROKER: i8 = 4;

const DYNAMIC_TOPIC_CONFIG: i8 = 1;
const STATIC_BROKER_CONFIG: i8 = 4;
const DEFAULT_CONFIG: i8 = 5;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;

const LONG: i8 = 5;
const LIST: i8 = 7;

fn describing(kind: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsRequest {
    let keys = keys.map(|keys| keys.iter().map(|key| text(key)).collect());
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(keys);
    DescribeConfigsRequest::default().with_resources(vec![resource])
}

fn described(client: &mut Client, kind: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResult {
    client.call(4, &describing(kind, name, keys)).results.remove(0)
}

/// One setting of a topic or broker.
pub fn setting(client: &mut Client, kind: i8, name: &str, key: &str) -> DescribeConfigsResourceResult {
    described(client, kind, name, Some(&[key])).configs.remove(0)
}

pub fn altering(kind: i8, name: &str, operation: i8, key: &str, value: Option<&str>) -> IncrementalAlterConfigsRequest {
    let config =
        AlterableConfig::default().with_name(text(key)).with_config_operation(operation).with_value(value.map(text));
    let resource = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(vec![config]);
    IncrementalAlterConfigsRequest::default().with_resources(vec![resource])
}

fn alter(client: &mut Client, request: &IncrementalAlterConfigsRequest) -> Option<ResponseError> {
    error(client.call(1, request).responses[0].error_code)
}

fn node_id(client: &mut Client) -> String {
    let topic = topic(client);
    describe(client, &topic).partitions[0].leader_id.0.to_string()
}

#[test]
fn a_setting_tells_where_it_comes_from() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic_with(&mut client, 1, &[("retention.ms", "86400000")]);
    let own = setting(&mut client, TOPIC, &topic, "retention.ms");
    assert_eq!((own.value.as_deref(), own.config_source), (Some("86400000"), DYNAMIC_TOPIC_CONFIG));
    let default = setting(&mut client, TOPIC, &topic, "cleanup.policy");
    assert_eq!((default.value.as_deref(), default.config_source), (Some("delete"), DEFAULT_CONFIG));
    assert!(!default.read_only && !default.is_sensitive);
}

#[test]
fn synonyms_come_only_when_asked_for() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic_with(&mut client, 1, &[("retention.bytes", "1000000")]);
    let request = describing(TOPIC, &topic, Some(&["retention.bytes"]));
    for version in 1..=4 {
        let without = client.call(version, &request).results.remove(0);
        assert!(without.configs[0].synonyms.is_empty(), "version {version}");
        let with = client.call(version, &request.clone().with_include_synonyms(true)).results.remove(0);
        let synonyms = with.configs[0].synonyms.iter();
        let synonyms = synonyms.map(|synonym| (&*synonym.name, synonym.value.as_deref(), synonym.source));
        let expected = [
            ("retention.bytes", Some("1000000"), DYNAMIC_TOPIC_CONFIG),
            ("log.retention.bytes", Some("-1"), DEFAULT_CONFIG),
        ];
        assert_eq!(synonyms.collect::<Vec<_>>(), expected, "version {version}");
    }
}

#[test]
fn types_come_from_version_3_on() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let request = describing(TOPIC, &topic, Some(&["retention.ms"]));
    assert_eq!(client.call(2, &request).results[0].configs[0].config_type, 0);
    for version in [3, 4] {
        assert_eq!(client.call(version, &request).results[0].configs[0].config_type, LONG);
    }
    assert_eq!(setting(&mut client, TOPIC, &topic, "cleanup.policy").config_type, LIST);
}

#[test]
fn documentation_comes_only_when_asked_for() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let request = describing(TOPIC, &topic, Some(&["retention.ms"]));
    let told = |response: &kafka_protocol::messages::DescribeConfigsResponse| {
        response.results[0].configs[0].documentation.as_ref().is_some_and(|text| !text.is_empty())
    };
    assert!(!told(&client.call(4, &request)));
    assert!(told(&client.call(4, &request.with_include_documentation(true))));
}

#[test]
fn null_keys_mean_all_settings() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let all = described(&mut client, TOPIC, &topic, None).configs;
    for key in ["cleanup.policy", "retention.ms", "max.message.bytes", "compression.type", "min.insync.replicas"] {
        assert!(all.iter().any(|config| &*config.name == key), "{key}");
    }
}

#[test]
fn advertised_listeners_are_static_and_read_only() {
    let broker = shared();
    let mut client = broker.connect();
    let node = node_id(&mut client);
    let listeners = setting(&mut client, BROKER, &node, "advertised.listeners");
    assert_eq!((listeners.config_source, listeners.read_only), (STATIC_BROKER_CONFIG, true));
}

#[test]
fn settings_that_mean_nothing_here_are_known() {
    let broker = shared();
    let mut client = broker.connect();
    let node = node_id(&mut client);
    let threads = setting(&mut client, BROKER, &node, "background.threads");
    assert_eq!((threads.value.as_deref(), threads.read_only), (Some("10"), false));
    let kerberos = setting(&mut client, BROKER, &node, "sasl.kerberos.min.time.before.relogin");
    assert_eq!((kerberos.value.as_deref(), kerberos.config_type), (Some("60000"), LONG));
}

#[test]
fn sensitive_values_are_not_told() {
    let broker = shared();
    let mut client = broker.connect();
    let node = node_id(&mut client);
    let password = setting(&mut client, BROKER, &node, "ssl.key.password");
    assert_eq!((password.is_sensitive, password.value), (true, None));
}

#[test]
fn unknown_resources_are_told() {
    let broker = shared();
    let mut client = broker.connect();
    let none = described(&mut client, TOPIC, &fresh("none"), None);
    assert_eq!(error(none.error_code), Some(ResponseError::UnknownTopicOrPartition));
    let other = described(&mut client, BROKER, "12345", None);
    assert_eq!(error(other.error_code), Some(ResponseError::InvalidRequest));
}

#[test]
fn a_topics_settings_change_while_it_runs() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    assert_eq!(alter(&mut client, &altering(TOPIC, &topic, SET, "max.message.bytes", Some("100"))), None);
    assert!(eventually(|| refusal(&mut client, &topic, batch(10)) == Some(ResponseError::MessageTooLarge)));
    assert_eq!(setting(&mut client, TOPIC, &topic, "max.message.bytes").value.as_deref(), Some("100"));
    assert_eq!(alter(&mut client, &altering(TOPIC, &topic, DELETE, "max.message.bytes", None)), None);
    assert!(eventually(|| refusal(&mut client, &topic, batch(10)).is_none()));
    let default = setting(&mut client, TOPIC, &topic, "max.message.bytes");
    assert_eq!((default.value.as_deref(), default.config_source), (Some("1048588"), DEFAULT_CONFIG));
}

#[test]
fn a_list_can_be_appended_to() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    assert_eq!(alter(&mut client, &altering(TOPIC, &topic, APPEND, "cleanup.policy", Some("compact"))), None);
    let appended = |client: &mut Client| {
        setting(client, TOPIC, &topic, "cleanup.policy").value.as_deref() == Some("delete,compact")
    };
    assert!(eventually(|| appended(&mut client)));
    let number = altering(TOPIC, &topic, APPEND, "retention.ms", Some("1"));
    assert_eq!(alter(&mut client, &number), Some(ResponseError::InvalidConfig));
}

#[test]
fn what_cannot_be_is_refused_whole() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    for (key, value) in [("no.such.setting", "1"), ("retention.ms", "soon"), ("retention.ms", "-2")] {
        let code = alter(&mut client, &altering(TOPIC, &topic, SET, key, Some(value)));
        assert_eq!(code, Some(ResponseError::InvalidConfig), "{key}={value}");
    }
    let node = node_id(&mut client);
    let read_only = altering(BROKER, &node, SET, "advertised.listeners", Some("PLAINTEXT://elsewhere:1"));
    assert_eq!(alter(&mut client, &read_only), Some(ResponseError::InvalidRequest));
    let none = altering(TOPIC, &fresh("none"), SET, "retention.ms", Some("1"));
    assert_eq!(alter(&mut client, &none), Some(ResponseError::UnknownTopicOrPartition));
}
