//! The Kafka protocol as a client of a load needs it: requests written into buffers that are used again, answers read
//! where they lie.

pub mod encode;
pub mod fetch;
pub mod frame;
pub mod produce;
