//! The log: segments, journal, append, read, recovery and retention of the partitions of one shard.
//!
//! It owns the bytes of records from the moment they are accepted. It names no executor and no clock: it waits on a
//! [`disk::Disk`], is told the time, and its background work is futures that its shard runs.

pub mod checkpoint;
pub mod disk;
pub mod epochs;
pub mod frame;
pub mod index;
pub mod memory;
pub mod producers;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
