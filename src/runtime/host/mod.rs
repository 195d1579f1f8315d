//! What the host offers and lacks, found out before the start.
//!
//! [`probe`] refuses a host on which the broker cannot keep its promises, with one [`Error`] that says what is wrong, why
//! it matters and what to do; what only makes it slower becomes a [`Warning`]. It leaves nothing behind, but for the
//! limit of open files, which it raises as far as it may.

mod cgroup;
mod cpus;
mod kernel;
mod limits;
mod storage;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use cpus::{CoreListError, allowed_cpus, choose_cpus, parse_core_list};
pub use kernel::KernelVersion;

/// What was found out.
#[derive(Clone, Debug)]
pub struct Report {
    pub facts: Facts,
    pub warnings: Vec<Warning>,
}

/// The host as the process may use it.
#[derive(Clone, Debug)]
pub struct Facts {
    pub kernel: KernelVersion,
    /// CPUs that the process may run on, ascending (cpuset and affinity).
    pub cpus: Vec<usize>,
    /// CPUs' worth of time that the cgroup allows, if it limits that.
    pub cpu_quota: Option<f64>,
    /// Bytes of memory: of the host, or what the cgroup allows if that is less.
    pub memory: u64,
    /// Whether the cgroup sets that bound.
    pub memory_is_limited: bool,
    /// Descriptors that the process may have open, after raising the limit.
    pub open_files: u64,
    /// Whether the kernel tells what the page cache holds.
    pub cachestat: bool,
}

/// Something that the broker runs without, for the worse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub what: String,
    pub remedy: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; {}", self.what, self.remedy)
    }
}

/// Why the broker cannot run here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("Linux {found} is too old: the ring needs what came with {minimum}\nrun a kernel from {minimum} on")]
    Kernel { found: KernelVersion, minimum: KernelVersion },
    #[error(
        "io_uring is not allowed here ({cause}): all network and disk I/O goes through it\n\
         in a container, allow it (docker run --security-opt seccomp=unconfined, or a profile with io_uring_setup, \
         io_uring_enter and io_uring_register); on a host, set sysctl kernel.io_uring_disabled=0"
    )]
    RingForbidden { cause: io::Error },
    #[error("cannot make an io_uring: {cause}\nraise the limit of locked memory (ulimit -l, LimitMEMLOCK=) to 8 MiB")]
    Ring { cause: io::Error },
    #[error(
        "this kernel's io_uring lacks {missing}\nrun a kernel from {} on, built with its full io_uring",
        kernel::MINIMUM
    )]
    Operations { missing: String },
    #[error(
        "only {found} bytes of memory may be locked, and each shard needs {}\n\
         raise the limit (ulimit -l, LimitMEMLOCK=, docker run --ulimit memlock=8388608)",
        limits::MEMLOCK_MIN
    )]
    LockedMemory { found: u64 },
    #[error("{}: the file system does not offer direct I/O ({cause}), which durability rests on\nput the data directory \
             on ext4, xfs or another file system with O_DIRECT", path.display())]
    DirectIo { path: PathBuf, cause: io::Error },
    #[error("{}: the file system is full ({cause})\nmake room on it, or choose another directory with --data-dir", path.display())]
    Full { path: PathBuf, cause: io::Error },
    #[error("{}: cannot be written ({cause})\ngive this user the directory, or choose another with --data-dir", path.display())]
    DataDir { path: PathBuf, cause: io::Error },
    #[error("cannot read {what}: {cause}\nsee that /proc and /sys are mounted")]
    Unreadable { what: &'static str, cause: io::Error },
}

/// Looks at everything that the broker needs. The data directory, or the nearest one above that exists, is tried with an
/// unnamed file.
pub fn probe(data_dir: &Path) -> Result<Report, Error> {
    let kernel = kernel::require_version()?;
    limits::require_locked_memory()?;
    kernel::require_ring()?;
    let own = storage::require_direct_io(data_dir)?;
    let cpus = allowed_cpus().map_err(|cause| Error::Unreadable { what: "the allowed CPUs", cause })?;
    let total = limits::total_memory().map_err(|cause| Error::Unreadable { what: "/proc/meminfo", cause })?;
    let limit = cgroup::memory_limit().filter(|limit| *limit < total);
    let facts = Facts {
        kernel,
        cpus,
        cpu_quota: cgroup::cpu_quota(),
        memory: limit.unwrap_or(total),
        memory_is_limited: limit.is_some(),
        open_files: limits::raise_open_files().map_err(|cause| Error::Unreadable { what: "RLIMIT_NOFILE", cause })?,
        cachestat: kernel::has_cachestat(&own),
    };
    let warnings = warnings(&facts);
    Ok(Report { facts, warnings })
}

fn warnings(facts: &Facts) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if !facts.cachestat {
        warnings.push(Warning {
            what: format!(
                "Linux {} does not tell what the page cache holds, so nothing is sent by sendfile",
                facts.kernel
            ),
            remedy: "run a kernel from 6.5 on that allows cachestat".into(),
        });
    }
    if let Some(quota) = facts.cpu_quota
        && quota < facts.cpus.len() as f64
    {
        warnings.push(Warning {
            what: format!("the cgroup allows {quota:.1} CPUs' worth of time on {} CPUs", facts.cpus.len()),
            remedy: "choose no more shards than that with --cores or --shards, or pauses follow".into(),
        });
    }
    if facts.open_files < limits::OPEN_FILES_RECOMMENDED {
        warnings.push(Warning {
            what: format!("only {} files and connections may be open", facts.open_files),
            remedy: "raise the hard limit (ulimit -Hn, LimitNOFILE=)".into(),
        });
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_is_good_enough_and_nothing_is_left_behind() {
        let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let report = probe(&directory.path().join("not/there/yet")).unwrap();
        assert!(!report.facts.cpus.is_empty() && report.facts.memory > 0 && report.facts.open_files > 0);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_system_without_direct_io_is_refused() {
        let error = probe(Path::new("/proc/self")).unwrap_err();
        assert!(matches!(error, Error::DataDir { .. } | Error::DirectIo { .. }), "{error}");
        assert!(error.to_string().lines().count() <= 2);
    }

    #[test]
    fn what_is_missing_becomes_a_warning() {
        let mut facts = Facts {
            kernel: KernelVersion { major: 6, minor: 1 },
            cpus: vec![0, 1, 2, 3],
            cpu_quota: Some(4.0),
            memory: 1 << 30,
            memory_is_limited: true,
            open_files: 1 << 20,
            cachestat: true,
        };
        assert_eq!(warnings(&facts), []);
        facts.cachestat = false;
        facts.cpu_quota = Some(1.5);
        facts.open_files = 1024;
        assert_eq!(warnings(&facts).len(), 3);
    }
}
