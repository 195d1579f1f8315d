//! `duramen serve` in a child process that does not outlive the test.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use super::{Client, PATIENCE};
use crate::process::{Address, Process, end_of};

pub use crate::process::program;

/// A running broker. It is killed when dropped.
pub struct Broker {
    process: Process,
    /// Where it listens, in the order of the broker's own list.
    pub addresses: Vec<Address>,
    /// What it printed about its start.
    pub banner: Vec<String>,
}

/// A start that was refused.
#[derive(Debug)]
pub struct Failed {
    pub code: Option<i32>,
    pub stderr: String,
    pub stdout: String,
}

impl Failed {
    /// Asserts one clear error: at most two lines that contain all of `texts`, nothing printed, exit code 1.
    #[track_caller]
    pub fn says(&self, texts: &[&str]) {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert!((1..=2).contains(&self.stderr.lines().count()), "one or two lines are wanted: {self:?}");
        assert!(self.stderr.starts_with("duramen: "), "{self:?}");
        for text in texts {
            assert!(self.stderr.contains(text), "no {text:?} in {:?}", self.stderr);
        }
    }
}

/// Arguments with a data directory, and an address unless they name one.
pub fn with_defaults<'a>(dir: &'a Path, arguments: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["--data-dir", dir.to_str().expect("a readable path")];
    if !arguments.contains(&"--listen") {
        all.extend(["--listen", "127.0.0.1:0"]);
    }
    all.extend(arguments);
    all
}

/// Runs `duramen serve` with these arguments, which must end by itself.
pub fn refused(arguments: &[&str]) -> Failed {
    let mut command = program();
    command.arg("serve").args(arguments);
    ends_by_itself(command)
}

/// Runs a command that must end by itself.
pub fn ends_by_itself(mut command: Command) -> Failed {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program can be run");
    let status = end_of(&mut child, PATIENCE);
    if status.is_none() {
        child.kill().expect("a child can be killed");
    }
    let Output { stdout, stderr, .. } = child.wait_with_output().expect("its output can be read");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text is printed");
    let (stdout, stderr) = (text(stdout), text(stderr));
    let status = status.unwrap_or_else(|| panic!("it started although it must not:\n{stdout}{stderr}"));
    Failed { code: status.code(), stderr, stdout }
}

impl Broker {
    /// Starts a broker on `dir` and waits until it is ready. It listens on 127.0.0.1, unless the arguments say where.
    pub fn start(dir: &Path, arguments: &[&str]) -> Broker {
        Self::serve(dir, &with_defaults(dir, arguments))
    }

    /// The same with nothing but the arguments; `dir` only names the log file beside it.
    pub fn serve(dir: &Path, arguments: &[&str]) -> Broker {
        let mut command = program();
        command.arg("serve").args(arguments);
        Self::run(command, &dir.with_extension("log"))
    }

    /// Runs a command that becomes a broker, with its log lines going to the end of `log`.
    pub fn run(command: Command, log: &Path) -> Broker {
        let process = Process::start(command, log);
        Broker { addresses: process.addresses(), banner: process.banner.clone(), process }
    }

    /// The value of one sample of /metrics, named with its labels; 0 if there is none.
    pub fn metric(&self, sample: &str) -> f64 {
        let page = self.metrics();
        let value = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// The page of /metrics, of a broker that was told to serve it.
    pub fn metrics(&self) -> String {
        let address = self.process.metrics_address().expect("it was told where");
        let mut stream = TcpStream::connect(address).expect("metrics are served");
        stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("it reads the request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers and closes");
        answer.split_once("\r\n\r\n").expect("an answer has a body").1.to_owned()
    }

    /// The port of the first listener.
    pub fn port(&self) -> u16 {
        self.addresses[0].port
    }

    pub fn client(&self) -> Client {
        Client::connect(self.port())
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    pub fn is_alive(&mut self) -> bool {
        self.process.is_alive()
    }

    /// Bytes of memory that are resident and its own: not counting pages of files.
    pub fn resident(&self) -> u64 {
        self.status("RssAnon:") + self.status("RssShmem:")
    }

    pub fn threads(&self) -> u64 {
        self.status("Threads:") >> 10
    }

    /// The root directory as the broker sees it, with what is mounted for it alone.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.process.id()))
    }

    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id())).expect("a live process").count()
    }

    fn status(&self, field: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("a live process");
        let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("the kernel tells it");
        line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).expect("a number") << 10
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits for the end.
    pub fn ended(&mut self) -> ExitStatus {
        self.process.ended()
    }

    /// Asks for a clean end and asserts that it was one.
    #[track_caller]
    pub fn stop(mut self) {
        self.process.stop();
    }

    pub fn kill(mut self) {
        self.process.kill();
    }
}
