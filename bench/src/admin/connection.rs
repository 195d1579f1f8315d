//! One blocking connection to one broker: framing, version negotiation, deadlines. It carries what comes before and
//! after a load, and the reading back; never the load.
//!
//! Every call ends within [`CALL_TIMEOUT`], every attempt to connect within [`CONNECT_TIMEOUT`]. An answer longer than
//! [`ANSWER_BYTES_MAX`] is taken for something that is not Kafka.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use bytes::Bytes;
use duramen_wire::api::ApiKey;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, Request, StrBytes};

use crate::error::Error;

/// How long all addresses of one server together may take to accept.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a broker may take to answer one request.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long it may take to answer the first one, which needs no work.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer that is read.
pub const ANSWER_BYTES_MAX: usize = 128 << 20;

pub const CLIENT_ID: &str = "duramen-bench";

/// A connection whose broker has said what it offers.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    server: String,
    /// API key to the lowest and highest version offered.
    offered: BTreeMap<i16, (i16, i16)>,
    correlation_id: i32,
    timeout: Duration,
    opened: Instant,
}

impl Connection {
    /// Connects to `HOST:PORT` and asks which versions are offered.
    pub fn open(server: &str) -> Result<Connection, Error> {
        let mut connection = Connection {
            stream: connect(server)?,
            server: server.to_owned(),
            offered: BTreeMap::new(),
            correlation_id: 0,
            timeout: HANDSHAKE_TIMEOUT,
            opened: Instant::now(),
        };
        connection.negotiate()?;
        connection.timeout = CALL_TIMEOUT;
        Ok(connection)
    }

    /// `HOST:PORT` as it was given.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The highest version of an API within the given ones that the broker offers.
    pub fn offers(&self, api: ApiKey, lowest: i16, highest: i16) -> Result<i16, Error> {
        let (low, high) = self.offered.get(&(api as i16)).copied().unwrap_or((0, -1));
        let high = high.min(highest);
        match high >= low.max(lowest) {
            true => Ok(high),
            false => Err(Error::NotOffered { server: self.server.clone(), api: api.name().to_owned() }),
        }
    }

    /// The highest version of `R` that both sides know.
    pub fn version<R: Request>(&self) -> Result<i16, Error> {
        // Some requests are known to the codec in a newer version than their response, or the other way round.
        let lowest = R::VERSIONS.min.max(R::Response::VERSIONS.min);
        let highest = R::VERSIONS.max.min(R::Response::VERSIONS.max);
        match ApiKey::try_from(R::KEY) {
            Ok(api) => self.offers(api, lowest, highest),
            Err(_) => Err(Error::NotOffered { server: self.server.clone(), api: name_of(R::KEY) }),
        }
    }

    /// Sends a request that reads the same in every version.
    pub fn call<R: Request>(&mut self, request: &R) -> Result<R::Response, Error> {
        let version = self.version::<R>()?;
        self.call_version(request, version)
    }

    /// Sends a request in the version it was made for.
    pub fn call_version<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, Error> {
        let mut body = self.exchange_message(request, version)?;
        let header_version = R::Response::header_version(version);
        ResponseHeader::decode(&mut body, header_version).map_err(|error| self.not_kafka(error))?;
        R::Response::decode(&mut body, version).map_err(|error| self.not_kafka(error))
    }

    /// Sends a whole frame, whose correlation id is set here, and reads its answer into `answer`, from the correlation
    /// id on.
    pub fn exchange(&mut self, api: ApiKey, frame: &mut [u8], answer: &mut Vec<u8>) -> Result<(), Error> {
        const CORRELATION_ID: std::ops::Range<usize> = 8..12;
        self.correlation_id += 1;
        frame[CORRELATION_ID].copy_from_slice(&self.correlation_id.to_be_bytes());
        let deadline = Instant::now() + self.timeout;
        self.exchange_by(frame, answer, deadline).map_err(|error| self.failed(api as i16, error))?;
        match answer.get(..4) == Some(&self.correlation_id.to_be_bytes()) {
            true => Ok(()),
            false => Err(self.not_kafka("its answer belongs to no request")),
        }
    }

    /// What has come is not what Kafka says.
    pub fn not_kafka(&self, reason: impl ToString) -> Error {
        Error::NotKafka { server: self.server.clone(), reason: reason.to_string() }
    }

    /// Asks for ApiVersions 3, and in version 0 a broker that does not know that one.
    fn negotiate(&mut self) -> Result<(), Error> {
        const VERSION: i16 = 3;
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str(CLIENT_ID))
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
        let mut body = self.exchange_message(request, version)?;
        ResponseHeader::decode(&mut body, 0).map_err(|error| self.not_kafka(error))?;
        if body.get(..2) == Some(&ResponseError::UnsupportedVersion.code().to_be_bytes()) {
            return Ok(None);
        }
        ApiVersionsResponse::decode(&mut body, version).map(Some).map_err(|error| self.not_kafka(error))
    }

    fn exchange_message<R: Request>(&mut self, request: &R, version: i16) -> Result<Bytes, Error> {
        let mut frame = encode(request, version).map_err(|error| self.not_kafka(error))?;
        let api = ApiKey::try_from(R::KEY).map_err(|error| self.not_kafka(error))?;
        let mut answer = Vec::new();
        self.exchange(api, &mut frame, &mut answer)?;
        Ok(Bytes::from(answer))
    }

    fn exchange_by(&mut self, frame: &[u8], answer: &mut Vec<u8>, deadline: Instant) -> io::Result<()> {
        self.stream.set_write_timeout(Some(left_until(deadline)?))?;
        self.stream.write_all(frame)?;
        let mut length = [0; 4];
        read_by(&mut self.stream, &mut length, deadline)?;
        let length = u32::from_be_bytes(length) as usize;
        if !(4..=ANSWER_BYTES_MAX).contains(&length) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its answer has no sensible length"));
        }
        answer.clear();
        answer.resize(length, 0);
        read_by(&mut self.stream, answer, deadline)
    }

    fn failed(&self, api: i16, error: io::Error) -> Error {
        let server = self.server.clone();
        let seconds = self.opened.elapsed().as_secs_f64();
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Error::NoAnswer { server, api: name_of(api), seconds: self.timeout.as_secs() }
            }
            io::ErrorKind::InvalidData => self.not_kafka(error),
            // What closes before its first answer is hardly a broker.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset if self.offered.is_empty() => {
                self.not_kafka("it closed the connection at the first request")
            }
            io::ErrorKind::UnexpectedEof => Error::Lost { server, seconds, reason: "end of the connection".to_owned() },
            _ => Error::Lost { server, seconds, reason: plain(&error) },
        }
    }
}

/// Fills `buffer`, or times out when the whole has taken until the deadline, however steadily it drips.
fn read_by(stream: &mut TcpStream, mut buffer: &mut [u8], deadline: Instant) -> io::Result<()> {
    while !buffer.is_empty() {
        stream.set_read_timeout(Some(left_until(deadline)?))?;
        match stream.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => buffer = &mut buffer[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn left_until(deadline: Instant) -> io::Result<Duration> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

/// The length, the header and the body; correlation id 0.
fn encode<R: Request>(request: &R, version: i16) -> Result<Vec<u8>, String> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_client_id(Some(StrBytes::from_static_str(CLIENT_ID)));
    let mut frame = vec![0; 4];
    header.encode(&mut frame, R::header_version(version)).map_err(|error| error.to_string())?;
    request.encode(&mut frame, version).map_err(|error| error.to_string())?;
    let length = u32::try_from(frame.len() - 4).unwrap_or(u32::MAX);
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// Connects to the first of a server's addresses that accepts.
pub fn connect(server: &str) -> Result<TcpStream, Error> {
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

/// The system's words without `(os error 111)`, beginning in lower case.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn name_of(key: i16) -> String {
    ApiKey::try_from(key).map_or_else(|_| format!("API {key}"), |key| key.name().to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn the_systems_words_lose_their_number() {
        let error = io::Error::from_raw_os_error(111);
        assert_eq!(plain(&error), "connection refused");
    }

    #[test]
    fn nobody_listening_is_unreachable() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let error = Connection::open(&address).unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        assert_eq!(error.to_string(), format!("cannot reach a broker at {address}: connection refused"));
    }

    #[test]
    fn what_greets_in_other_words_is_not_kafka() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").unwrap();
            // Until the other side has given up.
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let error = Connection::open(&address).unwrap_err();
        assert!(matches!(error, Error::NotKafka { .. }), "{error}");
        server.join().unwrap();
    }
}
