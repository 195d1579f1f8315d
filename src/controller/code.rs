//! The protocol's error codes that a decision can give.

/// An error code of the Kafka protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum Code {
    UnknownServerError = -1,
    UnknownTopicOrPartition = 3,
    InvalidTopicException = 17,
    TopicAlreadyExists = 36,
    InvalidPartitions = 37,
    InvalidReplicationFactor = 38,
    InvalidReplicaAssignment = 39,
    InvalidConfig = 40,
    InvalidRequest = 42,
    PolicyViolation = 44,
    TopicDeletionDisabled = 73,
    UnknownTopicId = 100,
}

impl Code {
    /// The number on the wire.
    pub fn number(self) -> i16 {
        self as i16
    }
}
