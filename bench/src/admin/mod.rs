//! The blocking calls before and after a load: metadata, topics, offsets, producer ids. Nothing here runs while a load
//! is measured, so it may be simple; it retries what passes by itself, for at most [`RETRY_TIMEOUT`].

mod connection;
mod offsets;
mod topics;

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use duramen_wire::api::ApiKey;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{BrokerId, InitProducerIdRequest, MetadataRequest, MetadataResponse};
use kafka_protocol::protocol::StrBytes;

pub use connection::{CALL_TIMEOUT, CONNECT_TIMEOUT, Connection, connect, plain};
pub use offsets::Bounds;
pub use topics::Topic;

use crate::error::Error;

/// How long a state that passes by itself (no leader yet, a coordinator loading) is waited for: making a thousand
/// partitions on a busy disk takes a broker a while.
pub const RETRY_TIMEOUT: Duration = Duration::from_secs(60);
/// The pause between two attempts.
pub const RETRY_INTERVAL: Duration = Duration::from_millis(50);

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
    pub fn connect(servers: &[String]) -> Result<Cluster, Error> {
        let mut failure = None;
        for server in servers {
            match Connection::open(server) {
                Ok(bootstrap) => return Cluster::over(bootstrap),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| Error::Usage("no broker is named".to_owned())))
    }

    fn over(bootstrap: Connection) -> Result<Cluster, Error> {
        let mut cluster = Cluster { bootstrap, connections: BTreeMap::new(), brokers: BTreeMap::new(), controller: -1 };
        cluster.metadata(&MetadataRequest::default().with_topics(Some(Vec::new())))?;
        Ok(cluster)
    }

    /// Node ids and addresses, ascending.
    pub fn brokers(&self) -> &BTreeMap<i32, String> {
        &self.brokers
    }

    /// The highest version of an API within the given ones that the broker that was asked first offers.
    pub fn offers(&self, api: ApiKey, lowest: i16, highest: i16) -> Result<i16, Error> {
        self.bootstrap.offers(api, lowest, highest)
    }

    /// The broker with this node id.
    pub fn broker(&mut self, id: i32) -> Result<&mut Connection, Error> {
        if !self.connections.contains_key(&id) {
            let connection = Connection::open(self.address(id)?)?;
            self.connections.insert(id, connection);
        }
        Ok(self.connections.get_mut(&id).expect("was just inserted"))
    }

    /// As many ids of idempotent producers (KIP-98), each with its epoch.
    pub fn producer_ids(&mut self, count: u32) -> Result<Vec<(i64, i16)>, Error> {
        (0..count).map(|_| retrying(|| self.producer_id())).collect()
    }

    fn producer_id(&mut self) -> Result<(i64, i16), Error> {
        const TRANSACTION_TIMEOUT_MS: i32 = 60_000;
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(TRANSACTION_TIMEOUT_MS);
        let answer = self.bootstrap.call(&request)?;
        check(answer.error_code, None, || "an id for a producer".to_owned())?;
        Ok((answer.producer_id.0, answer.producer_epoch))
    }

    fn address(&self, id: i32) -> Result<&str, Error> {
        let unnamed = || Error::Unreachable {
            server: format!("node {id}"),
            reason: "it is not among the brokers that the cluster names".to_owned(),
        };
        self.brokers.get(&id).map(String::as_str).ok_or_else(unnamed)
    }

    /// The broker that takes changes to topics.
    fn controller(&mut self) -> Result<&mut Connection, Error> {
        let controller = self.controller;
        if self.brokers.contains_key(&controller) { self.broker(controller) } else { Ok(&mut self.bootstrap) }
    }

    /// Asks for metadata and remembers which brokers there are.
    fn metadata(&mut self, request: &MetadataRequest) -> Result<MetadataResponse, Error> {
        let response = self.bootstrap.call(request)?;
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

/// Kafka's name for an error code.
pub fn code_name(code: i16) -> String {
    let error = match ResponseError::try_from_code(code) {
        Some(ResponseError::Unknown(_)) | None => return format!("code {code}"),
        Some(error) => error,
    };
    let mut name = String::new();
    for letter in format!("{error:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_uppercase());
    }
    name
}

/// Turns the code of an answer into an error that says what was refused.
fn check(code: i16, message: Option<&StrBytes>, what: impl FnOnce() -> String) -> Result<(), Error> {
    if code == 0 {
        return Ok(());
    }
    let said = message.filter(|text| !text.is_empty()).map(|text| format!(" ({})", text.as_str())).unwrap_or_default();
    Err(Error::Refused { what: what(), code: format!("{}{said}", code_name(code)), remedy: None })
}

/// Whether a state passes by itself.
fn passes(error: &Error) -> bool {
    const PASSING: [&str; 7] = [
        "LEADER_NOT_AVAILABLE",
        "NOT_LEADER_OR_FOLLOWER",
        "UNKNOWN_TOPIC_OR_PARTITION",
        "COORDINATOR_LOAD_IN_PROGRESS",
        "COORDINATOR_NOT_AVAILABLE",
        "NOT_COORDINATOR",
        "OFFSET_NOT_AVAILABLE",
    ];
    matches!(error, Error::Refused { code, .. } if PASSING.iter().any(|name| code.starts_with(name)))
}

/// Tries until it succeeds, or fails with what does not pass by itself, or [`RETRY_TIMEOUT`] is over.
fn retrying<T>(mut attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let deadline = Instant::now() + RETRY_TIMEOUT;
    loop {
        match attempt() {
            Err(error) if passes(&error) && Instant::now() < deadline => sleep(RETRY_INTERVAL),
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_kafkas_names() {
        assert_eq!(code_name(3), "UNKNOWN_TOPIC_OR_PARTITION");
        assert_eq!(code_name(6), "NOT_LEADER_OR_FOLLOWER");
        assert_eq!(code_name(10), "MESSAGE_TOO_LARGE");
        assert_eq!(code_name(32_000), "code 32000");
    }

    #[test]
    fn only_what_passes_is_tried_again() {
        let mut attempts = 0;
        let outcome = retrying(|| {
            attempts += 1;
            check(if attempts < 3 { 5 } else { 0 }, None, || "it".to_owned())
        });
        assert!(outcome.is_ok() && attempts == 3);
        let mut attempts = 0;
        let outcome = retrying(|| {
            attempts += 1;
            check(17, None, || "it".to_owned())
        });
        assert!(outcome.is_err() && attempts == 1);
    }
}
