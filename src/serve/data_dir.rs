//! The data directory as a whole: one broker at a time, and only a format that this build knows.
//!
//! A process that is killed is gone before the writes that its rings had in flight: some land tens of milliseconds later,
//! and would destroy what a new broker has written in the same place meanwhile. So the rings hold the lock's file, by
//! `runtime::Spec::held`, and the lock lasts until the last of those writes is done. A start waits for that.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The format that this build writes. Directories of earlier formats are opened, and stay readable by their builds until
/// something is written that those do not know.
pub const FORMAT_VERSION: u32 = 1;
const LOCK_FILE: &str = ".lock";
const FORMAT_FILE: &str = "duramen.properties";
const FORMAT_KEY: &str = "format.version";
/// How long a start waits for the writes of a process that is no more, and how often it looks.
const WRITES_WAIT_MAX: Duration = Duration::from_secs(30);
const WRITES_LOOK: Duration = Duration::from_millis(1);

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the data directory {} cannot be used: {cause}. Choose another with --data-dir, or make it writable", path.display())]
    Unusable { path: PathBuf, cause: io::Error },
    #[error("another broker{} uses the data directory {}. Stop it first, or choose another directory with --data-dir",
        pid.map(|pid| format!(" (process {pid})")).unwrap_or_default(), path.display())]
    InUse { path: PathBuf, pid: Option<u32> },
    #[error("{} has format version {found}, and this build knows versions up to {FORMAT_VERSION}: use the build that wrote it, or a newer one", path.display())]
    NewerFormat { path: PathBuf, found: u32 },
    #[error("{} is not empty and holds no Duramen data: choose an empty directory with --data-dir", path.display())]
    Foreign { path: PathBuf },
    #[error("{} cannot be read: {reason}", path.display())]
    Format { path: PathBuf, reason: String },
}

/// The right to use a data directory, held until dropped.
#[derive(Debug)]
pub struct DataDir {
    pub path: PathBuf,
    /// The lock, which is released when all who hold the file have let go of it.
    pub lock: Arc<File>,
}

impl DataDir {
    /// Takes the directory, which is made if it is missing. Nothing in it is changed if this fails.
    pub fn take(path: &Path) -> Result<Self, Error> {
        check_format(path)?;
        let unusable = |cause| Error::Unusable { path: path.to_path_buf(), cause };
        fs::create_dir_all(path).map_err(unusable)?;
        let path = path.canonicalize().map_err(unusable)?;
        let lock = lock(&path)?;
        let format = path.join(FORMAT_FILE);
        if !format.exists() {
            write_format(&format).map_err(unusable)?;
        }
        Ok(Self { path, lock: Arc::new(lock) })
    }
}

/// Whether a directory carries the mark of a data directory.
pub fn is_data_dir(path: &Path) -> bool {
    path.join(FORMAT_FILE).is_file()
}

fn check_format(path: &Path) -> Result<(), Error> {
    let file = path.join(FORMAT_FILE);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return check_empty(path),
        Err(cause) => return Err(Error::Unusable { path: path.to_path_buf(), cause }),
    };
    let version = text.lines().find_map(|line| line.strip_prefix(FORMAT_KEY)?.trim_start().strip_prefix('='));
    match version.map(|version| version.trim().parse::<u32>()) {
        Some(Ok(found)) if found <= FORMAT_VERSION => Ok(()),
        Some(Ok(found)) => Err(Error::NewerFormat { path: path.to_path_buf(), found }),
        _ => Err(Error::Format { path: file, reason: format!("it has no line {FORMAT_KEY}=NUMBER") }),
    }
}

/// A directory without our mark must hold nothing but a lock, which a broker may have left that was killed at once.
fn check_empty(path: &Path) -> Result<(), Error> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(Error::Unusable { path: path.to_path_buf(), cause }),
    };
    let foreign = entries
        .filter_map(Result::ok)
        .any(|entry| ![LOCK_FILE, "lost+found"].iter().any(|known| entry.file_name() == *known));
    if foreign { Err(Error::Foreign { path: path.to_path_buf() }) } else { Ok(()) }
}

fn lock(path: &Path) -> Result<File, Error> {
    let unusable = |cause| Error::Unusable { path: path.to_path_buf(), cause };
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path.join(LOCK_FILE))
        .map_err(unusable)?;
    let deadline = Instant::now() + WRITES_WAIT_MAX;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => {
                let pid = holder(&mut file);
                if pid.is_some_and(is_alive) || Instant::now() >= deadline {
                    return Err(Error::InUse { path: path.to_path_buf(), pid });
                }
                thread::sleep(WRITES_LOOK);
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
    }
    file.set_len(0).map_err(unusable)?;
    writeln!(file, "{}", std::process::id()).map_err(unusable)?;
    Ok(file)
}

/// The process that has taken the lock last.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut text)).ok()?;
    text.trim().parse().ok()
}

/// Whether a process other than this one has this id. In a container both may have had the same.
fn is_alive(pid: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat"));
    // PID (NAME) STATE, where the name may be anything.
    let state =
        state.ok().and_then(|stat| stat.rsplit_once(')').map(|(_, rest)| rest.trim_start().starts_with(['Z', 'X'])));
    pid != std::process::id() && state == Some(false)
}

fn write_format(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    writeln!(file, "{FORMAT_KEY}={FORMAT_VERSION}")?;
    file.sync_all()?;
    File::open(path.parent().expect("a file has a directory"))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_broker() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let held = DataDir::take(&path).unwrap();
        // The first process of all is alive.
        fs::write(path.join(LOCK_FILE), "1\n").unwrap();
        let refused = DataDir::take(&path).unwrap_err();
        assert!(matches!(&refused, Error::InUse { pid: Some(1), .. }), "{refused}");
        drop(held);
        DataDir::take(&path).unwrap();
    }

    #[test]
    fn a_start_waits_for_the_writes_of_a_dead_process() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::take(dir.path()).unwrap();
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        fs::write(dir.path().join(LOCK_FILE), dead.id().to_string()).unwrap();
        thread::scope(|scope| {
            let taken = scope.spawn(|| DataDir::take(dir.path()).is_ok());
            thread::sleep(20 * WRITES_LOOK);
            assert!(!taken.is_finished());
            drop(held);
            assert!(taken.join().unwrap());
        });
    }

    #[test]
    fn a_newer_format_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FORMAT_FILE), "format.version=2\n").unwrap();
        assert!(matches!(DataDir::take(dir.path()), Err(Error::NewerFormat { found: 2, .. })));
        assert!(!dir.path().join(LOCK_FILE).exists());
    }

    #[test]
    fn a_directory_of_somebody_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.tex"), "").unwrap();
        assert!(matches!(DataDir::take(dir.path()), Err(Error::Foreign { .. })));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
