//! What the commands have in common: the broker, librdkafka's settings, a topic's partitions and their ends.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use rdkafka::ClientConfig;
use rdkafka::client::{Client, ClientContext};

/// How long the broker may take to answer a question about a topic.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Where to, and librdkafka's own settings.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// The broker, as HOST:PORT
    #[arg(short, long, value_name = "HOST:PORT")]
    pub bootstrap_server: String,
    /// A setting of librdkafka, over those that the other options make; may be repeated
    #[arg(short = 'X', value_name = "NAME=VALUE")]
    pub properties: Vec<Property>,
}

/// NAME=VALUE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    pub name: String,
    pub value: String,
}

impl FromStr for Property {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=VALUE"))?;
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

impl Common {
    /// Settings for a client; the user's own come last.
    pub fn config(&self, settings: &[(&str, String)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap_server)
            .set("client.id", "duramen-bench")
            .set("broker.address.family", "v4")
            .set("socket.nagle.disable", "true");
        for (name, value) in settings {
            config.set(*name, value);
        }
        for property in &self.properties {
            config.set(&property.name, &property.value);
        }
        config
    }
}

/// The partitions of a topic. A topic that is missing or has a partition without a leader is an error.
pub fn partitions<C: ClientContext>(client: &Client<C>, topic: &str) -> Result<Vec<i32>> {
    let metadata =
        client.fetch_metadata(Some(topic), ANSWER_TIMEOUT).with_context(|| format!("ask about topic {topic}"))?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let found = found.filter(|found| found.error().is_none() && !found.partitions().is_empty());
    let found = found.with_context(|| format!("there is no topic {topic}"))?;
    ensure!(found.partitions().iter().all(|one| one.leader() >= 0), "topic {topic} has a partition without a leader");
    Ok(found.partitions().iter().map(|one| one.id()).collect())
}

/// The first offset and the one after the last.
pub fn ends<C: ClientContext>(client: &Client<C>, topic: &str, partition: i32) -> Result<(i64, i64)> {
    let ends = client.fetch_watermarks(topic, partition, ANSWER_TIMEOUT);
    ends.with_context(|| format!("ask for the offsets of {topic}:{partition}"))
}

/// How many records all partitions of a topic have had.
pub fn records_ever<C: ClientContext>(client: &Client<C>, topic: &str) -> Result<i64> {
    partitions(client, topic)?.into_iter().map(|partition| ends(client, topic, partition).map(|ends| ends.1)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_properties_come_last() {
        let properties = vec!["acks=1".parse().unwrap(), "a.b=c=d".parse().unwrap()];
        let common = Common { bootstrap_server: "x:1".into(), properties };
        let config = common.config(&[("acks", "all".into())]);
        assert_eq!((config.get("acks"), config.get("a.b")), (Some("1"), Some("c=d")));
        assert!("acks".parse::<Property>().is_err());
    }
}
