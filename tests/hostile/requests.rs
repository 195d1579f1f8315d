//! Bytes that are no request, and requests that are not offered.

use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::bare::client::{frame, prefixed};
use crate::rig::Rig;

const UNSUPPORTED_VERSION: i16 = 35;

/// Sends bytes on a connection of their own, which must be closed for a reason.
#[track_caller]
fn closed_for(rig: &mut Rig, bytes: &[u8], reason: &str) {
    let mut client = rig.broker.client();
    let peer = client.stream.local_addr().unwrap();
    client.send(bytes);
    client.closed();
    rig.complains(peer, reason);
}

/// The header of a request, without a client's name; in version 1, which version 2 follows by its tagged fields.
fn header(api: i16, version: i16) -> Vec<u8> {
    let mut bytes = [api.to_be_bytes(), version.to_be_bytes()].concat();
    bytes.extend(7_i32.to_be_bytes());
    bytes.extend((-1_i16).to_be_bytes());
    bytes
}

#[test]
fn other_protocols_are_named_and_closed() {
    let mut rig = Rig::start();
    closed_for(&mut rig, &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0x5a], "TLS");
    closed_for(&mut rig, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP");
    closed_for(&mut rig, b"POST /metrics HTTP/1.1\r\n\r\n", "HTTP");
    closed_for(&mut rig, b"SSH-2.0-OpenSSH_9.6\r\n", "SSH");
    rig.is_unharmed();
}

#[test]
fn lengths_beyond_any_bound() {
    let mut rig = Rig::start();
    for length in [-1, i32::MIN, i32::MAX, 100 << 20 | 1] {
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend([0; 64]);
        closed_for(&mut rig, &bytes, &format!("claims {length} bytes"));
    }
    rig.is_unharmed();
}

#[test]
fn requests_too_short_for_a_header() {
    let mut rig = Rig::start();
    for length in 0..10 {
        let bytes = prefixed(&header(3, 1)[..length]);
        closed_for(&mut rig, &bytes, "header");
    }
    rig.is_unharmed();
}

/// A connection that ends within a request leaves nothing behind.
#[test]
fn requests_that_never_end() {
    let mut rig = Rig::start();
    let before = rig.broker.descriptors();
    let request = frame(&MetadataRequest::default().with_topics(None), 9, 1);
    for length in 1..request.len() {
        let mut client = rig.broker.client();
        client.send(&request[..length]);
        client.stream.shutdown(std::net::Shutdown::Write).unwrap();
        client.closed();
    }
    rig.is_unharmed();
    crate::bare::await_that("the sockets are closed", || rig.broker.descriptors() <= before);
}

#[test]
fn arrays_that_claim_a_thousand_million_elements() {
    const CLAIM: [u8; 4] = 1_000_000_000_i32.to_be_bytes();
    // As a compact array writes it: one more, in groups of seven bits.
    const COMPACT: [u8; 5] = [0x81, 0x94, 0xeb, 0xdc, 0x03];
    let metadata = [header(3, 1), CLAIM.to_vec()].concat();
    let metadata_flexible = [header(3, 9), vec![0], COMPACT.to_vec(), vec![0; 8]].concat();
    let create_topics = [header(19, 2), CLAIM.to_vec()].concat();
    let create_topics_flexible = [header(19, 5), vec![0], COMPACT.to_vec(), vec![0; 8]].concat();
    let produce = [header(0, 3), vec![0xff, 0xff, 0xff, 0xff, 0, 0, 0x10, 0], CLAIM.to_vec()].concat();
    let fetch = [header(1, 4), vec![0xff; 4], vec![0; 12], vec![0], CLAIM.to_vec()].concat();
    let list_offsets = [header(2, 1), vec![0xff; 4], CLAIM.to_vec()].concat();
    let mut rig = Rig::start();
    for request in [metadata, metadata_flexible, create_topics, create_topics_flexible, produce, fetch, list_offsets] {
        closed_for(&mut rig, &prefixed(&request), "cannot be read");
    }
    rig.is_unharmed();
}

#[test]
fn apis_and_versions_that_are_not_offered() {
    let mut rig = Rig::start();
    for (api, version) in [(3, 99), (3, -1), (0, 14), (1, 3)] {
        let request = [header(api, version), vec![0]].concat();
        closed_for(&mut rig, &prefixed(&request), &format!("version {version} is not offered"));
    }
    for api in [4, 7, 999, -1] {
        closed_for(&mut rig, &prefixed(&header(api, 0)), &format!("API key {api} is not offered"));
    }
    rig.is_unharmed();
}

/// KIP-511: a client of the future is told what is offered, in the oldest version.
#[test]
fn a_version_of_api_versions_that_is_not_offered_is_answered() {
    let mut rig = Rig::start();
    let mut client = rig.broker.client();
    client.send(&prefixed(&[header(18, 99), vec![0]].concat()));
    let answer = client.answer().expect("an answer");
    assert_eq!(answer[..4], 7_i32.to_be_bytes());
    assert_eq!(answer[4..6], UNSUPPORTED_VERSION.to_be_bytes());
    let offered = client.call(&ApiVersionsRequest::default(), 0);
    assert_eq!((offered.error_code, offered.api_keys.is_empty()), (0, false));
    rig.is_unharmed();
}

#[test]
fn garbage_of_any_kind() {
    let mut rig = Rig::start();
    let mut runner = TestRunner::new_with_rng(
        Config { cases: 200, failure_persistence: None, ..Config::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let garbage = (any::<bool>(), prop::collection::vec(any::<u8>(), 1..3000));
    runner
        .run(&garbage, |(with_length, bytes)| {
            let mut client = rig.broker.client();
            client.send(&if with_length { prefixed(&bytes) } else { bytes });
            client.stream.shutdown(std::net::Shutdown::Write).ok();
            client.closed();
            Ok(())
        })
        .unwrap();
    rig.is_unharmed();
    let lines = rig.broker.log().lines().count();
    assert!(lines < 150, "{lines} lines were logged: their rate is bounded");
}
