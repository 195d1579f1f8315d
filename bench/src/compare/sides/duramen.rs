//! Duramen as a side: `serve` of a program, by default of the one that compares.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::process::{self, Owned, Scratch};
use super::{DURAMEN, Environment, Side, SideKind};
use crate::compare::cores;
use crate::error::Error;

/// A broker on a directory of its own. It can be killed and started again on what it has left.
pub struct Duramen {
    // Dropped before its directory.
    process: Owned,
    program: PathBuf,
    settings: Vec<String>,
    cores: cores::Cores,
    pub port: u16,
    /// From the birth of the process until a connection was accepted.
    pub started: Duration,
    scratch: Scratch,
}

impl Duramen {
    /// On an empty directory, with further arguments of `serve`.
    pub fn start(environment: &Environment, settings: &[String]) -> Result<Duramen, Error> {
        let scratch = Scratch::below(&environment.scratch, "duramen")?;
        let port = process::free_port()?;
        let (program, cores) = (environment.duramen.clone(), environment.cores.clone());
        let (process, started) = serve(&program, &scratch, port, settings, &cores)?;
        Ok(Duramen { process, program, settings: settings.to_vec(), cores, port, started, scratch })
    }

    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// After a kill: starts it again on the same data. Returns when the new process was made.
    pub fn start_again(&mut self) -> Result<Instant, Error> {
        let began = Instant::now();
        (self.process, self.started) = serve(&self.program, &self.scratch, self.port, &self.settings, &self.cores)?;
        Ok(began)
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub fn server(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn data_dir(&self) -> PathBuf {
        data_dir(&self.scratch)
    }

    /// What it has printed since it was started.
    pub fn log(&self) -> String {
        std::fs::read_to_string(log(&self.scratch)).unwrap_or_default()
    }

    pub fn side(&self, synced: bool) -> Side {
        Side {
            kind: SideKind::Duramen,
            name: DURAMEN.into(),
            level: level(synced).into(),
            version: version(&self.program),
            server: self.server(),
            pid: Some(self.pid()),
            data_dir: Some(self.data_dir()),
            topic_configs: vec![("durability".into(), if synced { "fsync" } else { "replicated" }.into())],
        }
    }
}

/// What an acknowledgement means.
pub fn level(synced: bool) -> &'static str {
    if synced { "durability=fsync" } else { "durability=replicated" }
}

pub fn version(program: &Path) -> String {
    process::printed(program, &["--version"]).trim().to_owned()
}

fn data_dir(scratch: &Scratch) -> PathBuf {
    scratch.path().join("data")
}

fn log(scratch: &Scratch) -> PathBuf {
    scratch.path().join("log")
}

fn serve(
    program: &Path,
    scratch: &Scratch,
    port: u16,
    settings: &[String],
    cores: &cores::Cores,
) -> Result<(Owned, Duration), Error> {
    let mut command = Command::new(program);
    command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data-dir"]).arg(data_dir(scratch));
    if !cores.are_shared() {
        command.args(["--cores", &cores::text(&cores.brokers)]);
    }
    command.args(settings).stdin(Stdio::null());
    let log = log(scratch);
    let began = Instant::now();
    let mut process = cores.as_broker(|| process::spawn(command, DURAMEN, &log))??;
    let started = process::await_listening(&mut process, port, DURAMEN, &log, began)?;
    Ok((process, started))
}
