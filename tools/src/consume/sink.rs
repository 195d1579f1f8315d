//! What was given to stdout and what stdout took: the only source of offsets to commit.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};

/// Buffers lines, and knows after each flush which records left. Nothing is written when it is dropped.
#[derive(Debug)]
pub(super) struct Sink<W> {
    out: W,
    buffer: Vec<u8>,
    /// Of the records in the buffer: where each ends in it, its partition and its offset.
    pending: VecDeque<(usize, i32, i64)>,
    /// Next offset per partition, of records that were taken and not yet committed.
    uncommitted: BTreeMap<i32, i64>,
    records: u64,
    bytes: u64,
}

impl<W: Write> Sink<W> {
    /// When the buffer holds so much it wants to be flushed.
    pub(super) const BUFFER_BYTES: usize = 64 << 10;

    pub(super) fn new(out: W) -> Sink<W> {
        let buffer = Vec::with_capacity(Self::BUFFER_BYTES);
        Sink { out, buffer, pending: VecDeque::new(), uncommitted: BTreeMap::new(), records: 0, bytes: 0 }
    }

    /// Adds a record, whose text `format` appends.
    pub(super) fn add(&mut self, partition: i32, offset: i64, format: impl FnOnce(&mut Vec<u8>)) {
        format(&mut self.buffer);
        self.pending.push_back((self.buffer.len(), partition, offset));
    }

    /// Whether it is time to flush.
    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= Self::BUFFER_BYTES
    }

    /// Records added and not flushed.
    pub(super) fn buffered(&self) -> u64 {
        self.pending.len() as u64
    }

    /// Hands everything to the output. After an error, the records that left whole before it still count as taken.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let mut taken = 0;
        let outcome = loop {
            if taken == self.buffer.len() {
                break self.out.flush();
            }
            match self.out.write(&self.buffer[taken..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => taken += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        while let Some(&(end, partition, offset)) = self.pending.front()
            && end <= taken
        {
            self.pending.pop_front();
            self.uncommitted.insert(partition, offset + 1);
            self.records += 1;
        }
        self.bytes += taken as u64;
        self.pending.clear();
        self.buffer.clear();
        outcome
    }

    /// The next offsets of what was taken since the last call.
    pub(super) fn take_uncommitted(&mut self) -> BTreeMap<i32, i64> {
        std::mem::take(&mut self.uncommitted)
    }

    /// Puts offsets back whose commit failed, unless newer ones have come.
    pub(super) fn restore(&mut self, offsets: BTreeMap<i32, i64>) {
        for (partition, offset) in offsets {
            let newest = self.uncommitted.entry(partition).or_insert(offset);
            *newest = offset.max(*newest);
        }
    }

    /// Forgets partitions that belong to another member now.
    pub(super) fn forget(&mut self, partitions: impl IntoIterator<Item = i32>) {
        for partition in partitions {
            self.uncommitted.remove(&partition);
        }
    }

    /// Records that were taken.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// Bytes that were taken.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes and then breaks; a few at a time.
    struct Pipe {
        taken: Vec<u8>,
        left: usize,
    }

    impl Write for &mut Pipe {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            let count = buffer.len().min(3).min(self.left);
            if count == 0 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.left -= count;
            self.taken.extend(&buffer[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line(text: &str) -> impl FnOnce(&mut Vec<u8>) {
        move |out| out.extend(text.as_bytes())
    }

    #[test]
    fn offsets_count_from_the_flush_on() {
        let mut pipe = Pipe { taken: Vec::new(), left: 100 };
        let mut sink = Sink::new(&mut pipe);
        sink.add(0, 7, line("a\n"));
        sink.add(1, 3, line("b\n"));
        sink.add(0, 8, line("c\n"));
        assert_eq!((sink.take_uncommitted(), sink.buffered()), (BTreeMap::new(), 3));
        sink.flush().unwrap();
        assert_eq!(sink.take_uncommitted(), BTreeMap::from([(0, 9), (1, 4)]));
        assert_eq!((sink.take_uncommitted(), sink.records(), sink.bytes()), (BTreeMap::new(), 3, 6));
        assert_eq!(pipe.taken, b"a\nb\nc\n");
    }

    #[test]
    fn what_a_broken_pipe_did_not_take_is_not_committed() {
        let mut pipe = Pipe { taken: Vec::new(), left: 10 };
        let mut sink = Sink::new(&mut pipe);
        for offset in 0..5 {
            sink.add(0, offset, line("abc\n"));
        }
        assert_eq!(sink.flush().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!((sink.take_uncommitted(), sink.records()), (BTreeMap::from([(0, 2)]), 2));
        drop(sink);
        assert_eq!(pipe.taken.len(), 10, "nothing more is tried");
    }

    #[test]
    fn failed_commits_come_again_and_lost_partitions_do_not() {
        let mut pipe = Pipe { taken: Vec::new(), left: 100 };
        let mut sink = Sink::new(&mut pipe);
        sink.add(0, 1, line("a"));
        sink.add(1, 1, line("b"));
        sink.flush().unwrap();
        let offsets = sink.take_uncommitted();
        sink.add(0, 2, line("c"));
        sink.flush().unwrap();
        sink.restore(offsets);
        assert_eq!(sink.uncommitted, BTreeMap::from([(0, 3), (1, 2)]));
        sink.forget([1]);
        assert_eq!(sink.take_uncommitted(), BTreeMap::from([(0, 3)]));
    }
}
