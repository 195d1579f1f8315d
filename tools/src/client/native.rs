//! Prepares librdkafka: its configuration, and a context that keeps its chatter off the terminal.

use std::net::{IpAddr, ToSocketAddrs};
use std::str::FromStr;
use std::sync::Mutex;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use super::Server;
use crate::Error;

/// `-X NAME=VALUE`: a librdkafka setting that overrides ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    pub name: String,
    pub value: String,
}

impl FromStr for Property {
    type Err = String;

    fn from_str(text: &str) -> Result<Property, String> {
        let (name, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not NAME=VALUE"))?;
        Ok(Property { name: name.trim().to_owned(), value: value.to_owned() })
    }
}

/// What producer and consumer have in common; the caller adds its own and then the user's properties.
pub fn config(server: &Server) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &server.bootstrap_server)
        .set("client.id", "duramen")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("socket.connection.setup.timeout.ms", "5000")
        .set("log.connection.close", "false");
    if is_local_v4(&server.bootstrap_server) {
        config.set("broker.address.family", "v4");
    }
    config
}

/// Lays the user's properties over ours.
pub fn apply(config: &mut ClientConfig, properties: &[Property]) {
    for property in properties {
        config.set(&property.name, &property.value);
    }
}

/// Turns the refusal of a setting into an error of the command line.
pub fn creation_error(what: &str, error: KafkaError) -> Error {
    match error {
        KafkaError::ClientConfig(_, reason, name, value) => Error::Usage(format!("-X {name}={value}: {reason}")),
        KafkaError::ClientCreation(reason) => Error::Usage(reason),
        source => Error::Client { what: what.to_owned(), source },
    }
}

/// Whether all servers are this machine and have an IPv4 address. librdkafka tries `::1` first for `localhost` and
/// loses time where nothing listens there.
fn is_local_v4(servers: &str) -> bool {
    servers.split(',').all(|server| {
        let server = server.trim();
        let named = if server.contains(':') { server.to_owned() } else { format!("{server}:9092") };
        let addresses: Vec<IpAddr> =
            named.to_socket_addrs().map(|found| found.map(|address| address.ip()).collect()).unwrap_or_default();
        addresses.iter().all(IpAddr::is_loopback) && addresses.iter().any(IpAddr::is_ipv4)
    })
}

/// The last thing librdkafka complained about, kept for the moment when a command gives up.
#[derive(Debug, Default)]
pub struct Complaint {
    last: Mutex<Option<String>>,
}

impl Complaint {
    /// Keeps an error that librdkafka reported.
    pub fn note(&self, reason: &str) {
        // "localhost:9092/bootstrap: Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after 0ms in state ..)"
        let reason = reason.split(" (after ").next().unwrap_or(reason);
        let reason = reason.strip_prefix("[thrd:").and_then(|rest| rest.split_once("]: ")).map_or(reason, |(_, r)| r);
        *self.lock() = Some(reason.trim().to_owned());
    }

    /// Keeps a line of its log if it is an error or worse.
    pub fn note_log(&self, level: RDKafkaLogLevel, message: &str) {
        let serious = (level as i32) <= RDKafkaLogLevel::Error as i32;
        if serious && !message.contains("brokers are down") {
            self.note(message);
        }
    }

    /// The last complaint, or `otherwise`.
    pub fn or(&self, otherwise: &str) -> String {
        self.lock().clone().unwrap_or_else(|| otherwise.to_owned())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_split_at_its_first_equals_sign() {
        let property: Property = "a.b=c=d".parse().unwrap();
        assert_eq!((property.name.as_str(), property.value.as_str()), ("a.b", "c=d"));
        assert!("a.b".parse::<Property>().is_err());
    }

    #[test]
    fn complaints_lose_their_trimmings() {
        let complaint = Complaint::default();
        assert_eq!(complaint.or("none"), "none");
        complaint.note("[thrd:a:1/1]: a:1/1: Connect failed: Connection refused (after 3ms in state CONNECT)");
        assert_eq!(complaint.or("none"), "a:1/1: Connect failed: Connection refused");
    }

    #[test]
    fn loopback_is_recognised() {
        assert!(is_local_v4("127.0.0.1:9092"));
        assert!(is_local_v4("127.0.0.1"));
        assert!(!is_local_v4("[::1]:9092"));
        assert!(!is_local_v4("192.0.2.1:9092,127.0.0.1:9092"));
    }
}
