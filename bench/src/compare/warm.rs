//! Warm memory: a virtual machine may have given free memory back to its host, and getting it again costs far more than
//! using it. Before each run anonymous memory is touched and given back, so that no broker pays for what it happens to
//! touch first. On bare metal this changes nothing.

use std::fs;

use crate::error::Error;

/// Of the memory that is free, the share that may be touched.
const FREE_SHARE_MAX: f64 = 0.5;
const PAGE: usize = 4096;
const GIB: usize = 1 << 30;
const MEMINFO: &str = "/proc/meminfo";

/// Touches so much memory, less where less is free, and gives it back. Returns the GiB that were touched.
pub fn touch(gib: f64) -> Result<f64, Error> {
    let io = |source| Error::Io { what: format!("read {MEMINFO}"), source };
    let free = free_bytes(&fs::read_to_string(MEMINFO).map_err(io)?).unwrap_or(0);
    let wanted = ((gib * GIB as f64) as usize).min((free as f64 * FREE_SHARE_MAX) as usize);
    // In pieces, all of which are there at once: what is given back in between could be given out again.
    let mut pieces: Vec<Vec<u8>> = Vec::with_capacity(wanted.div_ceil(GIB));
    for start in (0..wanted).step_by(GIB) {
        let mut piece = vec![0; GIB.min(wanted - start)];
        piece.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
        pieces.push(std::hint::black_box(piece));
    }
    Ok(wanted as f64 / GIB as f64)
}

/// `MemFree` of `/proc/meminfo`.
fn free_bytes(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemFree:"))?;
    Some(line.split_whitespace().next()?.parse::<usize>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_is_read() {
        assert_eq!(free_bytes("MemTotal:  100 kB\nMemFree:        12 kB\nMemAvailable: 90 kB\n"), Some(12 << 10));
        assert_eq!(free_bytes("MemTotal:  100 kB\n"), None);
    }

    #[test]
    fn what_is_asked_for_is_touched() {
        assert!((touch(0.01).unwrap() - 0.01).abs() < 1e-6);
        assert_eq!(touch(0.0).unwrap(), 0.0);
    }
}
