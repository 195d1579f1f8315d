//! The raw loop: a thread for each connection receives, writes, syncs and sends. A pre-zeroed file is written from its
//! beginning to its end and again, so that a write changes no metadata: past the page cache where it is synced.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Sync;
use super::answers::{Answers, FRAME_MAX, Records, frame_length, is_produce};

/// Direct I/O wants memory, lengths and positions in multiples of this.
const BLOCK: usize = 4096;
/// Bytes of the file, all of them zeroed and synced before the first request.
const FILE_SIZE: usize = 64 << 20;

/// Answers one connection until its client closes it.
pub fn serve(mut connection: TcpStream, address: SocketAddr, ring: &Ring, records: &Records) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut answers = Answers::new(address, records);
    let mut received = vec![0; FRAME_MAX];
    let mut block = Block::default();
    let mut filled = 0;
    loop {
        match connection.read(&mut received[filled..]) {
            Ok(0) => return Ok(()),
            Ok(length) => filled += length,
            // A client that ends while an answer is under way resets the connection.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error),
        }
        let mut begin = 0;
        while let Some(length) = frame_length(&received[begin..filled])? {
            let frame = &received[begin..begin + length];
            begin += length;
            if is_produce(frame) {
                ring.write(block.filled_with(frame))?;
            }
            write_all(&mut connection, answers.to(frame)?)?;
        }
        received.copy_within(begin..filled, 0);
        filled -= begin;
        if filled == FRAME_MAX {
            return Err(io::Error::other(format!("a request is longer than {FRAME_MAX} bytes")));
        }
    }
}

/// All parts, one after the other.
fn write_all(connection: &mut TcpStream, parts: [&[u8]; 3]) -> io::Result<()> {
    let mut slices = parts.map(IoSlice::new);
    let mut left = &mut slices[..];
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match connection.write_vectored(left) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A pre-zeroed file that is written from its beginning to its end, again and again.
pub struct Ring {
    file: File,
    sync: Sync,
    /// The block to write next, counted without wrapping.
    next: AtomicUsize,
}

impl Ring {
    /// Writes zeros over the whole file, so that later writes change no metadata, and opens it to be written.
    pub fn new(path: &Path, sync: Sync) -> io::Result<Self> {
        let mut zeroed = File::create(path)?;
        let zeros = vec![0; 1 << 20];
        for _ in 0..FILE_SIZE / zeros.len() {
            zeroed.write_all(&zeros)?;
        }
        zeroed.sync_all()?;
        let flags = match sync {
            Sync::Fdatasync => libc::O_DIRECT,
            Sync::Dsync => libc::O_DIRECT | libc::O_DSYNC,
            Sync::None => 0,
        };
        let file = OpenOptions::new().write(true).custom_flags(flags).open(path)?;
        Ok(Self { file, sync, next: AtomicUsize::new(0) })
    }

    /// Where so many bytes, which are whole blocks, are to be written.
    pub(super) fn place(&self, length: usize) -> u64 {
        let (needed, blocks) = (length / BLOCK, FILE_SIZE / BLOCK);
        // Where they would not fit before the end they start a little earlier: what they overwrite does not matter.
        let at = (self.next.fetch_add(needed, Ordering::Relaxed) % blocks).min(blocks - needed);
        (at * BLOCK) as u64
    }

    pub(super) fn sync(&self) -> Sync {
        self.sync
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Writes whole blocks, and waits until they are on stable storage.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.place(bytes.len()))?;
        if self.sync == Sync::Fdatasync {
            self.file.sync_data()?;
        }
        Ok(())
    }
}

/// Memory for direct I/O.
pub(super) struct Block {
    memory: Vec<u8>,
    /// Where the aligned part begins.
    aligned: usize,
}

impl Default for Block {
    fn default() -> Self {
        let memory = vec![0; FRAME_MAX + 2 * BLOCK];
        let aligned = memory.as_ptr().align_offset(BLOCK);
        Self { memory, aligned }
    }
}

impl Block {
    /// The frame, up to the end of its last block.
    pub(super) fn filled_with(&mut self, frame: &[u8]) -> &[u8] {
        let blocks = &mut self.memory[self.aligned..self.aligned + frame.len().next_multiple_of(BLOCK)];
        blocks[..frame.len()].copy_from_slice(frame);
        blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_written_in_turn_and_from_the_beginning_again() {
        let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = directory.path().join("ring");
        let ring = Ring::new(&path, Sync::Fdatasync).unwrap();
        let mut block = Block::default();
        let longest = vec![b'x'; FRAME_MAX];
        // The last of them would reach beyond the end by a block, and starts earlier.
        ring.write(block.filled_with(b"first")).unwrap();
        for _ in 0..FILE_SIZE / FRAME_MAX {
            ring.write(block.filled_with(&longest)).unwrap();
        }
        let written = std::fs::read(&path).unwrap();
        assert_eq!((written.len(), &written[..5]), (FILE_SIZE, &b"first"[..]));
        assert!(written[BLOCK..].iter().all(|byte| *byte == b'x'));
    }

    #[test]
    fn what_is_written_arrives_whole() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sending = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut receiving, _) = listener.accept().unwrap();
        let large = vec![7; 3 << 20];
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            receiving.read_to_end(&mut all).unwrap();
            all
        });
        write_all(&mut sending, [b"head", &large, b""]).unwrap();
        drop(sending);
        assert_eq!(reader.join().unwrap(), [&b"head"[..], &large].concat());
    }
}
