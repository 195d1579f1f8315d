//! From the broker's own errors to Kafka's error codes. Nothing else in the broker knows them.

use duramen_wire::batch;
use duramen_wire::messages::ResponseError;

use crate::log::{append, producers, read};
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
        ReadRefusal::Log(error) => log_read(error),
    }
}

/// The code for a batch that the log does not take.
pub fn log_append(error: &append::Error) -> ResponseError {
    match error {
        append::Error::Invalid(error) => batch(error),
        append::Error::TooLarge { .. } => ResponseError::MessageTooLarge,
        append::Error::BeyondSegment { .. } => ResponseError::RecordListTooLarge,
        append::Error::Control | append::Error::NullKey | append::Error::BaseOffset(_) => ResponseError::InvalidRecord,
        append::Error::Transactional => ResponseError::InvalidTxnState,
        append::Error::TimestampType => ResponseError::InvalidTimestamp,
        append::Error::Producer(producers::Error::InvalidProducerEpoch { .. }) => ResponseError::InvalidProducerEpoch,
        // A repetition of a batch that is remembered no more comes here too, as in Kafka.
        append::Error::Producer(_) => ResponseError::OutOfOrderSequenceNumber,
        // The partition is on its way to another shard, or is being deleted: clients look again where it is.
        append::Error::Closed => ResponseError::NotLeaderOrFollower,
        append::Error::Busy { .. }
        | append::Error::DiskFull
        | append::Error::Corrupt { .. }
        | append::Error::Poisoned => ResponseError::KafkaStorageError,
    }
}

/// The code for a read that the log does not answer.
pub fn log_read(error: &read::Error) -> ResponseError {
    match error {
        read::Error::OutOfRange { .. } => ResponseError::OffsetOutOfRange,
        read::Error::Closed => ResponseError::NotLeaderOrFollower,
        _ => ResponseError::KafkaStorageError,
    }
}

/// The code for a change that the log cannot make.
pub fn log(error: &crate::log::Error) -> ResponseError {
    match error {
        crate::log::Error::Unknown(_) | crate::log::Error::Closed => ResponseError::NotLeaderOrFollower,
        _ => ResponseError::KafkaStorageError,
    }
}

/// The code for a batch that is not good. Kafka counts as corrupt what transport or disk may have done, which a client
/// retries, and as invalid what the client itself did wrong.
fn batch(error: &batch::Error) -> ResponseError {
    match error {
        batch::Error::Magic(0 | 1) => ResponseError::InvalidRecord,
        batch::Error::Magic(_) | batch::Error::Crc { .. } | batch::Error::Decompress(_) => {
            ResponseError::CorruptMessage
        }
        batch::Error::UnknownCompression(_) => ResponseError::UnsupportedCompressionType,
        batch::Error::Timestamp { .. } => ResponseError::InvalidTimestamp,
        batch::Error::TooLarge { .. } => ResponseError::MessageTooLarge,
        batch::Error::Empty
        | batch::Error::Truncated { .. }
        | batch::Error::Length { .. }
        | batch::Error::MoreThanOne { .. }
        | batch::Error::RecordCount { .. }
        | batch::Error::OffsetDelta { .. }
        | batch::Error::Record { .. }
        | batch::Error::BytesAfterRecords { .. }
        | batch::Error::NullKey { .. } => ResponseError::InvalidRecord,
    }
}

/// The error of a code that the controller gave.
pub fn of_code(code: i16) -> ResponseError {
    ResponseError::try_from_code(code).unwrap_or(ResponseError::UnknownServerError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_retries_what_may_be_the_transports_fault_alone() {
        let code = |error: batch::Error| log_append(&append::Error::Invalid(error)).code();
        assert_eq!(code(batch::Error::Crc { stored: 1, computed: 2 }), 2);
        assert_eq!((code(batch::Error::Magic(1)), code(batch::Error::Magic(3))), (87, 2));
        assert_eq!((code(batch::Error::Empty), code(batch::Error::MoreThanOne { count: 61 })), (87, 87));
        assert_eq!(code(batch::Error::Timestamp { index: 0, timestamp: 1 }), 32);
        assert_eq!(log_append(&append::Error::Transactional).code(), 48);
        assert_eq!(log_append(&append::Error::BeyondSegment { len: 2, max: 1 }).code(), 18);
        assert_eq!(log_append(&append::Error::TooLarge { len: 2, max: 1 }).code(), 10);
        assert_eq!(log_append(&append::Error::DiskFull).code(), 56);
    }

    #[test]
    fn codes_come_back_as_what_they_were() {
        assert_eq!(of_code(36), ResponseError::TopicAlreadyExists);
        assert_eq!(of_code(crate::controller::Code::PolicyViolation.number()), ResponseError::PolicyViolation);
    }
}
