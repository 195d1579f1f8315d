//! Accepting connections.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::Bound;
use crate::runtime::op::Multishot;
use crate::runtime::reactor::{Reactor, Shared};
use crate::runtime::ring::Completion;
use crate::runtime::{entries, sys};

/// Accepted connections that wait for [`Listener::accept`]; beyond it they wait in the kernel.
const ACCEPTED_MAX: usize = 64;

/// A listening socket on a shard.
pub struct Listener {
    core: Rc<ListenerCore>,
    shared: Rc<Shared>,
}

impl Listener {
    pub fn new(reactor: &Reactor, bound: Bound) -> Self {
        let core = ListenerCore { socket: bound.0, state: RefCell::default(), dropped: Cell::new(false) };
        Self { core: Rc::new(core), shared: reactor.0.clone() }
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.core.socket.local_addr()
    }

    /// The next connection and its peer. The descriptor may become a socket on any shard.
    ///
    /// An error (too many open files, say) concerns one connection: the caller waits a while and goes on.
    pub async fn accept(&self) -> io::Result<(OwnedFd, SocketAddr)> {
        loop {
            let stream = TcpStream::from(poll_fn(|context| self.core.poll_accept(&self.shared, context)).await?);
            // A connection that is gone already has no peer.
            if let Ok(peer) = stream.peer_addr() {
                return Ok((stream.into(), peer));
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.core.dropped.set(true);
        let (armed, accepted) = {
            let mut state = self.core.state.borrow_mut();
            (state.armed, std::mem::take(&mut state.accepted))
        };
        drop(accepted);
        if let Some(operation) = armed {
            self.shared.cancel_op(operation);
        }
    }
}

/// The part of a listener that the kernel's operation keeps alive.
pub(in crate::runtime) struct ListenerCore {
    socket: TcpListener,
    state: RefCell<State>,
    dropped: Cell<bool>,
}

#[derive(Default)]
struct State {
    accepted: VecDeque<OwnedFd>,
    /// errno of an accept that failed.
    failed: Option<i32>,
    waker: Option<Waker>,
    /// The operation in flight.
    armed: Option<u32>,
    pausing: bool,
}

impl ListenerCore {
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn poll_accept(self: &Rc<Self>, shared: &Rc<Shared>, context: &mut Context<'_>) -> Poll<io::Result<OwnedFd>> {
        let mut state = self.state.borrow_mut();
        if let Some(accepted) = state.accepted.pop_front() {
            return Poll::Ready(Ok(accepted));
        }
        if let Some(errno) = state.failed.take() {
            return Poll::Ready(Err(io::Error::from_raw_os_error(errno)));
        }
        if state.armed.is_none() && !shared.closing.get() {
            state.armed = Some(entries::accept(shared, self)?);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Multishot for ListenerCore {
    fn completed(self: Rc<Self>, shared: &Rc<Shared>, completion: Completion) {
        let accepted = (completion.result >= 0).then(|| sys::accepted(completion.result));
        let mut state = self.state.borrow_mut();
        if !completion.more() {
            state.armed = None;
            state.pausing = false;
        }
        match accepted {
            Some(accepted) if !self.dropped.get() => state.accepted.push_back(accepted),
            Some(_) => {}
            None => match -completion.result {
                libc::ECANCELED | libc::EINTR | libc::EAGAIN | libc::ECONNABORTED => {}
                errno => state.failed = Some(errno),
            },
        }
        if let Some(operation) = state.armed
            && state.accepted.len() >= ACCEPTED_MAX
            && !std::mem::replace(&mut state.pausing, true)
        {
            shared.cancel_op(operation);
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
