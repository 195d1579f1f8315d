//! The little of the Kafka protocol that a limit speaks: one node; topics of any name, whose last number is that of their
//! partitions; Produce answers that are made once and then only get their correlation id; and for Fetch the records that it
//! holds in memory, if it does.

use std::io;
use std::net::SocketAddr;

use duramen_wire::api::ApiKey;
use duramen_wire::batch::BatchBuilder;
use duramen_wire::fetch;
use duramen_wire::header::RequestHeader;
use duramen_wire::messages::api_versions_response::ApiVersion;
use duramen_wire::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use duramen_wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use duramen_wire::messages::{
    ApiVersionsResponse, BrokerId, InitProducerIdResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest,
    MetadataResponse, ProducerId, Request, Response, StrBytes, decode_request, encode_response,
};
use duramen_wire::produce;
use duramen_wire::slices::Slices;
use duramen_wire::topic::{TopicName, TopicRef};

/// Bytes of the longest request, its length included.
pub const FRAME_MAX: usize = 2 << 20;

/// What is offered: topics go by name in all of it.
const OFFERED: [(ApiKey, i16, i16); 6] = [
    (ApiKey::Produce, 3, 9),
    (ApiKey::Fetch, 4, 12),
    (ApiKey::ListOffsets, 1, 6),
    (ApiKey::Metadata, 1, 9),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::InitProducerId, 0, 4),
];
const NODE: BrokerId = BrokerId(1);
const UNSUPPORTED_VERSION: i16 = 35;
const BEGINNING: i64 = -2;
/// Of the log that is read: its records, and how many of them are one batch of nearly 1 MiB.
const RECORDS: i64 = 300_000;
const BATCH_RECORDS: i64 = 1_000;
const RECORD_SIZE: usize = 1_000;
/// Produce answers that are kept, one for each kind of request; then they are made anew.
const KINDS_MAX: usize = 4096;
/// Where the version, the correlation id and their successor lie in a frame, after its length and the key.
const VERSION_AT: usize = 6;
const CORRELATION_AT: usize = 8;
const CORRELATION_END: usize = 12;
/// Where the correlation id lies in an answer, after its length.
const ANSWER_CORRELATION: std::ops::Range<usize> = 4..8;

/// The length of the first whole frame, its length field included; `None` while part of it is missing.
pub fn frame_length(bytes: &[u8]) -> io::Result<Option<usize>> {
    let Some(length) = bytes.first_chunk::<4>() else { return Ok(None) };
    let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(usize::MAX).saturating_add(4);
    if !(CORRELATION_END..=FRAME_MAX).contains(&length) {
        return Err(io::Error::other(format!("a frame of {length} bytes")));
    }
    Ok((bytes.len() >= length).then_some(length))
}

/// Whether a whole frame is a Produce request.
pub fn is_produce(frame: &[u8]) -> bool {
    frame[4..VERSION_AT] == (ApiKey::Produce as i16).to_be_bytes()
}

/// Answers the requests of one connection.
pub struct Answers<'r> {
    address: SocketAddr,
    records: &'r Records,
    /// What was said before the records, and the answer to it.
    produced: Vec<(Vec<u8>, Vec<u8>)>,
    /// The place of the last of them: most often the next one is the same.
    last: usize,
    other: Vec<u8>,
    splices: Vec<fetch::Splice>,
    request: fetch::Request,
}

impl<'r> Answers<'r> {
    /// `address` is where clients are told to go.
    pub fn new(address: SocketAddr, records: &'r Records) -> Self {
        let (produced, other, splices) = (Vec::new(), Vec::new(), Vec::new());
        Self { address, records, produced, last: 0, other, splices, request: fetch::Request::default() }
    }

    /// The whole frame of the answer to a whole frame, in parts.
    pub fn to(&mut self, frame: &[u8]) -> io::Result<[&[u8]; 3]> {
        if is_produce(frame) {
            return Ok([self.produce(frame)?, &[], &[]]);
        }
        self.other.clear();
        let bytes = &frame[4..];
        let header = RequestHeader::parse(Slices::one(&bytes)).map_err(io::Error::other)?;
        if header.api == ApiKey::Fetch {
            let (at, batch) = self.fetch(bytes, &header)?;
            let (head, tail) = self.other.split_at(at);
            return Ok([head, batch, tail]);
        }
        self.answer(bytes, &header)?;
        Ok([&self.other, &[], &[]])
    }

    /// The answer that fits every request which says the same before its records.
    fn produce(&mut self, frame: &[u8]) -> io::Result<&[u8]> {
        let is = |kind: &(Vec<u8>, Vec<u8>)| {
            frame[VERSION_AT..].starts_with(&kind.0[..2]) && {
                let said = &kind.0[2..];
                frame.len() > CORRELATION_END + said.len() && frame[CORRELATION_END..].starts_with(said)
            }
        };
        if !self.produced.get(self.last).is_some_and(is) {
            self.last = match self.produced.iter().position(is) {
                Some(place) => place,
                None => {
                    if self.produced.len() == KINDS_MAX {
                        self.produced.clear();
                    }
                    self.produced.push(produced(frame)?);
                    self.produced.len() - 1
                }
            };
        }
        let (_, answer) = &mut self.produced[self.last];
        answer[ANSWER_CORRELATION].copy_from_slice(&frame[CORRELATION_AT..CORRELATION_END]);
        Ok(answer)
    }

    /// Writes the answer to a Fetch of one partition, and says where which records belong in it.
    fn fetch(&mut self, bytes: &[u8], header: &RequestHeader) -> io::Result<(usize, &'r [u8])> {
        self.request.parse(Slices::one(&bytes), header.body, header.version).map_err(io::Error::other)?;
        let [asked] = &self.request.partitions[..] else {
            return Err(io::Error::other("a Fetch of more partitions than one, or of none"));
        };
        let TopicRef::Name(name) = &self.request.topics[asked.topic].topic else {
            return Err(io::Error::other("a Fetch of a topic without a name"));
        };
        let (batch, end) = (self.records.at(asked.fetch_offset), self.records.end());
        self.splices.clear();
        let (version, correlation) = (header.version, header.correlation_id);
        let head = fetch::ResponseHead::default();
        let mut encoder =
            fetch::ResponseEncoder::begin(&mut self.other, &mut self.splices, version, correlation, &head, 1);
        encoder.topic(TopicName::Name(&bytes[name.clone()]), 1);
        encoder.partition(&fetch::PartitionResponse {
            high_watermark: end,
            last_stable_offset: end,
            log_start_offset: 0,
            records_len: Some(batch.len()),
            ..fetch::PartitionResponse::error(asked.index, 0)
        });
        encoder.finish(&[]);
        Ok((self.splices[0].at, batch))
    }

    fn answer(&mut self, bytes: &[u8], header: &RequestHeader) -> io::Result<()> {
        let (api, mut version) = (header.api, header.version);
        let offered = OFFERED.iter().find(|(offered, ..)| *offered == api);
        let (_, min, max) = offered.ok_or_else(|| io::Error::other(format!("{api} is not offered")))?;
        let response = if api == ApiKey::ApiVersions && !(*min..=*max).contains(&version) {
            version = 0;
            versions().with_error_code(UNSUPPORTED_VERSION).into()
        } else {
            let body = bytes[header.body..].to_vec().into();
            match decode_request(api, version, body).map_err(io::Error::other)? {
                Request::ApiVersions(_) => versions().into(),
                Request::Metadata(request) => self.metadata(request),
                Request::ListOffsets(request) => offsets(request, self.records.end()),
                Request::InitProducerId(_) => InitProducerIdResponse::default().with_producer_id(ProducerId(1)).into(),
                other => return Err(io::Error::other(format!("{} is not offered", other.api()))),
            }
        };
        encode_response(&response, version, header.correlation_id, &mut self.other).map_err(io::Error::other)?;
        Ok(())
    }

    /// Every topic that is asked for is there.
    fn metadata(&self, request: MetadataRequest) -> Response {
        let partition = |index| {
            MetadataResponsePartition::default()
                .with_partition_index(index)
                .with_leader_id(NODE)
                .with_leader_epoch(0)
                .with_replica_nodes(vec![NODE])
                .with_isr_nodes(vec![NODE])
        };
        let names = request.topics.unwrap_or_default().into_iter().filter_map(|topic| topic.name);
        let topics = names.map(|name| {
            let partitions = (0..partitions(name.0.as_str())).map(partition).collect();
            MetadataResponseTopic::default().with_name(Some(name)).with_partitions(partitions)
        });
        let broker = MetadataResponseBroker::default()
            .with_node_id(NODE)
            .with_host(StrBytes::from_string(self.address.ip().to_string()))
            .with_port(i32::from(self.address.port()));
        MetadataResponse::default()
            .with_brokers(vec![broker])
            .with_controller_id(NODE)
            .with_topics(topics.collect())
            .into()
    }
}

/// The number that a topic's name ends with; 1 if there is none.
fn partitions(name: &str) -> i32 {
    name.rsplit('-').next().and_then(|number| number.parse().ok()).filter(|number| *number > 0).unwrap_or(1)
}

/// The bounds of the log that is read.
fn offsets(request: ListOffsetsRequest, end: i64) -> Response {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let offset = if asked.timestamp == BEGINNING { 0 } else { end };
            ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index).with_offset(offset)
        });
        ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
    });
    ListOffsetsResponse::default().with_topics(topics.collect()).into()
}

fn versions() -> ApiVersionsResponse {
    let version = |(api, min, max): (ApiKey, i16, i16)| {
        ApiVersion::default().with_api_key(api as i16).with_min_version(min).with_max_version(max)
    };
    ApiVersionsResponse::default().with_api_keys(OFFERED.into_iter().map(version).collect())
}

/// Records that are fetched: by default none. Each lies in memory of its own, as a broker's do.
#[derive(Default)]
pub struct Records(Vec<Vec<u8>>);

impl Records {
    pub fn made() -> Records {
        let mut builder = BatchBuilder::new();
        let value = [b'v'; RECORD_SIZE];
        (0..BATCH_RECORDS).for_each(|_| builder.push(None, Some(&value), &[], 0));
        let batch = builder.finish();
        let at = |base_offset: i64| [&base_offset.to_be_bytes(), &batch[8..]].concat();
        Records((0..RECORDS / BATCH_RECORDS).map(|number| at(number * BATCH_RECORDS)).collect())
    }

    /// The batch that holds this offset; empty beyond the end.
    fn at(&self, offset: i64) -> &[u8] {
        let number = usize::try_from(offset / BATCH_RECORDS).unwrap_or(usize::MAX);
        self.0.get(number).map_or(&[], Vec::as_slice)
    }

    fn end(&self) -> i64 {
        self.0.len() as i64 * BATCH_RECORDS
    }
}

/// What a Produce request says before the records of its first partition, its correlation id left out; and the answer.
fn produced(frame: &[u8]) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let bytes = &frame[4..];
    let slices = Slices::one(&bytes);
    let header = RequestHeader::parse(slices).map_err(io::Error::other)?;
    let mut request = produce::Request::default();
    request.parse(slices, header.body, header.version).map_err(io::Error::other)?;
    let mut out = Vec::new();
    let mut encoder =
        produce::ResponseEncoder::begin(&mut out, header.version, header.correlation_id, request.topics.len());
    for topic in &request.topics {
        let name = match &topic.topic {
            TopicRef::Name(range) => TopicName::Name(&bytes[range.clone()]),
            TopicRef::Id(id) => TopicName::Id(*id),
        };
        encoder.topic(name, topic.partitions.len());
        for partition in &request.partitions[topic.partitions.clone()] {
            let good = produce::PartitionResponse::error(partition.index, 0);
            encoder.partition(&produce::PartitionResponse { base_offset: 0, log_start_offset: 0, ..good });
        }
    }
    encoder.finish(0, &[]);
    // A request of several partitions is a kind of its own each time: only all of it says which they are.
    let one = request.partitions.len() == 1;
    let records = request.partitions.first().and_then(|partition| partition.records.clone()).filter(|_| one);
    let end = records.map_or(frame.len() - 1, |records| records.start + 4);
    Ok(([&frame[VERSION_AT..CORRELATION_AT], &frame[CORRELATION_END..end]].concat(), out))
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

    /// Version 3 for one topic "t" and one partition, with so many bytes of records.
    fn produce_body(partition: i32, records: i32) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend((-1_i16).to_be_bytes());
        body.extend((-1_i16).to_be_bytes());
        body.extend(1_000_i32.to_be_bytes());
        body.extend(1_i32.to_be_bytes());
        body.extend([0, 1, b't']);
        body.extend(1_i32.to_be_bytes());
        body.extend(partition.to_be_bytes());
        body.extend(records.to_be_bytes());
        body.resize(body.len() + records as usize, 9);
        body
    }

    static NONE: Records = Records(Vec::new());

    fn answers() -> Answers<'static> {
        Answers::new("127.0.0.1:1234".parse().unwrap(), &NONE)
    }

    fn whole(parts: [&[u8]; 3]) -> Vec<u8> {
        parts.concat()
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
        let mut answer = |correlation, partition| {
            whole(answers.to(&frame(ApiKey::Produce, 3, correlation, &produce_body(partition, 50))).unwrap())
        };
        let (first, second, other) = (answer(7, 0), answer(8, 0), answer(9, 5));
        assert_eq!((first[7], second[7], other[7]), (7, 8, 9));
        assert_eq!((&first[..4], &first[8..]), (&second[..4], &second[8..]));
        assert_ne!(first[8..], other[8..], "another partition has another answer");
        assert_eq!(answers.produced.len(), 2);
        assert_eq!(first.len(), 4 + first[3] as usize);
    }

    #[test]
    fn a_fetch_gets_the_batch_at_its_offset_until_the_end() {
        let fetch = |offset: i64| {
            let mut body = Vec::new();
            body.extend((-1_i32).to_be_bytes());
            body.extend(500_i32.to_be_bytes());
            body.extend(1_i32.to_be_bytes());
            body.extend(i32::MAX.to_be_bytes());
            body.push(0);
            body.extend(1_i32.to_be_bytes());
            body.extend([0, 1, b't']);
            body.extend(1_i32.to_be_bytes());
            body.extend(0_i32.to_be_bytes());
            body.extend(offset.to_be_bytes());
            body.extend((1_i32 << 20).to_be_bytes());
            frame(ApiKey::Fetch, 4, 3, &body)
        };
        let records = Records::made();
        let mut answers = Answers::new("127.0.0.1:1234".parse().unwrap(), &records);
        let parts = answers.to(&fetch(2_000)).unwrap();
        assert_eq!(parts[1][..8], 2_000_i64.to_be_bytes());
        assert!(parts[1].len() > 1_000_000 && parts[1].len() < 1 << 20);
        let answer = whole(parts);
        assert_eq!(answer.len(), 4 + u32::from_be_bytes(*answer.first_chunk().unwrap()) as usize);
        assert!(answers.to(&fetch(RECORDS)).unwrap()[1].is_empty());
    }

    #[test]
    fn a_topic_has_as_many_partitions_as_its_name_says() {
        assert_eq!(["limit-0-10", "limit-0-1", "t", "t-0", "t-x"].map(partitions), [10, 1, 1, 1, 1]);
    }

    #[test]
    fn a_client_is_led_to_this_address() {
        let body = [&1_i32.to_be_bytes()[..], &[0, 1, b't']].concat();
        let mut answers = answers();
        let answer = whole(answers.to(&frame(ApiKey::Metadata, 1, 3, &body)).unwrap());
        assert!(answer.windows(9).any(|bytes| bytes == b"127.0.0.1"));
        assert!(answer.windows(4).any(|bytes| bytes == 1234_i32.to_be_bytes()));
    }

    #[test]
    fn what_is_not_offered_ends_the_connection() {
        assert!(answers().to(&frame(ApiKey::CreateTopics, 5, 1, &[])).is_err());
        // The header of a version from 3 on ends with its tagged fields, here none.
        let unknown_version = whole(answers().to(&frame(ApiKey::ApiVersions, 9, 1, &[0])).unwrap());
        assert_eq!(unknown_version[8..10], UNSUPPORTED_VERSION.to_be_bytes());
    }
}
