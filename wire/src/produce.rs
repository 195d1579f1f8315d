//! Produce, by hand: requests are read where they lie, without an allocation once the lists have grown, and responses
//! are written into a buffer that is used again.
//!
//! Versions 3 to 13 are served. 0 to 2 can be read and answered too, so that their clients get an error code and not a
//! closed connection: their records are of older formats, which `batch::validate` refuses.

mod request;
mod response;

pub use crate::topic::{CurrentLeader, Error, NodeEndpoint, TopicName, TopicRef};
pub use request::{Partition, Request, Topic};
pub use response::{PartitionResponse, ResponseEncoder};

/// The version that names topics by id.
const TOPIC_IDS_SINCE: i16 = 13;

#[cfg(test)]
mod tests;
