//! Once the lists and buffers have grown, reading Produce and Fetch requests, validating batches and writing responses
//! allocates nothing.

use duramen_wire::batch::{BatchBuilder, Limits, validate};
use duramen_wire::header::RequestHeader;
use duramen_wire::ids::{PartitionIndex, TopicId};
use duramen_wire::produce::TopicName;
use duramen_wire::slices::Slices;
use duramen_wire::{fetch, produce};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::protocol::Encodable;
use uuid::Uuid;

use crate::allocator::allocations_after_the_first;

const TOPIC: TopicId = TopicId(Uuid::from_u128(5));

fn head(api: i16, version: i16) -> Vec<u8> {
    let header = kafka_protocol::messages::RequestHeader::default()
        .with_request_api_key(api)
        .with_request_api_version(version)
        .with_client_id(Some("client".into()));
    let mut bytes = Vec::new();
    header.encode(&mut bytes, 2).unwrap();
    bytes
}

#[test]
fn produce() {
    let mut builder = BatchBuilder::new();
    (0..50).for_each(|index| builder.push(Some(b"key"), Some(&[7; 300]), &[(b"h", Some(b"v"))], index));
    let batch = bytes::Bytes::from(builder.finish());
    let partition = |index| PartitionProduceData::default().with_index(index).with_records(Some(batch.clone()));
    let topic = TopicProduceData::default().with_topic_id(TOPIC.0).with_partition_data((0..4).map(partition).collect());
    let mut bytes = head(0, 13);
    ProduceRequest::default().with_topic_data(vec![topic]).encode(&mut bytes, 13).unwrap();
    let pieces: Vec<&[u8]> = bytes.chunks(4096).collect();

    let (mut request, mut out) = (produce::Request::default(), Vec::new());
    let mut validated = 0;
    let allocations = allocations_after_the_first(|| {
        let slices = Slices::new(&pieces);
        let header = RequestHeader::parse(slices).unwrap();
        request.parse(slices, header.body, header.version).unwrap();
        out.clear();
        let mut response = produce::ResponseEncoder::begin(&mut out, header.version, header.correlation_id, 1);
        response.topic(TopicName::Id(TOPIC), request.partitions.len());
        for partition in &request.partitions {
            let batch = slices.sub(partition.records.clone().unwrap());
            validated += validate(batch, &Limits::default()).unwrap().record_count;
            response.partition(&produce::PartitionResponse::error(partition.index, 0));
        }
        response.finish(0, &[]);
    });
    assert_eq!((allocations, validated), (0, 11 * 4 * 50));
}

#[test]
fn fetch() {
    let partitions = (0..20).map(|index| FetchPartition::default().with_partition(index)).collect();
    let topic = FetchTopic::default().with_topic_id(TOPIC.0).with_partitions(partitions);
    let mut bytes = head(1, 18);
    FetchRequest::default().with_topics(vec![topic]).encode(&mut bytes, 18).unwrap();
    let pieces: Vec<&[u8]> = bytes.chunks(100).collect();

    let (mut request, mut out, mut splices) = (fetch::Request::default(), Vec::new(), Vec::new());
    let allocations = allocations_after_the_first(|| {
        let slices = Slices::new(&pieces);
        let header = RequestHeader::parse(slices).unwrap();
        request.parse(slices, header.body, header.version).unwrap();
        assert_eq!(request.partitions[19].index, PartitionIndex(19));
        out.clear();
        splices.clear();
        let head = fetch::ResponseHead::default();
        let mut response = fetch::ResponseEncoder::begin(&mut out, &mut splices, 18, header.correlation_id, &head, 1);
        response.topic(TopicName::Id(TOPIC), request.partitions.len());
        for partition in &request.partitions {
            response.partition(&fetch::PartitionResponse::error(partition.index, 0));
        }
        response.finish(&[]);
    });
    assert_eq!((allocations, splices.len()), (0, 20));
}
