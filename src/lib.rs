//! Duramen: a Kafka-protocol broker with a durable log on every core.

pub mod api;
pub mod config;
pub mod controller;
pub mod errors;
pub mod group;
pub mod log;
pub mod log_command;
pub mod metadata;
pub mod metrics;
pub mod net;
pub mod runtime;
pub mod serve;
pub mod shard;
