//! Fetch, by hand: requests are read where they lie, and responses are written without their records. The records are
//! sent from where they are, so a response is a buffer and the places in it where record bytes belong.

mod request;
mod response;

pub use crate::topic::{CurrentLeader, Error, NodeEndpoint, TopicName, TopicRef};
pub use request::{Forgotten, IsolationLevel, Partition, Request, Topic};
pub use response::{
    AbortedTransaction, DivergingEpoch, PartitionResponse, ResponseEncoder, ResponseHead, SnapshotId, Splice,
};

/// The version that names topics by id.
const TOPIC_IDS_SINCE: i16 = 13;

#[cfg(test)]
mod tests;
