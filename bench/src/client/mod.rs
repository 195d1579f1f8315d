//! The client's side of the protocol for what runs under load: requests written into buffers that are used again, answers
//! read where they lie. It does no I/O.

pub mod encode;
pub mod fetch;
pub(crate) mod frame;
pub(crate) mod produce;

use std::ops::RangeInclusive;

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
