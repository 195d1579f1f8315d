//! Measurements: the physical limits, and the comparison with Apache Kafka.
//!
//! What is here knows brokers by the Kafka protocol only, and takes nothing from the broker's own crates but `wire/`.

pub mod allocate;
pub mod cpu;
pub mod floor;
pub mod latency;
pub mod load;
