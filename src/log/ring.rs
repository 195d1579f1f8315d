//! The shard's ring: unsynced frames in a shared mapping, so that a small `replicated` append is in the kernel's hands
//! without a system call.
//!
//! A frame's room is used again when what it holds is written to the segments. If there is no room, the append is written
//! directly.

use std::path::Path;

use super::config::Options;
use super::disk::Disk;
use super::frame::{self, FrameWriter};
use super::log::{Error, Result};
use super::partition::{Inner, State};
use super::space::Space;

/// Frames start at multiples of this many bytes.
pub(super) const RING_ALIGN: usize = 64;
/// Stretches of memory that one frame's records lie in, at most: three chunks, and one more where a segment ends.
const PIECES_MAX: usize = 6;

/// The ring of a shard.
pub(super) struct Ring<D: Disk> {
    mapping: D::Mapping,
    pub space: Space,
    /// The group for which partitions were last asked to write.
    pub relieved: Option<u64>,
    writer: FrameWriter,
    generation: u64,
    sequence: u64,
}

impl<D: Disk> Ring<D> {
    pub async fn open(disk: &D, dir: &Path, options: &Options, generation: u64) -> Result<Self> {
        let path = dir.join("ring");
        let mapping = disk.map(&path, options.ring_len).await.map_err(Error::io("cannot map", &path))?;
        let len = options.ring_len as u64;
        let space = Space::new(len, len);
        Ok(Self { mapping, space, relieved: None, writer: FrameWriter::default(), generation, sequence: 0 })
    }

    /// Stores what lies between the partition's kernel mark and its appended end. False if there is no room.
    pub fn store(&mut self, disk: &D, partition: &Inner<D>, state: &mut State) -> bool {
        let (from, to) = (state.kernel(), state.appended);
        let entries = state.stretches(from.pos, to.pos).count();
        let payload: usize =
            state.stretches(from.pos, to.pos).map(|(_, range)| (range.end - range.start) as usize).sum();
        let len = (frame::head_len(entries) + payload).next_multiple_of(RING_ALIGN);
        let Some((at, group)) = self.space.place(len as u64) else { return false };
        state.ring_holds.add(&mut self.space, group, to.pos);
        self.sequence += 1;
        self.writer.begin(self.generation, self.sequence);
        for (segment, range) in state.stretches(from.pos, to.pos) {
            self.writer.entry(&state.entry(partition, from, to, segment, &range));
            state.tail.pieces(range).for_each(|bytes| self.writer.payload(bytes));
        }
        self.store_frame(disk, at as usize, state, from.pos..to.pos);
        partition.shard.counters.ring_frames.add(1);
        partition.shard.counters.ring_frame_bytes.add(len as u64);
        true
    }

    fn store_frame(&mut self, disk: &D, at: usize, state: &State, range: std::ops::Range<u64>) {
        let mut slices: [&[u8]; PIECES_MAX] = [&[]; PIECES_MAX];
        let mut count = 1;
        let pieces = state.stretches(range.start, range.end).flat_map(|(_, range)| state.tail.pieces(range));
        for piece in pieces {
            slices[count] = piece;
            count += 1;
        }
        slices[0] = self.writer.finish();
        disk.store(&self.mapping, at, &slices[..count]);
    }
}
