//! Reading a partition whole, as fetches would: from memory, from a cached segment, from the disk.

use duramen_wire::ids::{Offset, TopicPartitionId};

use super::world::{Model, World};
use crate::log::disk::Disk;
use crate::log::memory::ChunkPool;
use crate::log::sim::{SimFile, transfer};
use crate::log::{ReadKind, ReadOut, read};

/// Bytes that are read at a time.
const READ_MAX: usize = 100_000;
const READ_TRIES_MAX: usize = 1_000;

impl World {
    /// All that lies below `end`, by whatever way there is to it.
    pub async fn read_all(&self, id: TopicPartitionId, end: Offset) -> Vec<u8> {
        let partition = self.partitions.get(id).expect("it is here").log.clone();
        let (mut from, mut bytes, mut out) = (partition.log_start(), Vec::new(), ReadOut::default());
        for _ in 0..READ_TRIES_MAX {
            if from >= end {
                return bytes;
            }
            let mut kind = partition.read(from, READ_MAX, end, true, &mut out);
            if matches!(kind, Ok(ReadKind::Cold)) {
                kind = partition.read_cold(from, READ_MAX, end, true, &mut out).await;
            }
            let found = match kind {
                Err(read::Error::Busy) => {
                    self.sim.sleep(10).await;
                    continue;
                }
                Ok(ReadKind::File { file, range }) => self.read_file(&file, range).await,
                Ok(_) => out.slices.iter().flat_map(|slice| slice.as_slice().to_vec()).collect(),
                Err(cause) => panic!("{id} at {from}: {cause}\n{}", self.sim),
            };
            from = self.models[&id].next_after(from, found.len()).unwrap_or_else(|| {
                panic!("{id} has no whole batches of what was sent at {from}\n{}", self.sim);
            });
            bytes.extend(found);
            out.clear();
        }
        panic!("{id} is not read to its end after {READ_TRIES_MAX} reads\n{}", self.sim);
    }

    /// What sendfile would send.
    async fn read_file(&self, file: &SimFile, range: std::ops::Range<u64>) -> Vec<u8> {
        let mut pool = ChunkPool::new(4 << 20);
        let block = range.start / 4096 * 4096;
        let list = transfer::list(&mut pool, ((range.end - block) as usize).next_multiple_of(4096), 4096);
        let (count, list) = self.disk.read(file, block, list).await;
        assert!(block + count.expect("no fault") as u64 >= range.end);
        transfer::gather(&list)[(range.start - block) as usize..(range.end - block) as usize].to_vec()
    }
}

impl Model {
    /// The offset behind the whole batches that `len` bytes from `from` on are, by what was sent.
    fn next_after(&self, from: Offset, mut len: usize) -> Option<Offset> {
        let first = self.sent.iter().position(|sent| sent.base == from)?;
        for sent in &self.sent[first..] {
            len = len.checked_sub(sent.placed.len())?;
            if len == 0 {
                return Some(sent.end);
            }
        }
        None
    }
}
