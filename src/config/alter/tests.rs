//! What a change of settings does, and which are refused, in Kafka's words.

use super::super::settings::Settings;
use super::OperationKind::{Append, Delete, Set, Subtract};
use super::*;

fn configs(pairs: &[(&str, &str)]) -> Configs {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn alter(
    resource: Resource,
    stored: &[(&str, &str)],
    steps: &[(OperationKind, &str, Option<&str>)],
) -> Result<Configs, String> {
    let (settings, none) = (Settings::from_sources(None, &[]).expect("valid"), Configs::new());
    let operations: Vec<Operation> = steps
        .iter()
        .map(|(kind, name, value)| Operation { name: name.to_string(), kind: *kind, value: value.map(str::to_string) })
        .collect();
    alter_incrementally(resource, &configs(stored), &operations, &settings.layers(&none, &none)).map_err(|refusal| {
        match refusal {
            Refusal::InvalidConfig(text) => format!("config: {text}"),
            Refusal::InvalidRequest(text) => format!("request: {text}"),
        }
    })
}

/// The resource, the step and Kafka 4.3.1's answer to it.
#[test]
fn refusals_are_kafkas() {
    use Resource::{Broker, ClientMetrics, Cluster, Group, Topic};
    let cluster_level = "request: Cannot update these configs at default cluster level, broker id must be specified";
    for (resource, (kind, name, value), expected) in [
        (Topic, (Set, "foo", Some("1")), "config: Unknown topic config name: foo".to_string()),
        (
            Topic,
            (Set, "retention.ms", Some("abc")),
            "config: Invalid value abc for configuration retention.ms: Not a number of type LONG".to_string(),
        ),
        (
            Topic,
            (Append, "retention.ms", Some("5")),
            "config: Can't APPEND to key retention.ms because its type is not LIST.".to_string(),
        ),
        (
            Topic,
            (Subtract, "retention.ms", Some("5")),
            "config: Can't SUBTRACT to key retention.ms because its type is not LIST.".to_string(),
        ),
        (
            Topic,
            (Append, "cleanup.policy", Some("foo")),
            "config: Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete"
                .to_string(),
        ),
        (Topic, (Set, "retention.ms", None), "request: Null value not supported for : retention.ms".to_string()),
        (
            Broker,
            (Set, "node.id", Some("2")),
            "request: Cannot update these configs dynamically: [node.id]".to_string(),
        ),
        (
            Cluster,
            (Set, "num.partitions", Some("2")),
            "request: Cannot update these configs dynamically: [num.partitions]".to_string(),
        ),
        (
            Broker,
            (Set, "advertised.listeners", Some("PLAINTEXT://localhost:1")),
            "request: Cannot update these configs dynamically: [advertised.listeners]".to_string(),
        ),
        (
            Broker,
            (Set, "log.retention.ms", Some("abc")),
            "request: Invalid value abc for configuration log.retention.ms: Not a number of type LONG".to_string(),
        ),
        (
            Cluster,
            (Append, "log.retention.ms", Some("7000")),
            "config: Config value append is not allowed for config key: log.retention.ms".to_string(),
        ),
        (
            Cluster,
            (Set, "background.threads", Some("0")),
            "request: Invalid value 0 for configuration background.threads: Value must be at least 1".to_string(),
        ),
        (
            Cluster,
            (Set, "sasl.kerberos.min.time.before.relogin", Some("5")),
            format!("{cluster_level}: [sasl.kerberos.min.time.before.relogin]"),
        ),
        (
            Cluster,
            (Set, "listener.name.out.ssl.keystore.type", Some("JKS")),
            format!("{cluster_level}: [listener.name.out.ssl.keystore.type]"),
        ),
        (
            Cluster,
            (Set, "ssl.keystore.type", Some("JKS")),
            "request: These security configs can be dynamically updated only per-listener using the listener prefix: \
             [ssl.keystore.type]"
                .to_string(),
        ),
        (
            Group,
            (Set, "consumer.session.timeout.ms", Some("1")),
            "config: consumer.session.timeout.ms must be greater than or equal to \
             group.consumer.min.session.timeout.ms"
                .to_string(),
        ),
        (Group, (Set, "foo", Some("1")), "config: Unknown group config name: foo".to_string()),
        (
            ClientMetrics,
            (Set, "interval.ms", Some("1")),
            "request: Invalid value 1 for interval.ms, interval must be between 100 and 3600000 (1 hour)".to_string(),
        ),
        (ClientMetrics, (Set, "foo", Some("1")), "request: Unknown client metrics configuration: foo".to_string()),
    ] {
        assert_eq!(alter(resource, &[], &[(kind, name, value)]), Err(expected));
    }
}

#[test]
fn what_kafka_takes_is_taken() {
    use Resource::{Broker, Cluster, Group, Topic};
    for (resource, kind, name, value) in [
        (Topic, Delete, "foo", None),
        (Topic, Delete, "retention.ms", Some("x")),
        (Broker, Delete, "num.partitions", None),
        (Broker, Set, "background.threads", Some("12")),
        (Cluster, Set, "background.threads", Some("12")),
        (Broker, Set, "sasl.kerberos.min.time.before.relogin", Some("5")),
        (Broker, Set, "listener.name.out.ssl.keystore.type", Some("JKS")),
        (Broker, Set, "leader.replication.throttled.rate", Some("100")),
        (Cluster, Set, "durability", Some("replicated")),
        (Group, Set, "consumer.session.timeout.ms", Some("46000")),
    ] {
        alter(resource, &[], &[(kind, name, value)]).expect(name);
    }
}

#[test]
fn lists_grow_and_shrink_from_their_default() {
    let policy = |stored: &[(&str, &str)], kind, value| {
        alter(Resource::Topic, stored, &[(kind, "cleanup.policy", Some(value))]).expect("valid")["cleanup.policy"]
            .clone()
    };
    assert_eq!(policy(&[], Append, "compact"), "delete,compact");
    assert_eq!(policy(&[("cleanup.policy", "delete")], Append, "delete"), "delete");
    assert_eq!(policy(&[("cleanup.policy", "compact,delete")], Subtract, "delete,compact"), "");
    assert_eq!(policy(&[("cleanup.policy", "")], Append, "compact"), "compact");
}

#[test]
fn a_name_is_altered_once() {
    let twice = [(Set, "retention.ms", Some("1")), (Set, "retention.ms", Some("2"))];
    assert_eq!(alter(Resource::Topic, &[], &twice), Err("request: Error due to duplicate config keys".to_string()));
}

#[test]
fn an_unknown_broker_setting_names_the_nearest() {
    let step = [(Set, "log.retension.ms", Some("1"))];
    assert_eq!(
        alter(Resource::Broker, &[], &step),
        Err("config: Unknown broker config name: log.retension.ms; did you mean log.retention.ms?".to_string())
    );
}

#[test]
fn what_would_break_a_promise_cannot_be_slipped_in() {
    for (resource, name, value) in [
        (Resource::Cluster, "log.message.timestamp.type", "LogAppendTime"),
        (Resource::Broker, "compression.type", "zstd"),
        (Resource::Topic, "message.timestamp.type", "LogAppendTime"),
    ] {
        let refused = alter(resource, &[], &[(Set, name, Some(value))]).expect_err(name);
        assert!(refused.starts_with("config: ") && refused.contains("not offered"), "{refused}");
    }
}

#[test]
fn a_full_change_replaces_what_was_stored() {
    let (settings, none) = (Settings::from_sources(None, &[]).expect("valid"), Configs::new());
    let layers = settings.layers(&none, &none);
    let stored = configs(&[("retention.ms", "1"), ("segment.ms", "2")]);
    let full = [("flush.ms".to_string(), Some("3".to_string()))];
    assert_eq!(alter_fully(Resource::Topic, &stored, &full, &layers), Ok(configs(&[("flush.ms", "3")])));
    let null = [("flush.ms".to_string(), None)];
    assert_eq!(
        alter_fully(Resource::Topic, &stored, &null, &layers),
        Err(Refusal::InvalidRequest("Null value not supported for : flush.ms".to_string()))
    );
}

#[test]
fn a_value_that_is_too_long_is_not_stored() {
    let long = format!("0:{}", "1".repeat(32_766));
    let step = |value| [(Set, "leader.replication.throttled.replicas", Some(value))];
    let refused = alter(Resource::Topic, &[], &step(long.as_str())).expect_err("too long");
    assert!(refused.ends_with("exceeds the maximum value size of 32767 bytes."), "{refused}");
    alter(Resource::Topic, &[], &step(&long[1..].replacen(':', "0:", 1)[..32_767])).expect("as long as it may be");
}
