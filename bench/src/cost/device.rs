//! The disk below a directory, and the flushes it was asked for: the same count for fdatasync, for synced writes and for
//! io_uring, of every process of the machine.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor, stat};

/// A disk that counts its flushes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub name: String,
    directory: PathBuf,
    /// Why the count is lower than what was asked for, if it is.
    pub note: Option<String>,
}

/// The disk below a directory, or below the nearest one above it that is there. `None` if it is none: a network, an
/// overlay, memory.
pub fn below(directory: &Path) -> Option<Device> {
    let there = directory.ancestors().find_map(|path| stat(path).ok())?;
    let link = format!("/sys/dev/block/{}:{}", major(there.st_dev), minor(there.st_dev));
    of(&fs::canonicalize(link).ok()?)
}

/// The disk of a directory of `/sys/block`, which may be that of a partition.
fn of(directory: &Path) -> Option<Device> {
    let directory = match directory.join("partition").exists() {
        true => directory.parent()?,
        false => directory,
    };
    let name = directory.file_name()?.to_str()?.to_owned();
    let queue = |file: &str| fs::read_to_string(directory.join("queue").join(file)).unwrap_or_default();
    let note = if queue("write_cache").trim() == "write through" {
        Some(format!("{name} has no volatile write cache: the kernel asks it for no flushes"))
    } else if queue("fua").trim() == "1" {
        Some(format!("{name} takes synced writes by FUA, which are no flushes"))
    } else {
        None
    };
    let device = Device { name, directory: directory.to_owned(), note };
    device.flushes().is_some().then_some(device)
}

impl Device {
    /// Since the machine was started.
    pub fn flushes(&self) -> Option<u64> {
        const FLUSHES: usize = 16;
        let text = fs::read_to_string(self.directory.join("stat")).ok()?;
        text.split_whitespace().nth(FLUSHES - 1)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_counts_on_its_disk() {
        let scratch = tempfile::tempdir().unwrap();
        let disk = scratch.path().join("vda");
        let partition = disk.join("vda1");
        fs::create_dir_all(disk.join("queue")).unwrap();
        fs::create_dir_all(&partition).unwrap();
        fs::write(partition.join("partition"), "1\n").unwrap();
        fs::write(disk.join("queue/write_cache"), "write back\n").unwrap();
        fs::write(disk.join("stat"), "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 1600 17\n").unwrap();
        let device = of(&partition).unwrap();
        assert_eq!((device.name.as_str(), device.flushes(), &device.note), ("vda", Some(1600), &None));
        fs::write(disk.join("queue/fua"), "1\n").unwrap();
        assert!(of(&disk).unwrap().note.unwrap().contains("FUA"));
        fs::write(disk.join("queue/write_cache"), "write through\n").unwrap();
        assert!(of(&disk).unwrap().note.unwrap().contains("no volatile write cache"));
    }

    #[test]
    fn an_old_kernel_or_no_disk_is_unknown() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("stat"), "1 2 3 4 5 6 7 8 9 10 11\n").unwrap();
        assert_eq!(of(scratch.path()), None);
        assert_eq!(below(Path::new("/proc/self")), None);
    }
}
