//! A broker in this process: its own start, its own threads, real sockets and a real disk.

use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use duramen::serve::{self, Options};
use rand::Rng;
use tempfile::TempDir;

use crate::bare::{Client, LOOK, PATIENCE};
use crate::page::Page;
use crate::scrape;

/// Below those that the system gives to outgoing connections.
const PORTS: std::ops::Range<u16> = 15_000..32_000;
/// For all shards together: as little as tests can fill.
pub const MEMORY: u64 = 64 << 20;
/// What happens now and then, and not per request, stays away while requests are counted.
const SETTINGS: [&str; 3] = [
    "duramen.checkpoint.interval.bytes=1099511627776",
    "offsets.topic.num.partitions=1",
    "log.retention.check.interval.ms=3600000",
];

pub struct Broker {
    thread: Option<JoinHandle<Result<(), serve::Error>>>,
    port: u16,
    metrics: String,
    _dir: TempDir,
}

impl Broker {
    pub fn start(shards: u16) -> Self {
        let dir = TempDir::with_prefix("duramen-allocations-").expect("a temporary directory");
        let (port, metrics) = (free_port(), format!("127.0.0.1:{}", free_port()));
        let options = Options {
            data_dir: Some(dir.path().join("data")),
            listen: Some(format!("127.0.0.1:{port}")),
            metrics_listen: Some(metrics.clone()),
            shards: Some(shards),
            memory: Some(MEMORY),
            sets: SETTINGS.map(String::from).to_vec(),
            ..Options::default()
        };
        let thread = thread::Builder::new().name("serve".into()).spawn(move || serve::run(&options));
        let thread = Some(thread.expect("a thread can be made"));
        let broker = Self { thread, port, metrics, _dir: dir };
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the broker does not start");
            thread::sleep(LOOK);
        }
        broker
    }

    pub fn client(&self) -> Client {
        Client::connect(self.port)
    }

    pub fn scrape(&self) -> Page {
        let (status, body) = scrape::get(&self.metrics, "/metrics");
        assert_eq!(status, 200, "{body}");
        Page::parse(&body)
    }

    /// Ends it as a signal does.
    pub fn stop(mut self) {
        let sent = Command::new("sh").args(["-c", &format!("kill -TERM {}", std::process::id())]).status();
        assert!(sent.expect("a shell can be run").success());
        let ended = self.thread.take().map(JoinHandle::join);
        ended.expect("it is stopped once").expect("its thread does not panic").expect("it ends well");
    }
}

fn free_port() -> u16 {
    let mut random = rand::rng();
    let free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (0..100).map(|_| random.random_range(PORTS)).find(free).expect("one of a hundred ports is free")
}
