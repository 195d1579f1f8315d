//! The settings of a start: a properties file and `--set` pairs, checked against the catalog.

use super::catalog;
use super::error::{Error, Place};
use super::layers::{Configs, Layers};
use super::listeners::{Advertised, Listeners};
use super::properties;
use super::setting::Effect;
use super::value::{self, Value, split_list};

/// What the broker was started with. Each name in it is known and each value is valid.
#[derive(Clone, Debug)]
pub struct Settings {
    start: Configs,
    listeners: Listeners,
    notices: Vec<String>,
}

impl Settings {
    /// Reads a settings file's text, if there is one, then `KEY=VALUE` pairs, which win over it.
    ///
    /// # Errors
    /// The first unknown name, malformed value, or value that asks for what is not offered.
    pub fn from_sources(file: Option<&str>, sets: &[String]) -> Result<Self, Error> {
        let mut start = Configs::new();
        for line in file.map(properties::parse).unwrap_or_default() {
            take(&mut start, Place::Line(line.number), line.key, line.value)?;
        }
        for text in sets {
            let (name, value) = text.split_once('=').ok_or_else(|| Error::NotKeyValue { text: text.clone() })?;
            take(&mut start, Place::CommandLine, name.trim().to_string(), value.trim().to_string())?;
        }
        join_node_ids(&mut start);
        let empty = Configs::new();
        let layers = Layers { node: &empty, cluster: &empty, start: &start };
        one_directory(&layers)?;
        let listeners = Listeners::from_layers(&layers)?;
        let notices = notices(&start, &listeners);
        Ok(Self { start, listeners, notices })
    }

    /// The values that were given, by name.
    pub fn start(&self) -> &Configs {
        &self.start
    }

    pub fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// What the operator should be told: one line each.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Records what is advertised in the end, once names are resolved and ports are bound, so that it is described as
    /// given at start (which it is in Kafka too, where it is given).
    pub fn advertise(&mut self, addresses: &[Advertised]) {
        let text: Vec<String> = addresses
            .iter()
            .map(|address| {
                let colon = address.host.contains(':');
                let host = if colon { format!("[{}]", address.host) } else { address.host.clone() };
                format!("{}://{host}:{}", address.name, address.port)
            })
            .collect();
        self.start.insert("advertised.listeners".to_string(), text.join(","));
        self.listeners.advertised = addresses.iter().map(|address| (address.name.clone(), address.clone())).collect();
    }

    /// The start's settings beneath what was changed since.
    pub fn layers<'a>(&'a self, node: &'a Configs, cluster: &'a Configs) -> Layers<'a> {
        Layers { node, cluster, start: &self.start }
    }
}

fn take(start: &mut Configs, place: Place, name: String, text: String) -> Result<(), Error> {
    let Some(setting) = catalog::broker_setting(&name) else {
        return Err(Error::Unknown { place, nearest: suggest(&name), name });
    };
    let value = value::check(setting, &name, &text).map_err(|why| Error::Malformed { place, why })?;
    if let Some(why) = not_offered(setting.name, &value) {
        return Err(Error::NotOffered { place, name, value: text, why });
    }
    start.insert(name, text);
    Ok(())
}

/// A topic's setting that was given for the broker names its broker-wide default; anything else, the nearest name.
fn suggest(name: &str) -> Option<&'static str> {
    let chain = catalog::topic_chain(name);
    chain.first().map(|synonym| synonym.name).or_else(|| catalog::nearest(catalog::broker(), name))
}

/// Settings whose being ignored would break a promise: they stop the start, and changes to them are refused.
pub(super) fn not_offered(name: &str, value: &Value) -> Option<&'static str> {
    let set = !value.describe().is_empty();
    match (name, value) {
        ("log.message.timestamp.type" | "message.timestamp.type", Value::Text(kind)) if kind == "LogAppendTime" => {
            Some("batches are stored as they came, so the broker's time cannot be put into them yet")
        }
        ("compression.type", Value::Text(codec)) if codec != "producer" => {
            Some("batches are stored as they came, so only 'producer' is possible yet")
        }
        ("remote.log.storage.system.enable", Value::Boolean(true)) => Some("there is no tiered storage"),
        ("authorizer.class.name", _) if set => Some("nobody would be refused: authorisation is not offered yet"),
        ("create.topic.policy.class.name" | "alter.config.policy.class.name", _) if set => {
            Some("the policy would not be asked: Java classes cannot be loaded")
        }
        ("config.providers", _) if set => Some("values would not be replaced: Java classes cannot be loaded"),
        ("process.roles", Value::List(roles)) if !roles.iter().any(|role| role == "broker") => {
            Some("this is a broker, which keeps its metadata itself: process.roles must include broker")
        }
        _ => None,
    }
}

/// `broker.id` and `node.id` are two names of one number.
fn join_node_ids(start: &mut Configs) {
    for (given, other) in [("node.id", "broker.id"), ("broker.id", "node.id")] {
        if let (Some(id), false) = (start.get(given).cloned(), start.contains_key(other)) {
            start.insert(other.to_string(), id);
        }
    }
}

fn one_directory(layers: &Layers<'_>) -> Result<(), Error> {
    let several = ["log.dirs", "log.dir"].map(|name| layers.list(name).len()).into_iter().max().unwrap_or(0);
    if several > 1 { Err(Error::SeveralDirectories { count: several }) } else { Ok(()) }
}

fn notices(start: &Configs, listeners: &Listeners) -> Vec<String> {
    let mut notices = Vec::new();
    for name in &listeners.dropped {
        notices.push(format!("listener {name} is left out: one host needs no controller listener"));
    }
    if start.get("log.cleanup.policy").is_some_and(|text| split_list(text).iter().any(|item| item == "compact")) {
        notices.push(super::compaction_warning().to_string());
    }
    let idle: Vec<&str> = start
        .keys()
        .filter(|name| {
            let setting = catalog::broker_setting(name);
            setting.is_some_and(|setting| matches!(setting.effect, Effect::Without(_)))
        })
        .map(String::as_str)
        .collect();
    if !idle.is_empty() {
        notices.push(format!("known to Kafka, without effect here: {}", idle.join(", ")));
    }
    notices
}

#[cfg(test)]
mod tests;
