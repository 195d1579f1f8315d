//! Indexes of sealed segments: written when a segment is sealed, read on demand, rebuilt if a file is missing or wrong.
//!
//! The files are never needed for correctness: whatever is wrong with them is found out, and the segment read instead. So
//! they are written after sealing, in the background.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use duramen_wire::ids::{Offset, TopicPartitionId};

use super::disk::Disk;
use super::index::{IndexBuilder, SealedIndex};
use super::log::{Error, Result, Shard};
use super::partition::Inner;
use super::paths;
use super::segment::Stage;

/// Bytes of sealed indexes that are kept in memory.
const KEPT_BYTES_MAX: usize = 8 << 20;
/// Longest index file that is read.
const FILE_MAX: usize = 64 << 20;

/// The sealed indexes that were asked for last.
#[derive(Default)]
pub(super) struct Indexes(RefCell<Kept>);

#[derive(Default)]
struct Kept {
    indexes: BTreeMap<(TopicPartitionId, Offset), (Rc<SealedIndex>, u64)>,
    uses: u64,
    bytes: usize,
}

impl Indexes {
    fn get(&self, key: (TopicPartitionId, Offset)) -> Option<Rc<SealedIndex>> {
        let mut kept = self.0.borrow_mut();
        kept.uses += 1;
        let uses = kept.uses;
        let (index, used) = kept.indexes.get_mut(&key)?;
        *used = uses;
        Some(index.clone())
    }

    fn insert(&self, key: (TopicPartitionId, Offset), index: Rc<SealedIndex>) {
        let mut kept = self.0.borrow_mut();
        kept.uses += 1;
        let uses = kept.uses;
        kept.bytes += index.size();
        if let Some((old, _)) = kept.indexes.insert(key, (index, uses)) {
            kept.bytes -= old.size();
        }
        while kept.bytes > KEPT_BYTES_MAX && kept.indexes.len() > 1 {
            let oldest = kept.indexes.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key);
            let Some((old, _)) = oldest.and_then(|oldest| kept.indexes.remove(&oldest)) else { return };
            kept.bytes -= old.size();
        }
    }

    /// Forgets the indexes of a partition.
    pub fn forget_partition(&self, id: TopicPartitionId) {
        let kept = &mut *self.0.borrow_mut();
        kept.indexes.retain(|(partition, _), _| *partition != id);
        kept.bytes = kept.indexes.values().map(|(index, _)| index.size()).sum();
    }
}

impl<D: Disk> Shard<D> {
    /// Writes the indexes of segments that were sealed.
    pub(super) async fn write_indexes(&self) {
        for partition in self.partitions_now() {
            while let Some(base) = partition.unindexed() {
                if let Err(cause) = partition.write_index(base).await {
                    tracing::warn!(partition = %partition.id, segment = base.0, error = %cause, "no index could be written");
                }
                partition.indexed(base);
            }
        }
    }
}

impl<D: Disk> Inner<D> {
    /// The index of a sealed segment.
    pub(super) async fn sealed_index(&self, base: Offset) -> Result<Rc<SealedIndex>> {
        let key = (self.id, base);
        if let Some(index) = self.shard.indexes.get(key) {
            return Ok(index);
        }
        let Some((end, len)) = self.extent_of(base) else { return Err(Error::Unknown(self.id)) };
        let index = match self.read_index(base, end, len).await {
            Some(index) => index,
            None => {
                let builder = self.read_for_index(base, None).await?;
                self.write_index_files(base, &builder).await?;
                let [offsets, times] = [builder.encode_offset_index(), builder.encode_time_index()];
                SealedIndex::decode(base, end, len, offsets, times).expect("an index that was just built is valid")
            }
        };
        let index = Rc::new(index);
        self.shard.indexes.insert(key, index.clone());
        Ok(index)
    }

    async fn read_index(&self, base: Offset, end: Offset, len: u64) -> Option<SealedIndex> {
        let read = async |extension| {
            let path = paths::segment(&self.dir, base, extension);
            self.shard.disk.read_small(&path, FILE_MAX).await.ok()
        };
        let (offsets, times) = (read("index").await?, read("timeindex").await?);
        SealedIndex::decode(base, end, len, offsets, times).ok()
    }

    async fn write_index(&self, base: Offset) -> Result<()> {
        self.complete_index(base).await?;
        let known = {
            let state = self.state.borrow();
            state.segments.iter().find(|segment| segment.base == base).and_then(|segment| segment.index.clone())
        };
        let builder = match known {
            Some(builder) => builder,
            None => self.read_for_index(base, None).await?,
        };
        self.write_index_files(base, &builder).await
    }

    async fn write_index_files(&self, base: Offset, builder: &IndexBuilder) -> Result<()> {
        for (extension, bytes) in [("index", builder.encode_offset_index()), ("timeindex", builder.encode_time_index())]
        {
            let path = paths::segment(&self.dir, base, extension);
            self.shard.disk.write_small(&path, bytes).await.map_err(Error::io("cannot write", &path))?;
        }
        Ok(())
    }

    fn unindexed(&self) -> Option<Offset> {
        let state = self.state.borrow();
        state.segments.iter().find(|segment| segment.stage == Stage::Sealed).map(|segment| segment.base)
    }

    fn indexed(&self, base: Offset) {
        let mut state = self.state.borrow_mut();
        if let Some(segment) = state.segments.iter_mut().find(|segment| segment.base == base) {
            segment.stage = Stage::Indexed;
            segment.index = None;
        }
    }

    /// The offset behind a sealed segment, and its bytes.
    fn extent_of(&self, base: Offset) -> Option<(Offset, u64)> {
        let state = self.state.borrow();
        let index = state.segments.iter().position(|segment| segment.base == base)?;
        let next = state.segments.get(index + 1)?;
        Some((next.base, state.segments[index].len))
    }
}
