//! A broker of one connection at a time that answers as a test tells it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, MetadataRequest, MetadataResponse, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, Request, StrBytes};

const NODE: BrokerId = BrokerId(1);

/// What came in: the API and the version, with the body.
pub struct Asked {
    pub version: i16,
    body: Bytes,
}

impl Asked {
    pub fn request<R: Request>(&self) -> R {
        R::decode(&mut self.body.clone(), self.version).expect("the client sends what it says")
    }
}

type Handler = Box<dyn FnMut(&Asked) -> Bytes + Send>;

/// The APIs that the broker offers beside ApiVersions and Metadata.
#[derive(Default)]
pub struct Script {
    handlers: Vec<(i16, ApiVersion, Handler)>,
    topics: Vec<(String, i32)>,
}

impl Script {
    pub fn topic(mut self, name: &str, partitions: i32) -> Script {
        self.topics.push((name.to_owned(), partitions));
        self
    }

    /// Answers `R` by the function.
    pub fn on<R: Request>(self, answer: impl FnMut(R) -> R::Response + Send + 'static) -> Script {
        self.on_up_to(i16::MAX, answer)
    }

    /// The same, offering no version above `max`.
    pub fn on_up_to<R: Request>(
        mut self,
        max: i16,
        mut answer: impl FnMut(R) -> R::Response + Send + 'static,
    ) -> Script {
        let max = max.min(R::VERSIONS.max).min(R::Response::VERSIONS.max);
        let offer = ApiVersion::default().with_api_key(R::KEY).with_min_version(R::VERSIONS.min).with_max_version(max);
        let handler = move |asked: &Asked| {
            let mut body = BytesMut::new();
            let header = R::Response::header_version(asked.version);
            ResponseHeader::default().encode(&mut body, header).expect("encodes");
            answer(asked.request()).encode(&mut body, asked.version).expect("encodes");
            body.freeze()
        };
        self.handlers.push((R::KEY, offer, Box::new(handler)));
        self
    }

    /// Starts the broker; the result is its address.
    pub fn start(mut self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let topics = std::mem::take(&mut self.topics);
        let port = i32::from(address.port());
        let script = self.on(move |request| metadata(port, &topics, &request));
        let script = Arc::new(Mutex::new(script));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let script = Arc::clone(&script);
                thread::spawn(move || script_connection(stream, &script));
            }
        });
        address.to_string()
    }
}

/// Serves until the client leaves.
fn script_connection(mut stream: TcpStream, script: &Mutex<Script>) -> Option<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut frame).ok()?;
        let mut frame = Bytes::from(frame);
        let api = i16::from_be_bytes([frame[0], frame[1]]);
        let version = i16::from_be_bytes([frame[2], frame[3]]);
        let key = ApiKey::try_from(api).expect("an API of Kafka");
        let header = RequestHeader::decode(&mut frame, key.request_header_version(version)).expect("a header");
        let mut script = script.lock().expect("no handler panicked");
        let asked = Asked { version, body: frame };
        let answer = if key == ApiKey::ApiVersions {
            api_versions(&script, version)
        } else {
            let handler = script.handlers.iter_mut().find(|(key, ..)| *key == api);
            handler.expect("the client asks for nothing that is not offered").2(&asked)
        };
        // The handlers leave the correlation id, which begins every response, at zero.
        let mut response = BytesMut::from(&u32::try_from(answer.len()).expect("is small").to_be_bytes()[..]);
        response.extend_from_slice(&answer);
        response[4..8].copy_from_slice(&header.correlation_id.to_be_bytes());
        stream.write_all(&response).ok()?;
    }
}

fn api_versions(script: &Script, version: i16) -> Bytes {
    let mut body = BytesMut::new();
    ResponseHeader::default().encode(&mut body, 0).expect("encodes");
    let offers = script.handlers.iter().map(|(_, offer, _)| offer.clone()).collect();
    ApiVersionsResponse::default().with_api_keys(offers).encode(&mut body, version).expect("encodes");
    body.freeze()
}

fn metadata(port: i32, topics: &[(String, i32)], request: &MetadataRequest) -> MetadataResponse {
    const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    let broker = MetadataResponseBroker::default()
        .with_node_id(NODE)
        .with_host(StrBytes::from_static_str("127.0.0.1"))
        .with_port(port);
    let wanted: Vec<TopicName> = match &request.topics {
        None => topics.iter().map(|(name, _)| TopicName(StrBytes::from_string(name.clone()))).collect(),
        Some(wanted) => wanted.iter().filter_map(|topic| topic.name.clone()).collect(),
    };
    let topic = |name: TopicName| {
        let partitions = topics.iter().find(|(known, _)| *known == name.0.as_str()).map(|(_, count)| *count);
        let partition = |number| {
            MetadataResponsePartition::default()
                .with_partition_index(number)
                .with_leader_id(NODE)
                .with_replica_nodes(vec![NODE])
                .with_isr_nodes(vec![NODE])
        };
        MetadataResponseTopic::default()
            .with_name(Some(name))
            .with_error_code(if partitions.is_some() { 0 } else { UNKNOWN_TOPIC_OR_PARTITION })
            .with_partitions((0..partitions.unwrap_or(0)).map(partition).collect())
    };
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_controller_id(NODE)
        .with_topics(wanted.into_iter().map(topic).collect())
}
