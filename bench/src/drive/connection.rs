//! One connection: what is to be written, what is under way, and answers that arrive in pieces.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::ops::Range;
use std::time::Duration;

use super::PartyId;
use super::outbox::{Frame, Outbox};
use crate::Error;
use crate::client::encode::CORRELATION_AT;
use crate::client::frame::{BadLength, LENGTH_LEN, correlation_id, frame_len};
use crate::clock::Nanos;

/// Pieces that one call writes.
const SLICES_MAX: usize = 64;
/// Bytes to receive into, where answers are acknowledgements and where they are records.
pub(crate) const RECEIVE_SMALL: usize = 4 << 10;
pub(crate) const RECEIVE_LARGE: usize = 64 << 10;
/// Buffers for longer answers that a thread keeps, and their bytes together where there is more than one.
const SPARES_MAX: usize = 16;
const SPARES_BYTES_MAX: usize = 64 << 20;
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// A request that was written and waits for its answer; or was written and gets none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnderWay {
    correlation_id: i32,
    pub party: PartyId,
    pub token: u64,
    /// When its first byte was handed to the kernel.
    pub sent: Nanos,
}

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Length(#[from] BadLength),
    #[error("an answer has correlation id {found}, where {expected:?} is due")]
    Correlation { found: i32, expected: Option<i32> },
}

/// What is asked over a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub api: &'static str,
    /// How long an answer may take, and how many bytes it may have.
    pub patience: Duration,
    pub answer_max: usize,
}

pub(crate) struct Connection {
    pub stream: TcpStream,
    /// HOST:PORT, for messages.
    pub server: String,
    /// What is asked over it, and how long an answer may take.
    pub api: &'static str,
    pub patience: Duration,
    /// Bytes of the longest answer.
    answer_max: usize,
    queue: VecDeque<Frame>,
    /// Bytes of the first queued frame that have been written, and when the first of them was.
    written: usize,
    first_byte: Nanos,
    /// Since when the kernel has taken nothing of what is queued.
    stuck_since: Option<Nanos>,
    under_way: VecDeque<UnderWay>,
    /// Requests that were written and get no answer.
    pub unanswered: Vec<UnderWay>,
    next_correlation_id: i32,
    /// Whether epoll is asked to tell of room for writing.
    pub waits_for_room: bool,
    received: Vec<u8>,
    /// The own buffer, while `received` is a longer one.
    small: Option<Vec<u8>>,
    filled: usize,
    /// Where the first answer that was not taken yet begins.
    begin: usize,
}

impl Connection {
    /// Connects, for at most `CONNECT_MAX` an address.
    pub(crate) fn open(server: &str, asked: Asked, receive: usize) -> Result<Self, Error> {
        let Asked { api, patience, answer_max } = asked;
        let failed = |error: io::Error| Error::Unreachable { server: server.to_owned(), reason: error.to_string() };
        let mut outcome = Err(io::Error::new(ErrorKind::NotFound, "the name has no address"));
        for address in server.to_socket_addrs().map_err(failed)? {
            outcome = TcpStream::connect_timeout(&address, CONNECT_MAX);
            if outcome.is_ok() {
                break;
            }
        }
        let stream = outcome.map_err(failed)?;
        stream.set_nodelay(true).and_then(|()| stream.set_nonblocking(true)).map_err(failed)?;
        Ok(Self {
            stream,
            server: server.to_owned(),
            api,
            patience,
            answer_max,
            queue: VecDeque::new(),
            written: 0,
            first_byte: Nanos(0),
            stuck_since: None,
            under_way: VecDeque::new(),
            unanswered: Vec::new(),
            next_correlation_id: 0,
            waits_for_room: false,
            received: vec![0; receive],
            small: None,
            filled: 0,
            begin: 0,
        })
    }

    /// Takes a frame to write, and numbers it.
    pub(crate) fn push(&mut self, mut frame: Frame) {
        frame.head[CORRELATION_AT..CORRELATION_AT + 4].copy_from_slice(&self.next_correlation_id.to_be_bytes());
        self.next_correlation_id = self.next_correlation_id.wrapping_add(1) & i32::MAX;
        self.queue.push_back(frame);
    }

    /// Writes as much as the kernel takes. Whether frames are left is told by `has_unwritten`.
    pub(crate) fn flush(&mut self, out: &mut Outbox, now: impl Fn() -> Nanos) -> io::Result<()> {
        while !self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = gather(&self.queue, self.written, &mut slices);
            let began = now();
            match self.stream.write_vectored(&slices[..count]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => {
                    self.stuck_since = None;
                    self.wrote(length, began, out);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.stuck_since.get_or_insert(began);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn wrote(&mut self, mut length: usize, began: Nanos, out: &mut Outbox) {
        while let Some(frame) = self.queue.front() {
            if length == 0 {
                return;
            }
            if self.written == 0 {
                self.first_byte = began;
            }
            let left = frame.len() - self.written;
            if length < left {
                self.written += length;
                return;
            }
            length -= left;
            self.written = 0;
            let frame = self.queue.pop_front().expect("it is the front");
            let id = &frame.head[CORRELATION_AT..CORRELATION_AT + 4];
            let correlation_id = correlation_id(id).expect("the head of a frame holds the id");
            let Frame { party, token, .. } = frame;
            let written = UnderWay { correlation_id, party, token, sent: self.first_byte };
            match frame.answered {
                true => self.under_way.push_back(written),
                false => self.unanswered.push(written),
            }
            out.recycle(frame);
        }
    }

    pub(crate) fn has_unwritten(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Since when the broker owes something: an answer, or room for what is queued.
    pub(crate) fn owed_since(&self) -> Option<Nanos> {
        let answer = self.under_way.front().map(|request| request.sent);
        answer.into_iter().chain(self.stuck_since).min()
    }

    /// Receives once. True: there may be more; false: that was all there is now.
    pub(crate) fn receive(&mut self, spares: &mut Vec<Vec<u8>>) -> Result<bool, Broken> {
        self.make_room(spares)?;
        loop {
            let room = self.received.len() - self.filled;
            match self.stream.read(&mut self.received[self.filled..]) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "end of stream").into()),
                Ok(length) => {
                    self.filled += length;
                    return Ok(length == room);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes room for the answer at hand. Called when no whole answer is left in the buffer.
    fn make_room(&mut self, spares: &mut Vec<Vec<u8>>) -> Result<(), BadLength> {
        self.received.copy_within(self.begin..self.filled, 0);
        self.filled -= self.begin;
        self.begin = 0;
        let needed = frame_len(&self.received[..self.filled], self.answer_max)?.unwrap_or(0);
        if needed > self.received.len() {
            let fits = spares.iter().position(|spare| spare.len() >= needed);
            let spare = fits.map(|at| spares.swap_remove(at));
            let mut larger = spare.unwrap_or_else(|| vec![0; needed.next_power_of_two()]);
            larger[..self.filled].copy_from_slice(&self.received[..self.filled]);
            let before = std::mem::replace(&mut self.received, larger);
            if self.small.is_none() {
                self.small = Some(before);
            }
        } else if self.filled == 0
            && let Some(small) = self.small.take()
        {
            let larger = std::mem::replace(&mut self.received, small);
            spares.push(larger);
            // The newest fits what is received now, so it stays in any case.
            while spares.len() > 1
                && (spares.len() > SPARES_MAX || spares.iter().map(Vec::len).sum::<usize>() > SPARES_BYTES_MAX)
            {
                spares.remove(0);
            }
        }
        Ok(())
    }

    /// The next whole answer with its request, as a range of `received`; without the frame's length.
    pub(crate) fn next_answer(&mut self) -> Result<Option<(UnderWay, Range<usize>)>, Broken> {
        let bytes = &self.received[self.begin..self.filled];
        let Some(length) = frame_len(bytes, self.answer_max)?.filter(|length| *length <= bytes.len()) else {
            return Ok(None);
        };
        let range = self.begin + LENGTH_LEN..self.begin + length;
        let found = correlation_id(&self.received[range.clone()]).expect("shorter frames are refused");
        let request = self.under_way.pop_front();
        let Some(request) = request.filter(|request| request.correlation_id == found) else {
            let expected = request.map(|request| request.correlation_id);
            return Err(Broken::Correlation { found, expected });
        };
        self.begin += length;
        Ok(Some((request, range)))
    }

    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.received[range]
    }
}

/// Fills `slices` with what is to be written next, `skip` bytes of which have been; returns how many there are.
fn gather<'a>(queue: &'a VecDeque<Frame>, mut skip: usize, slices: &mut [IoSlice<'a>]) -> usize {
    let mut count = 0;
    for piece in queue.iter().flat_map(Frame::pieces) {
        let from = skip.min(piece.len());
        skip -= from;
        if from < piece.len() {
            slices[count] = IoSlice::new(&piece[from..]);
            count += 1;
            if count == slices.len() {
                break;
            }
        }
    }
    count
}

#[cfg(test)]
mod tests;
