//! What the host offers, found out before the start.

mod features;

pub use features::has_cachestat;
