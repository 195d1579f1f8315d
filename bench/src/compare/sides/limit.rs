//! The physical limit as a side: a process that receives, writes, syncs and answers as a row needs it, and does nothing
//! else. It keeps nothing, so nothing of it can be verified.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::process::{self, Owned, Scratch};
use super::{Environment, LIMIT, Side, SideKind};
use crate::compare::cores::Cores;
use crate::error::Error;

/// How a limit syncs what it writes, by the word of `bench limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitKind(&'static str);

impl LimitKind {
    pub const UNSYNCED: LimitKind = LimitKind("none");
    pub const FDATASYNC: LimitKind = LimitKind("fdatasync");
    pub const DSYNC: LimitKind = LimitKind("dsync");

    fn describe(&self) -> String {
        let sync = if *self == Self::UNSYNCED { "no sync" } else { self.0 };
        format!("raw loop, {sync}")
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
    command.args(["--sync", kind.0]);
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
        assert_eq!(LimitKind::DSYNC.describe(), "raw loop, dsync");
        assert_eq!(LimitKind::UNSYNCED.describe(), "raw loop, no sync");
    }
}
