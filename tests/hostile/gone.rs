//! Clients that go away while the broker works for them: nothing is kept for somebody who is not there.

use std::net::Shutdown;
use std::time::Duration;

use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::{FindCoordinatorRequest, GroupId, JoinGroupRequest};
use kafka_protocol::protocol::StrBytes;
use socket2::SockRef;

use crate::bare::client::fetch_request;
use crate::bare::{Client, await_that};
use crate::rig::Rig;

/// Far longer than any test waits.
const FOREVER_MS: i32 = 3_600_000;
const METRICS: [&str; 2] = ["--metrics-listen", "127.0.0.1:0"];

/// A client whose fetch waits for records that never come.
fn waiting(rig: &Rig) -> Client {
    let parked = rig.metric("duramen_reads_parked");
    let mut client = rig.broker.client();
    client.ask(&fetch_request("empty", 0, 0, 1 << 20).with_max_wait_ms(FOREVER_MS), 12);
    await_that("the fetch waits", || rig.metric("duramen_reads_parked") > parked);
    client
}

/// Closes a connection as the end of a machine or a full receive buffer does: the broker hears that nobody is there.
fn reset(client: Client) {
    SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
}

fn rig() -> (Rig, usize) {
    let rig = Rig::with(&METRICS);
    assert_eq!(rig.broker.client().create_topics(&["empty"], 1), [0]);
    let descriptors = rig.broker.descriptors();
    (rig, descriptors)
}

#[test]
fn a_reset_ends_a_long_poll() {
    let (mut rig, before) = rig();
    reset(waiting(&rig));
    await_that("the fetch waits no more", || rig.metric("duramen_reads_parked") == 0.0);
    await_that("the socket is closed", || rig.broker.descriptors() <= before);
    rig.is_unharmed();
}

#[test]
fn a_reset_after_a_half_close_ends_a_long_poll() {
    let (mut rig, before) = rig();
    let client = waiting(&rig);
    client.stream.shutdown(Shutdown::Write).unwrap();
    for _ in 0..5 {
        rig.serves();
    }
    assert_eq!(rig.metric("duramen_reads_parked"), 1.0, "who only sends no more is still waited for");
    reset(client);
    await_that("the fetch waits no more", || rig.metric("duramen_reads_parked") == 0.0);
    await_that("the socket is closed", || rig.broker.descriptors() <= before);
    rig.is_unharmed();
}

#[test]
fn a_reset_ends_the_wait_for_a_group() {
    let delay = format!("group.initial.rebalance.delay.ms={FOREVER_MS}");
    let mut rig =
        Rig::with(&[&METRICS[..], &["--set", &delay, "--set", "group.max.session.timeout.ms=3600000"]].concat());
    let find = FindCoordinatorRequest::default().with_key(StrBytes::from_static_str("g"));
    await_that("the coordinator is there", || rig.broker.client().call(&find, 3).error_code == 0);
    let before = rig.broker.descriptors();
    let protocol = JoinGroupRequestProtocol::default().with_name(StrBytes::from_static_str("range"));
    let join = JoinGroupRequest::default()
        .with_group_id(GroupId(StrBytes::from_static_str("g")))
        .with_session_timeout_ms(FOREVER_MS)
        .with_rebalance_timeout_ms(FOREVER_MS)
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_protocols(vec![protocol]);
    let mut client = rig.broker.client();
    client.ask(&join, 3);
    await_that("the join waits", || rig.metric("duramen_group_requests_under_way") == 1.0);
    reset(client);
    // The member stays until its session ends, as in Kafka; its connection does not.
    await_that("the socket is closed", || rig.broker.descriptors() <= before);
    rig.is_unharmed();
}
