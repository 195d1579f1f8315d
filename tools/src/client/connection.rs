//! One blocking connection to one broker: framing, version negotiation, deadlines.
//!
//! Every call ends within [`CALL_TIMEOUT`], every attempt to connect within [`CONNECT_TIMEOUT`]. A response longer
//! than [`RESPONSE_BYTES_MAX`] is taken for something that is not Kafka.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, Request, StrBytes};

use crate::Error;

/// How long all addresses of one server together may take to accept.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a broker may take to answer one request.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How long it may take to answer the first one, which needs no work.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest response that is read.
pub const RESPONSE_BYTES_MAX: usize = 64 << 20;

const CLIENT_ID: &str = "duramen";

/// A connection whose broker has said what it offers.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    server: String,
    /// API key to the lowest and highest version offered.
    offered: BTreeMap<i16, (i16, i16)>,
    correlation_id: i32,
}

impl Connection {
    /// Connects to `HOST:PORT` and asks which versions are offered.
    pub fn open(server: &str) -> Result<Connection, Error> {
        let stream = connect(server)?;
        let mut connection =
            Connection { stream, server: server.to_owned(), offered: BTreeMap::new(), correlation_id: 0 };
        connection.set_timeout(HANDSHAKE_TIMEOUT)?;
        connection.negotiate()?;
        connection.set_timeout(CALL_TIMEOUT)?;
        Ok(connection)
    }

    /// `HOST:PORT` as it was given.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The highest version of `R` that both sides know.
    pub fn version<R: Request>(&self) -> Result<i16, Error> {
        let (low, high) = self.offered.get(&R::KEY).copied().unwrap_or((0, -1));
        // Some requests are known to the codec in a newer version than their response, or the other way round.
        let high = high.min(R::VERSIONS.max).min(R::Response::VERSIONS.max);
        if high < low.max(R::VERSIONS.min).max(R::Response::VERSIONS.min) {
            return Err(Error::NotOffered { server: self.server.clone(), api: api_name(R::KEY) });
        }
        Ok(high)
    }

    /// Sends a request that reads the same in every version.
    pub fn call<R: Request>(&mut self, request: &R) -> Result<R::Response, Error> {
        let version = self.version::<R>()?;
        self.call_version(request, version)
    }

    /// Sends a request in the version it was made for.
    pub fn call_version<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, Error> {
        let mut body = self.exchange(request, version)?;
        let header_version = R::Response::header_version(version);
        ResponseHeader::decode(&mut body, header_version).map_err(|error| self.not_kafka(error))?;
        R::Response::decode(&mut body, version).map_err(|error| self.not_kafka(error))
    }

    /// Asks for ApiVersions 3, and in version 0 a broker that does not know that one.
    fn negotiate(&mut self) -> Result<(), Error> {
        const VERSION: i16 = 3;
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("duramen"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let response = match self.api_versions(&request, VERSION)? {
            Some(response) => response,
            None => self.api_versions(&ApiVersionsRequest::default(), 0)?.unwrap_or_default(),
        };
        if let Some(code) = ResponseError::try_from_code(response.error_code) {
            return Err(self.not_kafka(code));
        }
        let ranges = response.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version)));
        self.offered = ranges.collect();
        Ok(())
    }

    /// `None` if the broker does not know this version. What else it then says differs between brokers.
    fn api_versions(
        &mut self,
        request: &ApiVersionsRequest,
        version: i16,
    ) -> Result<Option<ApiVersionsResponse>, Error> {
        let mut body = self.exchange(request, version)?;
        ResponseHeader::decode(&mut body, 0).map_err(|error| self.not_kafka(error))?;
        if body.get(..2) == Some(&ResponseError::UnsupportedVersion.code().to_be_bytes()) {
            return Ok(None);
        }
        ApiVersionsResponse::decode(&mut body, version).map(Some).map_err(|error| self.not_kafka(error))
    }

    /// One frame out, one frame back, its correlation id checked; returns it from the header on.
    fn exchange<R: Request>(&mut self, request: &R, version: i16) -> Result<Bytes, Error> {
        self.correlation_id += 1;
        let frame = encode(request, version, self.correlation_id).map_err(|error| self.not_kafka(error))?;
        let failed = |error: io::Error| self.failed(R::KEY, error);
        (&self.stream).write_all(&frame).map_err(failed)?;
        let mut length = [0; 4];
        let deadline = self.stream.read_timeout().ok().flatten().map(|timeout| Instant::now() + timeout);
        read_by(&self.stream, &mut length, deadline).map_err(failed)?;
        let length = u32::from_be_bytes(length) as usize;
        if !(4..=RESPONSE_BYTES_MAX).contains(&length) {
            return Err(self.not_kafka("its answer has no sensible length"));
        }
        let mut body = vec![0; length];
        read_by(&self.stream, &mut body, deadline).map_err(failed)?;
        if body[..4] != self.correlation_id.to_be_bytes() {
            return Err(self.not_kafka("its answer belongs to no request"));
        }
        Ok(Bytes::from(body))
    }

    fn set_timeout(&self, timeout: Duration) -> Result<(), Error> {
        let set = self.stream.set_read_timeout(Some(timeout));
        set.and_then(|()| self.stream.set_write_timeout(Some(timeout)))
            .map_err(|error| self.failed(ApiKey::ApiVersions as i16, error))
    }

    fn failed(&self, api: i16, error: io::Error) -> Error {
        let (server, api) = (self.server.clone(), api_name(api));
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                let seconds = self.stream.read_timeout().ok().flatten().map_or(0, |timeout| timeout.as_secs());
                Error::NoAnswer { server, api, seconds }
            }
            io::ErrorKind::UnexpectedEof => {
                Error::Disconnected { server, api, reason: "end of the connection".to_owned() }
            }
            _ => Error::Disconnected { server, api, reason: plain(&error) },
        }
    }

    fn not_kafka(&self, reason: impl ToString) -> Error {
        Error::NotKafka { server: self.server.clone(), reason: reason.to_string() }
    }
}

/// Fills `buffer`, or times out when the whole has taken until the deadline, however steadily it drips.
fn read_by(mut stream: &TcpStream, mut buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<()> {
    while !buffer.is_empty() {
        match stream.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => buffer = &mut buffer[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if !buffer.is_empty() && deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    Ok(())
}

/// The length, the header and the body.
fn encode<R: Request>(request: &R, version: i16, correlation_id: i32) -> Result<BytesMut, String> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str(CLIENT_ID)));
    let mut frame = BytesMut::zeroed(4);
    header.encode(&mut frame, R::header_version(version)).map_err(|error| error.to_string())?;
    request.encode(&mut frame, version).map_err(|error| error.to_string())?;
    let length = u32::try_from(frame.len() - 4).unwrap_or(u32::MAX);
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

fn connect(server: &str) -> Result<TcpStream, Error> {
    let unreachable = |reason: String| Error::Unreachable { server: server.to_owned(), reason };
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let addresses = server.to_socket_addrs().map_err(|error| unreachable(plain(&error)))?;
    let mut reason = "the name has no address".to_owned();
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(|error| unreachable(plain(&error)))?;
                return Ok(stream);
            }
            Err(error) => reason = plain(&error),
        }
    }
    Err(unreachable(reason))
}

/// The system's words without `(os error 111)`.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn api_name(key: i16) -> String {
    ApiKey::try_from(key).map_or_else(|()| format!("API {key}"), |key| format!("{key:?}"))
}
