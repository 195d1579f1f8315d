//! The runtime beneath the broker, and the only place that names glommio or io_uring.
//!
//! A shard is one thread: glommio as its scheduler, one io_uring of its own as its reactor ([`executor`]). Its tasks use
//! it through a [`Reactor`]: timers, sockets ([`net`]), files ([`disk`]), blocking calls ([`pool`]). Shards talk by
//! bounded lanes ([`mesh`]). [`host`] finds out beforehand what the host offers.
//!
//! What waits, waits in the pump: no other glommio timer, file, socket or blocking call exists beside the heartbeat. A
//! future may be dropped at any time; what the kernel works with is owned by the runtime until the kernel is done. No
//! queue is without a bound, and nothing is allocated per request in steady state.

mod affinity;
pub mod buffers;
pub mod disk;
mod entries;
pub mod executor;
mod home;
pub mod host;
mod line;
mod map;
pub mod mesh;
mod moderation;
pub mod net;
mod op;
pub mod pool;
mod pump;
mod reactor;
mod ring;
mod semaphore;
mod slab;
mod sleep;
mod stats;
mod sys;
mod task;
mod timer;

pub use duramen_wire::ids::ShardId;

pub use buffers::{RECEIVE_BUFFER_LEN, Received};
pub use executor::{JoinHandle, Spec, spawn_shard};
pub use pool::Pool;
pub use reactor::{Reactor, TASK_RUN_MAX};
pub use semaphore::{Permit, Semaphore};
pub use sleep::Sleep;
pub use stats::Stats;
pub use task::{Cancelled, Task, TaskClass};

#[cfg(test)]
mod tests;
