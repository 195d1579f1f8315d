//! Batches that are encoded before the load starts: templates, stamps in their values, sizes, payload, keys,
//! compression, and the buffers they are sent from.

pub(crate) mod compress;
pub(crate) mod keys;
pub(crate) mod payload;
pub(crate) mod pool;
pub(crate) mod press;
pub(crate) mod sizes;
pub mod stamp;
pub(crate) mod template;

pub use stamp::{STAMP_LEN, Stamp, read_stamp};
