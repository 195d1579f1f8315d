//! A client that says exactly what a test wants said: any API in any version, or bytes that no client would send.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use bytes::{Buf, Bytes};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

/// No answer may take longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

pub struct Client {
    stream: TcpStream,
    correlation_id: i32,
}

impl Client {
    pub fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(ANSWER_WITHIN)).unwrap();
        Self { stream, correlation_id: 0 }
    }

    /// Sends a request and reads its answer.
    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let sent = self.send(version, request);
        self.receive::<R>(version, sent)
    }

    /// Sends a request and returns its correlation id.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        let mut body = Vec::new();
        request.encode(&mut body, version).unwrap();
        self.send_body(R::KEY, version, R::header_version(version), &body)
    }

    /// Sends a body of any bytes under a well-formed header.
    pub fn send_body(&mut self, key: i16, version: i16, header_version: i16, body: &[u8]) -> i32 {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(key)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("semantics")));
        let mut bytes = Vec::new();
        header.encode(&mut bytes, header_version).unwrap();
        bytes.extend_from_slice(body);
        self.send_frame(&bytes);
        self.correlation_id
    }

    /// Sends any bytes after their length.
    pub fn send_frame(&mut self, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).unwrap();
        self.send_raw(&[&length.to_be_bytes()[..], bytes].concat());
    }

    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Reads the answer to the request of this correlation id, which must be the next one.
    pub fn receive<R: Request>(&mut self, version: i16, sent: i32) -> R::Response {
        let mut frame = self.frame().expect("the connection lives");
        let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version)).unwrap();
        assert_eq!(header.correlation_id, sent, "answers come in the order of the requests");
        let response = R::Response::decode(&mut frame, version).unwrap();
        assert!(!frame.has_remaining(), "bytes after the answer to {} {version}", R::KEY);
        response
    }

    /// The next answer: all that follows its length.
    pub fn frame(&mut self) -> io::Result<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut frame)?;
        Ok(frame.into())
    }

    /// Says that nothing more will be sent.
    pub fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Whether the broker has closed the connection, without a further answer. Waits for it.
    pub fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}

/// A string in the form that messages hold.
pub fn text(string: &str) -> StrBytes {
    StrBytes::from_string(string.to_string())
}
