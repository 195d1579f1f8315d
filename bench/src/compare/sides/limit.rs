//! The physical limit as a side: a process that receives, writes, syncs and answers as a row needs it, and does nothing
//! else. It keeps nothing, so nothing of it can be verified.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::process::{self, Owned, Scratch};
use super::{Environment, LIMIT, Side, SideKind};
use crate::compare::cores::Cores;
use crate::error::Error;

/// How the limit does its work, by the words of `bench limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitKind {
    pub engine: &'static str,
    pub sync: &'static str,
    pub serve: &'static str,
}

impl LimitKind {
    pub const fn new(engine: &'static str, sync: &'static str, serve: &'static str) -> LimitKind {
        LimitKind { engine, sync, serve }
    }

    fn describe(&self) -> String {
        let engine = match self.engine {
            "blocking" => "blocking loop",
            "ring" => "io_uring",
            other => other,
        };
        let what = match (self.serve, self.sync) {
            ("produce", "none") => "no sync".to_owned(),
            ("produce", sync) => sync.to_owned(),
            (serve, _) => serve.to_owned(),
        };
        format!("{engine}, {what}")
    }
}

/// A running limit, ended when it is dropped.
pub struct Limit {
    process: Owned,
    kind: LimitKind,
    port: u16,
    /// Its file lies there.
    scratch: Scratch,
}

impl Limit {
    pub fn start(environment: &Environment, kind: &LimitKind) -> Result<Limit, Error> {
        let scratch = Scratch::below(&environment.scratch, "limit")?;
        let port = process::free_port()?;
        let program =
            std::env::current_exe().map_err(|source| Error::Io { what: "find this program".into(), source })?;
        let process = serve(program, &scratch, port, kind, &environment.cores)?;
        Ok(Limit { process, kind: *kind, port, scratch })
    }

    pub fn side(&self) -> Side {
        let what = self.kind.describe();
        Side {
            kind: SideKind::Limit,
            name: format!("{LIMIT}{what}"),
            level: format!("keeps nothing ({what})"),
            version: "bench limit".into(),
            server: format!("127.0.0.1:{}", self.port),
            pid: Some(self.process.pid()),
            data_dir: Some(self.scratch.path().to_owned()),
            topic_configs: Vec::new(),
        }
    }
}

fn serve(program: PathBuf, scratch: &Scratch, port: u16, kind: &LimitKind, cores: &Cores) -> Result<Owned, Error> {
    let what = "the physical limit";
    let mut command = Command::new(program);
    command.args(["bench", "limit", "--listen", &format!("127.0.0.1:{port}"), "--dir"]).arg(scratch.path());
    command.args(["--engine", kind.engine, "--sync", kind.sync, "--serve", kind.serve]);
    // It serves until its input is closed, which its pipe is when this process ends in whatever way.
    command.stdin(Stdio::piped());
    let log = scratch.path().join("log");
    let began = Instant::now();
    let mut process = cores.as_broker(|| process::spawn(command, what, &log))??;
    process::await_listening(&mut process, port, what, &log, began)?;
    Ok(process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_says_what_it_does() {
        assert_eq!(LimitKind::new("blocking", "dsync", "produce").describe(), "blocking loop, dsync");
        assert_eq!(LimitKind::new("ring", "none", "produce").describe(), "io_uring, no sync");
        assert_eq!(LimitKind::new("ring", "none", "fetch-memory").describe(), "io_uring, fetch-memory");
    }
}
