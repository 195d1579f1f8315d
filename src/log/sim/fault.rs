//! What is to go wrong, and when.

use std::io;

/// Operations that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Open,
    Read,
    Write,
    /// A write, zeroing or lengthening that makes the file longer or fills a hole.
    Growth,
    Sync,
    Zero,
    SetLen,
    /// Create, rename, remove, list.
    Name,
    SyncDir,
    /// Reading or replacing a small file whole.
    Small,
    Map,
}

/// Operations of a kind, on paths that contain a text, fail: not the first `skip`, but the next `times`.
#[derive(Clone, Debug)]
pub struct Fault {
    pub kind: Kind,
    /// Part of the file's path; empty for every file.
    pub path: String,
    pub skip: u32,
    pub times: u32,
    /// The number of the system's error.
    pub errno: i32,
}

impl Fault {
    /// The first matching operation fails with EIO.
    pub fn eio(kind: Kind, path: &str) -> Self {
        Self { kind, path: path.to_owned(), skip: 0, times: 1, errno: libc::EIO }
    }

    /// Every matching operation fails with ENOSPC.
    pub fn no_space(kind: Kind, path: &str) -> Self {
        Self { kind, path: path.to_owned(), skip: 0, times: u32::MAX, errno: libc::ENOSPC }
    }

    /// Lets `skip` matching operations pass first.
    pub fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }
}

/// The faults in force.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Counts an operation, and says with what error it fails, if it does.
    pub fn hit(&mut self, kinds: &[Kind], path: &str) -> Option<io::Error> {
        let matching = |fault: &&mut Fault| kinds.contains(&fault.kind) && path.contains(&fault.path);
        let mut errno = None;
        for fault in self.0.iter_mut().filter(matching) {
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if fault.times > 0 && errno.is_none() {
                fault.times -= 1;
                errno = Some(fault.errno);
            }
        }
        errno.map(io::Error::from_raw_os_error)
    }
}
