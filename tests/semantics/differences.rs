//! What answers otherwise than Kafka on purpose; `docs/COMPATIBILITY.md` has the reasons.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::DescribeAclsRequest;

use crate::broker::{is_other, shared};
use crate::configs::{BROKER, TOPIC, altering, setting};
use crate::requests::*;
use crate::wire::Client;

const SET: i8 = 0;
const DEFAULT_CONFIG: i8 = 5;

fn set(client: &mut Client, kind: i8, name: &str, key: &str, value: &str) -> Option<ResponseError> {
    error(client.call(1, &altering(kind, name, SET, key, Some(value))).responses[0].error_code)
}

#[test]
fn log_append_time_and_recompression_are_refused() {
    if is_other() {
        return;
    }
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    for (key, value) in [("message.timestamp.type", "LogAppendTime"), ("compression.type", "zstd")] {
        assert_eq!(set(&mut client, TOPIC, &topic, key, value), Some(ResponseError::InvalidConfig), "{key}");
        let made = client.call(7, &create_request(vec![creatable(&fresh("t"), 1, &[(key, value)])]));
        assert_eq!(error(made.topics[0].error_code), Some(ResponseError::InvalidConfig), "{key}");
    }
    assert_eq!(set(&mut client, TOPIC, &topic, "compression.type", "producer"), None);
}

#[test]
fn unknown_settings_of_a_broker_are_refused() {
    if is_other() {
        return;
    }
    let broker = shared();
    let mut client = broker.connect();
    let code = set(&mut client, BROKER, "", "no.such.setting", "1");
    assert_eq!(code, Some(ResponseError::InvalidConfig));
}

#[test]
fn min_insync_replicas_is_a_default() {
    if is_other() {
        return;
    }
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let found = setting(&mut client, TOPIC, &topic, "min.insync.replicas");
    assert_eq!((found.value.as_deref(), found.config_source), (Some("1"), DEFAULT_CONFIG));
}

#[test]
fn a_compacted_topic_is_kept_whole_and_wants_keys() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic_with(&mut client, 1, &[("cleanup.policy", "compact")]);
    let without_key = batch_at(&[now_ms()]);
    assert_eq!(refusal(&mut client, &topic, without_key), Some(ResponseError::InvalidRecord));
    assert_eq!(append(&mut client, &topic, batch(2)), 0);
}

#[test]
fn a_maximum_timestamp_beyond_the_limit_is_invalid_though_no_record_has_it() {
    if is_other() {
        return;
    }
    const MAX_TIMESTAMP_AT: usize = 35;
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let mut records = batch(1);
    records[MAX_TIMESTAMP_AT..][..8].copy_from_slice(&i64::MAX.to_be_bytes());
    seal(&mut records);
    assert_eq!(refusal(&mut client, &topic, records), Some(ResponseError::InvalidTimestamp));
}

#[test]
fn acls_are_disabled() {
    let broker = shared();
    let mut client = broker.connect();
    const ANY: i8 = 1;
    let request = DescribeAclsRequest::default()
        .with_resource_type_filter(ANY)
        .with_pattern_type_filter(ANY)
        .with_operation(ANY)
        .with_permission_type(ANY);
    assert_eq!(error(client.call(3, &request).error_code), Some(ResponseError::SecurityDisabled));
}
