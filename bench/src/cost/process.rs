//! One process: CPU time, memory, bytes read and written, as `/proc` tells them.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The unit of times in `/proc` (USER_HZ), the same on every Linux that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// The CPU time of a process, in steps of 10 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CpuTime {
    pub user_seconds: f64,
    pub system_seconds: f64,
}

impl CpuTime {
    pub fn total(self) -> f64 {
        self.user_seconds + self.system_seconds
    }
}

/// Bytes that a process caused to be moved from and to disks; page cache counts when it is dirtied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskBytes {
    pub read: u64,
    pub written: u64,
}

/// User and system time of all its threads.
pub fn cpu_seconds(pid: u32) -> io::Result<f64> {
    Ok(cpu_time(pid)?.total())
}

pub fn cpu_time(pid: u32) -> io::Result<CpuTime> {
    const USER: usize = 14;
    const SYSTEM: usize = 15;
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = |field| stat_field(&text, field).ok_or_else(|| unexpected("stat"));
    Ok(CpuTime {
        user_seconds: ticks(USER)? as f64 / TICKS_PER_SECOND,
        system_seconds: ticks(SYSTEM)? as f64 / TICKS_PER_SECOND,
    })
}

pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    status(pid, "VmRSS:")
}

/// The most that was resident since the start of the process, or since `forget_peak`.
pub fn peak_bytes(pid: u32) -> io::Result<u64> {
    status(pid, "VmHWM:")
}

/// Lets the peak begin anew. Only the owner of a process may.
pub fn forget_peak(pid: u32) -> io::Result<()> {
    const RESET_PEAK: &str = "5";
    fs::write(format!("/proc/{pid}/clear_refs"), RESET_PEAK)
}

/// From the disk.
pub fn read_bytes(pid: u32) -> io::Result<u64> {
    Ok(disk_bytes(pid)?.read)
}

/// Only the owner of a process, or root, may ask.
pub fn disk_bytes(pid: u32) -> io::Result<DiskBytes> {
    let text = fs::read_to_string(format!("/proc/{pid}/io"))?;
    let bytes = |name| named(&text, name).ok_or_else(|| unexpected("io"));
    let cancelled = bytes("cancelled_write_bytes:")?;
    Ok(DiskBytes { read: bytes("read_bytes:")?, written: bytes("write_bytes:")?.saturating_sub(cancelled) })
}

/// How long ago the kernel made it, in steps of 10 ms.
pub fn since_start(pid: u32) -> io::Result<Duration> {
    const START: usize = 22;
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let started = stat_field(&text, START).ok_or_else(|| unexpected("stat"))? as f64 / TICKS_PER_SECOND;
    let now = Duration::try_from(clock_gettime(ClockId::Boottime)).map_err(io::Error::other)?;
    Ok(now.saturating_sub(Duration::from_secs_f64(started)))
}

fn status(pid: u32, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    named(&text, name).map(|kibibytes| kibibytes << 10).ok_or_else(|| unexpected("status"))
}

/// A field of `/proc/PID/stat`, counted from 1 as in its manual. The second one, a name, may contain anything.
fn stat_field(text: &str, field: usize) -> Option<u64> {
    const FIRST_AFTER_NAME: usize = 3;
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(field - FIRST_AFTER_NAME)?.parse().ok()
}

/// The number behind a name at the front of a line.
pub(super) fn named(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn unexpected(file: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("/proc/PID/{file} is not as expected"))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn names_with_parentheses_do_not_confuse() {
        let text = "7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 1900 20";
        assert_eq!(
            (stat_field(text, 14), stat_field(text, 15), stat_field(text, 22)),
            (Some(11), Some(12), Some(1900))
        );
    }

    #[test]
    fn this_process_has_a_cost() {
        let pid = std::process::id();
        let before = cpu_time(pid).unwrap();
        let began = Instant::now();
        let mut sum = 0_u64;
        while cpu_time(pid).unwrap().total() < before.total() + 0.05 && began.elapsed() < Duration::from_secs(20) {
            (0..100_000).for_each(|n| sum = std::hint::black_box(sum ^ n));
        }
        let used = cpu_seconds(pid).unwrap() - before.total();
        assert!(used > 0.045, "{used}");
        assert!(resident_bytes(pid).unwrap() > 100_000);
        assert!(peak_bytes(pid).unwrap() > 100_000);
        assert!(disk_bytes(pid).is_ok());
        assert!(since_start(pid).unwrap() < Duration::from_secs(24 * 3600));
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(cpu_seconds(u32::MAX).is_err());
    }
}
