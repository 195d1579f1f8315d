//! Changes of settings by request: IncrementalAlterConfigs (KIP-339) and AlterConfigs, as pure functions from what is
//! stored to what is to be stored, with Kafka's refusals.

use super::catalog::{self, Catalog};
use super::error::Refusal;
use super::layers::{Configs, Layers, default_of, number};
use super::setting::{Kind, Setting, Update};
use super::settings::not_offered;
use super::topic;
use super::value::{self, Value, split_list};

/// What the settings belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    Topic,
    /// One broker.
    Broker,
    /// All brokers.
    Cluster,
    Group,
    ClientMetrics,
}

/// One step of IncrementalAlterConfigs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    pub name: String,
    pub kind: OperationKind,
    pub value: Option<String>,
}

/// What a step does, with the protocol's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum OperationKind {
    Set = 0,
    Delete = 1,
    Append = 2,
    Subtract = 3,
}

impl OperationKind {
    /// The operation of a protocol number; `None` for one that does not exist.
    pub fn from_number(number: i8) -> Option<Self> {
        [Self::Set, Self::Delete, Self::Append, Self::Subtract].into_iter().find(|kind| *kind as i8 == number)
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Set => "SET",
            Self::Delete => "DELETE",
            Self::Append => "APPEND",
            Self::Subtract => "SUBTRACT",
        }
    }
}

/// Applies the operations, in order, to what is stored, and checks the outcome.
///
/// # Errors
/// INVALID_REQUEST for missing values, names given twice and what cannot change while running; INVALID_CONFIG for
/// unknown names and values that are not valid.
pub fn alter_incrementally(
    resource: Resource,
    stored: &Configs,
    operations: &[Operation],
    layers: &Layers<'_>,
) -> Result<Configs, Refusal> {
    refuse_missing(operations.iter().filter(|op| op.kind != OperationKind::Delete).map(|op| (&op.name, &op.value)))?;
    refuse_twice(operations.iter().map(|op| &op.name))?;
    let mut altered = stored.clone();
    for operation in operations {
        let value = operation.value.as_deref().unwrap_or_default();
        match operation.kind {
            OperationKind::Set => {
                altered.insert(operation.name.clone(), value.to_string());
            }
            OperationKind::Delete => {
                altered.remove(&operation.name);
            }
            OperationKind::Append | OperationKind::Subtract => {
                let list = alter_list(resource, &altered, operation, value)?;
                altered.insert(operation.name.clone(), list);
            }
        }
    }
    validate(resource, stored, &altered, layers)?;
    Ok(altered)
}

/// Replaces all that is stored.
///
/// # Errors
/// As for [`alter_incrementally`].
pub fn alter_fully(
    resource: Resource,
    stored: &Configs,
    configs: &[(String, Option<String>)],
    layers: &Layers<'_>,
) -> Result<Configs, Refusal> {
    refuse_missing(configs.iter().map(|(name, value)| (name, value)))?;
    refuse_twice(configs.iter().map(|(name, _)| name))?;
    let altered: Configs = configs.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect();
    validate(resource, stored, &altered, layers)?;
    Ok(altered)
}

fn refuse_missing<'a>(values: impl Iterator<Item = (&'a String, &'a Option<String>)>) -> Result<(), Refusal> {
    let missing: Vec<&str> = values.filter(|(_, value)| value.is_none()).map(|(name, _)| name.as_str()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::InvalidRequest(format!("Null value not supported for : {}", missing.join(","))))
}

fn refuse_twice<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), Refusal> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Refusal::InvalidRequest("Error due to duplicate config keys".to_string()));
        }
    }
    Ok(())
}

/// The list with items put at its end, or taken out; it starts from the default where nothing is stored.
fn alter_list(resource: Resource, stored: &Configs, operation: &Operation, value: &str) -> Result<String, Refusal> {
    let name = &operation.name;
    let setting = find(resource, name).ok_or_else(|| unknown(resource, name))?;
    if setting.kind != Kind::List {
        return Err(Refusal::InvalidConfig(match resource {
            Resource::Broker | Resource::Cluster => {
                let verb = operation.kind.verb().to_ascii_lowercase();
                format!("Config value {verb} is not allowed for config key: {name}")
            }
            _ => format!("Can't {} to key {name} because its type is not LIST.", operation.kind.verb()),
        }));
    }
    let current = stored.get(name).map(String::as_str).or(setting.default).unwrap_or_default();
    let mut items = split_list(current);
    for item in split_list(value) {
        match operation.kind {
            OperationKind::Subtract => items.retain(|kept| *kept != item),
            _ if items.contains(&item) => {}
            _ => items.push(item),
        }
    }
    Ok(items.join(","))
}

fn known(resource: Resource) -> &'static Catalog {
    match resource {
        Resource::Topic => catalog::topic(),
        Resource::Broker | Resource::Cluster => catalog::broker(),
        Resource::Group => catalog::group(),
        Resource::ClientMetrics => catalog::client_metrics(),
    }
}

fn find(resource: Resource, name: &str) -> Option<&'static Setting> {
    match resource {
        Resource::Broker | Resource::Cluster => catalog::broker_setting(name),
        _ => known(resource).get(name).copied(),
    }
}

fn unknown(resource: Resource, name: &str) -> Refusal {
    match resource {
        Resource::Topic => Refusal::InvalidConfig(format!("Unknown topic config name: {name}")),
        Resource::Group => Refusal::InvalidConfig(format!("Unknown group config name: {name}")),
        Resource::ClientMetrics => Refusal::InvalidRequest(format!("Unknown client metrics configuration: {name}")),
        Resource::Broker | Resource::Cluster => {
            let near = catalog::nearest(catalog::broker(), name);
            let near = near.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            Refusal::InvalidConfig(format!("Unknown broker config name: {name}{near}"))
        }
    }
}

fn validate(resource: Resource, stored: &Configs, altered: &Configs, layers: &Layers<'_>) -> Result<(), Refusal> {
    altered.values().try_for_each(|text| value::check_length(text)).map_err(Refusal::InvalidConfig)?;
    match resource {
        Resource::Topic => topic::validate_own(altered, layers),
        Resource::Broker | Resource::Cluster => validate_broker(resource, stored, altered),
        Resource::Group => validate_group(altered, layers),
        Resource::ClientMetrics => validate_client_metrics(altered),
    }
}

/// Only what changes is checked, so that a stored value which a later release made invalid does not lock the rest.
fn validate_broker(resource: Resource, stored: &Configs, altered: &Configs) -> Result<(), Refusal> {
    let changed = || altered.iter().filter(|(name, value)| stored.get(*name) != Some(value));
    if let Some((name, _)) = changed().find(|(name, _)| catalog::broker_setting(name).is_none()) {
        return Err(unknown(resource, name));
    }
    let refuse = |why: &str, matches: &dyn Fn(&str, &Setting) -> bool| {
        let names: Vec<&str> = changed()
            .filter(|(name, _)| catalog::broker_setting(name).is_some_and(|setting| matches(name, setting)))
            .map(|(name, _)| name.as_str())
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        Err(Refusal::InvalidRequest(format!("{why}: [{}]", names.join(", "))))
    };
    refuse("Cannot update these configs dynamically", &|_, setting| !setting.is_dynamic())?;
    refuse(
        "These security configs can be dynamically updated only per-listener using the listener prefix",
        &|name, _| is_key_or_trust_store(name),
    )?;
    if resource == Resource::Cluster {
        refuse(
            "Cannot update these configs at default cluster level, broker id must be specified",
            &|name, setting| setting.update == Update::PerBroker || name != setting.name,
        )?;
    }
    for (name, text) in changed() {
        let Some(setting) = catalog::broker_setting(name) else { continue };
        let value = value::check(setting, name, text).map_err(Refusal::InvalidRequest)?;
        if let Some(why) = not_offered(setting.name, &value) {
            return Err(Refusal::InvalidConfig(format!("{name}={text} is not offered: {why}")));
        }
    }
    Ok(())
}

/// KIP-226's settings that Kafka takes with a listener's prefix alone.
fn is_key_or_trust_store(name: &str) -> bool {
    name == "ssl.key.password" || name.starts_with("ssl.keystore.") || name.starts_with("ssl.truststore.")
}

/// A group's timeouts stay within the bounds of the broker's settings (KIP-848).
fn validate_group(altered: &Configs, layers: &Layers<'_>) -> Result<(), Refusal> {
    for (name, text) in altered {
        let setting = catalog::group().get(name.as_str()).ok_or_else(|| unknown(Resource::Group, name))?;
        let value = value::check(setting, name, text).map_err(Refusal::InvalidConfig)?;
        let (Value::Number(given), Some((kind, rest))) = (value, name.split_once('.')) else { continue };
        for (word, least) in [("min", true), ("max", false)] {
            let bound_name = format!("group.{kind}.{word}.{rest}");
            let Some(bound) = layers.value(&bound_name) else { continue };
            let bound = number(Some(bound));
            if (least && given < bound) || (!least && given > bound) {
                let relation = if least { "greater" } else { "less" };
                return Err(Refusal::InvalidConfig(format!("{name} must be {relation} than or equal to {bound_name}")));
            }
        }
    }
    Ok(())
}

fn validate_client_metrics(altered: &Configs) -> Result<(), Refusal> {
    for (name, text) in altered {
        let known = catalog::client_metrics().get(name.as_str());
        let setting = known.ok_or_else(|| unknown(Resource::ClientMetrics, name))?;
        let interval = default_of(setting).is_some_and(|value| matches!(value, Value::Number(_)));
        value::check(setting, name, text).map_err(|why| {
            Refusal::InvalidRequest(if interval && text.trim().parse::<i32>().is_ok() {
                format!("Invalid value {text} for {name}, interval must be between 100 and 3600000 (1 hour)")
            } else {
                why
            })
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
