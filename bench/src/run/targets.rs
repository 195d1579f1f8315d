//! The partitions of a run: topics found or made, leaders, ends, producer ids, limits of the process.

use std::fmt::Write as _;

use duramen_wire::api::ApiKey;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Error;
use crate::admin::Cluster;
use crate::client::fetch;
use crate::drive::{Target, TargetId};
use crate::plan::{Begin, Plan, Topics};

/// Produce is written in these versions.
const PRODUCE_VERSIONS: (i16, i16) = (3, 11);
/// Descriptors beside those of connections: files, pipes, the connections before and after the load.
const DESCRIPTORS_BESIDE: u64 = 32;
/// What the names of topics that are made begin with.
const NAME_PREFIX: &str = "duramen-bench";

/// The topics of a run. Those that it made are deleted when this is dropped, unless they are to be kept.
pub struct RunTopics {
    pub names: Vec<String>,
    /// For consumers of a backlog.
    pub backlog: Option<String>,
    servers: Vec<String>,
    delete: bool,
}

/// What a load needs to know of the cluster.
pub struct Places {
    pub targets: Vec<Target>,
    pub consume_from: Vec<i64>,
    pub backlog_targets: Vec<TargetId>,
}

impl RunTopics {
    /// Finds the plan's topics, or makes them.
    pub fn prepare(cluster: &mut Cluster, plan: &Plan, run: u32) -> Result<RunTopics, Error> {
        let servers = plan.servers.clone();
        let backlog = plan.consume.as_ref().is_some_and(|consume| consume.backlog_bytes > 0);
        match &plan.topics {
            Topics::Existing(names) => {
                for name in names {
                    cluster.topic(name)?;
                }
                if backlog {
                    let reason = "a backlog needs topics of the run's own: leave --topic away".to_owned();
                    return Err(Error::Usage(reason));
                }
                Ok(RunTopics { names: names.clone(), backlog: None, servers, delete: false })
            }
            Topics::Own { count, partitions, replication_factor, configs, keep } => {
                let name = format!("{NAME_PREFIX}-{run:08x}");
                // Filled one by one, so that what was made is deleted even if a later one is refused.
                let mut topics = RunTopics { names: Vec::new(), backlog: None, servers, delete: !keep };
                for number in 0..*count {
                    let mut name = name.clone();
                    if *count > 1 {
                        write!(name, "-{number}").expect("a string takes what is written");
                    }
                    topics.names.push(name.clone());
                    cluster.create_topic(&name, *partitions, *replication_factor, configs)?;
                }
                if backlog {
                    let name = format!("{name}-backlog");
                    topics.backlog = Some(name.clone());
                    cluster.create_topic(&name, *partitions, *replication_factor, configs)?;
                }
                Ok(topics)
            }
        }
    }

    /// Topics of a part of a run, which leaves them to the run.
    pub fn borrowed(names: Vec<String>, plan: &Plan) -> RunTopics {
        RunTopics { names, backlog: None, servers: plan.servers.clone(), delete: false }
    }

    /// Leaders and bounds as they are now.
    pub fn places(&self, cluster: &mut Cluster, plan: &Plan) -> Result<Places, Error> {
        let begin = plan.consume.as_ref().map_or(Begin::End, |consume| consume.from);
        let mut places = Places { targets: Vec::new(), consume_from: Vec::new(), backlog_targets: Vec::new() };
        for name in &self.names {
            places.add(cluster, name, begin)?;
        }
        if let Some(name) = &self.backlog {
            let first = places.targets.len();
            places.add(cluster, name, Begin::Beginning)?;
            let ids = first..places.targets.len();
            places.backlog_targets = ids.map(|id| TargetId::try_from(id).expect("targets are few")).collect();
        }
        Ok(places)
    }
}

impl Drop for RunTopics {
    fn drop(&mut self) {
        if !self.delete {
            return;
        }
        // The run has its result; a broker that is gone has lost its topics' deletion too.
        let Ok(mut cluster) = Cluster::connect(&self.servers) else { return };
        for name in self.names.iter().chain(&self.backlog) {
            let _ = cluster.delete_topic(name);
        }
    }
}

impl Places {
    fn add(&mut self, cluster: &mut Cluster, name: &str, begin: Begin) -> Result<(), Error> {
        let topic = cluster.topic(name)?;
        let bounds = cluster.bounds(&topic)?;
        for ((partition, &leader), bounds) in (0..).zip(&topic.leaders).zip(bounds) {
            let (first_offset, log_start) = (bounds.end, bounds.start);
            self.targets.push(Target { topic: name.to_owned(), partition, leader, first_offset, log_start });
            self.consume_from.push(match begin {
                Begin::Beginning => log_start,
                Begin::End => first_offset,
                Begin::Last(count) => {
                    first_offset.saturating_sub(i64::try_from(count).unwrap_or(i64::MAX)).max(log_start)
                }
            });
        }
        Ok(())
    }

    /// Whether there is anything to read up to the ends.
    pub fn hold_records(&self) -> bool {
        self.targets.iter().zip(&self.consume_from).any(|(target, from)| target.first_offset > *from)
    }
}

/// The versions of Produce and Fetch that the load speaks.
pub fn versions(cluster: &Cluster) -> Result<(i16, i16), Error> {
    let produce = cluster.offers(ApiKey::Produce, PRODUCE_VERSIONS.0, PRODUCE_VERSIONS.1)?;
    Ok((produce, cluster.offers(ApiKey::Fetch, fetch::VERSIONS.0, fetch::VERSIONS.1)?))
}

/// How many connections a plan makes at most, to so many brokers.
pub fn connections(plan: &Plan, brokers: usize) -> u64 {
    let producers = plan.produce.as_ref().map_or(0, |produce| produce.connections.unwrap_or(produce.producers));
    let consumers = plan.consume.as_ref().map_or(0, |consume| {
        let backlog = if consume.backlog_bytes > 0 { consume.consumers } else { 0 };
        u64::from(consume.consumers) * u64::from(consume.subscriptions) + u64::from(backlog)
    });
    (u64::from(producers) + consumers) * brokers.max(1) as u64
}

/// Raises the limit of open files as far as it may be, and says so if that is not enough for so many connections.
pub fn raise_limits(connections: u64) -> Result<(), Error> {
    let limit = getrlimit(Resource::Nofile);
    let needed = connections + DESCRIPTORS_BESIDE;
    if let Some(hard) = limit.maximum.filter(|hard| *hard < needed) {
        let what = format!("{connections} connections need {needed} descriptors, the hard limit is {hard}");
        return Err(Error::Limit { what, remedy: "raise it (ulimit -Hn), or share: --connections".to_owned() });
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised)
        .map_err(|error| Error::Io { what: "raise the limit of open files".to_owned(), source: error.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_for_each_broker() {
        let mut plan = Plan::new("end-to-end", "h:1");
        plan.produce.as_mut().unwrap().producers = 10;
        let consume = plan.consume.as_mut().unwrap();
        (consume.consumers, consume.subscriptions) = (3, 2);
        assert_eq!(connections(&plan, 3), (10 + 6) * 3);
        plan.produce.as_mut().unwrap().connections = Some(2);
        assert_eq!(connections(&plan, 1), 8);
        plan.consume.as_mut().unwrap().backlog_bytes = 1;
        assert_eq!(connections(&plan, 1), 11);
    }

    #[test]
    fn more_connections_than_descriptors_are_refused() {
        let error = raise_limits(u64::MAX / 2).unwrap_err();
        assert!(matches!(&error, Error::Limit { what, .. } if what.contains("the hard limit is")), "{error}");
        raise_limits(10).unwrap();
    }
}
