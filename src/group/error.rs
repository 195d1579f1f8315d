//! Kafka error codes that a group coordinator answers with, and what the failure of an append becomes.
//!
//! These are protocol values of the coordinator's answers (the caller writes [`ErrorCode::code`] as it is); whatever
//! can go wrong inside a file or a snapshot has an `Error` enum of its own.

/// The error of a response or of one of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
pub enum ErrorCode {
    UnknownServerError = -1,
    None = 0,
    UnknownTopicOrPartition = 3,
    OffsetMetadataTooLarge = 12,
    CoordinatorLoadInProgress = 14,
    CoordinatorNotAvailable = 15,
    NotCoordinator = 16,
    IllegalGeneration = 22,
    InconsistentGroupProtocol = 23,
    InvalidGroupId = 24,
    UnknownMemberId = 25,
    InvalidSessionTimeout = 26,
    RebalanceInProgress = 27,
    InvalidCommitOffsetSize = 28,
    NonEmptyGroup = 68,
    GroupIdNotFound = 69,
    MemberIdRequired = 79,
    GroupMaxSizeReached = 81,
    FencedInstanceId = 82,
    GroupSubscribedToTopic = 86,
}

impl ErrorCode {
    /// The value on the wire.
    pub fn code(self) -> i16 {
        self as i16
    }

    pub fn is_ok(self) -> bool {
        self == ErrorCode::None
    }
}

/// Why records could not be made durable in the coordinator's partition of `__consumer_offsets`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The in-sync set is too small, the append timed out, or the partition is not there (yet).
    #[error("the offsets partition cannot take the append now")]
    Unavailable,
    /// The partition is led elsewhere, or its storage has failed.
    #[error("the offsets partition is no longer written here")]
    NotCoordinator,
    /// The records do not fit into one batch of the offsets topic.
    #[error("the records are too large for the offsets topic")]
    TooLarge,
    #[error("the append failed")]
    Unknown,
}

impl AppendError {
    /// What the client that waits for the append is told. Kafka's own mapping: no error of the offsets topic reaches
    /// a client as it is.
    pub fn to_response(self) -> ErrorCode {
        match self {
            AppendError::Unavailable => ErrorCode::CoordinatorNotAvailable,
            AppendError::NotCoordinator => ErrorCode::NotCoordinator,
            AppendError::TooLarge | AppendError::Unknown => ErrorCode::UnknownServerError,
        }
    }
}
