//! Every setting of Kafka 4.3 and of Duramen, by name. The facts stand in one file per theme; this module finds them.
//! Nothing here changes after start.

mod cluster;
mod group;
mod log;
mod other;
mod own;
mod prelude;
mod remote;
mod requests;
mod resource;
mod security;
mod synonyms;
mod topic;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::setting::Setting;
pub use synonyms::{Conversion, Synonym, broker_chain, group_synonym, topic_chain};

/// The settings of one sort of resource, in the order of their names.
pub type Catalog = BTreeMap<&'static str, &'static Setting>;

static BROKER: LazyLock<Catalog> = LazyLock::new(|| {
    index(&[
        cluster::SETTINGS,
        group::SETTINGS,
        log::SETTINGS,
        other::SETTINGS,
        own::BROKER,
        remote::SETTINGS,
        requests::SETTINGS,
        security::SETTINGS,
    ])
});
static TOPIC: LazyLock<Catalog> = LazyLock::new(|| index(&[topic::SETTINGS, own::TOPIC]));
static GROUP: LazyLock<Catalog> = LazyLock::new(|| index(&[resource::GROUP]));
static CLIENT_METRICS: LazyLock<Catalog> = LazyLock::new(|| index(&[resource::CLIENT_METRICS]));

fn index(themes: &[&'static [Setting]]) -> Catalog {
    themes.iter().flat_map(|theme| theme.iter()).map(|setting| (setting.name, setting)).collect()
}

pub fn broker() -> &'static Catalog {
    &BROKER
}

pub fn topic() -> &'static Catalog {
    &TOPIC
}

pub fn group() -> &'static Catalog {
    &GROUP
}

pub fn client_metrics() -> &'static Catalog {
    &CLIENT_METRICS
}

/// Splits `listener.name.NAME.SETTING` into the listener and the broker setting that it narrows. SASL settings may
/// have a mechanism in between, as in `listener.name.sasl.scram-sha-256.sasl.jaas.config`.
pub fn listener_setting(name: &str) -> Option<(&str, &'static Setting)> {
    let (listener, rest) = name.strip_prefix("listener.name.")?.split_once('.')?;
    if let Some(setting) = BROKER.get(rest) {
        return Some((listener, setting));
    }
    let (_mechanism, rest) = rest.split_once('.')?;
    let setting = BROKER.get(rest).filter(|setting| setting.name.starts_with("sasl."))?;
    Some((listener, setting))
}

/// The broker setting behind a name, also of a `listener.name.` one.
pub fn broker_setting(name: &str) -> Option<&'static Setting> {
    BROKER.get(name).copied().or_else(|| listener_setting(name).map(|(_, setting)| setting))
}

/// The known name that looks most like this one, if any does.
pub fn nearest(catalog: &Catalog, name: &str) -> Option<&'static str> {
    const LIKENESS_MIN: f64 = 0.8;
    let mut best = (LIKENESS_MIN, None);
    for known in catalog.keys() {
        let likeness = strsim::jaro_winkler(name, known).max(strsim::normalized_damerau_levenshtein(name, known));
        if likeness > best.0 {
            best = (likeness, Some(*known));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::setting::{Effect, Kind, Update};
    use super::super::value;
    use super::*;

    fn all() -> impl Iterator<Item = &'static Setting> {
        [broker(), topic(), group(), client_metrics()].into_iter().flat_map(|catalog| catalog.values().copied())
    }

    #[test]
    fn holds_all_that_kafka_4_3_1_defines_and_our_own() {
        let ours = |catalog: &Catalog| {
            catalog.keys().filter(|name| name.starts_with("duramen.") || **name == "durability").count()
        };
        assert_eq!(broker().len() - ours(broker()), 363);
        assert_eq!(topic().len() - ours(topic()), 34);
        assert_eq!((group().len(), client_metrics().len()), (17, 3));
        let described = broker().values().filter(|setting| !setting.internal).count() - ours(broker());
        assert_eq!(described, 340 + 3, "Kafka describes 340 settings, and the throttle rates once they are set");
    }

    #[test]
    fn each_default_passes_its_own_check() {
        for setting in all() {
            if let Some(default) = setting.default.filter(|default| !default.is_empty()) {
                value::check(setting, setting.name, default).expect(setting.name);
            }
        }
    }

    #[test]
    fn facts_that_clients_rely_on() {
        let find = |name| broker()[name];
        assert_eq!(find("background.threads").default, Some("10"));
        assert_eq!(find("background.threads").update, Update::ClusterWide);
        assert_eq!(find("sasl.kerberos.min.time.before.relogin").kind, Kind::Long);
        assert_eq!(find("sasl.kerberos.min.time.before.relogin").update, Update::PerBroker);
        assert_eq!(find("advertised.listeners").update, Update::ReadOnly);
        assert_eq!(topic()["message.timestamp.after.max.ms"].default, Some("3600000"));
        assert!(find("ssl.key.password").is_sensitive());
    }

    #[test]
    fn each_synonym_is_known() {
        for name in topic().keys() {
            for synonym in topic_chain(name) {
                assert!(broker().contains_key(synonym.name), "{}", synonym.name);
            }
        }
        for name in group().keys() {
            assert!(group_synonym(name).is_none_or(|name| broker().contains_key(name)));
        }
    }

    #[test]
    fn the_manual_lists_what_has_no_effect_and_nothing_else() {
        let manual = include_str!("../../../docs/COMPATIBILITY.md");
        let (_, list) = manual.split_once("otherwise without effect").expect("the list has its sentence");
        let listed: BTreeSet<&str> = list.split('`').skip(1).step_by(2).collect();
        let without = all().filter(|setting| matches!(setting.effect, Effect::Without(_))).map(|setting| setting.name);
        assert_eq!(listed, without.collect());
    }

    #[test]
    fn listener_names_are_split() {
        let (listener, setting) = listener_setting("listener.name.inside.max.connections").expect("known");
        assert_eq!((listener, setting.name), ("inside", "max.connections"));
        let (_, setting) = listener_setting("listener.name.in.scram-sha-256.sasl.jaas.config").expect("known");
        assert_eq!(setting.name, "sasl.jaas.config");
        assert!(listener_setting("listener.name.in.plain.max.connections").is_none());
        assert!(listener_setting("listener.name.in").is_none());
    }

    #[test]
    fn the_nearest_name_is_found() {
        assert_eq!(nearest(broker(), "log.retension.ms"), Some("log.retention.ms"));
        assert_eq!(nearest(broker(), "num.partition"), Some("num.partitions"));
        assert_eq!(nearest(broker(), "zzz"), None);
    }
}
