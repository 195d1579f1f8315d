//! A full disk: no write is acknowledged that is not kept, reading goes on, topics can be deleted, and writing resumes by
//! itself once there is room.
//!
//! The data lies on a file system of its own, mounted in a namespace that only the broker sees: a tmpfs, and an ext4 in
//! a file where the test may mount one.

mod bare;
#[path = "full_disk/groups.rs"]
mod groups;
mod process;

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use bare::broker::program;
use bare::client::batch;
use bare::{Broker, Client, await_that};

const KAFKA_STORAGE_ERROR: i16 = 56;
const VOLUME_MIB: u64 = 128;
const VALUE_LEN: usize = 500_000;
/// More than fits.
const BATCHES_MAX: usize = 400;

/// What the broker's directory is on.
enum Volume {
    Tmpfs,
    /// The image of a file system, which outlives its broker.
    Ext4(PathBuf),
}

impl Volume {
    /// A command that mounts the volume for itself alone, and becomes `run` with the mount point as "$1".
    fn command(&self, mount_point: &Path, run: &str) -> Command {
        let mut command = Command::new("unshare");
        let mount = match self {
            Volume::Tmpfs => {
                command.arg("--map-root-user");
                format!("mount -t tmpfs -o size={VOLUME_MIB}m none \"$1\"")
            }
            Volume::Ext4(image) => format!("mount -o loop {} \"$1\"", image.display()),
        };
        command.args(["--mount", "sh", "-c", &format!("{mount} && {run}")]);
        command.arg(program().get_program()).arg(mount_point);
        command
    }

    fn can_be_mounted(&self, mount_point: &Path) -> bool {
        self.command(mount_point, "true").output().is_ok_and(|output| output.status.success())
    }

    fn broker(&self, root: &Path) -> Broker {
        let mount_point = root.join("volume");
        let run = "exec \"$0\" serve --data-dir \"$1/data\" --listen 127.0.0.1:0 --memory 128M --shards 2 \
                   --set duramen.journal.bytes=8388608 --set log.segment.bytes=16777216";
        Broker::run(self.command(&mount_point, run), &root.join("broker.log"))
    }
}

/// A value that tells its offset.
fn value(offset: i64) -> Vec<u8> {
    format!("{offset:08}").into_bytes().repeat(VALUE_LEN / 8)
}

/// Produces values until one is refused; returns the log end offset and the error.
fn fill_topic(client: &mut Client, topic: &str, from: i64) -> (i64, i16) {
    for end in (from..).take(BATCHES_MAX) {
        let (code, offset) = client.produce(topic, 0, batch([&value(end)[..]]));
        if code != 0 {
            return (end, code);
        }
        assert_eq!(offset, end);
    }
    panic!("{BATCHES_MAX} batches fit on a disk that is full");
}

/// Asserts that the topic holds exactly what was acknowledged.
#[track_caller]
fn holds(client: &mut Client, topic: &str, end: i64) {
    for offset in 0..end {
        let (code, records) = client.fetch(topic, 0, offset);
        assert_eq!(code, 0, "{topic} at {offset}");
        let value = value(offset);
        assert!(records.len() > value.len(), "{topic} at {offset}: {} bytes", records.len());
        let head = &value[..64];
        assert!(records[..256].windows(head.len()).any(|bytes| bytes == head), "{topic} at {offset}");
    }
}

/// Takes the room that is left, but for what a file system keeps for itself.
fn fill_disk(filler: &Path) {
    let mut file = File::create(filler).unwrap();
    // Each piece is synced, so that its blocks are taken now; smaller ones would take minutes to take the last MiB.
    for len in [1 << 20, 1 << 16, 4096] {
        let piece = vec![0xff; len];
        loop {
            match file.write_all(&piece).and_then(|()| file.sync_all()) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Fills the disk of a broker and makes room again.
fn is_survived(volume: &Volume, root: &Path) {
    let mut broker = volume.broker(root);
    let filler = broker.root().join(root.join("volume/filler").strip_prefix("/").unwrap());
    let mut client = broker.client();
    assert_eq!(client.create_topics(&["kept", "victim"], 1), [0, 0]);
    for offset in 0..40 {
        assert_eq!(client.produce("victim", 0, batch([&value(offset)[..]])), (0, offset));
    }
    for offset in 0..4 {
        assert_eq!(client.produce("kept", 0, batch([&value(offset)[..]])), (0, offset));
    }
    fill_disk(&filler);

    let (end, code) = fill_topic(&mut client, "kept", 4);
    assert_eq!(code, KAFKA_STORAGE_ERROR, "after {end} batches");
    println!("{} batches still fitted", end - 4);
    holds(&mut client, "kept", end);
    holds(&mut client, "victim", 40);
    assert_eq!(client.produce("kept", 0, batch([&value(end)[..]])).0, KAFKA_STORAGE_ERROR);

    assert_eq!(client.delete_topic("victim"), 0, "a topic can be deleted, which makes room");
    fs::remove_file(&filler).unwrap();
    let mut next = (0, 0);
    await_that("writing resumes", || {
        next = client.produce("kept", 0, batch([&value(end)[..]]));
        next.0 == 0
    });
    // Not acknowledged is not the same as not there: what failed may have been kept in the end.
    assert!(next.1 >= end, "offset {} was given before", next.1);
    holds(&mut client, "kept", end);
    assert_eq!(client.create_topics(&["later"], 1), [0]);
    assert_eq!(client.produce("later", 0, batch([&b"x"[..]])), (0, 0));
    assert!(broker.is_alive());
    assert!(!broker.log().contains("panicked"), "{}", broker.log());

    let Volume::Ext4(image) = volume else { return };
    let after = client.end_offset("kept", 0);
    broker.stop();
    // The kernel takes the mount apart after the process is gone.
    await_that("the volume is free", || {
        let devices = Command::new("losetup").arg("-j").arg(image).output().unwrap();
        devices.stdout.is_empty()
    });
    let broker = volume.broker(root);
    let mut client = broker.client();
    holds(&mut client, "kept", end);
    assert_eq!(client.end_offset("kept", 0), after);
    broker.stop();
}

fn tried(volume: &Volume, root: &Path) {
    fs::create_dir(root.join("volume")).unwrap();
    if volume.can_be_mounted(&root.join("volume")) {
        is_survived(volume, root);
    } else {
        eprintln!("not tested: this user may not mount such a volume");
    }
}

#[test]
fn a_full_tmpfs() {
    let root = tempfile::tempdir().unwrap();
    tried(&Volume::Tmpfs, root.path());
}

#[test]
fn a_full_ext4() {
    let root = tempfile::tempdir().unwrap();
    let image = root.path().join("image");
    File::create(&image).unwrap().set_len(VOLUME_MIB << 20).unwrap();
    let made = Command::new("mkfs.ext4").arg("-q").arg(&image).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfs.ext4 is needed (e2fsprogs)");
    tried(&Volume::Ext4(image), root.path());
}
