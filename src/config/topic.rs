//! One topic's settings: their effective typed values, and the check of what a client asks for.

use super::catalog;
use super::error::Refusal;
use super::layers::{Configs, Layers, number};
use super::settings::not_offered;
use super::value::{self, Value};

/// The effective settings of one topic. Times are milliseconds; -1 is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub cleanup_policy: CleanupPolicy,
    pub durability: Durability,
    pub retention_ms: i64,
    pub retention_bytes: i64,
    pub segment_bytes: i32,
    pub segment_ms: i64,
    pub segment_jitter_ms: i64,
    pub index_interval_bytes: i32,
    pub max_message_bytes: i32,
    pub message_timestamp_before_max_ms: i64,
    pub message_timestamp_after_max_ms: i64,
    /// `i64::MAX` is never.
    pub flush_messages: i64,
    /// `i64::MAX` is never.
    pub flush_ms: i64,
}

/// What happens to old records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    pub delete: bool,
    pub compact: bool,
}

/// When acks=all is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Once the bytes are on stable storage.
    Fsync,
    /// Once the kernel has them: they survive the death of the process, not the loss of power.
    Replicated,
}

impl Durability {
    /// `default`, or nothing, is `fsync`: a topic has one replica here.
    pub fn resolve(text: Option<&str>) -> Self {
        if text == Some("replicated") { Self::Replicated } else { Self::Fsync }
    }
}

impl Topic {
    /// Computed from the topic's own settings over the broker's.
    pub fn new(own: &Configs, layers: &Layers<'_>) -> Self {
        let long = |name| number(layers.topic_value(own, name));
        let int = |name| i32::try_from(long(name)).unwrap_or(i32::MAX);
        let text = |name| layers.topic_value(own, name).map(|value| value.describe());
        // A topic's "default" asks for the broker's choice, as if it named none.
        let durability = text("durability").filter(|text| text != "default").or_else(|| layers.text("durability"));
        let segment_bytes = match layers.topic_value(own, "internal.segment.bytes") {
            Some(Value::Number(bytes)) => i32::try_from(bytes).unwrap_or(i32::MAX),
            _ => int("segment.bytes"),
        };
        Self {
            cleanup_policy: cleanup_policy(layers.topic_value(own, "cleanup.policy")),
            durability: Durability::resolve(durability.as_deref()),
            retention_ms: long("retention.ms").max(-1),
            retention_bytes: long("retention.bytes").max(-1),
            segment_bytes,
            segment_ms: long("segment.ms"),
            segment_jitter_ms: long("segment.jitter.ms"),
            index_interval_bytes: int("index.interval.bytes"),
            max_message_bytes: int("max.message.bytes"),
            message_timestamp_before_max_ms: long("message.timestamp.before.max.ms"),
            message_timestamp_after_max_ms: long("message.timestamp.after.max.ms"),
            flush_messages: long("flush.messages"),
            flush_ms: long("flush.ms"),
        }
    }
}

fn cleanup_policy(value: Option<Value>) -> CleanupPolicy {
    let items = match value {
        Some(Value::List(items)) => items,
        _ => Vec::new(),
    };
    let has = |policy: &str| items.iter().any(|item| item == policy);
    CleanupPolicy { delete: has("delete"), compact: has("compact") }
}

/// What to tell whoever asks for `cleanup.policy=compact`.
pub fn compaction_warning() -> &'static str {
    "cleanup.policy=compact is stored, but nothing is compacted yet: such a topic takes no records without a key, and \
     retention leaves it alone"
}

/// Checks all of a topic's own settings, as a client gave them.
///
/// # Errors
/// INVALID_CONFIG, in Kafka's order: unknown names, null values, malformed values, values that contradict each other,
/// and what is not offered.
pub fn validate_topic(configs: &[(String, Option<String>)], layers: &Layers<'_>) -> Result<Configs, Refusal> {
    let invalid = |text: String| Err(Refusal::InvalidConfig(text));
    let nulls: Vec<&str> = configs.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name.as_str()).collect();
    if !nulls.is_empty() {
        return invalid(format!("Null value not supported for topic configs: {}", nulls.join(",")));
    }
    let own: Configs = configs.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect();
    validate_own(&own, layers)?;
    Ok(own)
}

/// The same check on settings that are already gathered.
pub(super) fn validate_own(own: &Configs, layers: &Layers<'_>) -> Result<(), Refusal> {
    let known = catalog::topic();
    if let Some(name) = own.keys().find(|name| !known.contains_key(name.as_str())) {
        return Err(Refusal::InvalidConfig(format!("Unknown topic config name: {name}")));
    }
    for (name, text) in own {
        value::check_length(text).map_err(Refusal::InvalidConfig)?;
        let value = value::check(known[name.as_str()], name, text).map_err(Refusal::InvalidConfig)?;
        if name == "remote.storage.enable" && value == Value::Boolean(true) {
            return Err(Refusal::InvalidConfig(
                "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log \
                 storage."
                    .to_string(),
            ));
        }
        if let Some(why) = not_offered(name, &value) {
            return Err(Refusal::InvalidConfig(format!("{name}={text} is not offered: {why}")));
        }
    }
    let lag = |name| number(layers.topic_value(own, name));
    let (min, max) = (lag("min.compaction.lag.ms"), lag("max.compaction.lag.ms"));
    if min > max {
        return Err(Refusal::InvalidConfig(format!(
            "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::*;

    fn topic(start: &str, own: &[(&str, &str)]) -> Topic {
        let settings = Settings::from_sources(Some(start), &[]).expect("valid");
        let (none, own) = (Configs::new(), configs(own));
        Topic::new(&own, &settings.layers(&none, &none))
    }

    fn configs(pairs: &[(&str, &str)]) -> Configs {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    fn validate(pairs: &[(&str, Option<&str>)]) -> Result<Configs, String> {
        let settings = Settings::from_sources(None, &[]).expect("valid");
        let none = Configs::new();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.to_string(), value.map(str::to_string))).collect();
        validate_topic(&pairs, &settings.layers(&none, &none)).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn defaults_are_kafkas() {
        let topic = topic("", &[]);
        assert_eq!(topic.cleanup_policy, CleanupPolicy { delete: true, compact: false });
        assert_eq!(topic.durability, Durability::Fsync);
        assert_eq!((topic.retention_ms, topic.retention_bytes), (604_800_000, -1));
        assert_eq!((topic.segment_bytes, topic.segment_ms), (1 << 30, 604_800_000));
        assert_eq!(topic.max_message_bytes, 1_048_588);
        assert_eq!(topic.message_timestamp_after_max_ms, 3_600_000);
        assert_eq!((topic.flush_messages, topic.flush_ms), (i64::MAX, i64::MAX));
    }

    #[test]
    fn the_finer_unit_wins_whatever_the_order() {
        assert_eq!(topic("log.retention.hours=2", &[]).retention_ms, 7_200_000);
        assert_eq!(topic("log.retention.minutes=3\nlog.retention.hours=2", &[]).retention_ms, 180_000);
        assert_eq!(topic("log.retention.ms=4\nlog.retention.minutes=3", &[]).retention_ms, 4);
        assert_eq!(topic("log.retention.hours=-1", &[]).retention_ms, -1);
        assert_eq!(topic("log.retention.ms=4", &[("retention.ms", "5")]).retention_ms, 5);
        assert_eq!(topic("log.roll.hours=3", &[]).segment_ms, 10_800_000);
        assert_eq!(topic("log.flush.scheduler.interval.ms=5000", &[]).flush_ms, 5000);
    }

    #[test]
    fn durability_is_the_topics_then_the_brokers() {
        assert_eq!(topic("durability=replicated", &[]).durability, Durability::Replicated);
        assert_eq!(topic("durability=replicated", &[("durability", "fsync")]).durability, Durability::Fsync);
        assert_eq!(topic("durability=replicated", &[("durability", "default")]).durability, Durability::Replicated);
        assert_eq!(topic("", &[("durability", "replicated")]).durability, Durability::Replicated);
        assert!(validate(&[("durability", Some("paper"))]).is_err());
    }

    #[test]
    fn refusals_read_as_kafka_words_them() {
        for (pairs, expected) in [
            (vec![("foo", Some("1"))], "Unknown topic config name: foo"),
            (vec![("retention.ms", None)], "Null value not supported for topic configs: retention.ms"),
            (
                vec![("min.compaction.lag.ms", Some("100")), ("max.compaction.lag.ms", Some("50"))],
                "conflict topic config setting min.compaction.lag.ms (100) > max.compaction.lag.ms (50)",
            ),
            (
                vec![("remote.storage.enable", Some("true"))],
                "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log \
                 storage.",
            ),
        ] {
            assert_eq!(validate(&pairs), Err(expected.to_string()));
        }
    }

    #[test]
    fn what_would_break_a_promise_is_refused_and_compact_is_not() {
        for (name, value) in [("message.timestamp.type", "LogAppendTime"), ("compression.type", "gzip")] {
            assert!(validate(&[(name, Some(value))]).expect_err(name).contains("stored as they came"));
        }
        for (name, value) in [
            ("message.timestamp.type", "CreateTime"),
            ("compression.type", "producer"),
            ("cleanup.policy", "compact,delete"),
            ("retention.ms", " 5 "),
        ] {
            validate(&[(name, Some(value))]).expect(name);
        }
        assert!(topic("", &[("cleanup.policy", "compact,delete")]).cleanup_policy.compact);
        assert_eq!(topic("", &[("internal.segment.bytes", "500")]).segment_bytes, 500);
    }
}
