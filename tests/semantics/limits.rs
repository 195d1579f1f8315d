//! Points 5 and 34: what a request may claim, and what becomes of a connection that says nonsense.

use bytes::BufMut;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::{ApiVersionsRequest, DescribeLogDirsRequest};

use crate::broker::{Broker, is_other, shared};
use crate::requests::*;
use crate::wire::Client;

const METADATA: i16 = 3;
const FETCH_KEY: i16 = 1;
const PRODUCE_KEY: i16 = 0;

/// The body of Metadata 1 for so many topics with empty names, if `names` of them follow.
fn metadata_1(claimed: i32, names: usize) -> Vec<u8> {
    [&claimed.to_be_bytes()[..], &vec![0; 2 * names]].concat()
}

#[test]
fn an_array_that_claims_more_than_its_bytes_hold_closes_the_connection() {
    let broker = shared();
    for claimed in [1_000_000_000, i32::MAX, 3] {
        let mut client = broker.connect();
        client.send_body(METADATA, 1, 1, &metadata_1(claimed, 2));
        assert!(client.is_closed(), "{claimed}");
    }
}

#[test]
fn produce_and_fetch_bound_their_arrays_too() {
    let broker = shared();
    let mut produce = Vec::new();
    produce.put_i16(-1); // no transactional id
    produce.put_i16(1);
    produce.put_i32(1000);
    produce.put_i32(1_000_000_000);
    let mut fetch = Vec::new();
    fetch.put_i32(-1);
    fetch.put_i32(0);
    fetch.put_i32(0);
    fetch.put_i32(1 << 20);
    fetch.put_i8(0);
    fetch.put_i32(1_000_000_000);
    for (key, version, body) in [(PRODUCE_KEY, 7, produce), (FETCH_KEY, 4, fetch)] {
        let mut client = broker.connect();
        client.send_body(key, version, 1, &body);
        assert!(client.is_closed(), "key {key}");
    }
}

#[test]
fn an_array_of_more_than_a_million_elements_is_refused() {
    if is_other() {
        return;
    }
    let broker = shared();
    let mut client = broker.connect();
    client.send_body(METADATA, 1, 1, &metadata_1(1_000_001, 1_000_001));
    assert!(client.is_closed());
}

#[test]
fn an_array_of_a_million_elements_is_taken() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = DescribableLogDirTopic::default().with_topic(topic_name("none")).with_partitions(vec![0; 1_000_000]);
    let request = DescribeLogDirsRequest::default().with_topics(Some(vec![topic]));
    let answer = client.call(2, &request);
    assert!(answer.results.iter().all(|result| result.error_code == 0 && result.topics.is_empty()));
}

#[test]
fn more_than_10_000_tagged_fields_are_refused() {
    if is_other() {
        return;
    }
    let broker = shared();
    let mut client = broker.connect();
    client.send_body(METADATA, 12, 2, &metadata_12_with_tags(10_000));
    client.frame().unwrap();
    client.send_body(METADATA, 12, 2, &metadata_12_with_tags(10_001));
    assert!(client.is_closed());
}

/// An empty Metadata request with unknown tagged fields.
fn metadata_12_with_tags(count: u32) -> Vec<u8> {
    let mut body = vec![1, 0, 0];
    varint(&mut body, count);
    for tag in 0..count {
        varint(&mut body, tag);
        body.put_u8(0);
    }
    body
}

fn varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

#[test]
fn a_request_above_socket_request_max_bytes_closes_the_connection() {
    let broker = shared();
    for length in [(100 << 20) + 1, i32::MAX, -1, i32::MIN] {
        let mut client = broker.connect();
        client.send_raw(&length.to_be_bytes());
        assert!(client.is_closed(), "{length}");
    }
}

#[test]
fn socket_request_max_bytes_acts() {
    if is_other() {
        return;
    }
    let broker = Broker::start(&["socket.request.max.bytes=2000"]);
    let mut client = broker.connect();
    client.send_body(METADATA, 1, 1, &metadata_1(900, 900));
    client.frame().unwrap();
    client.send_raw(&2001_i32.to_be_bytes());
    assert!(client.is_closed());
}

#[test]
fn other_protocols_are_hung_up_on() {
    let broker = shared();
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    for bytes in [&b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], tls] {
        let mut client = broker.connect();
        client.send_raw(bytes);
        assert!(client.is_closed());
    }
}

#[test]
fn a_truncated_request_closes_only_its_own_connection() {
    let broker = shared();
    let mut other = broker.connect();
    for bytes in [&b""[..], b"\0", b"\0\x03\0\x01", b"\0\x03\0\x01\0\0\0\x07\0\x05abc"] {
        let mut client = broker.connect();
        client.send_frame(bytes);
        assert!(client.is_closed(), "{bytes:?}");
    }
    assert_eq!(error(other.call(2, &ApiVersionsRequest::default()).error_code), None);
}

#[test]
fn an_api_or_version_that_is_not_offered_closes_the_connection() {
    let broker = shared();
    for (key, version) in [(999, 0), (-1, 0), (METADATA, 99), (FETCH_KEY, 3), (METADATA, -1)] {
        let mut client = broker.connect();
        client.send_body(key, version, 1, &[]);
        assert!(client.is_closed(), "key {key}, version {version}");
    }
}

#[test]
fn bytes_after_the_body_are_ignored() {
    let broker = shared();
    let mut client = broker.connect();
    client.send_body(METADATA, 1, 1, &[&metadata_1(0, 0)[..], b"more"].concat());
    client.frame().unwrap();
    assert_eq!(error(client.call(2, &ApiVersionsRequest::default()).error_code), None);
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    trickle(&mut client);
    assert_eq!(append(&mut client, &topic, batch(1)), 0);
}

/// Sends Metadata 1 in single bytes and awaits its answer.
fn trickle(client: &mut Client) {
    let mut request = Vec::new();
    request.put_i16(METADATA);
    request.put_i16(1);
    request.put_i32(77);
    request.put_i16(-1);
    request.put_i32(0);
    let framed = [&(request.len() as u32).to_be_bytes()[..], &request].concat();
    framed.iter().for_each(|byte| client.send_raw(&[*byte]));
    assert_eq!(client.frame().unwrap()[..4], 77_i32.to_be_bytes());
}

#[test]
fn an_invalid_client_id_does_no_harm() {
    let broker = shared();
    let mut client = broker.connect();
    let software = ApiVersionsRequest::default()
        .with_client_software_name(crate::wire::text("not valid!"))
        .with_client_software_version(crate::wire::text("1"));
    assert_eq!(error(client.call(3, &software).error_code), Some(ResponseError::InvalidRequest));
}
