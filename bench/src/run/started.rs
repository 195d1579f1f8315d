//! A broker that the run starts itself, awaits, measures and stops. It outlives no end of the run but SIGKILL.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Error;
use crate::children;
use crate::stop::Stop;

/// How long it may take until it listens.
pub const START_MAX: Duration = Duration::from_secs(60);
/// How long it may take to end after SIGTERM.
const STOP_MAX: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(5);
/// The end of what it wrote, for an error.
const SAID_MAX: u64 = 2_000;

/// A broker's process. It is asked to end when this is dropped, and killed if it does not.
pub struct Started {
    child: Child,
    /// What it writes; the file has no name any more.
    log: File,
}

impl Started {
    /// Runs a command line by the shell and waits until one of the servers accepts.
    pub fn start(command: &str, servers: &[String], stop: &Stop) -> Result<Started, Error> {
        if let Some(server) = servers.iter().find(|server| accepts(server)) {
            let reason = format!("something listens on {server} already");
            return Err(Error::Process { what: format!("`{command}` was not started"), reason });
        }
        let io = |source| Error::Io { what: format!("start `{command}`"), source };
        let log = unnamed_file().map_err(io)?;
        let (out, err) = (log.try_clone().map_err(io)?, log.try_clone().map_err(io)?);
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(script(command)).stdin(Stdio::null()).stdout(out).stderr(err);
        let child = children::spawn(&mut shell).map_err(io)?;
        let mut started = Started { child, log };
        started.await_listening(command, servers, stop)?;
        Ok(started)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn await_listening(&mut self, command: &str, servers: &[String], stop: &Stop) -> Result<(), Error> {
        let what = format!("`{command}`");
        let deadline = Instant::now() + START_MAX;
        while !servers.iter().any(|server| accepts(server)) {
            let ended = self.child.try_wait().ok().flatten();
            let reason = if let Some(status) = ended {
                const NOT_FOUND: i32 = 127;
                let hint = match status.code() {
                    Some(NOT_FOUND) => "\nafter `cd` and the like, write `exec` before the broker",
                    _ => "",
                };
                format!("it ended ({status}) before it listened{}{hint}", self.said())
            } else if stop.signal().is_some() {
                "a signal ended the wait for it to listen".to_owned()
            } else if Instant::now() >= deadline {
                format!("it did not listen on {} within {} s{}", servers.join(","), START_MAX.as_secs(), self.said())
            } else {
                sleep(LOOK);
                continue;
            };
            return Err(Error::Process { what, reason });
        }
        Ok(())
    }

    /// The end of what it wrote.
    fn said(&mut self) -> String {
        let mut read = || {
            let length = self.log.metadata()?.len();
            self.log.seek(SeekFrom::Start(length.saturating_sub(SAID_MAX)))?;
            let mut bytes = Vec::new();
            self.log.read_to_end(&mut bytes)?;
            Ok::<_, io::Error>(String::from_utf8_lossy(&bytes).trim().to_owned())
        };
        match read() {
            Ok(text) if !text.is_empty() => format!(":\n{text}"),
            _ => String::new(),
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let ended = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
        if let Some(pid) = pid.filter(|_| !ended(&mut self.child)) {
            // It may end by itself at any time.
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + STOP_MAX;
        while !ended(&mut self.child) {
            if Instant::now() >= deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
                break;
            }
            sleep(LOOK);
        }
        children::forget(&self.child);
    }
}

/// The process is to be the broker itself, not a shell around it: the one is measured, the other costs nothing.
fn script(command: &str) -> String {
    let is_given = command.split_whitespace().any(|word| word == "exec");
    if is_given { command.to_owned() } else { format!("exec {command}") }
}

fn accepts(server: &str) -> bool {
    const CONNECT_MAX: Duration = Duration::from_millis(500);
    let addresses = server.to_socket_addrs().into_iter().flatten();
    addresses.into_iter().any(|address| TcpStream::connect_timeout(&address, CONNECT_MAX).is_ok())
}

fn unnamed_file() -> io::Result<File> {
    let path = env::temp_dir().join(format!("duramen-bench-{}-{:08x}.log", std::process::id(), rand::random::<u32>()));
    let file = File::options().read(true).append(true).create_new(true).open(&path)?;
    fs::remove_file(path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free() -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    }

    #[test]
    fn a_command_that_fails_says_what_it_wrote() {
        let command = "sh -c 'echo no disk here >&2; exit 3'";
        let error = Started::start(command, &[free()], &Stop::default()).err().unwrap().to_string();
        assert!(error.contains("exit status: 3") && error.contains("no disk here"), "{error}");
    }

    #[test]
    fn a_directory_can_be_gone_to_before_the_broker_starts() {
        let said = |command| Started::start(command, &[free()], &Stop::default()).err().unwrap().to_string();
        let gone = said("cd / && exec sh -c 'pwd; exit 3'");
        assert!(gone.contains("exit status: 3") && gone.ends_with("/"), "{gone}");
        let forgotten = said("cd / && sh -c 'pwd; exit 3'");
        assert!(forgotten.contains("write `exec` before the broker"), "{forgotten}");
    }

    #[test]
    fn a_port_in_use_is_not_taken_for_the_broker() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let error = Started::start("sleep 60", &[address], &Stop::default()).err().unwrap().to_string();
        assert!(error.contains("listens on"), "{error}");
    }
}
