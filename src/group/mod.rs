//! The coordinator of classic consumer groups, as a pure state machine.
//!
//! It owns the groups of one partition of `__consumer_offsets`: their members, generations, assignments and committed
//! offsets. [`Coordinator::step`] takes an event and the time and says what is to be sent and written; a shell on the
//! shard that owns the partition carries it out. There is no clock, no randomness, no I/O and no unordered iteration
//! in here: the same events give the same effects.
//!
//! A start goes through a [`Loader`], from the log's first record or from a snapshot.

mod admin;
mod appends;
mod classic_group;
mod config;
mod coordinator;
mod effect;
mod error;
mod event;
mod expiry;
mod join;
mod load;
mod member;
mod offset_store;
mod offsets;
mod rebalance;
pub mod records;
mod refuse;
mod session;
mod snapshot;
mod static_members;
mod timers;

pub use classic_group::State;
pub use config::Config;
pub use coordinator::{CommittedEntry, Coordinator};
pub use effect::*;
pub use error::{AppendError, ErrorCode};
pub use event::*;
pub use load::{Error as LoadError, Loader};
pub use offset_store::CommittedOffset;
pub use refuse::{refuse, refuse_while_loading};
pub use snapshot::Error as SnapshotError;

/// The partition of `__consumer_offsets` that keeps a group: Java's `String.hashCode` of the group id, without its
/// sign bit, modulo the number of partitions. `None` if there are no partitions.
pub fn partition_for(group_id: &str, partition_count: u32) -> Option<u32> {
    let hash = group_id.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    (hash as u32 & 0x7fff_ffff).checked_rem(partition_count)
}

#[cfg(test)]
mod tests;
