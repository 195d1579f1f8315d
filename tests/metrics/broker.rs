//! A broker in a process of its own, with /metrics on a free port.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::page::Page;
use super::process::{Process, program};

/// A running broker. It is killed when dropped.
pub struct Broker {
    process: Process,
    _dir: TempDir,
    address: String,
    /// Where /metrics is.
    pub metrics: String,
}

impl Broker {
    /// Starts one and waits until it is ready.
    pub fn start(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = serve(&dir);
        command.args(["--metrics-listen", "127.0.0.1:0"]).args(arguments);
        let process = Process::start(command, &dir.path().join("log"));
        let address = format!("127.0.0.1:{}", process.addresses()[0].port);
        let metrics = process.metrics_address().unwrap().to_string();
        Self { process, _dir: dir, address, metrics }
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
        self.process.stop();
        self.process.log()
    }
}

fn serve(dir: &TempDir) -> Command {
    let mut command = program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(dir.path().join("data"));
    command
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
