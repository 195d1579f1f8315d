//! The Kafka protocol as bytes: codec only. It owns layouts, versions and limits of what travels; it does no I/O, reads
//! no clock and knows no broker type.

pub mod api;
pub mod batch;
mod encode;
pub mod fetch;
pub mod header;
pub mod ids;
pub mod messages;
pub mod produce;
pub mod slices;
pub mod topic;
