//! `duramen serve` in a child process that does not outlive the test.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use super::{Client, LOOK, PATIENCE};

/// What the last line of a start says.
const READY: &str = "; ready after ";

/// A running broker. It is killed when dropped.
pub struct Broker {
    child: Child,
    log: PathBuf,
    /// Listener, host, port and node of each address, in the order of the broker's own list.
    pub addresses: Vec<Address>,
    /// What it printed about its start.
    pub banner: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub listener: String,
    pub host: String,
    pub port: u16,
    pub node: i32,
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

/// The program itself, without arguments.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
    command.env_remove("RUST_LOG").env("RUST_BACKTRACE", "1").stdin(Stdio::null());
    command
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
    let status = wait(&mut child, PATIENCE);
    if status.is_none() {
        child.kill().expect("a child can be killed");
    }
    let Output { stdout, stderr, .. } = child.wait_with_output().expect("its output can be read");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text is printed");
    let (stdout, stderr) = (text(stdout), text(stderr));
    let status = status.unwrap_or_else(|| panic!("it started although it must not:\n{stdout}{stderr}"));
    Failed { code: status.code(), stderr, stdout }
}

fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + patience;
    loop {
        match child.try_wait().expect("a child can be waited for") {
            Some(status) => return Some(status),
            None if Instant::now() >= deadline => return None,
            None => thread::sleep(LOOK),
        }
    }
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
    pub fn run(mut command: Command, log: &Path) -> Broker {
        let stderr = File::options().create(true).append(true).open(log).expect("a log file can be made");
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("the program can be run");
        let lines = lines_of(child.stdout.take().expect("stdout is piped"));
        let mut broker = Broker { child, log: log.to_owned(), addresses: Vec::new(), banner: Vec::new() };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = lines.recv_timeout(left) else {
                panic!("the broker did not start: {:?}\n{}", broker.banner, broker.log());
            };
            broker.addresses.extend(address(&line));
            let ready = line.contains(READY);
            broker.banner.push(line);
            if ready {
                return broker;
            }
        }
    }

    /// The value of one sample of /metrics, named with its labels; 0 if there is none.
    pub fn metric(&self, sample: &str) -> f64 {
        let page = self.metrics();
        let value = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// The page of /metrics, of a broker that was told to serve it.
    pub fn metrics(&self) -> String {
        let address = self.banner.iter().find_map(|line| line.strip_prefix("metrics on http://")?.split('/').next());
        let mut stream = TcpStream::connect(address.expect("it was told where")).expect("metrics are served");
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
        fs::read_to_string(&self.log).expect("the log file can be read")
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
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
        PathBuf::from(format!("/proc/{}/root", self.child.id()))
    }

    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("a live process").count()
    }

    fn status(&self, field: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a live process");
        let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("the kernel tells it");
        line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).expect("a number") << 10
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(sent.expect("a shell can be run").success());
    }

    /// Waits for the end.
    pub fn ended(&mut self) -> ExitStatus {
        let ended = wait(&mut self.child, PATIENCE);
        ended.unwrap_or_else(|| panic!("the broker does not end:\n{}", self.log()))
    }

    /// Asks for a clean end and asserts that it was one.
    #[track_caller]
    pub fn stop(mut self) {
        self.signal("TERM");
        let status = self.ended();
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }

    pub fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
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
