//! A consumer at one leader: one fetch under way at a time, every batch checked, latencies from the stamps.

use std::sync::Arc;

use super::{ConnectionId, Setup, TargetId};

pub struct Consumer {}

impl Consumer {
    pub fn new(_setup: &Arc<Setup>, _consumer: u32, _connection: ConnectionId, _targets: Vec<TargetId>) -> Self {
        todo!()
    }
}
