//! What stands before every body: the request header, and the response header with the frame's length.

use std::ops::Range;

use crate::api::{ApiKey, Unknown};
use crate::encode::Writer;
use crate::slices::{self, Slices};

/// Bytes of a frame's length, which does not count itself.
pub const LENGTH_LEN: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Unknown(#[from] Unknown),
    #[error("the request header is malformed")]
    Malformed(#[from] slices::Error),
}

/// A request's header. The version need not be one that is offered: ask `is_supported`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    pub api: ApiKey,
    pub version: i16,
    pub correlation_id: i32,
    /// Where the client id lies in the request, null being `None`. It need not be UTF-8.
    pub client_id: Option<Range<usize>>,
    /// Where the body begins.
    pub body: usize,
}

impl RequestHeader {
    /// Reads the header of a request, whose bytes begin after the frame's length.
    pub fn parse(request: Slices) -> Result<Self, Error> {
        let mut cursor = request.cursor();
        let api = ApiKey::try_from(cursor.i16()?)?;
        let version = cursor.i16()?;
        let correlation_id = cursor.i32()?;
        let client_id = cursor.nullable_string(false)?;
        // Version 2 of the header adds tagged fields, but keeps the client id's 16-bit length.
        cursor.skip_tagged(api.is_flexible(version))?;
        Ok(Self { api, version, correlation_id, client_id, body: cursor.position() })
    }

    pub fn is_supported(&self) -> bool {
        self.api.is_supported(self.version)
    }
}

/// Appends room for a frame's length and a response header, and returns where the frame begins. The body follows, and
/// then `end_frame`.
pub fn begin_response(out: &mut Vec<u8>, api: ApiKey, version: i16, correlation_id: i32) -> usize {
    let start = out.len();
    let mut writer = Writer::new(out, api.response_header_version(version) > 0);
    writer.i32(0);
    writer.i32(correlation_id);
    writer.no_tags();
    start
}

/// Writes the length of the frame that begins at `start`, given the bytes that are sent between its pieces but do not
/// lie in `out`. Returns the length of the whole frame. A frame of 2 GiB is a broken invariant.
pub fn end_frame(out: &mut [u8], start: usize, bytes_elsewhere: usize) -> usize {
    let total = out.len() - start + bytes_elsewhere;
    let length = i32::try_from(total - LENGTH_LEN).expect("a frame's length is an i32");
    out[start..start + LENGTH_LEN].copy_from_slice(&length.to_be_bytes());
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::{self, ResponseHeader};
    use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
    use proptest::prelude::*;

    fn encoded(api: ApiKey, version: i16, client_id: Option<&str>) -> Vec<u8> {
        let header = messages::RequestHeader::default()
            .with_request_api_key(api as i16)
            .with_request_api_version(version)
            .with_correlation_id(-77)
            .with_client_id(client_id.map(|id| StrBytes::from_string(id.to_string())));
        let mut bytes = Vec::new();
        header.encode(&mut bytes, api.request_header_version(version)).unwrap();
        bytes
    }

    #[test]
    fn every_api_and_version() {
        for &api in ApiKey::ALL {
            for version in api.versions() {
                for client_id in [None, Some(""), Some("rdkafka")] {
                    let mut bytes = encoded(api, version, client_id);
                    let body = bytes.len();
                    bytes.extend([1, 2, 3]);
                    let pieces: Vec<&[u8]> = bytes.chunks(3).collect();
                    let header = RequestHeader::parse(Slices::new(&pieces)).unwrap();
                    assert_eq!((header.api, header.version, header.correlation_id), (api, version, -77));
                    assert_eq!(header.body, body, "{api} {version}");
                    assert_eq!(header.client_id.map(|range| &bytes[range]), client_id.map(str::as_bytes));
                }
            }
        }
    }

    #[test]
    fn an_unknown_version_still_has_a_header() {
        let mut bytes = encoded(ApiKey::ApiVersions, 4, Some("x"));
        bytes[3] = 99;
        let header = RequestHeader::parse(Slices::one(&bytes.as_slice())).unwrap();
        assert!(!header.is_supported());
        bytes[1] = 4;
        let unknown = RequestHeader::parse(Slices::one(&bytes.as_slice()));
        assert_eq!(unknown, Err(Error::Unknown(Unknown(4))));
    }

    #[test]
    fn responses_are_framed() {
        for &api in ApiKey::ALL {
            for version in api.versions() {
                let mut out = vec![9];
                let start = begin_response(&mut out, api, version, 5);
                out.extend([7; 10]);
                assert_eq!(end_frame(&mut out, start, 100), out.len() - 1 + 100);
                let mut rest = &out[1..];
                let length = rest[..4].try_into().map(i32::from_be_bytes).unwrap();
                assert_eq!(length as usize, out.len() - 1 - 4 + 100);
                rest = &rest[4..];
                let header = ResponseHeader::decode(&mut rest, api.response_header_version(version)).unwrap();
                assert_eq!((header.correlation_id, rest), (5, &[7; 10][..]));
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40), key in 0..80_i16) {
            let bytes = [&key.to_be_bytes()[..], &bytes].concat();
            if let Ok(header) = RequestHeader::parse(Slices::one(&bytes.as_slice())) {
                prop_assert!(header.body <= bytes.len());
            }
        }
    }
}
