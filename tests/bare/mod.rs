//! A broker as a process of its own, and a client that can send any bytes: for tests of what a client library would
//! never do.
#![allow(dead_code, unused_imports, reason = "each test crate uses a part of it")]

pub mod broker;
pub mod client;

use std::thread;
use std::time::{Duration, Instant};

pub use broker::Broker;
pub use client::Client;

/// Longer than anything in these tests takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(40);
/// Between two looks at a condition that nothing announces.
pub const LOOK: Duration = Duration::from_millis(10);

/// Waits until `condition` holds, for at most [`PATIENCE`].
pub fn await_that(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {} s in vain: {what}", PATIENCE.as_secs());
        thread::sleep(LOOK);
    }
}
