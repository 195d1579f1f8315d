//! Duramen: a Kafka-protocol broker with a durable log on every core.

pub mod group;
