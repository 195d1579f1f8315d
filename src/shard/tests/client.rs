//! What a client sends, and what it must find again.

use std::sync::Arc;

use bytes::BytesMut;
use duramen_wire::batch::{BatchBuilder, set_base_offset_and_epoch};
use duramen_wire::ids::{LeaderEpoch, Offset, PartitionIndex, ShardId, TopicId, TopicPartitionId};
use duramen_wire::produce::{self, TopicRef};
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::protocol::Encodable;

use crate::log::sim::Random;
use crate::shard::message::{AppendBatch, AppendItem, AppendRefusal, ReplyTo};
use crate::shard::request_bytes::RequestBytes;

/// A version in which topics have ids.
const VERSION: i16 = 13;

/// One partition's part of a request.
pub struct Part {
    pub partition: TopicPartitionId,
    pub batch: Vec<u8>,
    pub records: i64,
}

/// A batch that was sent, as it has to lie in the log.
pub struct Sent {
    pub base: Offset,
    pub end: Offset,
    pub placed: Vec<u8>,
}

/// A batch of about `len` bytes, unlike any other.
pub fn part(random: &mut Random, partition: TopicPartitionId, len: usize, now_ms: i64) -> Part {
    let records = 1 + random.below(3) as i64;
    let mut builder = BatchBuilder::new();
    for _ in 0..records {
        let number = random.number().to_le_bytes();
        builder.push(None, Some(&number.repeat(1 + len / records as usize / number.len())), &[], now_ms);
    }
    Part { partition, batch: builder.finish(), records }
}

impl Part {
    /// How it lies in the log behind `base`.
    pub fn placed(&self, base: Offset, epoch: LeaderEpoch) -> Sent {
        let mut placed = self.batch.clone();
        set_base_offset_and_epoch(&mut placed, base, epoch);
        Sent { base, end: base.plus(self.records), placed }
    }
}

/// The request that carries the parts, as bytes.
pub fn request(parts: &[Part], acks: i16) -> Vec<u8> {
    let topic = |part: &Part| {
        let records = Some(part.batch.clone().into());
        let data = PartitionProduceData::default().with_index(part.partition.partition.0).with_records(records);
        TopicProduceData::default().with_topic_id(part.partition.topic.0).with_partition_data(vec![data])
    };
    let request = ProduceRequest::default().with_acks(acks).with_topic_data(parts.iter().map(topic).collect());
    let mut bytes = BytesMut::new();
    request.encode(&mut bytes, VERSION).expect("a request of a version that has all of this");
    bytes.to_vec()
}

/// Reads a request where it lies, and sorts its batches into the box for their shard.
pub fn read(bytes: Vec<u8>, exchange: u64) -> Box<AppendBatch> {
    let shard = ShardId(0);
    let mut request = RequestBytes::default();
    request.set(0, bytes.len());
    *request.gathered() = bytes;
    let mut parsed = produce::Request::default();
    request.with(|bytes| parsed.parse(bytes, 0, VERSION)).expect("the request can be read");
    let mut batch = AppendBatch::new(ReplyTo { shard, connection: 0, exchange }, shard);
    for (entry, partition) in parsed.partitions.iter().enumerate() {
        let TopicRef::Id(topic) = parsed.topics[partition.topic].topic else { panic!("topics have ids") };
        batch.items.push(AppendItem {
            partition: TopicPartitionId { topic, partition: partition.index },
            entry,
            records: partition.records.clone().expect("every part has a batch"),
            result: Err(AppendRefusal::Pending),
        });
    }
    batch.wait_for_commit = parsed.acks != 0;
    batch.input = Some(Arc::new(request));
    batch
}

pub fn id(topic: u128, partition: i32) -> TopicPartitionId {
    TopicPartitionId { topic: TopicId(uuid::Uuid::from_u128(topic)), partition: PartitionIndex(partition) }
}
