//! One process: CPU time, memory, bytes read and written.

use std::io;
use std::time::Duration;

/// User and system time.
pub fn cpu_seconds(_pid: u32) -> io::Result<f64> {
    todo!()
}

pub fn resident_bytes(_pid: u32) -> io::Result<u64> {
    todo!()
}

/// From the disk.
pub fn read_bytes(_pid: u32) -> io::Result<u64> {
    todo!()
}

pub fn since_start(_pid: u32) -> io::Result<Duration> {
    todo!()
}
