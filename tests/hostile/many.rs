//! Very many connections that do nothing, or nearly nothing.

use crate::bare::client::{batch, frame, produce_request};
use crate::bare::{Client, await_that};
use crate::rig::Rig;

const IDLE: usize = 2000;
const UNFINISHED: usize = 200;

#[test]
fn two_thousand_idle_connections() {
    let mut rig = Rig::start();
    let before = rig.broker.descriptors();
    let idle: Vec<Client> = (0..IDLE).map(|_| rig.broker.client()).collect();
    await_that("all are accepted", || rig.broker.descriptors() >= before + IDLE);
    for _ in 0..20 {
        rig.serves();
    }
    rig.is_unharmed();
    drop(idle);
    await_that("the sockets are closed", || rig.broker.descriptors() <= before);
    rig.is_unharmed();
}

#[test]
fn half_requests_of_two_hundred_connections() {
    unfinished(|whole| whole / 2);
}

#[test]
fn requests_of_two_hundred_connections_that_lack_a_byte() {
    unfinished(|whole| whole - 1);
}

/// Sends the front of a large request on many connections, which may be more than there is memory for.
fn unfinished(front: impl Fn(usize) -> usize) {
    let mut rig = Rig::start();
    let request = frame(&produce_request("good", 0, batch([&vec![b'x'; 1_000_000][..]])), 11, 1);
    let front = &request[..front(request.len())];
    let unfinished: Vec<Client> = (0..UNFINISHED)
        .map(|_| {
            let mut client = rig.broker.client();
            client.send(front);
            client
        })
        .collect();
    for _ in 0..20 {
        rig.serves();
    }
    rig.is_unharmed();
    drop(unfinished);
    rig.is_unharmed();
}
