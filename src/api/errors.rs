//! From the broker's own errors to Kafka's error codes. Nothing else in the broker knows them.

use duramen_wire::messages::ResponseError;

use crate::log::{append, read};
use crate::shard::message::{AppendRefusal, ReadRefusal};

/// The code for a batch that was refused.
pub fn append(refusal: &AppendRefusal) -> ResponseError {
    match refusal {
        AppendRefusal::NotHere => ResponseError::NotLeaderOrFollower,
        AppendRefusal::Pending | AppendRefusal::Poisoned => ResponseError::KafkaStorageError,
        AppendRefusal::Log(error) => log_append(error),
    }
}

/// The code for a read that was refused.
pub fn read(refusal: &ReadRefusal) -> ResponseError {
    match refusal {
        ReadRefusal::NotHere => ResponseError::NotLeaderOrFollower,
        ReadRefusal::FencedLeaderEpoch => ResponseError::FencedLeaderEpoch,
        ReadRefusal::UnknownLeaderEpoch => ResponseError::UnknownLeaderEpoch,
        ReadRefusal::Log(read::Error::OutOfRange { .. }) => ResponseError::OffsetOutOfRange,
        ReadRefusal::Log(_) => ResponseError::KafkaStorageError,
    }
}
