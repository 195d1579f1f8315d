//! A connection: received in the kernel's own time into the shard's buffers, sent at once where the socket takes it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use crate::runtime::buffers::Received;
use crate::runtime::disk::DiskFile;
use crate::runtime::op::Multishot;
use crate::runtime::reactor::{Reactor, Shared};
use crate::runtime::ring::Completion;
use crate::runtime::{entries, sys};

/// Received buffers that a connection may have waiting for its reader; at that number receiving stops until half of
/// them are read. What the kernel delivers in one go may exceed it.
pub const RECEIVE_QUEUE_MAX: usize = 16;
/// The same when buffers are scarce.
const RECEIVE_QUEUE_MIN: usize = 2;
/// Pieces and bytes that one system call sends.
const SEND_PIECES_MAX: usize = 128;
const SEND_BYTES_MAX: usize = 1 << 20;
/// How often, and how many times in vain, a silent peer is asked whether it is there.
const PROBE_EVERY: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;
/// Bytes of a file that one system call sends.
const SEND_FILE_MAX: usize = 128 << 10;

/// A TCP connection on this shard. Clones are handles to the same; one task may receive while another sends, but at most
/// one at a time does either. The last handle closes it.
#[derive(Clone)]
pub struct Socket(Rc<Handle>);

impl Socket {
    /// Takes over a connected socket.
    pub fn new(reactor: &Reactor, fd: OwnedFd) -> io::Result<Self> {
        let socket = SockRef::from(&fd);
        // sendfile has no flag of its own for this; receives in the ring wait nevertheless.
        socket.set_nonblocking(true)?;
        if !socket.local_addr()?.is_unix() {
            socket.set_tcp_nodelay(true)?;
        }
        let core = SocketCore { fd, state: RefCell::default(), shut: Cell::new(false), dropped: Cell::new(false) };
        Ok(Self(Rc::new(Handle { core: Rc::new(core), reactor: reactor.clone() })))
    }

    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        let address = SockRef::from(&self.0.core.fd).peer_addr()?;
        address.as_socket().ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = SockRef::from(&self.0.core.fd).local_addr()?;
        address.as_socket().ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// The next received bytes; empty at the end of the stream, and after [`Socket::shutdown`].
    pub async fn recv(&self) -> io::Result<Received> {
        poll_fn(|context| self.0.core.poll_recv(&self.0.reactor.0, context)).await
    }

    /// Sends all pieces in order. If the future is dropped or fails, some of them may have been sent.
    pub async fn send(&self, pieces: &[IoSlice<'_>]) -> io::Result<()> {
        let mut at = Position { piece: 0, byte: 0 };
        loop {
            match self.0.core.send_some(pieces, &mut at) {
                Ok(Sent::All) => return Ok(()),
                Ok(Sent::More) => self.0.reactor.yield_if_due().await,
                Ok(Sent::Full) => self.writable().await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends bytes of a file straight from the page cache. The file must be opened through it and must not be written in
    /// place, now or while the bytes are on their way. Pages that are not cached are read on the calling thread.
    pub async fn send_file(&self, file: &DiskFile, range: Range<u64>) -> io::Result<()> {
        let mut at = range.start;
        while at < range.end {
            let len = (range.end - at).min(SEND_FILE_MAX as u64) as usize;
            match sys::send_file(self.0.core.fd(), file.fd(), at, len) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(sent) => {
                    at += sent as u64;
                    self.0.reactor.yield_if_due().await;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends both directions: whoever receives gets what has arrived and then the end, whoever sends an error.
    pub fn shutdown(&self) {
        let core = &self.0.core;
        core.shut.set(true);
        // A socket that is no longer connected is shut down already.
        let _shut = SockRef::from(&core.fd).shutdown(Shutdown::Both);
        let waker = core.state.borrow_mut().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the connection from this shard, between two receives, so that another may serve it: a descriptor of it, and
    /// what was received and not read. `None` if it has ended, or was shut down: it is as it was then. Nobody may receive
    /// meanwhile.
    pub async fn detach(&self) -> io::Result<Option<Detached>> {
        let (core, shared) = (&self.0.core, &self.0.reactor.0);
        let armed = {
            let mut state = core.state.borrow_mut();
            state.detaching = true;
            if std::mem::take(&mut state.starved) {
                shared.starved.borrow_mut().retain(|waiting| !Rc::ptr_eq(waiting, core));
            }
            state.armed.filter(|_| !std::mem::replace(&mut state.pausing, true))
        };
        if let Some(operation) = armed {
            shared.cancel_op(operation);
        }
        poll_fn(|context| {
            let mut state = core.state.borrow_mut();
            if state.armed.is_none() {
                return Poll::Ready(());
            }
            state.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        let mut state = core.state.borrow_mut();
        state.detaching = false;
        if state.end.is_some() || core.shut.get() {
            return Ok(None);
        }
        // Without a descriptor to spare it stays.
        let Ok(fd) = core.fd.try_clone() else { return Ok(None) };
        Ok(Some(Detached { fd, unread: std::mem::take(&mut state.received) }))
    }

    /// Leaves what comes from now on with the kernel, until the next [`Socket::recv`].
    pub fn pause(&self) {
        let (core, shared) = (&self.0.core, &self.0.reactor.0);
        let mut state = core.state.borrow_mut();
        if std::mem::take(&mut state.starved) {
            shared.starved.borrow_mut().retain(|waiting| !Rc::ptr_eq(waiting, core));
        }
        if let Some(operation) = state.armed
            && !std::mem::replace(&mut state.pausing, true)
        {
            shared.cancel_op(operation);
        }
    }

    /// What was received and waits for [`Socket::recv`], which is not begun by this.
    pub fn take_unread(&self) -> Option<Received> {
        self.0.core.state.borrow_mut().received.pop_front()
    }

    /// Ends when the client sends no more, or is gone. To be called instead of [`Socket::recv`], not beside it.
    pub async fn ended(&self) {
        poll_fn(|context| {
            let mut state = self.0.core.state.borrow_mut();
            if state.end.is_some() || self.0.core.shut.get() || self.0.core.arm(&mut state, &self.0.reactor.0).is_err()
            {
                return Poll::Ready(());
            }
            state.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Whether the peer is gone altogether: it has reset the connection, or this side has ended it. One that only sends
    /// no more may still read.
    pub fn is_gone(&self) -> bool {
        let core = &self.0.core;
        let failed = matches!(core.state.borrow().end, Some(End::Failed(_)));
        failed || core.shut.get() || sys::is_hung_up(core.fd())
    }

    /// Has the kernel ask from time to time whether the peer is still there.
    pub fn keep_alive(&self) {
        let probes = TcpKeepalive::new().with_time(PROBE_EVERY).with_interval(PROBE_EVERY).with_retries(PROBES);
        // A socket that is gone needs none.
        let _set = SockRef::from(&self.0.core.fd).set_tcp_keepalive(&probes);
    }

    async fn writable(&self) -> io::Result<()> {
        let (result, _) = entries::writable(&self.0.reactor.0, &self.0.core)?.await;
        if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(()) }
    }
}

/// A connection on its way to another shard.
pub struct Detached {
    pub fd: OwnedFd,
    /// In the order in which it was received.
    pub unread: VecDeque<Received>,
}

struct Handle {
    core: Rc<SocketCore>,
    reactor: Reactor,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let (core, shared) = (&self.core, &self.reactor.0);
        core.dropped.set(true);
        let mut state = core.state.borrow_mut();
        let unread = std::mem::take(&mut state.received);
        let (armed, starved) = (state.armed, state.starved);
        drop(state);
        drop(unread);
        if let Some(operation) = armed {
            shared.cancel_op(operation);
        }
        if starved {
            shared.starved.borrow_mut().retain(|waiting| !Rc::ptr_eq(waiting, core));
        }
    }
}

enum Sent {
    All,
    More,
    Full,
}

struct Position {
    piece: usize,
    byte: usize,
}

impl Position {
    fn advance(&mut self, pieces: &[IoSlice<'_>], mut bytes: usize) {
        while let Some(piece) = pieces.get(self.piece) {
            let left = piece.len() - self.byte;
            if bytes < left {
                self.byte += bytes;
                return;
            }
            bytes -= left;
            self.piece += 1;
            self.byte = 0;
        }
    }
}

/// The part of a connection that the kernel's operations keep alive.
pub(in crate::runtime) struct SocketCore {
    fd: OwnedFd,
    state: RefCell<State>,
    /// Shut down by this side.
    shut: Cell<bool>,
    /// No handle is left.
    dropped: Cell<bool>,
}

#[derive(Default)]
struct State {
    received: VecDeque<Received>,
    waker: Option<Waker>,
    /// The receive operation in flight.
    armed: Option<u32>,
    /// It has been asked to end.
    pausing: bool,
    /// The connection is leaving; nothing is armed again.
    detaching: bool,
    /// In the shard's list of connections that wait for a buffer.
    starved: bool,
    end: Option<End>,
}

#[derive(Clone, Copy)]
enum End {
    Stream,
    /// errno.
    Failed(i32),
}

impl SocketCore {
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Receives again, now that there are buffers.
    pub fn rearm(self: &Rc<Self>, shared: &Rc<Shared>) {
        let mut state = self.state.borrow_mut();
        state.starved = false;
        if let Err(error) = self.arm(&mut state, shared) {
            state.end = Some(End::Failed(error.raw_os_error().unwrap_or(libc::EIO)));
            let waker = state.waker.take();
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn poll_recv(self: &Rc<Self>, shared: &Rc<Shared>, context: &mut Context<'_>) -> Poll<io::Result<Received>> {
        let mut state = self.state.borrow_mut();
        let received = state.received.pop_front();
        if received.is_none() {
            match state.end {
                Some(End::Stream) => return Poll::Ready(Ok(Received::end())),
                Some(End::Failed(errno)) => return Poll::Ready(Err(io::Error::from_raw_os_error(errno))),
                None if self.shut.get() => return Poll::Ready(Ok(Received::end())),
                None => {}
            }
        }
        self.arm(&mut state, shared)?;
        match received {
            Some(received) => Poll::Ready(Ok(received)),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Starts to receive unless that is under way, pointless, or ahead of the reader.
    fn arm(self: &Rc<Self>, state: &mut State, shared: &Rc<Shared>) -> io::Result<()> {
        let over =
            state.detaching || state.end.is_some() || self.shut.get() || self.dropped.get() || shared.closing.get();
        let ahead = state.received.len() > queue_max(shared) / 2;
        if state.armed.is_none() && !state.starved && !over && !ahead {
            state.armed = Some(entries::receive(shared, self)?);
        }
        Ok(())
    }

    fn send_some(&self, pieces: &[IoSlice<'_>], at: &mut Position) -> io::Result<Sent> {
        let mut vectors = [IoSlice::new(&[]); SEND_PIECES_MAX];
        let (mut count, mut bytes) = (0, 0);
        let mut skip = at.byte;
        for piece in &pieces[at.piece.min(pieces.len())..] {
            let len = (piece.len() - skip).min(SEND_BYTES_MAX - bytes);
            if count == SEND_PIECES_MAX || bytes == SEND_BYTES_MAX {
                break;
            }
            vectors[count] = IoSlice::new(&piece[skip..skip + len]);
            count += 1;
            bytes += len;
            skip = 0;
        }
        if bytes == 0 {
            at.advance(pieces, 0);
            return Ok(if at.piece == pieces.len() { Sent::All } else { Sent::More });
        }
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        match SockRef::from(&self.fd).send_vectored_with_flags(&vectors[..count], flags) {
            Ok(sent) => {
                at.advance(pieces, sent);
                let all = at.piece == pieces.len();
                Ok(if all {
                    Sent::All
                } else if sent < bytes {
                    Sent::Full
                } else {
                    Sent::More
                })
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Sent::Full),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Sent::More),
            Err(error) => Err(error),
        }
    }
}

impl Multishot for SocketCore {
    fn completed(self: Rc<Self>, shared: &Rc<Shared>, completion: Completion) {
        let len = usize::try_from(completion.result).unwrap_or(0);
        let received = completion.buffer().map(|buffer| shared.buffers.borrow_mut().take(buffer, len));
        let mut state = self.state.borrow_mut();
        if !completion.more() {
            state.armed = None;
            state.pausing = false;
        }
        match completion.result {
            0 => state.end = Some(End::Stream),
            1.. if self.dropped.get() => {}
            1.. => state.received.push_back(received.expect("received bytes lie in a provided buffer")),
            result => match -result {
                libc::ENOBUFS if !state.detaching && !self.dropped.get() && !shared.closing.get() => {
                    state.starved = true;
                    shared.starved.borrow_mut().push_back(self.clone());
                }
                libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
                errno => state.end = Some(End::Failed(errno)),
            },
        }
        // A cancellation may have missed the operation while it delivered this, so it is asked again.
        if let Some(operation) = state.armed
            && (state.pausing || state.received.len() >= queue_max(shared))
        {
            state.pausing = true;
            shared.cancel_op(operation);
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// How many received buffers may wait for one reader: fewer when the shard has few left.
fn queue_max(shared: &Shared) -> usize {
    (shared.buffers.borrow().available() / 8).clamp(RECEIVE_QUEUE_MIN, RECEIVE_QUEUE_MAX)
}
