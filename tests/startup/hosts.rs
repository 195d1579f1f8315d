//! Hosts that lack something: each is refused with one error that names the remedy, and nothing is touched; what only
//! makes the broker slower is a warning.
//!
//! What is missing is taken from the child alone, by a filter of system calls, by limits, or by mounts that only it sees.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::files::{contents, left_alone};
use super::filter::refuse_call;
use crate::bare::broker::{ends_by_itself, program, with_defaults};
use crate::bare::client::batch;
use crate::bare::{Broker, await_that};

/// The user and the group of nobody.
const NOBODY: u32 = 65_534;

/// `duramen serve` on a directory.
fn serve(data: &Path) -> Command {
    let mut command = program();
    command.arg("serve").args(with_defaults(data, &[]));
    command
}

/// A command that prepares a namespace for itself alone, and becomes the broker there with `$1` as its data directory.
/// `None` if this host gives its users no namespaces.
fn serve_after(preparation: &str, data: &Path) -> Option<Command> {
    let in_namespace = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", script]).arg(program().get_program()).arg(data);
        command
    };
    if !in_namespace("mount --bind /tmp /tmp").status().is_ok_and(|status| status.success()) {
        eprintln!("not tested: this host gives its users no namespace in which to mount");
        return None;
    }
    let serve = r#"exec "$0" serve --data-dir "$1" --listen 127.0.0.1:0"#;
    Some(in_namespace(&format!("{preparation} && {serve}")))
}

/// Whether the tests run as root.
fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

#[test]
fn no_io_uring() {
    for call in [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register] {
        // Filters answer with either; sysctl kernel.io_uring_disabled with EPERM.
        for errno in [libc::EPERM, libc::ENOSYS] {
            let root = tempfile::tempdir().unwrap();
            let data = root.path().join("data");
            let mut command = serve(&data);
            refuse_call(&mut command, call, errno);
            ends_by_itself(command).says(&[
                "is not allowed here",
                &format!("(os error {errno})"),
                "--security-opt seccomp=unconfined",
                "kernel.io_uring_disabled=0",
            ]);
            assert!(!data.exists(), "call {call}");
        }
    }
}

#[test]
fn too_little_lockable_memory() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let program = program();
    let mut limited = Command::new("sh");
    limited.args(["-c", r#"ulimit -l 64 && exec "$0" serve --listen 127.0.0.1:0 --data-dir "$1""#]);
    limited.arg(program.get_program()).arg(&data);
    ends_by_itself(limited).says(&["65536 bytes", "locked", "ulimit -l", "--ulimit memlock="]);
    assert!(!data.exists());
}

#[test]
fn a_kernel_that_is_too_old() {
    let root = tempfile::tempdir().unwrap();
    let (data, release) = (root.path().join("data"), root.path().join("osrelease"));
    fs::write(&release, "5.15.0-generic\n").unwrap();
    let mount = format!("mount --bind {} /proc/sys/kernel/osrelease", release.display());
    let Some(command) = serve_after(&mount, &data) else { return };
    ends_by_itself(command).says(&["Linux 5.15 is too old", "run a kernel from 6.1 on"]);
    assert!(!data.exists());
}

#[test]
fn a_file_system_without_direct_io() {
    let root = tempfile::tempdir().unwrap();
    let Some(command) = serve_after(r#"mount -t ramfs none "$1""#, root.path()) else { return };
    ends_by_itself(command).says(&["does not offer direct I/O", root.path().to_str().unwrap(), "ext4"]);
    assert!(contents(root.path()).is_empty());
}

#[test]
fn a_file_system_without_room() {
    let root = tempfile::tempdir().unwrap();
    let fill = r#"mount -t tmpfs -o size=64k none "$1" && { cat /dev/zero > "$1/fill" 2> /dev/null; true; }"#;
    let Some(command) = serve_after(fill, root.path()) else { return };
    ends_by_itself(command).says(&["is full", "make room"]);
}

#[test]
fn a_file_system_that_is_mounted_read_only() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let broker = Broker::start(&data, &[]);
    assert_eq!(broker.client().create_topics(&["kept"], 1), [0]);
    assert_eq!(broker.client().produce("kept", 0, batch([&b"x"[..]])), (0, 0));
    broker.stop();
    let mount = r#"mount --bind "$1" "$1" && mount -o remount,bind,ro "$1""#;
    left_alone(&data, || {
        let Some(command) = serve_after(mount, &data) else { return };
        ends_by_itself(command).says(&["cannot be written", "(os error 30)", "--data-dir"]);
    });
    let broker = Broker::start(&data, &[]);
    assert_eq!(broker.client().end_offset("kept", 0), 1);
    broker.stop();
}

/// Neither a new directory in one of root's, nor one of an earlier run as root.
#[test]
fn a_directory_of_another_user() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    Broker::start(&data, &[]).stop();
    let as_nobody = |data: &Path| {
        let mut command = serve(data);
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    };
    let binary = BinaryForAll::new();
    for path in [data.join("new"), data.clone()] {
        left_alone(&data, || {
            fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
            fs::set_permissions(&data, fs::Permissions::from_mode(0o555)).unwrap();
            let failed = ends_by_itself(binary.instead_of(as_nobody(&path)));
            failed.says(&["cannot be written", "(os error 13)", "--data-dir"]);
        });
    }
}

/// Without root, without capabilities, and with the memory that systemd lets everybody lock.
#[test]
fn nobody_may_run_it() {
    let root = tempfile::tempdir().unwrap();
    let binary = BinaryForAll::new();
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -l 8192 && exec "$0" serve --listen 127.0.0.1:0 --shards 5 --data-dir "$1""#]);
    command.arg(binary.path()).arg(root.path().join("data"));
    if is_root() {
        chown(root.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
    let log = tempfile::NamedTempFile::new().unwrap();
    let broker = Broker::run(command, log.path());
    assert_eq!(broker.client().create_topics(&["kept"], 5), [0]);
    for partition in 0..5 {
        assert_eq!(broker.client().produce("kept", partition, batch([&b"x"[..]])), (0, 0));
        assert_eq!(broker.client().fetch("kept", partition, 0).0, 0);
    }
    assert!(!broker.log().contains("ERROR") && !broker.log().contains("cachestat"), "{}", broker.log());
    broker.stop();
}

/// The binary under a path that everybody may walk down.
struct BinaryForAll(tempfile::TempDir);

impl BinaryForAll {
    fn new() -> BinaryForAll {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (from, to) = (program().get_program().to_owned(), directory.path().join("duramen"));
        fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop)).unwrap();
        BinaryForAll(directory)
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("duramen")
    }

    /// The same command with this binary.
    fn instead_of(&self, command: Command) -> Command {
        let mut other = Command::new(self.path());
        other.args(command.get_args());
        if is_root() {
            other.uid(NOBODY).gid(NOBODY);
        }
        other
    }
}

/// Before Linux 6.5 nobody tells what the page cache holds. The broker serves all the same, from memory and the disk.
#[test]
fn no_cachestat_is_a_warning() {
    const SYS_CACHESTAT: libc::c_long = 451;
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let sent = |without: bool, data: &Path| {
        let mut command = serve(data);
        command.args(["--metrics-listen", "127.0.0.1:0", "--shards=1", "--memory=32M", "--set=durability=replicated"]);
        command.args(["--set=log.segment.bytes=1048576"]);
        if without {
            refuse_call(&mut command, SYS_CACHESTAT, libc::ENOSYS);
        }
        let broker = Broker::run(command, &data.with_extension("log"));
        let told = (broker.banner.iter().any(|line| line.contains("no sendfile")), broker.log().contains("cachestat"));
        assert_eq!(told, (without, without), "{:?}\n{}", broker.banner, broker.log());
        let mut client = broker.client();
        assert_eq!(client.create_topics(&["big"], 1), [0]);
        // More than the memory for the log holds, so that the beginning is on the disk alone.
        for offset in 0..40 {
            assert_eq!(client.produce("big", 0, batch([&vec![7; 900_000][..]])), (0, offset));
        }
        let tier =
            |tier: &str| broker.metric(&format!("duramen_fetch_sent_bytes_total{{shard=\"0\",tier=\"{tier}\"}}"));
        // A range that is read again is read into the cache, in the background.
        let mut read = || assert_eq!(client.fetch("big", 0, 0).0, 0);
        if without {
            (0..READS).for_each(|_| read());
        } else {
            await_that("what is read again is sent from the page cache", || {
                read();
                tier("cached") > 0.0
            });
        }
        let sent = (tier("cached"), tier("cold"));
        broker.stop();
        sent
    };
    const READS: usize = 50;
    let (cached, cold) = sent(true, &data);
    assert!(cached == 0.0 && cold > 0.0, "cached {cached}, cold {cold}");
    sent(false, &root.path().join("other"));
}
