//! What cannot work is refused before anything is touched.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use super::files::{contents, left_alone};
use crate::bare::Broker;
use crate::bare::broker::{ends_by_itself, refused, with_defaults};
use crate::bare::client::batch;

/// Runs a refused start on a directory that does not exist, and asserts that it does not exist afterwards.
#[track_caller]
fn refused_with(arguments: &[&str], texts: &[&str]) {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    refused(&with_defaults(&data, arguments)).says(texts);
    assert!(!data.exists(), "the data directory was made by a start that was refused");
}

#[test]
fn a_second_broker_on_the_same_directory() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let broker = Broker::start(&data, &[]);
    assert_eq!(broker.client().create_topics(&["kept"], 1), [0]);
    let lock = fs::read_to_string(data.join(".lock")).unwrap();
    refused(&["--data-dir", data.to_str().unwrap(), "--listen", "127.0.0.1:0"]).says(&[
        "another broker",
        lock.trim(),
        "--data-dir",
    ]);
    assert_eq!(fs::read_to_string(data.join(".lock")).unwrap(), lock, "the lock names its holder still");
    assert_eq!(broker.client().produce("kept", 0, batch([&b"x"[..]])), (0, 0), "the first broker serves on");
    broker.stop();
}

#[test]
fn a_directory_of_a_newer_format() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("duramen.properties"), "format.version=999\n").unwrap();
    let data = root.path().to_str().unwrap();
    left_alone(root.path(), || {
        refused(&["--data-dir", data, "--listen", "127.0.0.1:0"]).says(&["version 999", "newer", data]);
    });
}

#[test]
fn a_directory_that_holds_something_else() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("thesis.tex"), "chapter one").unwrap();
    let data = root.path().to_str().unwrap();
    left_alone(root.path(), || {
        refused(&["--data-dir", data, "--listen", "127.0.0.1:0"]).says(&["holds no Duramen data", data, "--data-dir"]);
    });
}

#[test]
fn a_directory_that_cannot_be_written() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "no directory").unwrap();
    let below = file.join("data");
    // Nobody, not even root, makes a directory in a directory of the kernel's.
    for data in [file.to_str().unwrap(), below.to_str().unwrap(), "/proc/self/data"] {
        let failed = refused(&["--data-dir", data, "--listen", "127.0.0.1:0"]);
        failed.says(&["--data-dir", "(os error "]);
        assert_eq!(failed.stderr.matches("(os error ").count(), 1, "a cause is told once: {failed:?}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "no directory");
}

#[test]
fn a_port_in_use_by_anybody() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("127.0.0.1:{}", other.local_addr().unwrap().port());
    refused_with(&["--listen", &taken], &["in use", &taken, "--listen"]);
}

#[test]
fn half_of_localhost_in_use() {
    let Ok(other) = TcpListener::bind("[::1]:0") else {
        eprintln!("not tested: this host has no IPv6");
        return;
    };
    let taken = format!("localhost:{}", other.local_addr().unwrap().port());
    refused_with(&["--listen", &taken], &["in use", "[::1]", "--listen"]);
    refused_with(&["--metrics-listen", &taken], &["in use", "[::1]", "--metrics-listen"]);
}

#[test]
fn a_port_for_metrics_in_use() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("127.0.0.1:{}", other.local_addr().unwrap().port());
    refused_with(&["--metrics-listen", &taken], &["in use", &taken, "--metrics-listen"]);
}

#[test]
fn a_port_in_use_by_another_broker_of_the_same_user() {
    let root = tempfile::tempdir().unwrap();
    let broker = Broker::start(&root.path().join("first"), &[]);
    let taken = format!("127.0.0.1:{}", broker.port());
    refused_with(&["--listen", &taken], &["in use", &taken, "another broker", "--listen"]);
    let by_name = format!("localhost:{}", broker.port());
    refused_with(&["--listen", &by_name], &["in use", "another broker"]);
    broker.stop();
}

#[test]
fn unknown_settings_with_the_nearest_known_one() {
    refused_with(&["--set", "log.retention.mss=1"], &["'log.retention.mss'", "did you mean 'log.retention.ms'?"]);
    refused_with(&["--set", "num.partition=1"], &["'num.partition'", "did you mean 'num.partitions'?"]);
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("server.properties");
    fs::write(&file, "# a comment\nnode.id=1\nlog.segment.byte=1\n").unwrap();
    refused_with(&["--config", file.to_str().unwrap()], &["line 3", "did you mean 'log.segment.bytes'?"]);
}

#[test]
fn malformed_settings() {
    refused_with(&["--set", "log.retention.ms=soon"], &["log.retention.ms", "soon"]);
    refused_with(&["--set", "log.retention.ms"], &["log.retention.ms", "KEY=VALUE"]);
    refused_with(&["--set", "log.message.timestamp.type=LogAppendTime"], &["log.message.timestamp.type"]);
    refused_with(&["--set", "compression.type=gzip"], &["compression.type"]);
    refused_with(&["--config", "/nowhere/server.properties"], &["/nowhere/server.properties", "cannot be read"]);
}

#[test]
fn cores_that_are_not_there() {
    refused_with(&["--cores", "0,1023"], &["core 1023", "choose among"]);
    refused_with(&["--cores", "two"], &["`two`", "0,2-5"]);
}

#[test]
fn too_little_memory_for_the_shards() {
    refused_with(&["--memory", "40M", "--shards", "2"], &["2 shards", "--memory", "--shards"]);
}

#[test]
fn addresses_that_cannot_be_listened_on() {
    refused_with(&["--listen", "9092"], &["HOST:PORT"]);
    // An address that is set aside for documentation, so no host has it.
    refused_with(&["--listen", "192.0.2.1:9092"], &["192.0.2.1:9092", "does not have that address", "--listen"]);
    refused_with(&["--listen", "no-such-host.invalid:9092"], &["no-such-host.invalid", "cannot be resolved"]);
    refused_with(&["--set", "advertised.listeners=PLAINTEXT://0.0.0.0:9092"], &["wildcard", "name the host"]);
    refused_with(&["--set", "listeners=SSL://127.0.0.1:0"], &["SSL", "PLAINTEXT"]);
}

#[test]
fn several_data_directories() {
    let root = tempfile::tempdir().unwrap();
    let two = format!("log.dirs={0}/a,{0}/b", root.path().display());
    refused(&["--listen", "127.0.0.1:0", "--set", &two]).says(&["log.dirs", "2 directories", "one is offered"]);
    assert!(contents(root.path()).is_empty());
}

/// A wildcard needs a name to advertise, and the host's own does not resolve.
#[test]
fn a_wildcard_without_a_name_for_it() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let run = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--uts", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_duramen")]);
        command.arg(&data);
        command
    };
    if !run("true").status().is_ok_and(|status| status.success()) {
        eprintln!("not tested: this host gives its users no namespace in which to rename it");
        return;
    }
    let start = r#"echo no-such-host.invalid > /proc/sys/kernel/hostname && exec "$1" serve --data-dir "$2" "#;
    ends_by_itself(run(&format!("{start} --listen 0.0.0.0:0")))
        .says(&["no-such-host.invalid", "advertised.listeners="]);
    assert!(!data.exists());
}
