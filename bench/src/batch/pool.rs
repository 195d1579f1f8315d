//! The buffers that record sections are filled in: made once and used again.

use std::sync::Arc;

use super::template::Shape;

/// Room for one record section. Its bytes up to `len` are sent from where they lie.
#[derive(Debug)]
pub(crate) struct Buffer {
    pub(super) bytes: Vec<u8>,
    pub(super) len: usize,
    pub(super) records: u32,
    /// Bytes of keys and values.
    pub(super) payload_bytes: u64,
}

impl Buffer {
    pub(crate) fn section(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    pub(crate) fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
        self.records = 0;
        self.payload_bytes = 0;
    }
}

/// What follows a batch's header on the wire.
#[derive(Debug)]
pub(crate) enum Section {
    Filled(Buffer),
    Compressed(Vec<u8>),
    /// One that will be sent again.
    Kept(Arc<[u8]>),
}

impl Section {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Filled(buffer) => buffer.section(),
            Self::Compressed(bytes) => bytes,
            Self::Kept(bytes) => bytes,
        }
    }
}

/// The buffers of one thread: some made before the load, others when they are first needed, up to a bound.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    free: Vec<Buffer>,
    made: usize,
    max: usize,
}

impl Buffers {
    /// At most `max` buffers, `ahead` of which are made now.
    pub(crate) fn new(shape: &Shape, ahead: usize, max: usize) -> Self {
        let made = ahead.min(max);
        Self { free: (0..made).map(|number| shape.buffer(number)).collect(), made, max }
    }

    /// An empty buffer: the one that was used last, as it is still in the CPU's cache. `None` while all are in use.
    pub(crate) fn take(&mut self, shape: &Shape) -> Option<Buffer> {
        let mut buffer = match self.free.pop() {
            Some(buffer) => buffer,
            None if self.made < self.max => {
                self.made += 1;
                shape.buffer(self.made - 1)
            }
            None => return None,
        };
        buffer.clear();
        Some(buffer)
    }

    pub(crate) fn give_back(&mut self, buffer: Buffer) {
        self.free.push(buffer);
    }

    /// Whether `take` would give one.
    pub(crate) fn has_more(&self) -> bool {
        !self.free.is_empty() || self.made < self.max
    }
}
