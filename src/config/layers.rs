//! Where a value comes from: a topic's or group's own, then a change to this broker, then a change to all brokers,
//! then the start's settings, then the default. This module looks values up; it owns none.

use std::collections::BTreeMap;

use super::catalog::{self, Conversion, Synonym};
use super::setting::Setting;
use super::value::{self, Value};

/// Values of settings by name, as text.
pub type Configs = BTreeMap<String, String>;

/// What stands behind the broker's settings, the strongest first.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'a> {
    /// Changed while running, for this broker.
    pub node: &'a Configs,
    /// Changed while running, for all brokers.
    pub cluster: &'a Configs,
    /// Given at start.
    pub start: &'a Configs,
}

/// Where a value came from, with DescribeConfigs' numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Source {
    DynamicTopic = 1,
    DynamicBroker = 2,
    DynamicDefaultBroker = 3,
    StaticBroker = 4,
    Default = 5,
    ClientMetrics = 7,
    Group = 8,
}

impl<'a> Layers<'a> {
    /// The layers with their sources, the strongest first.
    pub fn in_order(&self) -> [(Source, &'a Configs); 3] {
        [
            (Source::DynamicBroker, self.node),
            (Source::DynamicDefaultBroker, self.cluster),
            (Source::StaticBroker, self.start),
        ]
    }

    /// The strongest valid value of one broker setting, synonyms apart. A stored value that is not valid, which a
    /// later release may have written, is passed over.
    pub fn value(&self, name: &str) -> Option<Value> {
        let setting = catalog::broker().get(name)?;
        self.in_order()
            .into_iter()
            .filter_map(|(_, layer)| layer.get(name))
            .find_map(|text| value::check(setting, name, text).ok())
            .or_else(|| default_of(setting))
    }

    /// The value of the first of these synonyms that has one.
    pub fn value_of_chain(&self, chain: &[Synonym]) -> Option<Value> {
        chain.iter().find_map(|synonym| Some(convert(self.value(synonym.name)?, synonym.conversion)))
    }

    /// The effective value of a topic setting. Without a valid value anywhere it is the setting's own default.
    pub fn topic_value(&self, topic: &Configs, name: &str) -> Option<Value> {
        let setting = catalog::topic().get(name)?;
        let own = topic.get(name).and_then(|text| value::check(setting, name, text).ok());
        own.or_else(|| self.value_of_chain(catalog::topic_chain(name))).or_else(|| default_of(setting))
    }

    pub(super) fn number(&self, name: &str) -> i64 {
        number(self.value(name))
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Boolean(true)))
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.value(name).map(|value| value.describe()).filter(|text| !text.is_empty())
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        match self.value(name) {
            Some(Value::List(items)) => items,
            _ => Vec::new(),
        }
    }
}

/// The number in a value that is one; 0 for anything else, which the catalog's defaults rule out.
pub(super) fn number(value: Option<Value>) -> i64 {
    match value {
        Some(Value::Number(number)) => number,
        _ => 0,
    }
}

/// The default of a setting as a value.
pub fn default_of(setting: &Setting) -> Option<Value> {
    value::check(setting, setting.name, setting.default?).ok()
}

/// A negative time is no limit and stays -1 in any unit.
fn convert(value: Value, conversion: Conversion) -> Value {
    let factor = match conversion {
        Conversion::Same => return value,
        Conversion::Ms => 1,
        Conversion::MinutesToMs => 60_000,
        Conversion::HoursToMs => 3_600_000,
    };
    match value {
        Value::Number(number) if number < 0 => Value::Number(-1),
        Value::Number(number) => Value::Number(number.saturating_mul(factor)),
        other => other,
    }
}
