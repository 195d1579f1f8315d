//! The Kafka protocol as bytes: codec only. It owns layouts, versions and limits of what travels; it does no I/O, reads
//! no clock and knows no broker type.

pub mod batch;
pub mod ids;
pub mod slices;
