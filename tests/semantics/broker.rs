//! Broker processes: one that tests share while any of them runs, and ones that a test has for itself.

use std::env;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tempfile::TempDir;

use crate::process::{Process, program};
use crate::wire::Client;

/// Names another broker to ask.
const OTHER_BROKER: &str = "SEMANTICS_BROKER";

/// A broker to ask. One that was started here is killed when it is dropped.
pub struct Broker {
    address: String,
    own: Option<Own>,
}

struct Own {
    process: Process,
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
        let (process, address) = spawn(directory.path(), &settings);
        Self { address, own: Some(Own { process, directory, settings }) }
    }

    pub fn connect(&self) -> Client {
        Client::connect(&self.address)
    }

    /// Ends it by SIGKILL and starts it again on the same directory, at another port.
    pub fn kill_and_restart(&mut self) {
        let own = self.own.as_mut().expect("a broker that was started here");
        own.process.kill();
        (own.process, self.address) = spawn(own.directory.path(), &own.settings);
    }
}

/// Starts a broker with its data and its log below a directory.
fn spawn(directory: &Path, settings: &[String]) -> (Process, String) {
    let mut command = program();
    command.args(["serve", "--shards", "2", "--memory", "256M", "--listen", "127.0.0.1:0"]);
    command.arg("--data-dir").arg(directory.join("data")).env("RUST_LOG", "error");
    settings.iter().for_each(|setting| {
        command.args(["--set", setting]);
    });
    let process = Process::start(command, &directory.join("broker.log"));
    let address = format!("127.0.0.1:{}", process.addresses()[0].port);
    (process, address)
}
