//! The same loop by io_uring: one thread and one ring for all connections. Each has one operation under way: it receives,
//! writes, syncs or sends; what several connections want goes to the kernel in one call.

#![expect(unsafe_code, reason = "the kernel works on memory that it is given by address")]

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};

use io_uring::squeue::Entry;
use io_uring::types::{Fd, FsyncFlags};
use io_uring::{IoUring, opcode};

use super::Sync;
use super::answers::{Answers, FRAME_MAX, Records, frame_length, is_produce};
use super::blocking::{Block, Ring as Blocks};

/// Entries of the submission queue; more operations are submitted in several calls.
const ENTRIES: u32 = 256;
/// Connections at a time.
const CONNECTIONS_MAX: usize = 4_096;

/// What has been completed, in the low bits of an operation's user data; above them is the connection.
const ACCEPT: u64 = 0;
const RECEIVE: u64 = 1;
const WRITE: u64 = 2;
const SYNC: u64 = 3;
const SEND: u64 = 4;
const KIND_BITS: u32 = 3;

/// One connection and the memory that its operation works on, which never moves.
struct Slot<'r> {
    stream: TcpStream,
    answers: Answers<'r>,
    received: Vec<u8>,
    filled: usize,
    /// Where the frame at hand begins, and its length.
    begin: usize,
    length: usize,
    block: Block,
    answer: Vec<u8>,
    sent: usize,
}

/// The connections by number. Every one that is there has exactly one operation under way.
struct Loop<'r> {
    ring: IoUring,
    listener: TcpListener,
    address: SocketAddr,
    blocks: &'r Blocks,
    records: &'r Records,
    slots: Vec<Option<Box<Slot<'r>>>>,
}

/// Serves until the ring fails.
pub fn serve(listener: TcpListener, blocks: &Blocks, records: &Records) -> io::Result<()> {
    let address = listener.local_addr()?;
    let tuned = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(ENTRIES);
    // Kernels before 6.1 know no deferred work.
    let ring = tuned.or_else(|_| IoUring::new(ENTRIES))?;
    let mut all = Loop { ring, listener, address, blocks, records, slots: Vec::new() };
    let ended = all.run();
    // The kernel may still work on their memory.
    std::mem::forget(all.slots);
    ended
}

impl Loop<'_> {
    fn run(&mut self) -> io::Result<()> {
        self.accept()?;
        let mut completed = Vec::with_capacity(2 * ENTRIES as usize);
        loop {
            match self.ring.submit_and_wait(1) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            completed.extend(self.ring.completion().map(|entry| (entry.user_data(), entry.result())));
            for (user_data, result) in completed.drain(..) {
                self.complete(user_data, result)?;
            }
        }
    }

    fn complete(&mut self, user_data: u64, result: i32) -> io::Result<()> {
        let (number, kind) = ((user_data >> KIND_BITS) as usize, user_data & ((1 << KIND_BITS) - 1));
        let result = usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result));
        if kind == ACCEPT {
            self.connected(result?)?;
            return self.accept();
        }
        let next = result.and_then(|count| self.next(number, kind, count));
        match next {
            Ok(Some(entry)) => self.push(number, entry),
            ended => {
                // Its client has gone, or asks for what is not offered.
                self.slots[number] = None;
                ended.err().iter().for_each(|error| eprintln!("duramen bench limit: {error}"));
                Ok(())
            }
        }
    }

    fn connected(&mut self, descriptor: usize) -> io::Result<()> {
        // SAFETY: the kernel has just made the descriptor for this accept, and nobody else knows it.
        let stream = unsafe { TcpStream::from_raw_fd(descriptor as i32) };
        stream.set_nodelay(true)?;
        let free = self.slots.iter().position(Option::is_none);
        let number = free.unwrap_or(self.slots.len());
        if number == CONNECTIONS_MAX {
            return Ok(());
        }
        let slot = Box::new(Slot {
            stream,
            answers: Answers::new(self.address, self.records),
            received: vec![0; FRAME_MAX],
            filled: 0,
            begin: 0,
            length: 0,
            block: Block::default(),
            answer: Vec::new(),
            sent: 0,
        });
        if free.is_none() {
            self.slots.push(None);
        }
        let entry = self.slots[number].insert(slot).receive();
        self.push(number, entry)
    }

    /// What a connection does next, after so many bytes; `None` if its client has gone.
    fn next(&mut self, number: usize, kind: u64, count: usize) -> io::Result<Option<(u64, Entry)>> {
        let slot = self.slots[number].as_mut().expect("it had an operation under way");
        match kind {
            RECEIVE if count == 0 => return Ok(None),
            RECEIVE => slot.filled += count,
            WRITE if count < slot.length => return Err(io::ErrorKind::WriteZero.into()),
            WRITE if self.blocks.sync() == Sync::Fdatasync => {
                let sync = opcode::Fsync::new(Fd(self.blocks.descriptor())).flags(FsyncFlags::DATASYNC).build();
                return Ok(Some((SYNC, sync)));
            }
            WRITE | SYNC => return slot.respond().map(Some),
            _ => {
                slot.sent += count;
                if slot.sent < slot.answer.len() {
                    return Ok(Some(slot.send()));
                }
                slot.begin += slot.length;
            }
        }
        let Some(length) = frame_length(&slot.received[slot.begin..slot.filled])? else {
            return slot.receive_rest().map(Some);
        };
        slot.length = length;
        let frame = &slot.received[slot.begin..slot.begin + length];
        if !is_produce(frame) {
            return slot.respond().map(Some);
        }
        let bytes = slot.block.filled_with(frame);
        if self.blocks.sync() == Sync::None {
            // Into the page cache: the ring would leave that to another thread, which costs more than the copy.
            self.blocks.write(bytes)?;
            return slot.respond().map(Some);
        }
        let place = self.blocks.place(bytes.len());
        let write = opcode::Write::new(Fd(self.blocks.descriptor()), bytes.as_ptr(), bytes.len() as u32);
        Ok(Some((WRITE, write.offset(place).build())))
    }

    fn accept(&mut self) -> io::Result<()> {
        let accept = opcode::Accept::new(Fd(self.listener.as_raw_fd()), std::ptr::null_mut(), std::ptr::null_mut());
        self.push(0, (ACCEPT, accept.build()))
    }

    fn push(&mut self, number: usize, (kind, entry): (u64, Entry)) -> io::Result<()> {
        let entry = entry.user_data((number as u64) << KIND_BITS | kind);
        loop {
            // SAFETY: the entry names memory on the heap of a slot that stays where it is, untouched, until this, its only
            // operation, is completed; or none at all.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return Ok(());
            }
            self.ring.submit()?;
        }
    }
}

impl Slot<'_> {
    fn receive(&mut self) -> (u64, Entry) {
        let room = &mut self.received[self.filled..];
        let receive = opcode::Recv::new(Fd(self.stream.as_raw_fd()), room.as_mut_ptr(), room.len() as u32);
        (RECEIVE, receive.build())
    }

    /// Receives on, behind the part of a frame that is there.
    fn receive_rest(&mut self) -> io::Result<(u64, Entry)> {
        self.received.copy_within(self.begin..self.filled, 0);
        self.filled -= self.begin;
        self.begin = 0;
        match self.filled == FRAME_MAX {
            true => Err(io::Error::other(format!("a request is longer than {FRAME_MAX} bytes"))),
            false => Ok(self.receive()),
        }
    }

    /// Makes the answer to the frame at hand, in one piece, and sends it.
    fn respond(&mut self) -> io::Result<(u64, Entry)> {
        let parts = self.answers.to(&self.received[self.begin..self.begin + self.length])?;
        self.answer.clear();
        parts.into_iter().for_each(|part| self.answer.extend_from_slice(part));
        self.sent = 0;
        Ok(self.send())
    }

    fn send(&mut self) -> (u64, Entry) {
        let left = &self.answer[self.sent..];
        let send = opcode::Send::new(Fd(self.stream.as_raw_fd()), left.as_ptr(), left.len() as u32);
        (SEND, send.build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::produce::{Part, answer, write};
    use std::io::{Read, Write};

    /// A Produce request of one batch, all of whose bytes are the same.
    fn request(fill: u8, length: usize) -> Vec<u8> {
        let batch = vec![fill; length];
        let (mut frame, mut cut) = (Vec::new(), 0);
        let part = Part { topic: "t", partition: 0, header: &batch[..1], section_len: length - 1 };
        write(&mut frame, 9, -1, 1_000, &[part], |at| cut = at);
        frame.splice(cut..cut, batch[1..].iter().copied());
        frame[11] = fill;
        frame
    }

    fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut frame = vec![0; i32::from_be_bytes(length) as usize];
        stream.read_exact(&mut frame).unwrap();
        frame
    }

    #[test]
    fn requests_of_several_connections_are_written_and_answered_in_order() {
        for sync in [Sync::None, Sync::Fdatasync, Sync::Dsync] {
            let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
            let path = directory.path().join("limit");
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let blocks = Blocks::new(&path, sync).unwrap();
            // It serves for as long as the test's process lives.
            std::thread::spawn(move || serve(listener, &blocks, &Records::default()));
            let mut streams = [(); 2].map(|()| TcpStream::connect(address).unwrap());
            let requests = [request(1, 300_000), request(2, 100), request(3, 9_000)];
            for stream in &mut streams {
                stream.write_all(&requests.concat()).unwrap();
            }
            for stream in &mut streams {
                for fill in 1..=3 {
                    let frame = read_frame(stream);
                    assert_eq!(frame[..4], [0, 0, 0, fill]);
                    let mut errors = Vec::new();
                    answer(&frame, 9, |part| errors.push((part.partition, part.error))).unwrap();
                    assert_eq!(errors, [(0, 0)]);
                }
            }
            // It goes on for others when one asks for nonsense.
            streams[0].write_all(&[0xff; 64]).unwrap();
            assert_eq!(streams[0].read(&mut [0; 1]).unwrap_or(0), 0);
            streams[1].write_all(&requests[1]).unwrap();
            assert_eq!(read_frame(&mut streams[1])[3], 2);
            let written = std::fs::read(&path).unwrap();
            let count = |fill: u8| written.iter().filter(|byte| **byte == fill).count();
            assert!(count(3) >= 18_000 && count(1) >= 600_000, "{sync:?}");
        }
    }
}
