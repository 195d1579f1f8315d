//! The little of the Kafka protocol that the bare loop speaks: one node, a topic of any name with one partition, and a
//! Produce answer that is made once and then only gets its correlation id.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use duramen_wire::api::ApiKey;
use duramen_wire::header::RequestHeader;
use duramen_wire::ids::PartitionIndex;
use duramen_wire::messages::api_versions_response::ApiVersion;
use duramen_wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use duramen_wire::messages::{
    ApiVersionsResponse, BrokerId, InitProducerIdResponse, MetadataResponse, ProducerId, Request, Response, StrBytes,
    decode_request, encode_response,
};
use duramen_wire::produce::{self, PartitionResponse, ResponseEncoder};
use duramen_wire::slices::Slices;
use duramen_wire::topic::{TopicName, TopicRef};

/// Bytes of the longest request, its length included.
pub const FRAME_MAX: usize = 2 << 20;

/// What is offered: topics go by name in all of it. Fetch is there because librdkafka sends no current record format to
/// a broker without it; who asks for it is cut off.
const OFFERED: [(ApiKey, i16, i16); 5] = [
    (ApiKey::Produce, 0, 9),
    (ApiKey::Fetch, 4, 12),
    (ApiKey::Metadata, 1, 9),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::InitProducerId, 0, 4),
];
const NODE: i32 = 1;
const UNSUPPORTED_VERSION: i16 = 35;
/// Where the version, the correlation id and their successor lie in a frame, after its length and the key.
const VERSION_AT: usize = 6;
const CORRELATION_AT: usize = 8;
const CORRELATION_END: usize = 12;
/// Where the correlation id lies in an answer, after its length.
const ANSWER_CORRELATION_AT: usize = 4;

/// The length of the first whole frame, its length field included; `None` while part of it is missing.
pub fn frame_length(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(length) = bytes.first_chunk::<4>() else { return Ok(None) };
    let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(usize::MAX).saturating_add(4);
    ensure!((CORRELATION_END..=FRAME_MAX).contains(&length), "a frame of {length} bytes");
    Ok((bytes.len() >= length).then_some(length))
}

/// Whether a whole frame is a Produce request.
pub fn is_produce(frame: &[u8]) -> bool {
    frame[4..VERSION_AT] == (ApiKey::Produce as i16).to_be_bytes()
}

/// Answers the requests of one connection.
pub struct Answers {
    address: SocketAddr,
    /// The answer to Produce, and the version that it is for.
    produced: Option<(i16, Vec<u8>)>,
    other: Vec<u8>,
}

impl Answers {
    /// `address` is where clients are told to go.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, produced: None, other: Vec::new() }
    }

    /// The whole frame of the answer to a whole frame.
    pub fn to(&mut self, frame: &[u8]) -> Result<&[u8]> {
        if !is_produce(frame) {
            self.other.clear();
            self.answer(frame)?;
            return Ok(&self.other);
        }
        let version = i16::from_be_bytes([frame[VERSION_AT], frame[VERSION_AT + 1]]);
        if self.produced.as_ref().is_none_or(|(made_for, _)| *made_for != version) {
            self.produced = Some((version, produced(frame)?));
        }
        let (_, answer) = self.produced.as_mut().context("the answer was made above")?;
        let correlation = ANSWER_CORRELATION_AT..ANSWER_CORRELATION_AT + 4;
        answer[correlation].copy_from_slice(&frame[CORRELATION_AT..CORRELATION_END]);
        Ok(answer)
    }

    fn answer(&mut self, frame: &[u8]) -> Result<()> {
        let bytes = &frame[4..];
        let header = RequestHeader::parse(Slices::one(&bytes))?;
        let (api, mut version) = (header.api, header.version);
        let offered = OFFERED.iter().find(|(offered, ..)| *offered == api);
        let (_, min, max) = offered.with_context(|| format!("{api} is not offered"))?;
        let response = if api == ApiKey::ApiVersions && !(*min..=*max).contains(&version) {
            version = 0;
            versions().with_error_code(UNSUPPORTED_VERSION).into()
        } else {
            let body = bytes[header.body..].to_vec().into();
            match decode_request(api, version, body)? {
                Request::ApiVersions(_) => versions().into(),
                Request::Metadata(request) => self.metadata(request.topics.unwrap_or_default()),
                Request::InitProducerId(_) => InitProducerIdResponse::default().with_producer_id(ProducerId(1)).into(),
                other => bail!("{} is not offered", other.api()),
            }
        };
        encode_response(&response, version, header.correlation_id, &mut self.other)?;
        Ok(())
    }

    /// Every topic that is asked for is there.
    fn metadata(&self, asked: Vec<duramen_wire::messages::metadata_request::MetadataRequestTopic>) -> Response {
        let partition = MetadataResponsePartition::default()
            .with_leader_id(BrokerId(NODE))
            .with_leader_epoch(0)
            .with_replica_nodes(vec![BrokerId(NODE)])
            .with_isr_nodes(vec![BrokerId(NODE)]);
        let topic = |name| MetadataResponseTopic::default().with_name(name).with_partitions(vec![partition.clone()]);
        let broker = MetadataResponseBroker::default()
            .with_node_id(BrokerId(NODE))
            .with_host(StrBytes::from_string(self.address.ip().to_string()))
            .with_port(i32::from(self.address.port()));
        MetadataResponse::default()
            .with_brokers(vec![broker])
            .with_controller_id(BrokerId(NODE))
            .with_topics(asked.into_iter().map(|asked| topic(asked.name)).collect())
            .into()
    }
}

fn versions() -> ApiVersionsResponse {
    let version = |(api, min, max): (ApiKey, i16, i16)| {
        ApiVersion::default().with_api_key(api as i16).with_min_version(min).with_max_version(max)
    };
    ApiVersionsResponse::default().with_api_keys(OFFERED.into_iter().map(version).collect())
}

/// The answer that fits every Produce request which names the same partitions as this one.
fn produced(frame: &[u8]) -> Result<Vec<u8>> {
    let bytes = &frame[4..];
    let slices = Slices::one(&bytes);
    let header = RequestHeader::parse(slices)?;
    let mut request = produce::Request::default();
    request.parse(slices, header.body, header.version)?;
    let mut out = Vec::new();
    let mut encoder = ResponseEncoder::begin(&mut out, header.version, header.correlation_id, request.topics.len());
    for topic in &request.topics {
        let name = match &topic.topic {
            TopicRef::Name(range) => TopicName::Name(&bytes[range.clone()]),
            TopicRef::Id(id) => TopicName::Id(*id),
        };
        encoder.topic(name, topic.partitions.len());
        for partition in &request.partitions[topic.partitions.clone()] {
            encoder.partition(&good(partition.index));
        }
    }
    encoder.finish(0, &[]);
    Ok(out)
}

fn good(index: PartitionIndex) -> PartitionResponse<'static> {
    PartitionResponse { base_offset: 0, log_start_offset: 0, ..PartitionResponse::error(index, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(api: ApiKey, version: i16, correlation_id: i32, body: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 4];
        frame.extend((api as i16).to_be_bytes());
        frame.extend(version.to_be_bytes());
        frame.extend(correlation_id.to_be_bytes());
        frame.extend((-1_i16).to_be_bytes());
        frame.extend(body);
        let length = (frame.len() - 4) as i32;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        frame
    }

    /// Version 3 for one topic "t", partition 0, with null records.
    fn produce_body() -> Vec<u8> {
        let mut body = Vec::new();
        body.extend((-1_i16).to_be_bytes());
        body.extend((-1_i16).to_be_bytes());
        body.extend(1_000_i32.to_be_bytes());
        body.extend(1_i32.to_be_bytes());
        body.extend([0, 1, b't']);
        body.extend(1_i32.to_be_bytes());
        body.extend(0_i32.to_be_bytes());
        body.extend((-1_i32).to_be_bytes());
        body
    }

    fn answers() -> Answers {
        Answers::new("127.0.0.1:1234".parse().unwrap())
    }

    #[test]
    fn frames_are_found_only_when_whole() {
        let frame = frame(ApiKey::Metadata, 1, 9, &[0, 0, 0, 0]);
        for length in 0..frame.len() {
            assert_eq!(frame_length(&frame[..length]).unwrap(), None);
        }
        assert_eq!(frame_length(&[&frame[..], &[1, 2]].concat()).unwrap(), Some(frame.len()));
        assert!(frame_length(&[0xff; 8]).is_err());
        assert!(frame_length(&[0, 0, 0, 1, 0]).is_err());
    }

    #[test]
    fn only_the_correlation_id_changes_from_answer_to_answer() {
        let mut answers = answers();
        let first = answers.to(&frame(ApiKey::Produce, 3, 7, &produce_body())).unwrap().to_vec();
        let second = answers.to(&frame(ApiKey::Produce, 3, 8, &produce_body())).unwrap().to_vec();
        assert_eq!((first[7], second[7]), (7, 8));
        assert_eq!((&first[..4], &first[8..]), (&second[..4], &second[8..]));
        assert_eq!(first.len(), 4 + first[3] as usize);
    }

    #[test]
    fn a_client_is_led_to_this_address() {
        let body = [&1_i32.to_be_bytes()[..], &[0, 1, b't']].concat();
        let mut answers = answers();
        let answer = answers.to(&frame(ApiKey::Metadata, 1, 3, &body)).unwrap();
        assert!(answer.windows(9).any(|bytes| bytes == b"127.0.0.1"));
        assert!(answer.windows(4).any(|bytes| bytes == 1234_i32.to_be_bytes()));
    }

    #[test]
    fn what_is_not_offered_ends_the_connection() {
        assert!(answers().to(&frame(ApiKey::Fetch, 4, 1, &[])).is_err());
        assert!(answers().to(&frame(ApiKey::CreateTopics, 5, 1, &[])).is_err());
        // The header of a version from 3 on ends with its tagged fields, here none.
        let unknown_version = answers().to(&frame(ApiKey::ApiVersions, 9, 1, &[0])).unwrap().to_vec();
        assert_eq!(unknown_version[8..10], UNSUPPORTED_VERSION.to_be_bytes());
    }
}
