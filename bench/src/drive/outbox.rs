//! Frames to write, by connection: parties fill it, the thread gives it to the connections. It also owns what frames are
//! made of, so that all of it is used again.

use super::window::{Waiting, Windows};
use super::{ConnectionId, PartyId};
use crate::batch::pool::{Buffer, Buffers, Section};
use crate::batch::template::Shape;
use crate::clock::Nanos;

/// Vectors for the heads of frames that are kept.
const HEADS_MAX: usize = 4_096;

/// One request on its way out: its head, and sections of batches that belong between its bytes.
#[derive(Debug)]
pub(crate) struct Frame {
    pub head: Vec<u8>,
    /// In order of the positions in the head at which they belong.
    pub sections: Vec<(usize, Section)>,
    pub party: PartyId,
    pub token: u64,
    /// Whether the broker answers it.
    pub answered: bool,
}

impl Frame {
    /// The bytes in their order.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.sections.iter().map(|(at, _)| *at));
        let ends = self.sections.iter().map(|(at, _)| *at).chain([self.head.len()]);
        let sections = self.sections.iter().map(|(_, section)| section.bytes()).chain([&[][..]]);
        begins.zip(ends).zip(sections).flat_map(|((begin, end), section)| [&self.head[begin..end], section])
    }

    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.sections.iter().map(|(_, section)| section.bytes().len()).sum::<usize>()
    }
}

/// What a thread has to write.
#[derive(Debug, Default)]
pub struct Outbox {
    queued: Vec<(ConnectionId, Frame)>,
    heads: Vec<Vec<u8>>,
    lists: Vec<Vec<(usize, Section)>>,
    pub(super) buffers: Buffers,
    /// Who waits for a buffer.
    pub(super) short_of_buffers: Waiting,
    pub(super) windows: Windows,
    pub(super) now: Nanos,
}

impl Outbox {
    /// Recycled, empty.
    pub fn buffer(&mut self) -> Vec<u8> {
        self.heads.pop().unwrap_or_default()
    }

    /// Queues a whole frame. The token comes back with the answer.
    pub fn send(&mut self, party: PartyId, connection: ConnectionId, frame: Vec<u8>, token: u64) {
        let sections = self.list();
        self.queue(connection, Frame { head: frame, sections, party, token, answered: true });
    }

    /// Queues a frame.
    pub(super) fn queue(&mut self, connection: ConnectionId, frame: Frame) {
        self.windows.enter(connection, self.now);
        self.queued.push((connection, frame));
    }

    /// A recycled list for the sections of a frame.
    pub(super) fn list(&mut self) -> Vec<(usize, Section)> {
        self.lists.pop().unwrap_or_default()
    }

    /// A buffer for records; `None` while all are in use.
    pub(super) fn section_buffer(&mut self, shape: &Shape) -> Option<Buffer> {
        self.buffers.take(shape)
    }

    pub(super) fn has_queued(&self) -> bool {
        !self.queued.is_empty()
    }

    /// What was queued, in order, since the last call.
    pub(super) fn take_queued(&mut self, into: &mut Vec<(ConnectionId, Frame)>) {
        into.append(&mut self.queued);
    }

    /// Takes apart what has been written.
    pub(super) fn recycle(&mut self, frame: Frame) {
        let Frame { mut head, mut sections, .. } = frame;
        for (_, section) in sections.drain(..) {
            if let Section::Filled(buffer) = section {
                self.buffers.give_back(buffer);
            }
        }
        if self.heads.len() < HEADS_MAX {
            head.clear();
            self.heads.push(head);
            self.lists.push(sections);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_go_where_they_belong() {
        let sections = vec![(2, Section::Compressed(b"XY".to_vec())), (2, Section::Kept(b"Z"[..].into()))];
        let frame = Frame { head: b"abcd".to_vec(), sections, party: 1, token: 2, answered: true };
        assert_eq!((frame.pieces().collect::<Vec<_>>().concat(), frame.len()), (b"abXYZcd".to_vec(), 7));
        let plain = Frame { sections: Vec::new(), ..frame };
        assert_eq!(plain.pieces().collect::<Vec<_>>().concat(), b"abcd");
    }
}
