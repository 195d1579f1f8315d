//! A broker with little memory, a client that behaves, and what must hold after every attack.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use tempfile::TempDir;

use crate::bare::client::batch;
use crate::bare::{Broker, Client, await_that};

/// The broker's budget.
const BUDGET: u64 = 128 << 20;
/// What a process has beside what it manages: stacks, tables of the allocator, parts of requests that are decoded.
const ALLOWANCE: u64 = 64 << 20;
/// The topic of the client that behaves.
const TOPIC: &str = "good";

pub struct Rig {
    pub broker: Broker,
    client: Client,
    produced: i64,
    _root: TempDir,
}

impl Rig {
    pub fn start() -> Rig {
        Self::with(&[])
    }

    pub fn with(arguments: &[&str]) -> Rig {
        let root = tempfile::tempdir().unwrap();
        let mut all = vec!["--memory", "128M", "--shards", "2"];
        all.extend(arguments);
        let broker = Broker::start(&root.path().join("data"), &all);
        let mut client = broker.client();
        assert_eq!(client.create_topics(&[TOPIC], 1), [0]);
        Rig { broker, client, produced: 0, _root: root }
    }

    /// Asserts that a client that is connected and one that comes now are served.
    #[track_caller]
    pub fn serves(&mut self) {
        let value = format!("value {}", self.produced);
        let appended = self.client.produce(TOPIC, 0, batch([value.as_bytes()]));
        assert_eq!(appended, (0, self.produced));
        let (code, records) = self.broker.client().fetch(TOPIC, 0, self.produced);
        assert_eq!(code, 0);
        assert!(records.windows(value.len()).any(|bytes| bytes == value.as_bytes()));
        self.produced += 1;
    }

    /// Asserts that the broker serves, stays in its memory and has not panicked.
    #[track_caller]
    pub fn is_unharmed(&mut self) {
        self.serves();
        assert!(self.broker.is_alive());
        let resident = self.broker.resident();
        println!("{} MiB are resident", resident >> 20);
        assert!(resident <= BUDGET + ALLOWANCE, "{} MiB are resident", resident >> 20);
        let log = self.broker.log();
        assert!(!log.contains("panicked"), "{log}");
    }

    /// The sum of a metric over all shards. The rig was started with `--metrics-listen`.
    pub fn metric(&self, name: &str) -> f64 {
        let told = self.broker.banner.iter().find_map(|line| line.strip_prefix("metrics on http://"));
        let address = told.and_then(|line| line.split('/').next()).expect("it listens for metrics");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let samples = page.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.split(' ').nth(1));
        samples.map(|value| value.parse::<f64>().expect("a number")).sum()
    }

    /// Asserts that a log line names this peer and this reason.
    #[track_caller]
    pub fn complains(&self, peer: SocketAddr, reason: &str) {
        let told = |log: &str| log.lines().any(|line| line.contains(&peer.to_string()) && line.contains(reason));
        await_that(&format!("a line with {peer} and {reason:?}"), || told(&self.broker.log()));
    }
}
