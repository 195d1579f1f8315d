//! A broker's process: started and awaited, signalled, and never left behind. What the brokers of all test crates rest on.
#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than a start or an end takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a condition that nothing announces.
const LOOK: Duration = Duration::from_millis(5);
/// What the last line of a start says.
const READY: &str = "; ready after ";
/// Lines of the log that a failure shows.
const TAIL: usize = 60;

/// A running broker. It is killed when dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
    /// What it printed about its start.
    pub banner: Vec<String>,
}

/// Where a listener listens, as the banner tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub listener: String,
    pub host: String,
    pub port: u16,
    pub node: i32,
}

/// The program itself, without arguments.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
    command.env_remove("RUST_LOG").env("RUST_BACKTRACE", "1").stdin(Stdio::null());
    command
}

/// Waits for the end of a child, for at most `patience`.
pub fn end_of(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + patience;
    loop {
        match child.try_wait().expect("a child can be waited for") {
            Some(status) => return Some(status),
            None if Instant::now() >= deadline => return None,
            None => thread::sleep(LOOK),
        }
    }
}

impl Process {
    /// Runs a command that becomes a broker, and waits until it is ready. Its log lines go to the end of `log`.
    pub fn start(mut command: Command, log: &Path) -> Process {
        let stderr = File::options().create(true).append(true).open(log).expect("a log file can be made");
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("the program can be run");
        let lines = lines_of(child.stdout.take().expect("stdout is piped"));
        let mut process = Process { child, log: log.to_owned(), banner: Vec::new() };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = lines.recv_timeout(left) else {
                panic!("the broker did not start: {:?}\n{}", process.banner, process.log_tail());
            };
            let ready = line.contains(READY);
            process.banner.push(line);
            if ready {
                return process;
            }
        }
    }

    /// Where it listens, in the order of its own list.
    pub fn addresses(&self) -> Vec<Address> {
        self.banner.iter().filter_map(|line| address(line)).collect()
    }

    /// `HOST:PORT` of /metrics, if it was told to serve it.
    pub fn metrics_address(&self) -> Option<&str> {
        self.banner.iter().find_map(|line| line.strip_prefix("metrics on http://")?.split('/').next())
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("the log file can be read")
    }

    /// The end of that.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id())]).status();
        assert!(sent.expect("a shell can be run").success());
    }

    /// Waits for the end.
    pub fn ended(&mut self) -> ExitStatus {
        let ended = end_of(&mut self.child, PATIENCE);
        ended.unwrap_or_else(|| panic!("the broker does not end:\n{}", self.log_tail()))
    }

    /// Asks for a clean end and asserts that it was one.
    #[track_caller]
    pub fn stop(&mut self) {
        self.signal("TERM");
        let status = self.ended();
        assert_eq!(status.code(), Some(0), "{}", self.log_tail());
    }

    /// Ends it as a crash of the process does.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the broker's log ends so:\n{}", self.log_tail());
        }
    }
}

/// Reads lines for as long as there are any, so that the writer never waits.
fn lines_of(stdout: impl Read + Send + 'static) -> Receiver<String> {
    let (lines, received) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Nobody listens once it is ready.
            let _ = lines.send(line);
        }
    });
    received
}

/// Reads `NAME listens on HOST:PORT (node ID)`.
fn address(line: &str) -> Option<Address> {
    let (listener, rest) = line.split_once(" listens on ")?;
    let (address, node) = rest.split_once(" (node ")?;
    let (host, port) = address.rsplit_once(':')?;
    Some(Address {
        listener: listener.to_owned(),
        host: host.to_owned(),
        port: port.parse().ok()?,
        node: node.strip_suffix(')')?.parse().ok()?,
    })
}
