//! Apache Kafka as a side: fetched, formatted and started by the script of `tests/peers`, which is part of this program.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::process::{self, Scratch};
use super::{Environment, KAFKA, KAFKA_DEFAULT, Side, SideKind};
use crate::compare::cores::Cores;
use crate::cost;
use crate::error::Error;

const SCRIPT: &str = include_str!("../../../../tests/peers/kafka");
const POM: &str = include_str!("../../../../tests/peers/pom.xml");
/// How long a killed process may take until it is gone.
const END_MAX: Duration = Duration::from_secs(30);
const END_INTERVAL: Duration = Duration::from_millis(10);

/// How a broker of Kafka's is run. The default is that of its distribution.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    pub heap: Option<String>,
    /// The flags of another collector than G1.
    pub collector: Option<String>,
    /// Network and I/O threads.
    pub threads: Option<(usize, usize)>,
}

impl Profile {
    pub fn describe(&self) -> String {
        let heap = self.heap.as_deref().unwrap_or("1G");
        let collector = self.collector.as_deref().map_or("G1", |flags| flags.trim_start_matches("-XX:+Use"));
        let (network, io) = self.threads.unwrap_or((3, 8));
        format!("heap {heap}, {collector}, {network} network and {io} I/O threads")
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let heap = self.heap.iter().map(|heap| ("KAFKA_HEAP", format!("-Xms{heap} -Xmx{heap}")));
        heap.chain(self.collector.iter().map(|flags| ("KAFKA_GC", flags.clone()))).collect()
    }

    fn settings(&self) -> Vec<String> {
        let settings = |(network, io)| vec![format!("num.network.threads={network}"), format!("num.io.threads={io}")];
        self.threads.map_or_else(Vec::new, settings)
    }
}

/// The script, as a file in the user's cache.
#[derive(Clone, Debug)]
pub struct Script(PathBuf);

impl Script {
    /// Puts it there, and fetches Apache Kafka unless that was done before. Needs Java and Maven.
    pub fn prepare() -> Result<Script, Error> {
        let missing: Vec<&str> = ["java", "mvn"].into_iter().filter(|program| !is_installed(program)).collect();
        if !missing.is_empty() {
            let reason = format!("{} is missing", missing.join(" and "));
            return Err(Error::Process { what: "Apache Kafka, which needs java and mvn".into(), reason });
        }
        let directory = cache()?.join("duramen-bench");
        let io = |source| Error::Io { what: format!("write to {}", directory.display()), source };
        fs::create_dir_all(&directory).map_err(io)?;
        let script = Script(directory.join("kafka"));
        fs::write(directory.join("pom.xml"), POM).map_err(io)?;
        fs::write(&script.0, SCRIPT).map_err(io)?;
        fs::set_permissions(&script.0, fs::Permissions::from_mode(0o755)).map_err(io)?;
        let fetched = script.command("fetch").stdin(Stdio::null()).stdout(Stdio::null()).status();
        if !fetched.is_ok_and(|status| status.success()) {
            let reason = "its jars could not be fetched: the lines above say why".to_owned();
            return Err(Error::Process { what: "Apache Kafka".into(), reason });
        }
        Ok(script)
    }

    /// One of Kafka's tools, or one of the script's own commands.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.0);
        command.arg(name);
        command
    }

    pub fn version(&self) -> String {
        let home = process::printed(&self.0, &["fetch"]);
        let libraries = fs::read_dir(Path::new(home.trim()).join("libs")).into_iter().flatten().flatten();
        let names = libraries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let version = |name: String| {
            let version = name.strip_prefix("kafka-server-")?.strip_suffix(".jar")?.to_owned();
            version.starts_with(|first: char| first.is_ascii_digit()).then_some(version)
        };
        let mut versions: Vec<String> = names.filter_map(version).collect();
        versions.sort();
        let java = process::printed(Path::new("java"), &["-version"]);
        let java = java.lines().next().unwrap_or("Java unknown");
        format!("Apache Kafka {}, {java}", versions.first().map_or("unknown", String::as_str))
    }
}

fn is_installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|directory| directory.join(program).is_file())
}

fn cache() -> Result<PathBuf, Error> {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")));
    cache.ok_or_else(|| Error::Usage("neither XDG_CACHE_HOME nor HOME is set: Apache Kafka has no place".into()))
}

/// A broker on a directory of its own.
pub struct Kafka {
    pid: u32,
    port: u16,
    version: String,
    /// From the birth of the process, after the directory was formatted, until a connection was accepted.
    pub started: Duration,
    scratch: Scratch,
}

impl Kafka {
    pub fn start(environment: &Environment, profile: &Profile) -> Result<Kafka, Error> {
        let scratch = Scratch::below(&environment.scratch, "kafka")?;
        let (port, controller) = (process::free_port()?, process::free_port()?);
        let mut command = environment.kafka()?.command("start");
        command.arg(scratch.path()).arg(format!("port={port}")).arg(format!("controller.port={controller}"));
        command.args(profile.settings()).envs(profile.variables()).stdin(Stdio::null());
        let version = format!("{}, {}", environment.kafka()?.version(), profile.describe());
        let launched = launch(command, &scratch, port, &environment.cores);
        if let (Err(_), Ok(pid)) = (&launched, pid_in(&scratch)) {
            end(pid);
        }
        let (pid, started) = launched?;
        Ok(Kafka { pid, port, version, started, scratch })
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// `kind` is Kafka or its default.
    pub fn side(&self, kind: SideKind, synced: bool) -> Side {
        let configs = if synced { vec![("flush.messages".into(), "1".into())] } else { Vec::new() };
        Side {
            kind,
            name: if kind == SideKind::Kafka { KAFKA } else { KAFKA_DEFAULT }.into(),
            level: level(synced).into(),
            version: self.version.clone(),
            server: format!("127.0.0.1:{}", self.port),
            pid: Some(self.pid),
            data_dir: Some(self.scratch.path().join("data")),
            topic_configs: configs,
        }
    }
}

/// What an acknowledgement means.
pub fn level(synced: bool) -> &'static str {
    if synced { "flush.messages=1" } else { "its default: no sync" }
}

/// Runs the script's `start` to its end. The broker is a process of its own by then.
fn launch(command: Command, scratch: &Scratch, port: u16, cores: &Cores) -> Result<(u32, Duration), Error> {
    let log = scratch.path().join("start.log");
    let mut starter = cores.as_broker(|| process::spawn(command, KAFKA, &log))??;
    let began = Instant::now();
    process::await_port(port, KAFKA, || match starter.ended() {
        Some(false) => Err(process::ended(KAFKA, &log)),
        _ => Ok(()),
    })?;
    let probed = began.elapsed();
    let pid = pid_in(scratch)?;
    // The script formats the directory before it starts the broker: only the latter counts.
    let since = cost::since_start(pid).unwrap_or(probed);
    starter.wait();
    Ok((pid, since))
}

/// What the script has written of the broker's process.
fn pid_in(scratch: &Scratch) -> Result<u32, Error> {
    let reason = || Error::Process { what: KAFKA.into(), reason: "it wrote no process id".into() };
    let text = fs::read_to_string(scratch.path().join("pid")).map_err(|_| reason())?;
    text.trim().parse().map_err(|_| reason())
}

impl Drop for Kafka {
    fn drop(&mut self) {
        end(self.pid);
    }
}

/// Kills a process that is no child of this one, and waits until it is gone.
fn end(pid: u32) {
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // It may have ended by itself, which is as good.
    let _ended = process.map(|process| kill_process(process, Signal::KILL));
    let deadline = Instant::now() + END_MAX;
    while is_alive(pid) && Instant::now() < deadline {
        std::thread::sleep(END_INTERVAL);
    }
}

/// Whether a process is there and not merely unwaited for.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next()).is_some_and(|state| state != "Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_says_what_it_is() {
        assert_eq!(Profile::default().describe(), "heap 1G, G1, 3 network and 8 I/O threads");
        let profile =
            Profile { heap: Some("4G".into()), collector: Some("-XX:+UseParallelGC".into()), threads: Some((2, 2)) };
        assert_eq!(profile.describe(), "heap 4G, ParallelGC, 2 network and 2 I/O threads");
        let variables = profile.variables();
        assert_eq!(variables[0].1, "-Xms4G -Xmx4G");
        assert_eq!(profile.settings(), ["num.network.threads=2", "num.io.threads=2"]);
    }

    #[test]
    fn the_script_knows_the_variables() {
        for name in ["KAFKA_HEAP", "KAFKA_GC"] {
            assert!(SCRIPT.contains(name), "{name}");
        }
    }

    #[test]
    fn a_process_that_is_not_there_is_not_alive() {
        assert!(is_alive(std::process::id()));
        assert!(!is_alive(u32::MAX));
    }
}
