//! Requests to the broker in the test's process, and their answers.

use std::time::{Duration, Instant};

use bytes::Bytes;
use duramen_wire::api::ApiKey;
use duramen_wire::fetch;
use duramen_wire::header::RequestHeader;
use duramen_wire::ids::PartitionIndex;
use duramen_wire::messages::api_versions_response::ApiVersion;
use duramen_wire::messages::create_topics_response::CreatableTopicResult;
use duramen_wire::messages::delete_topics_response::DeletableTopicResult;
use duramen_wire::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use duramen_wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use duramen_wire::messages::{
    ApiVersionsResponse, BrokerId, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest,
    DeleteTopicsResponse, InitProducerIdResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest,
    MetadataResponse, ProducerId, Request, Response, StrBytes, TopicName, decode_request, encode_response,
};
use duramen_wire::produce;
use duramen_wire::slices::Slices;
use duramen_wire::topic::TopicRef;

use super::fake::{Appended, Partition, Shared};

const NODE: BrokerId = BrokerId(1);
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const OFFSET_OUT_OF_RANGE: i16 = 1;

/// The whole answer to a request, empty if it wants none; `None` closes the connection.
pub fn answer(shared: &Shared, request: &[u8]) -> Option<Vec<u8>> {
    let header = RequestHeader::parse(Slices::one(&request)).expect("the generator sends known requests");
    let mut out = Vec::new();
    match header.api {
        ApiKey::Produce => return produce(shared, request, &header),
        ApiKey::Fetch => return Some(fetch(shared, request, &header)),
        api => {
            let body = Bytes::copy_from_slice(&request[header.body..]);
            let decoded = decode_request(api, header.version, body).expect("the generator sends sound requests");
            let response = respond(shared, decoded, header.version);
            encode_response(&response, header.version, header.correlation_id, &mut out).expect("it can be encoded");
        }
    }
    Some(out)
}

fn respond(shared: &Shared, request: Request, version: i16) -> Response {
    match request {
        Request::ApiVersions(_) => api_versions().into(),
        Request::Metadata(request) => metadata(shared, &request).into(),
        Request::CreateTopics(request) => create(shared, &request, version).into(),
        Request::DeleteTopics(request) => delete(shared, &request).into(),
        Request::ListOffsets(request) => list_offsets(shared, &request).into(),
        Request::InitProducerId(request) => {
            assert_eq!(request.transactional_id, None, "the generator makes no transactions");
            let mut state = shared.lock();
            state.producer_ids += 1;
            let response = InitProducerIdResponse::default().with_producer_id(ProducerId(state.producer_ids));
            response.with_producer_epoch(0).into()
        }
        other => panic!("{} is not answered here", other.api()),
    }
}

fn api_versions() -> ApiVersionsResponse {
    let version = |api: &ApiKey| {
        let versions = api.versions();
        let api = ApiVersion::default().with_api_key(*api as i16);
        api.with_min_version(*versions.start()).with_max_version(*versions.end())
    };
    ApiVersionsResponse::default().with_api_keys(ApiKey::ALL.iter().map(version).collect())
}

fn metadata(shared: &Shared, request: &MetadataRequest) -> MetadataResponse {
    let state = shared.lock();
    let broker = MetadataResponseBroker::default().with_node_id(NODE).with_host(text("127.0.0.1"));
    let broker = broker.with_port(i32::from(shared.address.port()));
    let partition = |index: usize| {
        MetadataResponsePartition::default()
            .with_partition_index(index as i32)
            .with_leader_id(NODE)
            .with_replica_nodes(vec![NODE])
            .with_isr_nodes(vec![NODE])
    };
    let names = request.topics.iter().flatten().filter_map(|topic| topic.name.clone());
    let topic = |name: TopicName| match state.topics.get(name.0.as_str()) {
        None => MetadataResponseTopic::default().with_name(Some(name)).with_error_code(UNKNOWN_TOPIC_OR_PARTITION),
        Some(partitions) => MetadataResponseTopic::default()
            .with_name(Some(name))
            .with_partitions((0..partitions.len()).map(partition).collect()),
    };
    let topics = names.map(topic).collect();
    MetadataResponse::default().with_brokers(vec![broker]).with_controller_id(NODE).with_topics(topics)
}

fn create(shared: &Shared, request: &CreateTopicsRequest, version: i16) -> CreateTopicsResponse {
    const COUNTS_SINCE: i16 = 5;
    let mut state = shared.lock();
    let mut made = |topic: &duramen_wire::messages::create_topics_request::CreatableTopic| {
        let mut partitions = Vec::new();
        partitions.resize_with(topic.num_partitions as usize, Partition::default);
        state.topics.insert(topic.name.0.to_string(), partitions);
        let result = CreatableTopicResult::default().with_name(topic.name.clone());
        if version >= COUNTS_SINCE { result.with_num_partitions(topic.num_partitions) } else { result }
    };
    CreateTopicsResponse::default().with_topics(request.topics.iter().map(&mut made).collect())
}

fn delete(shared: &Shared, request: &DeleteTopicsRequest) -> DeleteTopicsResponse {
    let mut state = shared.lock();
    let named = request.topics.iter().filter_map(|topic| topic.name.clone());
    let mut gone = |name: TopicName| {
        state.topics.remove(name.0.as_str());
        DeletableTopicResult::default().with_name(Some(name))
    };
    DeleteTopicsResponse::default().with_responses(named.map(&mut gone).collect())
}

fn list_offsets(shared: &Shared, request: &ListOffsetsRequest) -> ListOffsetsResponse {
    const BEGINNING: i64 = -2;
    let state = shared.lock();
    let topic = |topic: &duramen_wire::messages::list_offsets_request::ListOffsetsTopic| {
        let partition = |asked: &duramen_wire::messages::list_offsets_request::ListOffsetsPartition| {
            let found = state.topics.get(topic.name.0.as_str()).map(|all| &all[asked.partition_index as usize]);
            let response = ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index);
            match found {
                None => response.with_error_code(UNKNOWN_TOPIC_OR_PARTITION),
                Some(found) if asked.timestamp == BEGINNING => response.with_offset(found.start),
                Some(found) => response.with_offset(found.end),
            }
        };
        let partitions = topic.partitions.iter().map(partition).collect();
        ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions)
    };
    ListOffsetsResponse::default().with_topics(request.topics.iter().map(topic).collect())
}

fn produce(shared: &Shared, bytes: &[u8], header: &RequestHeader) -> Option<Vec<u8>> {
    shared.pause();
    let mut request = produce::Request::default();
    request.parse(Slices::one(&bytes), header.body, header.version).expect("the generator sends sound requests");
    let mut out = Vec::new();
    let mut encoder =
        produce::ResponseEncoder::begin(&mut out, header.version, header.correlation_id, request.topics.len());
    for topic in &request.topics {
        let name = name(bytes, &topic.topic);
        encoder.topic(produce::TopicName::Name(name.as_bytes()), topic.partitions.len());
        for partition in &request.partitions[topic.partitions.clone()] {
            let batch = &bytes[partition.records.clone().expect("records are sent")];
            let answer = produce::PartitionResponse::error(partition.index, 0);
            encoder.partition(&match shared.append(name, partition.index.0, batch) {
                Appended::At(base_offset) => produce::PartitionResponse { base_offset, ..answer },
                Appended::Refused(error_code) => produce::PartitionResponse { error_code, ..answer },
                Appended::Closed => return None,
            });
        }
    }
    encoder.finish(0, &[]);
    if request.acks == 0 { Some(Vec::new()) } else { Some(out) }
}

fn fetch(shared: &Shared, bytes: &[u8], header: &RequestHeader) -> Vec<u8> {
    let mut request = fetch::Request::default();
    request.parse(Slices::one(&bytes), header.body, header.version).expect("the generator sends sound requests");
    let deadline = Instant::now() + Duration::from_millis(request.max_wait_ms as u64);
    let mut state = shared.lock();
    let read = loop {
        let read: Vec<(i16, i64, Vec<u8>)> = request
            .partitions
            .iter()
            .map(|asked| {
                let topic = name(bytes, &request.topics[asked.topic].topic);
                let Some(partitions) = state.topics.get(topic) else { return (UNKNOWN_TOPIC_OR_PARTITION, -1, vec![]) };
                let partition = &partitions[asked.index.0 as usize];
                match (partition.start..=partition.end).contains(&asked.fetch_offset) {
                    true => (0, partition.end, partition.read(asked.fetch_offset, asked.max_bytes as usize)),
                    false => (OFFSET_OUT_OF_RANGE, -1, vec![]),
                }
            })
            .collect();
        let found: usize = read.iter().map(|(_, _, records)| records.len()).sum();
        let left = deadline.saturating_duration_since(Instant::now());
        if found >= request.min_bytes as usize || left.is_zero() || read.iter().any(|(error, ..)| *error != 0) {
            break read;
        }
        state = shared.appended.wait_timeout(state, left).expect("no thread panics with it").0;
    };
    drop(state);
    let (mut out, mut splices) = (Vec::new(), Vec::new());
    let head = fetch::ResponseHead::default();
    let (version, id) = (header.version, header.correlation_id);
    let mut encoder = fetch::ResponseEncoder::begin(&mut out, &mut splices, version, id, &head, request.topics.len());
    for topic in &request.topics {
        encoder.topic(fetch::TopicName::Name(name(bytes, &topic.topic).as_bytes()), topic.partitions.len());
        for at in topic.partitions.clone() {
            let (error_code, high_watermark, records) = &read[at];
            let PartitionIndex(index) = request.partitions[at].index;
            encoder.partition(&fetch::PartitionResponse {
                high_watermark: *high_watermark,
                last_stable_offset: *high_watermark,
                records_len: Some(records.len()),
                ..fetch::PartitionResponse::error(PartitionIndex(index), *error_code)
            });
        }
    }
    encoder.finish(&[]);
    for (splice, (.., records)) in splices.iter().zip(&read).rev() {
        out.splice(splice.at..splice.at, records.iter().copied());
    }
    out
}

fn name<'b>(bytes: &'b [u8], topic: &TopicRef) -> &'b str {
    match topic {
        TopicRef::Name(range) => str::from_utf8(&bytes[range.clone()]).expect("names are text"),
        TopicRef::Id(_) => panic!("these versions name topics"),
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
