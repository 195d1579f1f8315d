//! Answers to DescribeConfigs: values with their source, synonyms, type and documentation, as Kafka gives them
//! (KIP-226, KIP-569).

use super::alter::Resource;
use super::catalog::{self, Synonym};
use super::layers::{Configs, Layers, Source, default_of};
use super::setting::Setting;
use super::value::{self, Value};

/// One described setting. `synonyms` and `documentation` are always given; the caller leaves out what was not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    /// Null where the setting has no value, or a sensitive one.
    pub value: Option<String>,
    pub read_only: bool,
    /// Whether `source` is the default; the flag of DescribeConfigs version 0.
    pub is_default: bool,
    pub source: Source,
    pub sensitive: bool,
    /// The strongest first.
    pub synonyms: Vec<EntrySynonym>,
    /// The type's number.
    pub kind: i8,
    pub documentation: Option<&'static str>,
}

/// A place where a value was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntrySynonym {
    pub name: String,
    /// Null where it is sensitive.
    pub value: Option<String>,
    pub source: Source,
}

/// Describes a topic. `names` chooses settings; `None` is all. Unknown names are left out, as in Kafka.
pub fn describe_topic(own: &Configs, layers: &Layers<'_>, names: Option<&[String]>) -> Vec<Entry> {
    let known = catalog::topic().values().filter(|setting| !setting.internal);
    known
        .filter(|setting| asked(names, setting.name))
        .map(|setting| {
            let chain = catalog::topic_chain(setting.name);
            let mut synonyms =
                chain.first().map(|first| broker_synonyms(first.name, chain, layers)).unwrap_or_default();
            if let Some(text) = own.get(setting.name) {
                synonyms.insert(0, synonym(setting, setting.name, text, Source::DynamicTopic));
            }
            let value = layers.topic_value(own, setting.name).map(|value| value.describe());
            entry(setting, setting.name, value, false, synonyms)
        })
        .collect()
}

/// Describes this broker: every setting, and those given for one listener alone.
pub fn describe_broker(layers: &Layers<'_>, names: Option<&[String]>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = catalog::broker()
        .values()
        .filter(|setting| asked(names, setting.name) && is_described(setting, layers))
        .map(|setting| {
            let alone = [catalog::Synonym { name: setting.name, conversion: catalog::Conversion::Same }];
            let chain = catalog::broker_chain(setting.name);
            let chain = if chain.is_empty() { alone.as_slice() } else { chain };
            let synonyms = broker_synonyms(setting.name, chain, layers);
            let value = layers.value(setting.name).map(|value| value.describe());
            entry(setting, setting.name, value, !setting.is_dynamic(), synonyms)
        })
        .collect();
    entries.extend(describe_listener_settings(layers, names));
    entries.sort_by(|left, right| left.name.cmp(&right.name));
    entries
}

/// Describes what was changed for all brokers alone: the broker resource without a name.
pub fn describe_cluster(layers: &Layers<'_>, names: Option<&[String]>) -> Vec<Entry> {
    let only = Configs::new();
    let layers = Layers { node: &only, cluster: layers.cluster, start: &only };
    layers
        .cluster
        .iter()
        .filter(|(name, _)| asked(names, name))
        .filter_map(|(name, text)| {
            let setting = *catalog::broker().get(name.as_str())?;
            let synonyms = vec![synonym(setting, name, text, Source::DynamicDefaultBroker)];
            Some(entry(setting, name, shown(setting, text), !setting.is_dynamic(), synonyms))
        })
        .collect()
}

/// Describes a group or a client metrics subscription; of any other resource, nothing.
pub fn describe_named(resource: Resource, own: &Configs, layers: &Layers<'_>, names: Option<&[String]>) -> Vec<Entry> {
    let (known, source) = match resource {
        Resource::Group => (catalog::group(), Source::Group),
        Resource::ClientMetrics => (catalog::client_metrics(), Source::ClientMetrics),
        Resource::Topic | Resource::Broker | Resource::Cluster => return Vec::new(),
    };
    let known = known.values().filter(|setting| asked(names, setting.name));
    known
        .map(|setting| {
            let mut synonyms = Vec::new();
            if let Some(text) = own.get(setting.name) {
                synonyms.push(synonym(setting, setting.name, text, source));
            }
            let broker = catalog::group_synonym(setting.name);
            let chain = broker.map(|name| [Synonym { name, conversion: catalog::Conversion::Same }]);
            if let (Some(name), Some(chain)) = (broker, chain) {
                synonyms.extend(broker_synonyms(name, &chain, layers));
            } else if resource == Resource::Group
                && let Some(default) = setting.default
            {
                synonyms.push(synonym(setting, setting.name, default, Source::Default));
            }
            let strongest = synonyms.first().and_then(|synonym| synonym.value.clone());
            let value = strongest.or_else(|| default_of(setting).map(|value| value.describe()));
            entry(setting, setting.name, value, false, synonyms)
        })
        .collect()
}

fn asked(names: Option<&[String]>, name: &str) -> bool {
    names.is_none_or(|names| names.iter().any(|asked| asked == name))
}

/// Internal settings are never described; the throttle rates, which Kafka keeps apart, only once they are set.
fn is_described(setting: &Setting, layers: &Layers<'_>) -> bool {
    let set = || layers.in_order().iter().any(|(_, layer)| layer.contains_key(setting.name));
    !setting.internal && (!is_throttle_rate(setting.name) || set())
}

fn is_throttle_rate(name: &str) -> bool {
    matches!(
        name,
        "leader.replication.throttled.rate"
            | "follower.replication.throttled.rate"
            | "replica.alter.log.dirs.io.max.bytes.per.second"
    )
}

/// Each layer's values of the chain, the layers' order first. Kafka leaves out what precedes the chain's own name, so
/// that a value which only an older unit gives has no synonyms at all, and counts as the default.
fn broker_synonyms(name: &str, chain: &[Synonym], layers: &Layers<'_>) -> Vec<EntrySynonym> {
    let mut found = Vec::new();
    for (source, layer) in layers.in_order() {
        for link in chain {
            if let (Some(setting), Some(text)) = (catalog::broker().get(link.name), layer.get(link.name)) {
                found.push(synonym(setting, link.name, text, source));
            }
        }
    }
    for link in chain {
        if let Some(setting) = catalog::broker().get(link.name)
            && let Some(default) = setting.default
        {
            found.push(synonym(setting, link.name, default, Source::Default));
        }
    }
    found.into_iter().skip_while(|synonym| synonym.name != name).collect()
}

fn describe_listener_settings(layers: &Layers<'_>, names: Option<&[String]>) -> Vec<Entry> {
    let mut found = std::collections::BTreeMap::<&str, Vec<EntrySynonym>>::new();
    for (source, layer) in layers.in_order() {
        for (name, text) in layer {
            if let Some((_, setting)) = catalog::listener_setting(name).filter(|_| asked(names, name)) {
                found.entry(name).or_default().push(synonym(setting, name, text, source));
            }
        }
    }
    let entries = found.into_iter().filter_map(|(name, mut synonyms)| {
        let (_, setting) = catalog::listener_setting(name)?;
        let own = synonyms.first().and_then(|synonym| synonym.value.clone());
        let base = [Synonym { name: setting.name, conversion: catalog::Conversion::Same }];
        synonyms.extend(broker_synonyms(setting.name, &base, layers));
        Some(Entry { documentation: None, ..entry(setting, name, own, true, synonyms) })
    });
    entries.collect()
}

fn entry(
    setting: &'static Setting,
    name: &str,
    value: Option<String>,
    read_only: bool,
    synonyms: Vec<EntrySynonym>,
) -> Entry {
    let source = synonyms.first().map_or(Source::Default, |synonym| synonym.source);
    Entry {
        name: name.to_string(),
        value: value.filter(|_| !setting.is_sensitive()),
        read_only,
        is_default: source == Source::Default,
        source,
        sensitive: setting.is_sensitive(),
        synonyms,
        kind: setting.kind as i8,
        documentation: Some(setting.documentation()),
    }
}

fn synonym(setting: &Setting, name: &str, text: &str, source: Source) -> EntrySynonym {
    EntrySynonym { name: name.to_string(), value: shown(setting, text), source }
}

fn shown(setting: &Setting, text: &str) -> Option<String> {
    let text = match value::check(setting, setting.name, text) {
        // A list keeps the spelling in which it was given.
        Ok(Value::List(_)) | Err(_) => text.to_string(),
        Ok(value) => value.describe(),
    };
    Some(text).filter(|_| !setting.is_sensitive())
}

#[cfg(test)]
mod tests;
