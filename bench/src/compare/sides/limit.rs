//! The physical limit as a side: a process that receives, writes, syncs and answers as a row needs it, and does nothing
//! else. It keeps nothing, so nothing of it can be verified.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::process::{self, Owned, Scratch};
use super::{Environment, LIMIT, Side, SideKind};
use crate::compare::cores::Cores;
use crate::error::Error;

/// What a limit does: it writes, and syncs in some way; or it sends what it has in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    Unsynced,
    Fdatasync,
    Dsync,
    Send,
    /// By io_uring, one thread for all connections
    Ring,
    RingDsync,
}

impl LimitKind {
    fn describe(self) -> &'static str {
        match self {
            LimitKind::Unsynced => "raw loop, no sync",
            LimitKind::Fdatasync => "raw loop, fdatasync",
            LimitKind::Dsync => "raw loop, dsync",
            LimitKind::Send => "raw send",
            LimitKind::Ring => "io_uring, no sync",
            LimitKind::RingDsync => "io_uring, dsync",
        }
    }

    /// For `bench limit`.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            LimitKind::Unsynced => &["--sync", "none"],
            LimitKind::Fdatasync => &["--sync", "fdatasync"],
            LimitKind::Dsync => &["--sync", "dsync"],
            LimitKind::Send => &["--fetch"],
            LimitKind::Ring => &["--engine", "ring", "--sync", "none"],
            LimitKind::RingDsync => &["--engine", "ring", "--sync", "dsync"],
        }
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
            level: "keeps nothing".into(),
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
    command.args(kind.arguments());
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
    fn each_kind_is_called_and_started_in_its_own_way() {
        use LimitKind::*;
        let kinds = [Unsynced, Fdatasync, Dsync, Send, Ring, RingDsync];
        let names: std::collections::BTreeSet<_> = kinds.into_iter().map(LimitKind::describe).collect();
        let arguments: std::collections::BTreeSet<_> = kinds.into_iter().map(LimitKind::arguments).collect();
        assert_eq!((names.len(), arguments.len()), (6, 6));
    }
}
