//! On which CPUs threads run.
#![expect(unsafe_code, reason = "calls sched_getaffinity and sched_setaffinity")]

use std::io;

/// A set of CPUs.
#[derive(Clone)]
pub(super) struct Affinity(libc::cpu_set_t);

impl Affinity {
    /// The CPUs that the calling thread may run on.
    pub fn of_this_thread() -> io::Result<Self> {
        // SAFETY: a set of bits; all zeros is the empty one.
        let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes at most the given length.
        let got = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) };
        if got == 0 { Ok(Self(set)) } else { Err(io::Error::last_os_error()) }
    }

    /// Lets the calling thread run on these CPUs only.
    pub fn apply(&self) -> io::Result<()> {
        // SAFETY: the kernel reads the set.
        let set = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &self.0) };
        if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// The numbers of the CPUs, ascending.
    pub fn cpus(&self) -> Vec<usize> {
        // SAFETY: every index is below the size of the set.
        (0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &self.0) }).collect()
    }
}
