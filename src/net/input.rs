//! From received bytes to whole requests. A request normally stays in the receive buffers that it came in; what would
//! hold many buffers for few bytes, or for long, is copied together instead, so that slow senders pin little.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gather::{GatherBudget, Held, Reservation, Reserved};
use crate::runtime::net::Socket;
use crate::runtime::{Reactor, Received};
use crate::shard::request_bytes::{PIECES_MAX, RequestBytes, SharedBuffer};

/// Bytes of the length in front of each request.
const PREFIX_LEN: usize = 4;
/// An incomplete request of fewer bytes than this is copied out of its receive buffer at once.
const SMALL_REMAINDER: usize = 4 << 10;
/// A larger request is gathered in a buffer of its own while it arrives.
const IN_PLACE_MAX: usize = 2 << 20;
/// A gathering buffer without memory of the budget grows from here on, by doubling; one with it from `IN_PLACE_MAX`.
const GATHER_STEP: usize = 64 << 10;
/// An incomplete request that has got nothing for so long gives its receive buffers back.
const HOLD_BUFFERS: Duration = Duration::from_millis(50);
/// Empty cells that a connection keeps, of some forty bytes each: as many as a few large requests have buffers. One that
/// is quiet keeps fewer.
const CELLS_KEPT_MAX: usize = 256;
const CELLS_KEPT_QUIET: usize = 16;
/// Gathering buffers that a connection keeps; a larger one is given back to the allocator after its request.
const GATHERED_KEPT_MAX: usize = 4;
const GATHERED_LEN_KEPT_MAX: usize = 16 << 10;
/// How long a request may take to arrive, once its first byte has and there is memory for it.
const ARRIVAL_MAX: Duration = Duration::from_secs(60);
/// How long a request may wait for memory.
const MEMORY_WAIT_MAX: Duration = Duration::from_secs(60);
/// An incomplete request that gets nothing for so long gives its memory up if others wait for it.
const STALL_MAX: Duration = Duration::from_secs(5);
/// How often one that waits for memory, and does not receive meanwhile, looks whether its client is still there.
const CLIENT_LOOK: Duration = Duration::from_secs(1);

/// Why a connection's input cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("reading: {0}")]
    Io(#[from] std::io::Error),
    #[error("a request claims {claimed} bytes; {max} is the most (socket.request.max.bytes)")]
    TooLarge { claimed: i32, max: usize },
    #[error("these bytes are not the Kafka protocol but {what}")]
    Foreign { what: &'static str },
    #[error("the connection ended within a request, {missing} bytes before its end")]
    Cut { missing: usize },
    #[error("a request of {length} bytes did not arrive within {} s", ARRIVAL_MAX.as_secs())]
    TooSlow { length: usize },
    #[error("no memory for an incomplete request of {length} bytes: {used} bytes are held for others, {waiting} wait")]
    NoMemory { length: usize, used: usize, waiting: usize },
    #[error(
        "nothing came of an incomplete request of {length} bytes for {} s, and others wait for its memory",
        STALL_MAX.as_secs()
    )]
    Stalled { length: usize },
}

/// What a connection has received and not yet handed on.
pub struct Input {
    buffers: VecDeque<SharedBuffer>,
    /// Bytes of the first buffer that were handed on.
    consumed: usize,
    /// Bytes in `buffers` beyond `consumed`.
    available: usize,
    /// The front of an incomplete request, copied out of its buffers.
    gathered: Vec<u8>,
    reserved: Option<Reserved>,
    cells: Rc<Cells>,
    budget: Rc<GatherBudget>,
    request_max: usize,
    /// What another shard had received of the connection, before anything that this one receives.
    unread: VecDeque<Received>,
}

/// What came next.
pub enum Next {
    /// A whole request, with the memory that it was gathered in.
    Request(Option<Reserved>),
    /// The client sends no more.
    End,
}

/// What one shard has received of a connection and another is to serve.
#[derive(Default)]
pub struct Leftover {
    buffers: VecDeque<SharedBuffer>,
    /// Bytes of the first buffer that were handed on.
    consumed: usize,
    /// What the socket had received behind that.
    unread: VecDeque<Received>,
}

/// What one connection uses again.
#[derive(Default)]
pub struct Cells {
    /// Empty cells, for receive buffers to come.
    empty: RefCell<Vec<SharedBuffer>>,
    /// Empty buffers to gather in.
    gathering: RefCell<Vec<Vec<u8>>>,
}

impl Cells {
    /// Takes back a cell whose request is over. Its buffer goes back to the shard if nobody else needs it.
    pub fn recycle(&self, mut cell: SharedBuffer) {
        let Some(content) = Arc::get_mut(&mut cell) else { return };
        *content = None;
        let mut empty = self.empty.borrow_mut();
        if empty.len() < CELLS_KEPT_MAX {
            empty.push(cell);
        }
    }

    /// Lets go of a request that is over.
    pub fn clear(&self, request: &mut RequestBytes) {
        let gathered = request.clear(|cell| self.recycle(cell));
        let mut spare = self.gathering.borrow_mut();
        if (1..=GATHERED_LEN_KEPT_MAX).contains(&gathered.capacity()) && spare.len() < GATHERED_KEPT_MAX {
            spare.push(gathered);
        }
    }

    /// Gives back what a quiet connection does not need.
    pub fn trim(&self) {
        let mut empty = self.empty.borrow_mut();
        empty.truncate(CELLS_KEPT_QUIET);
        empty.shrink_to_fit();
        *self.gathering.borrow_mut() = Vec::new();
    }

    fn take(&self) -> SharedBuffer {
        self.empty.borrow_mut().pop().unwrap_or_default()
    }
}

impl Input {
    pub fn new(budget: Rc<GatherBudget>, cells: Rc<Cells>, request_max: usize) -> Self {
        Self {
            buffers: VecDeque::new(),
            consumed: 0,
            available: 0,
            gathered: Vec::new(),
            reserved: None,
            cells,
            budget,
            request_max,
            unread: VecDeque::new(),
        }
    }

    /// Goes on where another shard's input has stopped.
    pub fn resume(&mut self, leftover: Leftover) {
        let received: usize = leftover.buffers.iter().map(|cell| contents(cell).len()).sum();
        self.available = received - leftover.consumed;
        (self.buffers, self.consumed, self.unread) = (leftover.buffers, leftover.consumed, leftover.unread);
    }

    /// What was received and not handed on, and what the socket still had. To be asked for between two requests.
    pub fn into_leftover(mut self, unread: VecDeque<Received>) -> Leftover {
        assert!(self.gathered.is_empty(), "only the front of a request that is waited for is gathered");
        self.unread.extend(unread);
        Leftover { buffers: self.buffers, consumed: self.consumed, unread: self.unread }
    }

    /// What comes next: first what the socket of another shard had received.
    async fn next_received(&mut self, socket: &Socket) -> std::io::Result<Received> {
        match self.unread.pop_front() {
            Some(received) => Ok(received),
            None => socket.recv().await,
        }
    }

    /// Puts the next request into `request`.
    pub async fn next(
        &mut self,
        reactor: &Reactor,
        socket: &Socket,
        request: &mut RequestBytes,
    ) -> Result<Next, Error> {
        while self.len() < PREFIX_LEN {
            // A few bytes are not worth a receive buffer for as long as their client likes.
            self.copy_out(PREFIX_LEN);
            let received = self.next_received(socket).await?;
            if !self.receive(received) {
                return if self.is_empty() {
                    Ok(Next::End)
                } else {
                    Err(Error::Cut { missing: PREFIX_LEN - self.len() })
                };
            }
        }
        let length = self.check_prefix()?;
        let whole = PREFIX_LEN + length;
        let mut deadline = Instant::now() + ARRIVAL_MAX;
        while self.len() < whole {
            if self.should_gather(whole) {
                deadline += self.gather(reactor, socket, whole).await?;
                continue;
            }
            let received = match reactor.timeout_at(Instant::now() + HOLD_BUFFERS, self.next_received(socket)).await {
                Some(received) => received?,
                None => {
                    deadline += self.gather(reactor, socket, whole).await?;
                    if self.len() >= whole {
                        break;
                    }
                    self.receive_late(reactor, socket, whole, deadline).await?
                }
            };
            if !self.receive(received) {
                return Err(Error::Cut { missing: whole - self.len() });
            }
        }
        self.hand_over(length, request);
        Ok(Next::Request(self.reserved.take()))
    }

    /// Whether bytes are there that belong to a request.
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.unread.is_empty()
    }

    fn len(&self) -> usize {
        self.gathered.len() + self.available
    }

    fn check_prefix(&self) -> Result<usize, Error> {
        let mut prefix = [0; PREFIX_LEN];
        for (byte, value) in prefix.iter_mut().zip(self.bytes()) {
            *byte = value;
        }
        if let Some(what) = foreign(&prefix) {
            return Err(Error::Foreign { what });
        }
        let claimed = i32::from_be_bytes(prefix);
        match usize::try_from(claimed) {
            Ok(length) if length <= self.request_max => Ok(length),
            _ => Err(Error::TooLarge { claimed, max: self.request_max }),
        }
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        let buffered = self.buffers.iter().flat_map(|cell| contents(cell).iter().copied());
        self.gathered.iter().copied().chain(buffered.skip(self.consumed))
    }

    fn should_gather(&self, whole: usize) -> bool {
        let pieces_max = if self.budget.is_contended(whole) { 1 } else { PIECES_MAX };
        self.available > 0
            && (self.available < SMALL_REMAINDER || self.buffers.len() >= pieces_max || whole > IN_PLACE_MAX)
    }

    /// Copies what has come of an incomplete request of `whole` bytes, and gives the receive buffers back. Waits for the
    /// memory if need be, and says how long. It may be whole afterwards.
    async fn gather(&mut self, reactor: &Reactor, socket: &Socket, whole: usize) -> Result<Duration, Error> {
        if self.reserved.is_some() || whole <= SMALL_REMAINDER {
            self.copy_out(whole);
            return Ok(Duration::ZERO);
        }
        let mut reservation = self.budget.reserve(whole);
        self.reserved = reservation.take();
        let since = Instant::now();
        if self.reserved.is_none() {
            socket.pause();
            self.take_unread(socket, whole);
            if self.len() >= whole {
                return Ok(Duration::ZERO);
            }
            let held = self.hold(whole)?;
            self.reserved = Some(self.wait_for_memory(reactor, socket, whole, reservation).await?);
            drop(held);
        }
        self.copy_out(whole);
        Ok(since.elapsed())
    }

    /// Accounts for what has come before a wait: copied out of the receive buffers if there is room, else as it is.
    fn hold(&mut self, whole: usize) -> Result<Held, Error> {
        if let Some(held) = self.budget.hold_front(self.len()) {
            self.copy_out(whole);
            return Ok(held);
        }
        self.budget.pin(self.buffers.len()).ok_or_else(|| self.no_memory(whole))
    }

    /// Takes what the socket has received already.
    fn take_unread(&mut self, socket: &Socket, whole: usize) {
        while self.len() < whole
            && self.buffers.len() < PIECES_MAX
            && let Some(received) = self.unread.pop_front().or_else(|| socket.take_unread())
        {
            self.receive(received);
        }
    }

    /// Stands in line. Meanwhile the client's bytes stay in the kernel, whose own back-pressure reaches the client.
    async fn wait_for_memory(
        &self,
        reactor: &Reactor,
        socket: &Socket,
        whole: usize,
        mut reservation: Reservation,
    ) -> Result<Reserved, Error> {
        let deadline = Instant::now() + MEMORY_WAIT_MAX;
        loop {
            let look = deadline.min(Instant::now() + CLIENT_LOOK);
            match reactor.timeout_at(look, &mut reservation).await {
                Some(reserved) => return Ok(reserved),
                None if socket.is_gone() => return Err(std::io::Error::from(ErrorKind::ConnectionReset).into()),
                None if Instant::now() >= deadline => return Err(self.no_memory(whole)),
                None => {}
            }
        }
    }

    fn no_memory(&self, whole: usize) -> Error {
        let (used, waiting) = (self.budget.used(), self.budget.waiting());
        Error::NoMemory { length: whole - PREFIX_LEN, used, waiting }
    }

    /// Copies what has come of a request of `whole` bytes into a buffer of its own.
    fn copy_out(&mut self, whole: usize) {
        if self.gathered.capacity() == 0 {
            self.gathered = self.cells.gathering.borrow_mut().pop().unwrap_or_default();
        }
        let needed = self.gathered.len() + self.available;
        if needed > self.gathered.capacity() {
            // Doubled, but never beyond the request. A length may lie, so that not all of it is asked for at once, and
            // little before there is memory for it. What follows a small front stays in its receive buffers, unless it
            // comes as slowly.
            let step = match self.reserved {
                _ if whole <= IN_PLACE_MAX && needed < SMALL_REMAINDER => SMALL_REMAINDER,
                Some(_) => IN_PLACE_MAX,
                None => GATHER_STEP,
            };
            let wanted = needed.max(2 * self.gathered.capacity()).max(whole.min(step)).min(whole.max(needed));
            self.gathered.reserve_exact(wanted - self.gathered.len());
        }
        self.budget.note_copied(self.available);
        let mut skip = std::mem::take(&mut self.consumed);
        while let Some(cell) = self.buffers.pop_front() {
            self.gathered.extend_from_slice(&contents(&cell)[skip..]);
            skip = 0;
            self.cells.recycle(cell);
        }
        self.available = 0;
    }

    /// Waits for more of an incomplete request that comes slowly, as long as it comes at all.
    async fn receive_late(
        &mut self,
        reactor: &Reactor,
        socket: &Socket,
        whole: usize,
        deadline: Instant,
    ) -> Result<Received, Error> {
        let length = whole - PREFIX_LEN;
        loop {
            let look = deadline.min(Instant::now() + STALL_MAX);
            match reactor.timeout_at(look, self.next_received(socket)).await {
                Some(received) => return Ok(received?),
                None if Instant::now() >= deadline => return Err(Error::TooSlow { length }),
                None if self.reserved.as_ref().is_some_and(Reserved::is_wanted) => {
                    return Err(Error::Stalled { length });
                }
                None => {}
            }
        }
    }

    /// Takes what was received; false at the end of the stream.
    fn receive(&mut self, received: Received) -> bool {
        if received.is_empty() {
            return false;
        }
        self.available += received.len();
        let mut cell = self.cells.take();
        *Arc::get_mut(&mut cell).expect("a spare cell has no other holder") = Some(received);
        self.buffers.push_back(cell);
        true
    }

    /// Moves the first `length` bytes behind the prefix into `request`.
    fn hand_over(&mut self, length: usize, request: &mut RequestBytes) {
        let whole = PREFIX_LEN + length;
        let mut left = whole - self.gathered.len().min(whole);
        assert!(self.gathered.len() <= whole, "only an incomplete request is gathered");
        match self.gathered.is_empty() {
            true => request.set(self.consumed + PREFIX_LEN, length),
            false => {
                std::mem::swap(request.gathered(), &mut self.gathered);
                self.gathered.clear();
                request.set(PREFIX_LEN, length);
            }
        }
        self.available -= left;
        while left > 0 {
            let cell = self.buffers.front().expect("the request has arrived whole").clone();
            let here = contents(&cell).len() - self.consumed;
            request.push(cell);
            if left < here {
                self.consumed += left;
                return;
            }
            left -= here;
            self.consumed = 0;
            if let Some(cell) = self.buffers.pop_front() {
                self.cells.recycle(cell);
            }
        }
    }
}

fn contents(cell: &SharedBuffer) -> &[u8] {
    cell.as_ref().as_ref().map_or(&[], |received| &received[..])
}

/// What speaks here if it is not Kafka: its first bytes would be a length beyond any bound.
fn foreign(prefix: &[u8; PREFIX_LEN]) -> Option<&'static str> {
    match prefix {
        b"GET " | b"POST" | b"HEAD" | b"PUT " | b"OPTI" | b"CONN" | b"DELE" | b"PRI " => Some("HTTP"),
        b"SSH-" => Some("SSH"),
        [0x16, 0x03, ..] => Some("TLS: this listener is PLAINTEXT"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_connection_keeps_little() {
        let cells = Cells::default();
        (0..2 * CELLS_KEPT_MAX).for_each(|_| cells.recycle(SharedBuffer::default()));
        for len in [0, 100, GATHERED_LEN_KEPT_MAX + 1] {
            let mut request = RequestBytes::default();
            request.gathered().reserve_exact(len);
            cells.clear(&mut request);
        }
        let kept = || (cells.empty.borrow().len(), cells.gathering.borrow().len());
        assert_eq!(kept(), (CELLS_KEPT_MAX, 1));
        cells.trim();
        assert_eq!(kept(), (CELLS_KEPT_QUIET, 0));
    }
}
