//! A small Kafka client for administrative requests: a handful of blocking calls, each sent to the broker it belongs to.
//!
//! librdkafka carries the records; it is not used here because its wrapper drops the broker's explanations, topic ids
//! and incremental configuration changes. The two meet in [`native`], which prepares a librdkafka configuration.

pub mod native;

mod connection;
mod offsets;
mod topics;

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, MetadataRequest, MetadataResponse};
use kafka_protocol::protocol::StrBytes;

pub use connection::{CALL_TIMEOUT, CONNECT_TIMEOUT, Connection};
pub use offsets::{Isolation, PartitionBounds};
pub use topics::{Partition, Topic};

use crate::Error;

/// How long a state that passes by itself (no coordinator yet, a leader moving) is waited for.
pub const RETRY_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause between two attempts.
pub const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// Which cluster to talk to.
#[derive(Debug, Clone, clap::Args)]
pub struct Server {
    /// Broker to ask first; several are separated by commas
    #[arg(long, short = 'b', value_name = "HOST:PORT", default_value = "localhost:9092")]
    pub bootstrap_server: String,
}

/// A cluster, known through one of its brokers. Connections to the others are opened when they are needed.
#[derive(Debug)]
pub struct Cluster {
    bootstrap: Connection,
    connections: BTreeMap<i32, Connection>,
    brokers: BTreeMap<i32, String>,
    controller: i32,
}

impl Cluster {
    /// Connects to the first of the servers that answers.
    pub fn connect(server: &Server) -> Result<Cluster, Error> {
        let names = server.bootstrap_server.split(',').map(str::trim).filter(|name| !name.is_empty());
        let mut failure = None;
        for name in names {
            match Connection::open(&with_port(name)) {
                Ok(bootstrap) => return Cluster::over(bootstrap),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| Error::Usage("--bootstrap-server is empty".to_owned())))
    }

    fn over(bootstrap: Connection) -> Result<Cluster, Error> {
        let mut cluster = Cluster { bootstrap, connections: BTreeMap::new(), brokers: BTreeMap::new(), controller: -1 };
        cluster.metadata(MetadataRequest::default().with_topics(Some(Vec::new())))?;
        Ok(cluster)
    }

    /// The broker that was asked first.
    pub fn any(&mut self) -> &mut Connection {
        &mut self.bootstrap
    }

    /// The broker that takes changes to topics.
    pub fn controller(&mut self) -> Result<&mut Connection, Error> {
        let controller = self.controller;
        if self.brokers.contains_key(&controller) { self.broker(controller) } else { Ok(&mut self.bootstrap) }
    }

    /// Node ids and addresses, ascending.
    pub fn brokers(&self) -> &BTreeMap<i32, String> {
        &self.brokers
    }

    /// The broker with this node id.
    pub fn broker(&mut self, id: i32) -> Result<&mut Connection, Error> {
        if !self.connections.contains_key(&id) {
            let Some(address) = self.brokers.get(&id) else {
                let reason = "it is not among the brokers that the cluster names".to_owned();
                return Err(Error::Unreachable { server: format!("node {id}"), reason });
            };
            self.connections.insert(id, Connection::open(address)?);
        }
        Ok(self.connections.get_mut(&id).expect("was just inserted"))
    }

    /// The broker that coordinates this group.
    pub fn coordinator(&mut self, group: &str) -> Result<&mut Connection, Error> {
        let deadline = Instant::now() + RETRY_TIMEOUT;
        loop {
            let (id, address, code, message) = self.find_coordinator(group)?;
            let Some(code) = ResponseError::try_from_code(code) else {
                self.brokers.entry(id).or_insert(address);
                return self.broker(id);
            };
            if !code.is_retriable() || Instant::now() >= deadline {
                return Err(Error::Refused { what: format!("find the coordinator of {group}"), code, message });
            }
            sleep(RETRY_INTERVAL);
        }
    }

    fn find_coordinator(&mut self, group: &str) -> Result<(i32, String, i16, Option<String>), Error> {
        const SEVERAL_KEYS: i16 = 4;
        let version = self.bootstrap.version::<FindCoordinatorRequest>()?;
        let key = StrBytes::from_string(group.to_owned());
        let request = FindCoordinatorRequest::default();
        let text = |message: Option<StrBytes>| message.filter(|text| !text.is_empty()).map(|text| text.to_string());
        if version < SEVERAL_KEYS {
            let found = self.bootstrap.call_version(&request.with_key(key), version)?;
            let address = format!("{}:{}", found.host.as_str(), found.port);
            return Ok((found.node_id.0, address, found.error_code, text(found.error_message)));
        }
        let found = self.bootstrap.call_version(&request.with_coordinator_keys(vec![key]), version)?;
        let found = found.coordinators.into_iter().next().unwrap_or_default();
        let address = format!("{}:{}", found.host.as_str(), found.port);
        Ok((found.node_id.0, address, found.error_code, text(found.error_message)))
    }

    /// Asks for metadata and remembers which brokers there are.
    fn metadata(&mut self, request: MetadataRequest) -> Result<MetadataResponse, Error> {
        let response = self.bootstrap.call(&request)?;
        let address = |host: &str, port: i32| {
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
        };
        let brokers = response.brokers.iter();
        self.brokers = brokers.map(|broker| (broker.node_id.0, address(broker.host.as_str(), broker.port))).collect();
        let BrokerId(controller) = response.controller_id;
        self.controller = controller;
        Ok(response)
    }
}

/// Turns a code of a response into an error that says what could not be done.
pub(crate) fn check(code: i16, message: Option<&StrBytes>, what: impl FnOnce() -> String) -> Result<(), Error> {
    let Some(code) = ResponseError::try_from_code(code) else { return Ok(()) };
    let message = message.filter(|text| !text.is_empty()).map(|text| text.to_string());
    Err(Error::Refused { what: what(), code, message })
}

/// `HOST` alone means Kafka's usual port.
fn with_port(server: &str) -> String {
    const PORT: u16 = 9092;
    let named = server
        .rsplit_once(':')
        .is_some_and(|(host, port)| port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']')));
    if named { server.to_owned() } else { format!("{server}:{PORT}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_port_is_kafkas() {
        assert_eq!(with_port("host"), "host:9092");
        assert_eq!(with_port("host:1234"), "host:1234");
        assert_eq!(with_port("[::1]:1234"), "[::1]:1234");
        assert_eq!(with_port("[::1]"), "[::1]:9092");
    }
}
