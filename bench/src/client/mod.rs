//! The client's side of the protocol for what runs under load: requests written into buffers that are used again, answers
//! read where they lie. It does no I/O.

pub mod encode;
pub mod fetch;
pub(crate) mod frame;
pub(crate) mod produce;

use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;

/// How this client calls itself.
pub(crate) const CLIENT_ID: &str = "duramen-bench";

/// Versions of Produce that are spoken: batches of magic 2, topics by name.
pub const PRODUCE_VERSIONS: RangeInclusive<i16> = 3..=11;
/// Versions of Fetch that are spoken: batches of magic 2, topics by name.
pub const FETCH_VERSIONS: RangeInclusive<i16> = 4..=12;

/// The answer to a request cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error(transparent)]
    Primitive(#[from] duramen_wire::slices::Error),
    #[error("it names partitions that were not asked for")]
    Unasked,
}

/// An error code as Kafka writes it: `MESSAGE_TOO_LARGE`.
pub(crate) fn error_name(code: i16) -> String {
    let Some(error) = ResponseError::try_from_code(code) else { return format!("error code {code}") };
    let name = format!("{error:?}");
    let mut spelt = String::with_capacity(name.len() + 8);
    for (at, letter) in name.char_indices() {
        if at > 0 && letter.is_ascii_uppercase() {
            spelt.push('_');
        }
        spelt.push(letter.to_ascii_uppercase());
    }
    spelt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_kafkas_names() {
        assert_eq!(error_name(10), "MESSAGE_TOO_LARGE");
        assert_eq!(error_name(3), "UNKNOWN_TOPIC_OR_PARTITION");
        assert_eq!(error_name(45), "OUT_OF_ORDER_SEQUENCE_NUMBER");
        assert_eq!(error_name(30_000), "error code 30000");
    }
}
