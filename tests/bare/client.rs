//! A client of one connection: requests as structures or as any bytes, one answer at a time.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use duramen_wire::batch::BatchBuilder;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, BrokerId, CreateTopicsRequest, DeleteTopicsRequest, FetchRequest, FetchResponse, ListOffsetsRequest,
    MetadataRequest, MetadataResponse, ProduceRequest, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use super::PATIENCE;

const CLIENT_ID: &str = "bare";
/// Versions in which topics still have names.
const PRODUCE: i16 = 11;
const FETCH: i16 = 12;

pub struct Client {
    pub stream: TcpStream,
    correlation: i32,
}

impl Client {
    /// Connects by 127.0.0.1.
    pub fn connect(port: u16) -> Client {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the broker accepts connections");
        stream.set_nodelay(true).expect("TCP");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Client { stream, correlation: 0 }
    }

    /// Sends any bytes. A connection that the broker has closed already is no failure of the test.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends a request whose answer is read later.
    pub fn ask<R: Request>(&mut self, request: &R, version: i16) {
        self.correlation += 1;
        let bytes = frame(request, version, self.correlation);
        self.stream.write_all(&bytes).expect("the broker reads");
    }

    /// Reads a whole answer: the bytes behind its length. `None` if the connection ends instead.
    pub fn answer(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).expect("a length is not negative")];
        self.fill(&mut frame)?;
        Some(frame)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Option<()> {
        match self.stream.read_exact(bytes) {
            Ok(()) => Some(()),
            Err(error) if is_end(&error) => None,
            Err(error) => panic!("neither an answer nor the end of the connection came: {error}"),
        }
    }

    /// Reads until the broker closes the connection.
    pub fn closed(&mut self) {
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if is_end(&error) => return,
                Err(error) => panic!("the connection is not closed: {error}"),
            }
        }
    }

    /// Asks and reads the answer.
    #[track_caller]
    pub fn call<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        self.try_call(request, version).expect("the connection is not closed")
    }

    /// The same; `None` if the connection is closed instead.
    pub fn try_call<R: Request>(&mut self, request: &R, version: i16) -> Option<R::Response> {
        self.ask(request, version);
        let (correlation, answer) = self.try_read_answer::<R>(version)?;
        assert_eq!(correlation, self.correlation);
        Some(answer)
    }

    /// Reads the answer to a request that was sent before.
    #[track_caller]
    pub fn read_answer<R: Request>(&mut self, version: i16) -> R::Response {
        self.try_read_answer::<R>(version).expect("the connection is not closed").1
    }

    fn try_read_answer<R: Request>(&mut self, version: i16) -> Option<(i32, R::Response)> {
        let mut answer = Bytes::from(self.answer()?);
        let header = ResponseHeader::decode(&mut answer, R::Response::header_version(version)).expect("a header");
        let answer = R::Response::decode(&mut answer, version).expect("an answer of this version");
        Some((header.correlation_id, answer))
    }

    /// Makes topics of one partition each; returns their error codes.
    pub fn create_topics(&mut self, names: &[&str], partitions: i32) -> Vec<i16> {
        let topic = |name: &&str| {
            CreatableTopic::default().with_name(topic(name)).with_num_partitions(partitions).with_replication_factor(1)
        };
        let request =
            CreateTopicsRequest::default().with_topics(names.iter().map(topic).collect()).with_timeout_ms(30_000);
        self.call(&request, 5).topics.iter().map(|topic| topic.error_code).collect()
    }

    /// Makes a topic with settings of its own; returns the error code.
    pub fn create_topic_with(&mut self, name: &str, partitions: i32, settings: &[(&str, String)]) -> i16 {
        let config = |(name, value): &(&str, String)| {
            let name = StrBytes::from_string(name.to_string());
            CreatableTopicConfig::default().with_name(name).with_value(Some(StrBytes::from_string(value.clone())))
        };
        let topic = CreatableTopic::default()
            .with_name(topic(name))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
            .with_configs(settings.iter().map(config).collect());
        let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
        self.call(&request, 5).topics[0].error_code
    }

    pub fn delete_topic(&mut self, name: &str) -> i16 {
        let request = DeleteTopicsRequest::default().with_topic_names(vec![topic(name)]).with_timeout_ms(30_000);
        self.call(&request, 5).responses[0].error_code
    }

    /// Produces a batch; returns the error code and the base offset.
    #[track_caller]
    pub fn produce(&mut self, name: &str, partition: i32, batch: Vec<u8>) -> (i16, i64) {
        let answer = self.call(&produce_request(name, partition, batch), PRODUCE);
        let partition = &answer.responses[0].partition_responses[0];
        (partition.error_code, partition.base_offset)
    }

    /// Fetches from an offset; returns the error code and the batches.
    #[track_caller]
    pub fn fetch(&mut self, name: &str, partition: i32, offset: i64) -> (i16, Bytes) {
        let answer: FetchResponse = self.call(&fetch_request(name, partition, offset, 8 << 20), FETCH);
        let partition = &answer.responses[0].partitions[0];
        (partition.error_code, partition.records.clone().unwrap_or_default())
    }

    pub fn metadata(&mut self) -> MetadataResponse {
        self.call(&MetadataRequest::default().with_topics(None), 12)
    }

    /// The log end offset.
    pub fn end_offset(&mut self, name: &str, partition: i32) -> i64 {
        const LATEST: i64 = -1;
        let partition = ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(LATEST);
        let topic = ListOffsetsTopic::default().with_name(topic(name)).with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
        self.call(&request, 5).topics[0].partitions[0].offset
    }

    /// Lets reads end after this time.
    pub fn patience(&self, patience: Duration) {
        self.stream.set_read_timeout(Some(patience)).expect("a timeout can be set");
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

pub fn topic(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

/// A batch of these values, with the time of now, so that no retention is due.
pub fn batch<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970").as_millis();
    let now = i64::try_from(now).expect("a time of ours");
    values.into_iter().for_each(|value| builder.push(None, Some(value), &[], now));
    builder.finish()
}

pub fn produce_request(name: &str, partition: i32, batch: Vec<u8>) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch.into()));
    let topic = TopicProduceData::default().with_name(topic(name)).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(vec![topic])
}

pub fn fetch_request(name: &str, partition: i32, offset: i64, bytes_max: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_current_leader_epoch(-1)
        .with_partition_max_bytes(bytes_max);
    let topic = FetchTopic::default().with_topic(topic(name)).with_partitions(vec![partition]);
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(0)
        .with_min_bytes(1)
        .with_max_bytes(bytes_max)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

/// A request with its length in front.
pub fn frame<R: Request>(request: &R, version: i16, correlation: i32) -> Vec<u8> {
    let key = ApiKey::try_from(R::KEY).expect("an API of Kafka");
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(StrBytes::from_static_str(CLIENT_ID)));
    let mut body = BytesMut::new();
    header.encode(&mut body, key.request_header_version(version)).expect("a header encodes");
    request.encode(&mut body, version).expect("a request encodes");
    prefixed(&body)
}

/// Any bytes with their length in front.
pub fn prefixed(bytes: &[u8]) -> Vec<u8> {
    let mut frame = i32::try_from(bytes.len()).expect("a small request").to_be_bytes().to_vec();
    frame.extend_from_slice(bytes);
    frame
}
