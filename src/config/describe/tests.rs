//! What DescribeConfigs tells: values, sources and synonyms.

use super::super::settings::Settings;
use super::*;

fn configs(pairs: &[(&str, &str)]) -> Configs {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// The entry of one topic setting: value, source, synonyms as `name=value@source`.
fn topic_entry(
    start: &str,
    own: &[(&str, &str)],
    node: &[(&str, &str)],
    cluster: &[(&str, &str)],
    name: &str,
) -> String {
    let settings = Settings::from_sources(Some(start), &[]).expect("valid");
    let (own, node, cluster) = (configs(own), configs(node), configs(cluster));
    let entries = describe_topic(&own, &settings.layers(&node, &cluster), Some(&[name.to_string()]));
    let [entry] = entries.as_slice() else { panic!("one entry: {entries:?}") };
    assert!(!entry.read_only);
    render(entry)
}

fn broker_entry(start: &str, node: &[(&str, &str)], cluster: &[(&str, &str)], name: &str) -> Entry {
    let settings = Settings::from_sources(Some(start), &[]).expect("valid");
    let (node, cluster) = (configs(node), configs(cluster));
    let mut entries = describe_broker(&settings.layers(&node, &cluster), Some(&[name.to_string()]));
    assert_eq!(entries.len(), 1, "{name}");
    entries.remove(0)
}

fn render(entry: &Entry) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_string());
    let synonyms: Vec<String> = entry
        .synonyms
        .iter()
        .map(|synonym| format!("{}={}@{:?}", synonym.name, text(&synonym.value), synonym.source))
        .collect();
    format!("{} {:?} [{}]", text(&entry.value), entry.source, synonyms.join(", "))
}

/// Each answer here was given by Kafka 4.3.1 to the same settings.
#[test]
fn topics_are_described_as_by_kafka() {
    let t = topic_entry;
    assert_eq!(
        t("", &[("cleanup.policy", "compact,delete")], &[], &[], "cleanup.policy"),
        "compact,delete DynamicTopic [cleanup.policy=compact,delete@DynamicTopic, log.cleanup.policy=delete@Default]"
    );
    assert_eq!(t("", &[], &[], &[], "flush.ms"), "9223372036854775807 Default []");
    assert_eq!(
        t("", &[], &[], &[], "flush.messages"),
        "9223372036854775807 Default [log.flush.interval.messages=9223372036854775807@Default]"
    );
    assert_eq!(
        t("", &[("retention.ms", "1000")], &[], &[], "retention.ms"),
        "1000 DynamicTopic [retention.ms=1000@DynamicTopic]"
    );
    assert_eq!(t("log.roll.hours=3", &[], &[], &[], "segment.ms"), "10800000 Default []");
    assert_eq!(
        t("", &[], &[("log.retention.ms", "-5")], &[("log.retention.ms", "5000")], "retention.ms"),
        "-1 DynamicBroker [log.retention.ms=-5@DynamicBroker, log.retention.ms=5000@DynamicDefaultBroker, \
         log.retention.hours=168@Default]"
    );
    assert_eq!(t("log.retention.hours=-1", &[], &[], &[], "retention.ms"), "-1 Default []");
    assert_eq!(t("", &[], &[], &[], "remote.storage.enable"), "false Default []");
    assert_eq!(t("", &[], &[], &[], "leader.replication.throttled.replicas"), " Default []");
}

#[test]
fn the_broker_is_described_as_by_kafka() {
    let b = |start, name| render(&broker_entry(start, &[], &[], name));
    assert_eq!(
        b("log.retention.hours=24", "log.retention.hours"),
        "24 StaticBroker [log.retention.hours=24@StaticBroker, log.retention.hours=168@Default]"
    );
    assert_eq!(b("", "log.retention.ms"), "null Default []");
    assert_eq!(b("node.id=1", "broker.id"), "1 StaticBroker [broker.id=1@StaticBroker, broker.id=-1@Default]");
    assert_eq!(
        render(&broker_entry("", &[("log.retention.ms", "7")], &[("log.retention.ms", "5000")], "log.retention.ms")),
        "7 DynamicBroker [log.retention.ms=7@DynamicBroker, log.retention.ms=5000@DynamicDefaultBroker, \
         log.retention.hours=168@Default]"
    );
}

#[test]
fn advertised_listeners_are_static_and_read_only() {
    let entry = broker_entry("advertised.listeners=PLAINTEXT://localhost:9092", &[], &[], "advertised.listeners");
    assert_eq!((entry.source, entry.read_only, entry.is_default), (Source::StaticBroker, true, false));
    assert_eq!(entry.value.as_deref(), Some("PLAINTEXT://localhost:9092"));
    assert_eq!(entry.kind, 7);
}

#[test]
fn sensitive_values_are_null_everywhere() {
    let entry = broker_entry("ssl.key.password=secret", &[], &[], "ssl.key.password");
    assert!(entry.sensitive && !entry.is_default);
    assert_eq!(render(&entry), "null StaticBroker [ssl.key.password=null@StaticBroker]");
    let jaas = "listener.name.inside.sasl.jaas.config";
    let entry = broker_entry(&format!("{jaas}=secret"), &[], &[], jaas);
    assert!(!format!("{entry:?}").contains("secret"));
}

#[test]
fn listener_settings_stand_beside_what_they_narrow() {
    let entry =
        broker_entry("listener.name.inside.max.connections=77", &[], &[], "listener.name.inside.max.connections");
    assert_eq!(
        render(&entry),
        "77 StaticBroker [listener.name.inside.max.connections=77@StaticBroker, max.connections=2147483647@Default]"
    );
    assert!(entry.read_only);
}

#[test]
fn all_of_a_broker_is_what_kafka_describes_and_our_own() {
    let (settings, none) = (Settings::from_sources(None, &[]).expect("valid"), Configs::new());
    let entries = describe_broker(&settings.layers(&none, &none), None);
    let ours = |entry: &&Entry| entry.name.starts_with("duramen.") || entry.name == "durability";
    assert_eq!(entries.iter().filter(ours).count() + 340, entries.len());
    assert!(entries.windows(2).all(|pair| pair[0].name < pair[1].name));
    assert!(entries.iter().all(|entry| entry.documentation.is_some()));
    assert_eq!(describe_topic(&none, &settings.layers(&none, &none), None).len(), 33 + 1);
}

#[test]
fn the_cluster_is_described_by_its_changes_alone() {
    let settings = Settings::from_sources(Some("log.retention.ms=1"), &[]).expect("valid");
    let (node, cluster) = (configs(&[("num.io.threads", "9")]), configs(&[("log.retention.ms", "5000")]));
    let entries = describe_cluster(&settings.layers(&node, &cluster), None);
    let [entry] = entries.as_slice() else { panic!("one: {entries:?}") };
    assert_eq!(render(entry), "5000 DynamicDefaultBroker [log.retention.ms=5000@DynamicDefaultBroker]");
}

#[test]
fn groups_are_described_with_their_broker_defaults() {
    let (settings, none) = (Settings::from_sources(None, &[]).expect("valid"), Configs::new());
    let layers = settings.layers(&none, &none);
    let own = configs(&[("consumer.session.timeout.ms", "46000")]);
    let entries = describe_named(Resource::Group, &own, &layers, None);
    assert_eq!(entries.len(), 17);
    let find = |name: &str| render(entries.iter().find(|entry| entry.name == name).expect(name));
    assert_eq!(
        find("consumer.session.timeout.ms"),
        "46000 Group [consumer.session.timeout.ms=46000@Group, group.consumer.session.timeout.ms=45000@Default]"
    );
    assert_eq!(find("share.auto.offset.reset"), "latest Default [share.auto.offset.reset=latest@Default]");
    let metrics = describe_named(Resource::ClientMetrics, &none, &layers, None);
    assert_eq!(metrics.iter().map(render).collect::<Vec<_>>(), ["300000 Default []", " Default []", " Default []"]);
}
