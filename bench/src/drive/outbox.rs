//! Frames to write, by connection; parties fill it, the thread flushes it.

use super::{ConnectionId, PartyId};

pub struct Outbox {}

impl Outbox {
    /// Recycled, empty.
    pub fn buffer(&mut self) -> Vec<u8> {
        todo!()
    }

    /// The token comes back with the answer.
    pub fn send(&mut self, _party: PartyId, _connection: ConnectionId, _frame: Vec<u8>, _token: u64) {
        todo!()
    }
}
