//! The memory of one cold read.

use super::Cold;
use crate::log::buffer::Buffer;
use crate::log::disk::Disk;
use crate::log::memory::{ChunkPool, IoList, SLAB_LEN};
use crate::log::read::Error;

/// Memory of one cold read; gives back what it has when it is dropped, also in the middle of a read.
pub(super) struct Room<'a> {
    cold: &'a Cold,
    pub buffer: Buffer,
    list: IoList,
}

impl Cold {
    pub(super) fn room(&self) -> Room<'_> {
        let (buffer, list) = self.idle.borrow_mut().pop().unwrap_or_default();
        Room { cold: self, buffer, list }
    }
}

impl Room<'_> {
    /// Makes the buffer `len` bytes long or longer.
    pub fn grow(&mut self, len: usize) -> Result<(), Error> {
        let mut pool = self.cold.pool.borrow_mut();
        if len > pool.budget() {
            // A batch that is larger than all memory for cold reads gets memory of its own, which goes with it.
            let mut own = ChunkPool::new(len.next_multiple_of(SLAB_LEN));
            while self.buffer.len() < len {
                self.buffer.push(own.take().ok_or(Error::Busy)?);
            }
        }
        while self.buffer.len() < len {
            self.buffer.push(pool.take().ok_or(Error::Busy)?);
        }
        Ok(())
    }

    /// Fills the buffer's first `len` bytes from block `at` on; how many there were.
    pub async fn read<D: Disk>(&mut self, disk: &D, file: &D::File, at: u64, len: usize) -> std::io::Result<usize> {
        self.buffer.list(0..len, &mut self.list);
        let (result, list) = disk.read(file, at, std::mem::take(&mut self.list)).await;
        self.list = list;
        self.list.clear();
        result
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let mut pool = self.cold.pool.borrow_mut();
        self.buffer.drain().for_each(|chunk| pool.give_back(chunk));
        let (buffer, list) = (std::mem::take(&mut self.buffer), std::mem::take(&mut self.list));
        self.cold.idle.borrow_mut().push((buffer, list));
    }
}
