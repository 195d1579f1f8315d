//! The log: segments, journal, append, read, recovery and retention of the partitions of one shard.
//!
//! It owns the bytes of records from the moment they are accepted. It names no executor and no clock: it waits on a
//! [`disk::Disk`], is told the time, and its background work is futures that its shard runs.
//!
//! - append: [`append`] → `tail` → `commit` → `ring`, `journal` or `writer`
//! - read: [`read`] → `tail`, or `cold`
//! - start: [`recovery`] → [`log`] → `moves`
//!
//! No borrow of a state is held across an await, and a partition's state may be borrowed before the shard's lists, never
//! the other way round.

pub mod append;
mod buffer;
pub mod checkpoint;
mod checkpointing;
mod cold;
mod commit;
pub mod config;
pub mod disk;
pub mod epochs;
mod files;
pub mod frame;
mod hot;
mod housekeeping;
pub mod index;
mod indexes;
mod journal;
#[expect(clippy::module_inception, reason = "the log of a shard is the module's chief type")]
mod log;
pub mod memory;
mod moves;
mod partition;
mod paths;
pub mod producers;
pub mod read;
pub mod recovery;
mod reindex;
pub mod repair;
mod retention;
mod ring;
mod segment;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod space;
mod stats;
mod tail;
#[cfg(test)]
mod tests;
pub mod times;
mod wait;
mod writer;
mod zeros;

pub use append::{Appended, Origin};
pub use config::{Durability, Options, PartitionConfig};
pub use log::{Error, LocalBoxFuture, Log, Observer, Result};
pub use moves::{NotAdopted, PartitionState};
pub use partition::{Health, Partition};
pub use read::{ReadKind, ReadOut};
pub use stats::Stats;
