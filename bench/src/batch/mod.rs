//! Batches that are encoded before the load starts: templates, stamps in their values, sizes, payload, keys,
//! compression, and the buffers they are sent from.

pub mod compress;
pub mod keys;
pub mod payload;
pub mod pool;
pub mod sizes;
pub mod stamp;
pub mod template;
