//! Connections follow their partitions. One that asks for nothing but partitions of one other shard pays for a hop to
//! that shard and back with every request; it is handed over to that shard instead, between two requests, with all that
//! was received of it and not yet served.
//!
//! On the listener of the host only: on a `cores` listener the client itself has chosen the shard.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use duramen_wire::ids::ShardId;

use super::input::Leftover;
use crate::api::sessions::Session;

/// Produce and Fetch requests in a row that must be for the same other shard before the connection moves there.
const REQUESTS_MIN: u32 = 64;
/// How long a connection stays at least where it is.
const STAY_MIN: Duration = Duration::from_millis(100);
/// The share of its time that a shard may be busy and still take over connections.
pub const BUSY_MAX: f64 = 0.75;

/// A connection that comes to a shard.
pub struct Arrival {
    pub fd: OwnedFd,
    pub peer: SocketAddr,
    /// The listener that it came in by, by its place among the broker's.
    pub listener: usize,
    /// What was received before it moved here.
    pub leftover: Leftover,
    /// The fetch session that its client uses.
    pub session: Option<(i32, Session)>,
}

impl Arrival {
    /// A connection that was just accepted.
    pub fn new(fd: OwnedFd, peer: SocketAddr, listener: usize) -> Self {
        Self { fd, peer, listener, leftover: Leftover::default(), session: None }
    }
}

/// A connection that leaves for another shard.
pub struct Departure {
    pub to: ShardId,
    pub arrival: Arrival,
}

/// Counts the requests in a row that were for one other shard.
#[derive(Debug)]
pub struct Following {
    to: ShardId,
    count: u32,
    since: Instant,
}

impl Following {
    pub fn new(now: Instant) -> Self {
        Self { to: ShardId(0), count: 0, since: now }
    }

    /// Notes a request that only `owner` has a part in; `None` if several shards have, or this one.
    pub fn note(&mut self, owner: Option<ShardId>) {
        match owner {
            Some(owner) if owner == self.to => self.count = self.count.saturating_add(1),
            Some(owner) => (self.to, self.count) = (owner, 1),
            None => self.count = 0,
        }
    }

    /// The shard to move to now. Asked again only after as many requests more.
    pub fn due(&mut self, now: Instant) -> Option<ShardId> {
        if self.count < REQUESTS_MIN || now.saturating_duration_since(self.since) < STAY_MIN {
            return None;
        }
        self.count = 0;
        self.since = now;
        Some(self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unbroken_row_of_requests_for_one_shard_moves_a_connection() {
        let start = Instant::now();
        let later = start + STAY_MIN;
        let mut following = Following::new(start);
        for _ in 0..REQUESTS_MIN - 1 {
            following.note(Some(ShardId(2)));
            assert_eq!(following.due(later), None);
        }
        following.note(None);
        following.note(Some(ShardId(2)));
        assert_eq!(following.due(later), None, "the row was broken");
        for _ in 0..REQUESTS_MIN - 1 {
            following.note(Some(ShardId(3)));
        }
        following.note(Some(ShardId(2)));
        assert_eq!(following.due(later), None, "not all were for one shard");
        for _ in 0..REQUESTS_MIN {
            following.note(Some(ShardId(3)));
        }
        assert_eq!(following.due(start), None, "it has only come");
        assert_eq!(following.due(later), Some(ShardId(3)));
        assert_eq!(following.due(later + STAY_MIN), None, "it is asked once per row");
    }
}
