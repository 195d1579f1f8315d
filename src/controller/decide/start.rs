//! Changes that no client asks for: the first start, any later one, and producer ids.

use super::Refusal;
use crate::controller::change::{Change, ClusterCreated, LeaderEpochsRaised, ProducerIdBlockAllocated, ShardsChanged};
use crate::controller::code::Code;
use crate::controller::image::Image;
use crate::controller::place::rebalance_for;

/// Producer ids are given out in blocks of so many, as in Kafka.
pub const PRODUCER_IDS_PER_BLOCK: i64 = 1000;

/// Producer ids that may be used once the change with them is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    pub first: i64,
    /// Not part of the block.
    pub end: i64,
}

/// The first change of a new data directory. `cluster_id` is 16 random bytes in base64, without padding.
pub fn create_cluster(cluster_id: String, shard_count: u16) -> Change {
    ClusterCreated { cluster_id, shard_count }.into()
}

/// The changes of a start with `shard_count` shards; `unclean` where the one before did not end by itself.
pub fn start(image: &Image, shard_count: u16, unclean: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    if shard_count != image.shard_count() {
        changes.push(ShardsChanged { shard_count, moved: rebalance_for(image, shard_count) }.into());
    }
    if unclean && image.partition_count() > 0 {
        changes.push(LeaderEpochsRaised {}.into());
    }
    changes
}

/// A block of producer ids and the change that must be durable before one of them is used. No id is given out twice,
/// whatever is lost of the block.
///
/// # Errors
/// All ids are used up.
pub fn allocate_producer_ids(image: &Image) -> Result<(ProducerIdBlock, ProducerIdBlockAllocated), Refusal> {
    let first = image.next_producer_id();
    let end = first
        .checked_add(PRODUCER_IDS_PER_BLOCK)
        .ok_or_else(|| Refusal::new(Code::UnknownServerError, "Exhausted all producerIds"))?;
    Ok((ProducerIdBlock { first, end }, ProducerIdBlockAllocated { next: end }))
}
