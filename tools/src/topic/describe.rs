//! `topic list` and `topic describe`.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write, stdout};

use kafka_protocol::messages::DescribeConfigsRequest;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::protocol::StrBytes;
use serde::Serialize;

use super::create::plural;
use super::{Describe, List};
use crate::client::{Cluster, Isolation, Partition, PartitionBounds, Topic, check};
use crate::output::{Table, json_line};
use crate::{Error, Exit, Outcome};

#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    id: Option<&'a str>,
    partitions: usize,
    replication_factor: usize,
    internal: bool,
}

#[derive(Serialize)]
struct Described<'a> {
    name: &'a str,
    id: Option<&'a str>,
    internal: bool,
    partitions: Vec<DescribedPartition<'a>>,
    configs: Vec<Config>,
}

#[derive(Serialize)]
struct DescribedPartition<'a> {
    #[serde(flatten)]
    partition: &'a Partition,
    /// Absent while there is no leader to ask.
    beginning: Option<i64>,
    end: Option<i64>,
}

/// A setting and where its value comes from.
#[derive(Serialize)]
struct Config {
    name: String,
    value: Option<String>,
    source: &'static str,
}

pub(super) fn list(command: List) -> Outcome {
    let mut cluster = Cluster::connect(&command.server)?;
    let topics = cluster.topics()?;
    let listed = topics.iter().filter(|topic| command.internal || !topic.internal).map(|topic| Listed {
        name: &topic.name,
        id: topic.id.as_deref(),
        partitions: topic.partitions.len(),
        replication_factor: replication_factor(topic),
        internal: topic.internal,
    });
    let mut out = BufWriter::new(stdout().lock());
    if command.json {
        for topic in listed {
            json_line(&mut out, &topic)?;
        }
    } else {
        let mut table = Table::new(&["TOPIC", "PARTITIONS", "REPLICAS"]);
        for topic in listed {
            let counts = [topic.partitions.to_string(), topic.replication_factor.to_string()];
            table.row([topic.name.to_owned()].into_iter().chain(counts).collect());
        }
        table.print(&mut out)?;
    }
    out.flush()?;
    Ok(Exit::Success)
}

pub(super) fn describe(command: Describe) -> Outcome {
    let mut cluster = Cluster::connect(&command.server)?;
    let topics = match &command.name {
        Some(name) => vec![cluster.topic(name)?],
        None => cluster.topics()?.into_iter().filter(|topic| !topic.internal).collect(),
    };
    let mut out = BufWriter::new(stdout().lock());
    for (index, topic) in topics.iter().enumerate() {
        let bounds = bounds(&mut cluster, topic)?;
        let configs = configs(&mut cluster, &topic.name, command.all_configs)?;
        if command.json {
            json_line(&mut out, &described(topic, &bounds, configs))?;
        } else {
            if index > 0 {
                writeln!(out)?;
            }
            print(&mut out, topic, &bounds, &configs)?;
        }
    }
    out.flush()?;
    Ok(Exit::Success)
}

/// The bounds of all partitions that have a leader.
fn bounds(cluster: &mut Cluster, topic: &Topic) -> Result<BTreeMap<i32, PartitionBounds>, Error> {
    let led = topic.partitions.iter().filter(|partition| partition.leader.is_some());
    let partitions: Vec<i32> = led.map(|partition| partition.partition).collect();
    cluster.bounds(topic, &partitions, Isolation::Uncommitted)
}

/// The settings of a topic by name; without `all`, those that were set on the topic itself.
fn configs(cluster: &mut Cluster, topic: &str, all: bool) -> Result<Vec<Config>, Error> {
    const TOPIC: i8 = 2;
    let resource = DescribeConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(StrBytes::from_string(topic.to_owned()))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let mut configs = Vec::new();
    for result in cluster.any().call(&request)?.results {
        check(result.error_code, result.error_message.as_ref(), || format!("read the settings of topic {topic}"))?;
        configs.extend(result.configs.into_iter().map(|config| Config {
            name: config.name.to_string(),
            value: config.value.map(|value| value.to_string()),
            source: source(config.config_source),
        }));
    }
    configs.retain(|config| all || config.source == SOURCE_TOPIC);
    configs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(configs)
}

const SOURCE_TOPIC: &str = "topic";

fn source(code: i8) -> &'static str {
    match code {
        1 => SOURCE_TOPIC,
        2 => "broker (dynamic)",
        3 => "cluster (dynamic)",
        4 => "broker (file)",
        5 => "default",
        6 => "broker (logger)",
        7 => "client metrics",
        8 => "group",
        _ => "unknown",
    }
}

fn described<'a>(topic: &'a Topic, bounds: &BTreeMap<i32, PartitionBounds>, configs: Vec<Config>) -> Described<'a> {
    let partition = |partition: &'a Partition| {
        let bounds = bounds.get(&partition.partition);
        DescribedPartition { partition, beginning: bounds.map(|b| b.beginning), end: bounds.map(|b| b.end) }
    };
    Described {
        name: &topic.name,
        id: topic.id.as_deref(),
        internal: topic.internal,
        partitions: topic.partitions.iter().map(partition).collect(),
        configs,
    }
}

fn print(
    out: &mut impl Write,
    topic: &Topic,
    bounds: &BTreeMap<i32, PartitionBounds>,
    configs: &[Config],
) -> io::Result<()> {
    let count = i64::try_from(topic.partitions.len()).unwrap_or(i64::MAX);
    let replicas = i64::try_from(replication_factor(topic)).unwrap_or(i64::MAX);
    writeln!(out, "{}: {}, {}", topic.name, plural(count, "partition"), plural(replicas, "replica"))?;
    if let Some(id) = &topic.id {
        writeln!(out, "  id {id}")?;
    }
    for config in configs {
        let value = config.value.as_deref().unwrap_or("(not shown)");
        let source = if config.source == SOURCE_TOPIC { String::new() } else { format!("  ({})", config.source) };
        writeln!(out, "  {}={value}{source}", config.name)?;
    }
    let mut table = Table::new(&["PARTITION", "LEADER", "EPOCH", "REPLICAS", "IN SYNC", "BEGINNING", "END"]);
    let text = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    for partition in &topic.partitions {
        let bounds = bounds.get(&partition.partition);
        table.row(vec![
            partition.partition.to_string(),
            text(partition.leader.map(i64::from)),
            text(Some(i64::from(partition.leader_epoch)).filter(|&epoch| epoch >= 0)),
            ids(&partition.replicas),
            ids(&partition.in_sync),
            text(bounds.map(|bounds| bounds.beginning)),
            text(bounds.map(|bounds| bounds.end)),
        ]);
    }
    table.print(out)
}

fn ids(ids: &[i32]) -> String {
    let ids: Vec<String> = ids.iter().map(i32::to_string).collect();
    ids.join(",")
}

fn replication_factor(topic: &Topic) -> usize {
    topic.partitions.iter().map(|partition| partition.replicas.len()).max().unwrap_or(0)
}
