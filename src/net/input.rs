//! From received bytes to whole requests. A request normally stays in the receive buffers that it came in; what would
//! hold many buffers for few bytes, or for long, is copied together instead, so that slow senders pin little.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::runtime::Reactor;
use crate::runtime::net::Socket;
use crate::shard::request_bytes::{PIECES_MAX, RequestBytes, SharedBuffer};

/// Bytes of the length in front of each request.
const PREFIX_LEN: usize = 4;
/// An incomplete request of fewer bytes than this is copied out of its receive buffer at once.
const SMALL_REMAINDER: usize = 4 << 10;
/// A larger request is gathered in a buffer of its own while it arrives.
const IN_PLACE_MAX: usize = 2 << 20;
/// An incomplete request that has got nothing for so long gives its receive buffers back.
const HOLD_BUFFERS: Duration = Duration::from_millis(50);
/// Empty cells that a connection keeps.
const CELLS_KEPT_MAX: usize = 16;
/// How long a request may wait for memory, and how long one may take to arrive, once its first byte has.
const ARRIVAL_MAX: Duration = Duration::from_secs(60);

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
    #[error("no memory for an incomplete request of {length} bytes: {used} bytes are held for others")]
    NoMemory { length: usize, used: usize },
}

/// The memory of one shard for requests that are copied together, in bytes.
pub struct GatherBudget {
    used: Cell<usize>,
    max: usize,
}

impl GatherBudget {
    pub fn new(max: usize) -> Rc<Self> {
        Rc::new(Self { used: Cell::new(0), max })
    }

    pub fn used(&self) -> usize {
        self.used.get()
    }

    pub fn max(&self) -> usize {
        self.max
    }

    fn take(self: &Rc<Self>, length: usize) -> Result<Reserved, Error> {
        let used = self.used.get();
        if used > 0 && used + length > self.max {
            return Err(Error::NoMemory { length, used });
        }
        self.used.set(used + length);
        Ok(Reserved { budget: self.clone(), length })
    }
}

/// Bytes of the budget; given back when dropped.
pub struct Reserved {
    budget: Rc<GatherBudget>,
    length: usize,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.budget.used.set(self.budget.used.get() - self.length);
    }
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
}

/// What one shard has received of a connection and another is to serve.
#[derive(Default)]
pub struct Leftover {
    pub(super) buffers: VecDeque<SharedBuffer>,
    /// Bytes of the first buffer that were handed on.
    consumed: usize,
}

/// Empty cells of one connection, for receive buffers to come.
#[derive(Default)]
pub struct Cells(RefCell<Vec<SharedBuffer>>);

impl Cells {
    /// Takes back a cell whose request is over. Its buffer goes back to the shard if nobody else needs it.
    pub fn recycle(&self, mut cell: SharedBuffer) {
        let Some(content) = Arc::get_mut(&mut cell) else { return };
        *content = None;
        let mut spare = self.0.borrow_mut();
        if spare.len() < CELLS_KEPT_MAX {
            spare.push(cell);
        }
    }

    fn take(&self) -> SharedBuffer {
        self.0.borrow_mut().pop().unwrap_or_default()
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
        }
    }

    /// Goes on where another shard's input has stopped.
    pub fn resume(&mut self, leftover: Leftover) {
        let received: usize = leftover.buffers.iter().map(|cell| contents(cell).len()).sum();
        self.available = received - leftover.consumed;
        (self.buffers, self.consumed) = (leftover.buffers, leftover.consumed);
    }

    /// What was received and not handed on. To be asked for between two requests.
    pub fn into_leftover(self) -> Leftover {
        assert!(self.gathered.is_empty(), "only the front of a request that is waited for is gathered");
        Leftover { buffers: self.buffers, consumed: self.consumed }
    }

    /// Puts the next request into `request`. `None` at the end of the stream.
    pub async fn next(
        &mut self,
        reactor: &Reactor,
        socket: &Socket,
        request: &mut RequestBytes,
    ) -> Result<Option<Reserved>, Error> {
        while self.len() < PREFIX_LEN {
            if !self.receive(reactor, socket, None).await? {
                return if self.is_empty() { Ok(None) } else { Err(Error::Cut { missing: PREFIX_LEN - self.len() }) };
            }
        }
        let length = self.check_prefix()?;
        let whole = PREFIX_LEN + length;
        let deadline = Instant::now() + ARRIVAL_MAX;
        while self.len() < whole {
            if self.should_gather(whole) {
                self.gather(whole)?;
            }
            if !self.receive(reactor, socket, Some((whole, deadline))).await? {
                return Err(Error::Cut { missing: whole - self.len() });
            }
        }
        self.hand_over(length, request);
        Ok(Some(self.reserved.take().unwrap_or(Reserved { budget: self.budget.clone(), length: 0 })))
    }

    /// Whether bytes are there that belong to a request.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
        self.available > 0
            && (self.available < SMALL_REMAINDER || self.buffers.len() >= PIECES_MAX || whole > IN_PLACE_MAX)
    }

    /// Copies what has come of an incomplete request of `whole` bytes, and gives the receive buffers back.
    fn gather(&mut self, whole: usize) -> Result<(), Error> {
        if self.reserved.is_none() && whole > SMALL_REMAINDER {
            self.reserved = Some(self.budget.take(whole)?);
        }
        if self.gathered.capacity() == 0 {
            self.gathered.reserve(whole.min(IN_PLACE_MAX));
        }
        let mut skip = std::mem::take(&mut self.consumed);
        while let Some(cell) = self.buffers.pop_front() {
            self.gathered.extend_from_slice(&contents(&cell)[skip..]);
            skip = 0;
            self.cells.recycle(cell);
        }
        self.available = 0;
        Ok(())
    }

    /// Waits for more bytes; false at the end of the stream. `within` names the length of the incomplete request that
    /// the bytes belong to, and when it must be whole.
    async fn receive(
        &mut self,
        reactor: &Reactor,
        socket: &Socket,
        within: Option<(usize, Instant)>,
    ) -> Result<bool, Error> {
        let received = match within {
            None => socket.recv().await?,
            Some((whole, deadline)) => match reactor.timeout_at(Instant::now() + HOLD_BUFFERS, socket.recv()).await {
                Some(received) => received?,
                None => {
                    self.gather(whole)?;
                    let late = reactor.timeout_at(deadline, socket.recv()).await;
                    late.ok_or(Error::TooSlow { length: whole - PREFIX_LEN })??
                }
            },
        };
        if received.is_empty() {
            return Ok(false);
        }
        self.available += received.len();
        let mut cell = self.cells.take();
        *Arc::get_mut(&mut cell).expect("a spare cell has no other holder") = Some(received);
        self.buffers.push_back(cell);
        Ok(true)
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
