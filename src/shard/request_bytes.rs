//! The bytes of one request, as they came: parts of receive buffers, in order, or one buffer of its own where the
//! request was too large for them. They stay where they are until the request is answered; nothing joins them.

use std::sync::Arc;

use duramen_wire::slices::Slices;

use crate::runtime::Received;

/// Parts that one request may span; what spans more is gathered into one buffer while it arrives.
pub const PIECES_MAX: usize = 40;

/// A receive buffer that several requests may share. The cell outlives the buffer, so that cells are reused.
pub type SharedBuffer = Arc<Option<Received>>;

/// Where the bytes lie, without the size prefix.
#[derive(Default)]
pub struct RequestBytes {
    buffers: Vec<SharedBuffer>,
    /// Instead of `buffers`, what was copied together: small leftovers, or a request beyond [`PIECES_MAX`].
    gathered: Vec<u8>,
    start: usize,
    len: usize,
}

impl RequestBytes {
    /// Names `len` bytes from `start` in the first buffer on.
    pub fn set(&mut self, start: usize, len: usize) {
        self.start = start;
        self.len = len;
    }

    pub fn push(&mut self, buffer: SharedBuffer) {
        assert!(self.buffers.len() < PIECES_MAX, "a request of more parts is gathered");
        self.buffers.push(buffer);
    }

    /// The buffer into which a request is copied together.
    pub fn gathered(&mut self) -> &mut Vec<u8> {
        &mut self.gathered
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Calls `read` with the request as one logical byte string.
    pub fn with<R>(&self, read: impl FnOnce(Slices<'_>) -> R) -> R {
        let mut pieces: [&[u8]; PIECES_MAX + 1] = [&[]; PIECES_MAX + 1];
        let mut count = 0;
        if !self.gathered.is_empty() {
            pieces[0] = &self.gathered;
            count = 1;
        }
        for buffer in &self.buffers {
            pieces[count] = buffer.as_ref().as_ref().map_or(&[], |received| &received[..]);
            count += 1;
        }
        read(Slices::new(&pieces[..count]).sub(self.start..self.start + self.len))
    }

    /// Lets go of the buffers and hands the shared cells to `recycle`. Returns the buffer that the request was gathered
    /// in, empty, to be used again; one without room if there was none.
    pub fn clear(&mut self, mut recycle: impl FnMut(SharedBuffer)) -> Vec<u8> {
        self.buffers.drain(..).for_each(&mut recycle);
        self.start = 0;
        self.len = 0;
        let mut gathered = std::mem::take(&mut self.gathered);
        gathered.clear();
        gathered
    }
}
