//! Short forms of what many tests ask.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use duramen_wire::batch::BatchBuilder;
use duramen_wire::ids::{ProducerEpoch, ProducerId};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, DescribeGroupsRequest, FetchRequest, FindCoordinatorRequest, GroupId,
    InitProducerIdRequest, MetadataRequest, ProduceRequest, TopicName,
};
use uuid::Uuid;

use crate::wire::{Client, text};

/// Versions that name topics, as most clients use them.
pub const PRODUCE: i16 = 9;
pub const FETCH: i16 = 12;

const EVENTUALLY: Duration = Duration::from_secs(20);

/// The error of a code, for comparison: `None` is success.
pub fn error(code: i16) -> Option<ResponseError> {
    ResponseError::try_from_code(code)
}

/// A name that no other test uses.
pub fn fresh(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    format!("{prefix}-{}-{now}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

pub fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// A topic to create.
pub fn creatable(name: &str, partitions: i32, configs: &[(&str, &str)]) -> CreatableTopic {
    let configs = configs
        .iter()
        .map(|(name, value)| CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value))));
    CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(configs.collect())
}

pub fn create_request(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(30_000)
}

/// Makes a topic of one partition and returns its name.
pub fn topic(client: &mut Client) -> String {
    topic_with(client, 1, &[])
}

pub fn topic_with(client: &mut Client, partitions: i32, configs: &[(&str, &str)]) -> String {
    let name = fresh("t");
    let response = client.call(7, &create_request(vec![creatable(&name, partitions, configs)]));
    let created = &response.topics[0];
    assert_eq!(error(created.error_code), None, "{:?}", created.error_message);
    await_leaders(client, &name, partitions);
    name
}

/// Asks until every partition is served: Kafka answers CreateTopics before its brokers know the topic.
pub fn await_leaders(client: &mut Client, name: &str, partitions: i32) {
    let partitions = (0..partitions).map(|index| fetch_partition(index, 0)).collect::<Vec<_>>();
    let request = fetch_request(vec![fetch_topic(name, partitions)]);
    let served = eventually(|| {
        let response = client.call(FETCH, &request);
        response.responses.iter().flat_map(|topic| &topic.partitions).all(|partition| partition.error_code == 0)
    });
    assert!(served, "{name} is not served");
}

/// Asks again until something holds. Whether it did within a time that is long for any broker.
pub fn eventually(mut holds: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < EVENTUALLY {
        if holds() {
            return true;
        }
    }
    false
}

/// A group that no other test uses, whose coordinator is ready.
pub fn group(client: &mut Client) -> String {
    let group = fresh("g");
    await_coordinator(client, &group);
    group
}

/// Has the coordinator found, which makes its topic, and waits until it has loaded.
pub fn await_coordinator(client: &mut Client, group: &str) {
    let find = FindCoordinatorRequest::default().with_coordinator_keys(vec![text(group)]);
    let describe = DescribeGroupsRequest::default().with_groups(vec![GroupId(text(group))]);
    let ready = eventually(|| {
        client.call(4, &find).coordinators[0].error_code == 0 && client.call(5, &describe).groups[0].error_code == 0
    });
    assert!(ready, "the coordinator of {group} does not load");
}

/// What Metadata says of one topic, which is not made by it.
pub fn describe(client: &mut Client, name: &str) -> MetadataResponseTopic {
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
    let request = MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(false);
    client.call(12, &request).topics.remove(0)
}

pub fn topic_id(client: &mut Client, name: &str) -> Uuid {
    describe(client, name).topic_id
}

/// A batch of so many small records, now.
pub fn batch(records: usize) -> Vec<u8> {
    fill(BatchBuilder::new(), records)
}

pub fn batch_at(timestamps: &[i64]) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    timestamps.iter().for_each(|&timestamp| builder.push(None, Some(b"value"), &[], timestamp));
    builder.finish()
}

/// A batch of an idempotent producer.
pub fn idempotent(producer: (i64, i16), sequence: i32, records: usize) -> Vec<u8> {
    fill(BatchBuilder::new().producer(ProducerId(producer.0), ProducerEpoch(producer.1), sequence), records)
}

pub fn fill(mut builder: BatchBuilder, records: usize) -> Vec<u8> {
    (0..records).for_each(|index| builder.push(Some(b"key"), Some(format!("value {index}").as_bytes()), &[], now_ms()));
    builder.finish()
}

/// Puts the CRC right after a batch was changed by hand.
pub fn seal(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

pub fn produce_request(acks: i16, topic: &str, partition: i32, records: Option<Vec<u8>>) -> ProduceRequest {
    let partition = PartitionProduceData::default().with_index(partition).with_records(records.map(Bytes::from));
    let topic = TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(vec![partition]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(30_000).with_topic_data(vec![topic])
}

/// Produces to partition 0 with acks=all.
pub fn produce(client: &mut Client, topic: &str, records: Vec<u8>) -> PartitionProduceResponse {
    let mut response = client.call(PRODUCE, &produce_request(-1, topic, 0, Some(records)));
    response.responses.remove(0).partition_responses.remove(0)
}

/// Produces what must be taken, and returns its base offset.
pub fn append(client: &mut Client, topic: &str, records: Vec<u8>) -> i64 {
    let answer = produce(client, topic, records);
    assert_eq!(error(answer.error_code), None, "{:?}", answer.error_message);
    answer.base_offset
}

/// The error that a batch is refused with.
pub fn refusal(client: &mut Client, topic: &str, records: Vec<u8>) -> Option<ResponseError> {
    error(produce(client, topic, records).error_code)
}

pub fn fetch_partition(partition: i32, offset: i64) -> FetchPartition {
    FetchPartition::default().with_partition(partition).with_fetch_offset(offset).with_partition_max_bytes(1 << 20)
}

pub fn fetch_topic(topic: &str, partitions: Vec<FetchPartition>) -> FetchTopic {
    FetchTopic::default().with_topic(topic_name(topic)).with_partitions(partitions)
}

/// A fetch outside of sessions that does not wait.
pub fn fetch_request(topics: Vec<FetchTopic>) -> FetchRequest {
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_max_bytes(50 << 20)
        .with_session_epoch(-1)
        .with_topics(topics)
}

/// Fetches partition 0 from an offset on.
pub fn fetch(client: &mut Client, topic: &str, offset: i64) -> PartitionData {
    let request = fetch_request(vec![fetch_topic(topic, vec![fetch_partition(0, offset)])]);
    client.call(FETCH, &request).responses.remove(0).partitions.remove(0)
}

/// A new producer's id and epoch.
pub fn producer(client: &mut Client) -> (i64, i16) {
    let request = InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(60_000);
    let mut response = client.call(4, &request);
    // Kafka asks for patience while it has no block of ids.
    eventually(|| {
        let settled = error(response.error_code) != Some(ResponseError::CoordinatorLoadInProgress);
        if !settled {
            response = client.call(4, &request);
        }
        settled
    });
    assert_eq!(error(response.error_code), None);
    (response.producer_id.0, response.producer_epoch)
}
