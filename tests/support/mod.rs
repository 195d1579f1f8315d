//! A real broker for tests: the binary itself on a free port with a directory of its own, and librdkafka to talk to it.
//!
//! Each test binary uses a part of this.
#![allow(dead_code, reason = "no test binary uses all of it")]

pub mod kafka;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::{Process, program};

/// How often a condition is looked at.
pub const LOOK: Duration = Duration::from_millis(5);
/// Ports to try: below those that the system gives to outgoing connections, so that none of them takes a port while its
/// broker is down.
const PORTS: std::ops::Range<u16> = 15_000..32_000;
/// The memory of each broker: tests run side by side.
const MEMORY: &str = "256M";

/// A running broker, or one that was stopped and may start again on the same directory and port.
pub struct Broker {
    process: Option<Process>,
    shards: u16,
    sets: Vec<String>,
    port: u16,
    scratch: TempDir,
}

impl Broker {
    /// Starts a broker on a new directory; `sets` are settings, as `key=value`.
    pub fn start(shards: u16, sets: &[&str]) -> Broker {
        Self::start_on(shards, sets, |_| {})
    }

    /// The same on a directory that `prepare` makes and fills.
    pub fn start_on(shards: u16, sets: &[&str], prepare: impl FnOnce(&Path)) -> Broker {
        let scratch = TempDir::with_prefix("duramen-test-").expect("a temporary directory");
        let sets = sets.iter().map(|set| set.to_string()).collect();
        let mut broker = Broker { process: None, shards, sets, port: free_port(), scratch };
        prepare(&broker.data_dir());
        broker.restart();
        broker
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn data_dir(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the broker runs").id()
    }

    /// What the broker has printed about its last start.
    pub fn banner(&self) -> String {
        self.process.as_ref().expect("the broker runs").banner.join("\n")
    }

    /// What the broker has logged so far, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Ends it as a crash of the process does.
    pub fn kill(&mut self) {
        self.process.take().expect("the broker runs").kill();
    }

    /// Asks it to end by SIGTERM, and sees that it ends well.
    pub fn stop(&mut self) {
        self.process.take().expect("the broker runs").stop();
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.process.as_ref().expect("the broker runs").signal("TERM");
    }

    /// Sends a signal by its name, such as `STOP`.
    pub fn signal(&self, name: &str) {
        self.process.as_ref().expect("the broker runs").signal(name);
    }

    /// Waits until the process is gone.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        self.process.take().expect("the broker runs").ended()
    }

    /// Starts again on the same directory and port.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "the broker runs already");
        let mut command = program();
        command.arg("serve").arg("--data-dir").arg(self.data_dir()).args(["--listen", &self.address()]);
        command.args(["--shards", &self.shards.to_string(), "--memory", MEMORY]);
        command.args(self.sets.iter().flat_map(|set| ["--set", set]));
        self.process = Some(Process::start(command, &self.log_path()));
    }

    /// The same with another number of shards.
    pub fn restart_with_shards(&mut self, shards: u16) {
        self.shards = shards;
        self.restart();
    }

    /// One of the other commands, told of this broker: `command("topic move t:0 --shard 1")`.
    pub fn command(&self, line: &str) -> Command {
        let mut command = program();
        command.args(line.split_whitespace()).args(["--bootstrap-server", &self.address()]);
        command
    }

    /// Runs such a command to its end and sees that it ends well; the result is what it wrote to stdout.
    pub fn run(&self, line: &str) -> String {
        let output = self.command(line).stdin(Stdio::null()).output().expect("the command's process starts");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "duramen {line}: {}\n{told}", output.status);
        String::from_utf8(output.stdout).expect("the command writes text")
    }

    fn log_path(&self) -> PathBuf {
        self.scratch.path().join("broker.log")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if thread::panicking() && std::env::var_os("DURAMEN_TEST_KEEP").is_some() {
            self.scratch.disable_cleanup(true);
            eprintln!("its directory stays: {}", self.scratch.path().display());
        }
    }
}

/// Looks until there is an answer, at most for `limit`.
pub fn until<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        let answer = look();
        if answer.is_some() || Instant::now() > deadline {
            return answer;
        }
        thread::sleep(LOOK);
    }
}

/// The bytes of all files below a directory.
pub fn bytes_below(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => bytes_below(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

/// A port that nobody uses now.
pub fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let tries = std::iter::repeat_with(|| rand::random_range(PORTS)).take(100);
    tries.into_iter().find(free).expect("one of a hundred ports is free")
}
