//! The data directory as a whole: one broker at a time, and only a format that this build knows.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The format that this build writes. Directories of earlier formats are opened, and stay readable by their builds until
/// something is written that those do not know.
pub const FORMAT_VERSION: u32 = 1;
const LOCK_FILE: &str = ".lock";
const FORMAT_FILE: &str = "duramen.properties";
const FORMAT_KEY: &str = "format.version";

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
    _lock: File,
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
        Ok(Self { path, _lock: lock })
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
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let pid = file.read_to_string(&mut holder).ok().and_then(|_| holder.trim().parse().ok());
            return Err(Error::InUse { path: path.to_path_buf(), pid });
        }
        Err(TryLockError::Error(source)) => return Err(unusable(source)),
    }
    file.set_len(0).map_err(unusable)?;
    writeln!(file, "{}", std::process::id()).map_err(unusable)?;
    Ok(file)
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
        let refused = DataDir::take(&path).unwrap_err();
        assert!(matches!(&refused, Error::InUse { pid: Some(pid), .. } if *pid == std::process::id()), "{refused}");
        drop(held);
        DataDir::take(&path).unwrap();
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
