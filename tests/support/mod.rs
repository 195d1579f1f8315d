//! A real broker for tests: the binary itself on a free port with a directory of its own, and librdkafka to talk to it.
//!
//! Each test binary uses a part of this.
#![allow(dead_code, reason = "no test binary uses all of it")]

pub mod kafka;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long the broker may take to start or to stop, on a machine that is busy.
const START_STOP_MAX: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
pub const LOOK: Duration = Duration::from_millis(5);
/// Ports to try: below those that the system gives to outgoing connections, so that none of them takes a port while its
/// broker is down.
const PORTS: std::ops::Range<u16> = 15_000..32_000;
/// The memory of each broker: tests run side by side.
const MEMORY: &str = "256M";

/// A running broker, or one that was stopped and may start again on the same directory and port.
pub struct Broker {
    child: Option<Child>,
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
        let mut broker = Broker { child: None, shards, sets, port: free_port(), scratch };
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
        self.child.as_ref().expect("the broker runs").id()
    }

    /// What the broker has said so far, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Ends it as a crash of the process does.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the broker runs");
        child.kill().expect("SIGKILL is sent");
        child.wait().expect("the child is ours");
    }

    /// Asks it to end by SIGTERM, and sees that it ends well.
    pub fn stop(&mut self) {
        self.terminate();
        let status = self.wait_for_end();
        assert!(status.success(), "a clean stop ends with 0, not {status}:\n{}", self.log_tail());
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let sent = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.pid())]).status();
        assert!(sent.expect("sh runs").success());
    }

    /// Waits until the process is gone.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the broker runs");
        let ended = until(START_STOP_MAX, || child.try_wait().expect("the child is ours"));
        if ended.is_none() {
            child.kill().expect("SIGKILL is sent");
        }
        ended.unwrap_or_else(|| panic!("the broker does not stop:\n{}", self.log_tail()))
    }

    /// Starts again on the same directory and port.
    pub fn restart(&mut self) {
        self.spawn();
        let deadline = Instant::now() + START_STOP_MAX;
        while answer_api_versions(self.port).is_err() {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().expect("the child is ours")) {
                self.child = None;
                panic!("the broker ended at its start with {status}:\n{}", self.log_tail());
            }
            assert!(Instant::now() < deadline, "the broker does not answer:\n{}", self.log_tail());
            thread::sleep(LOOK);
        }
    }

    /// The same with another number of shards.
    pub fn restart_with_shards(&mut self, shards: u16) {
        self.shards = shards;
        self.restart();
    }

    /// Starts the process without waiting for anything.
    fn spawn(&mut self) {
        assert!(self.child.is_none(), "the broker runs already");
        let log = File::options().create(true).append(true).open(self.log_path()).expect("a file for the log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
        command.arg("serve").arg("--data-dir").arg(self.data_dir()).args(["--listen", &self.address()]);
        command.args(["--shards", &self.shards.to_string(), "--memory", MEMORY]);
        command.args(self.sets.iter().flat_map(|set| ["--set", set]));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        self.child = Some(command.spawn().expect("the broker's process starts"));
    }

    /// One of the other commands, told of this broker: `command("topic move t:0 --shard 1")`.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
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

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if thread::panicking() {
            eprintln!("the broker's log ends so:\n{}", self.log_tail());
            if std::env::var_os("DURAMEN_TEST_KEEP").is_some() {
                self.scratch.disable_cleanup(true);
                eprintln!("its directory stays: {}", self.scratch.path().display());
            }
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

/// Asks for ApiVersions and waits for the answer, by hand.
fn answer_api_versions(port: u16) -> std::io::Result<()> {
    const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(START_STOP_MAX))?;
    stream.write_all(&REQUEST)?;
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    assert_eq!(head[4..], REQUEST[8..12], "the answer carries the request's correlation id");
    Ok(())
}
