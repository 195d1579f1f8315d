//! Broker processes: one that tests share while any of them runs, and ones that a test has for itself.

use std::env;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tempfile::TempDir;

use crate::wire::Client;

/// Names another broker to ask.
const OTHER_BROKER: &str = "SEMANTICS_BROKER";

/// A broker to ask. One that was started here is killed when it is dropped.
pub struct Broker {
    address: String,
    own: Option<Process>,
}

struct Process {
    child: Child,
    directory: TempDir,
    settings: Vec<String>,
}

static SHARED: Mutex<Weak<Broker>> = Mutex::new(Weak::new());

/// The broker of all tests that need no settings of their own.
pub fn shared() -> Arc<Broker> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let broker = Arc::new(match env::var(OTHER_BROKER) {
            Ok(address) => Broker { address, own: None },
            Err(_) => Broker::start(&["group.initial.rebalance.delay.ms=0"]),
        });
        *shared = Arc::downgrade(&broker);
        broker
    })
}

/// Whether the tests are asked of another broker, which has no part in what is particular to this one.
pub fn is_other() -> bool {
    env::var(OTHER_BROKER).is_ok()
}

impl Broker {
    /// A broker on an empty directory with these settings.
    pub fn start(settings: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (child, address) = spawn(directory.path(), &settings);
        Self { address, own: Some(Process { child, directory, settings }) }
    }

    pub fn connect(&self) -> Client {
        Client::connect(&self.address)
    }

    /// Ends it by SIGKILL and starts it again on the same directory, at another port.
    pub fn kill_and_restart(&mut self) {
        let own = self.own.as_mut().expect("a broker that was started here");
        own.child.kill().unwrap();
        own.child.wait().unwrap();
        (own.child, self.address) = spawn(own.directory.path(), &own.settings);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(own) = &mut self.own {
            let _ = own.child.kill();
            let _ = own.child.wait();
        }
    }
}

/// Starts a broker and waits for the line that says it serves.
fn spawn(directory: &Path, settings: &[String]) -> (Child, String) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
    command.args(["serve", "--shards", "2", "--memory", "256M", "--listen", &format!("127.0.0.1:{port}")]);
    command.arg("--data-dir").arg(directory).env("RUST_LOG", "error");
    settings.iter().for_each(|setting| {
        command.args(["--set", setting]);
    });
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("ready after"));
    assert!(ready, "the broker ended: {:?}", child.wait());
    (child, format!("127.0.0.1:{port}"))
}
