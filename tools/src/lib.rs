//! Operator commands for any Kafka-protocol broker.
