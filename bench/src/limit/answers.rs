//! The little of the Kafka protocol that a limit speaks.
