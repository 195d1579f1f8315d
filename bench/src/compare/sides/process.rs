//! A process of a side: started on a directory and a loopback port of its own, awaited, and killed when it is dropped.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::children;
use crate::error::Error;

/// How long a broker may take until it listens.
const START_MAX: Duration = Duration::from_secs(60);
const PROBE_INTERVAL: Duration = Duration::from_micros(500);
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// Of a log, what an error tells.
const LOG_TAIL: usize = 400;

/// A directory that is removed with its owner.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new one below a directory that exists.
    pub fn below(parent: &Path, name: &str) -> Result<Scratch, Error> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{name}-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).map_err(|source| Error::Io { what: format!("make {}", path.display()), source })?;
        Ok(Scratch(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}

/// A child that is killed, and waited for, when it is dropped.
pub struct Owned(Child);

impl Owned {
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        // It may have ended by itself, which is as good.
        let _ended = self.0.kill();
        self.wait();
    }

    /// An error if it has ended.
    fn runs(&mut self, what: &str, log: &Path) -> Result<(), Error> {
        match self.0.try_wait() {
            Ok(None) => Ok(()),
            _ => Err(ended(what, log)),
        }
    }

    /// None while it runs; then whether it succeeded.
    pub fn ended(&mut self) -> Option<bool> {
        self.0.try_wait().ok().flatten().map(|status| status.success())
    }

    /// Waits for its end.
    pub fn wait(&mut self) {
        let _status = self.0.wait();
        children::forget(&self.0);
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An error that tells the end of a log.
pub fn ended(what: &str, log: &Path) -> Error {
    let text = fs::read_to_string(log).unwrap_or_default();
    let start = text.char_indices().rev().nth(LOG_TAIL).map_or(0, |(at, _)| at);
    Error::Process { what: what.to_owned(), reason: format!("it ended: {}", text[start..].trim()) }
}

/// Starts a program, its output in `log`.
pub fn spawn(mut command: Command, what: &str, log: &Path) -> Result<Owned, Error> {
    let process = |source: io::Error| Error::Process { what: what.to_owned(), reason: source.to_string() };
    let out = File::create(log).map_err(process)?;
    let err = out.try_clone().map_err(process)?;
    command.stdout(Stdio::from(out)).stderr(Stdio::from(err));
    Ok(Owned(children::spawn(&mut command).map_err(process)?))
}

/// A loopback port that nobody listens on now.
pub fn free_port() -> Result<u16, Error> {
    let io = |source| Error::Io { what: "find a free port".into(), source };
    let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io)?;
    Ok(probe.local_addr().map_err(io)?.port())
}

/// Returns when a connection is accepted; `runs` says whether waiting still makes sense.
pub fn await_port(port: u16, what: &str, mut runs: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let deadline = Instant::now() + START_MAX;
    while TcpStream::connect_timeout(&address, CONNECT_MAX).is_err() {
        runs()?;
        if Instant::now() > deadline {
            let reason = format!("nothing listens on port {port} after {} s", START_MAX.as_secs());
            return Err(Error::Process { what: what.to_owned(), reason });
        }
        std::thread::sleep(PROBE_INTERVAL);
    }
    Ok(())
}

/// The same for a process that was just started. Returns how long it took from then.
pub fn await_listening(
    owned: &mut Owned,
    port: u16,
    what: &str,
    log: &Path,
    began: Instant,
) -> Result<Duration, Error> {
    await_port(port, what, || owned.runs(what, log))?;
    Ok(began.elapsed())
}

/// What a program prints in one go, standard output and then standard error; empty if it fails.
pub fn printed(program: &Path, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(arguments).output() else { return String::new() };
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(directory: &Path) -> Owned {
        let mut command = Command::new("sleep");
        command.arg("600");
        spawn(command, "sleep", &directory.join("log")).unwrap()
    }

    #[test]
    fn it_ends_with_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let owned = sleeper(directory.path());
        let proc = PathBuf::from(format!("/proc/{}", owned.pid()));
        assert!(proc.exists());
        drop(owned);
        assert!(!proc.exists());
    }

    #[test]
    fn a_program_that_ends_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "echo it is broken; exit 3"]);
        let mut owned = spawn(command, "a broker", &log).unwrap();
        let error = await_listening(&mut owned, free_port().unwrap(), "a broker", &log, Instant::now()).unwrap_err();
        assert!(error.to_string().contains("it is broken"), "{error}");
    }

    #[test]
    fn a_listener_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut owned = sleeper(directory.path());
        await_listening(&mut owned, port, "sleep", &directory.path().join("log"), Instant::now()).unwrap();
    }

    #[test]
    fn a_scratch_directory_goes_with_its_owner() {
        let parent = tempfile::tempdir().unwrap();
        let (one, two) = (Scratch::below(parent.path(), "x").unwrap(), Scratch::below(parent.path(), "x").unwrap());
        assert_ne!(one.path(), two.path());
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists() && two.path().exists());
    }
}
