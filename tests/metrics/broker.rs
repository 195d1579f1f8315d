//! A broker in a process of its own, with /metrics on a free port.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::page::Page;

/// A running broker. It is killed when dropped.
pub struct Broker {
    child: Child,
    dir: TempDir,
    address: String,
    /// Where /metrics is.
    pub metrics: String,
}

impl Broker {
    /// Starts one and waits until it is ready.
    pub fn start(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = File::create(dir.path().join("log")).unwrap();
        let mut command = serve(&dir);
        command.args(["--metrics-listen", "127.0.0.1:0"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (mut address, mut metrics) = (None, None);
        for line in lines.by_ref() {
            if let Some(rest) = line.strip_prefix("PLAINTEXT listens on ") {
                address = rest.split(' ').next().map(str::to_string);
            }
            if let Some(rest) = line.strip_prefix("metrics on http://") {
                metrics = rest.split('/').next().map(str::to_string);
            }
            if line.contains("; ready after ") {
                break;
            }
        }
        let started = address.zip(metrics);
        let (address, metrics) = started.unwrap_or_else(|| panic!("it did not start: {}", log_of(&dir)));
        // Its pipe stays open, so that it can go on writing.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, dir, address, metrics }
    }

    /// Where clients connect to.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn scrape(&self) -> Page {
        let (status, body) = get(&self.metrics, "/metrics");
        assert_eq!(status, 200, "{body}");
        Page::parse(&body)
    }

    /// Ends it cleanly; returns what it has logged.
    pub fn stop(mut self) -> String {
        let sent = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status().unwrap();
        assert!(sent.success());
        assert!(self.child.wait().unwrap().success());
        log_of(&self.dir)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(dir: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
    command.env_remove("RUST_LOG").stdin(Stdio::null()).args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    command.arg(dir.path().join("data"));
    command
}

fn log_of(dir: &TempDir) -> String {
    std::fs::read_to_string(dir.path().join("log")).unwrap()
}

/// Runs a start that must be refused, before the data directory is touched; what it says.
pub fn refused(arguments: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let output = serve(&dir).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(!dir.path().join("data").exists());
    String::from_utf8(output.stderr).unwrap()
}

/// GETs a path; its status and body.
pub fn get(address: &str, path: &str) -> (u16, String) {
    request(address, format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())
}

/// Sends bytes; the status and the body of the answer, whose length must be what it says.
pub fn request(address: &str, bytes: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let _ = stream.shutdown(Shutdown::Both);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no status: {head}")), body.to_string())
}
