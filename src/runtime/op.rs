//! Operations in the ring. The slab owns whatever memory and descriptors the kernel works with until the last completion
//! has come, so a future may be dropped at any time.
#![expect(unsafe_code, reason = "entries may point to memory")]

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use io_uring::{opcode, squeue};

use super::disk::InUse;
use super::net::SocketCore;
use super::reactor::Shared;
use super::ring::Completion;
use crate::log::memory::IoList;

/// Completions of cancels and of messages to other rings, which nobody waits for.
pub(super) const TOKEN_IGNORED: u64 = u64::MAX;
/// Another shard ends this one's sleep.
pub(super) const TOKEN_WAKE: u64 = u64::MAX - 1;

/// An operation in flight.
pub(super) enum Op {
    Single(Single),
    Multi(Rc<dyn Multishot>),
}

/// An operation with many completions.
pub(super) trait Multishot {
    /// Called for each; after one without `more` the operation is over and its slot free.
    fn completed(self: Rc<Self>, shared: &Rc<Shared>, completion: Completion);
}

pub(super) struct Single {
    state: State,
    keep: Keep,
}

enum State {
    Waiting(Option<Waker>),
    Done(i32),
    /// Nobody waits; the slot is freed by the completion.
    Abandoned,
}

/// What must live as long as the operation.
pub(super) enum Keep {
    Socket(#[expect(dead_code, reason = "keeps the descriptor open")] Rc<SocketCore>),
    File(#[expect(dead_code, reason = "keeps the descriptor open")] InUse),
    List(#[expect(dead_code, reason = "keeps the descriptor open")] InUse, IoList),
    /// As `List`, for the rest of a list whose first part has been moved.
    Rest(
        #[expect(dead_code, reason = "keeps the descriptor open")] InUse,
        IoList,
        #[expect(dead_code, reason = "keeps what the kernel reads")] Box<[libc::iovec]>,
    ),
}

impl Keep {
    /// The list of a read or write.
    pub fn into_list(self) -> IoList {
        match self {
            Self::List(_, list) | Self::Rest(_, list, _) => list,
            Self::Socket(_) | Self::File(_) => unreachable!("reads and writes of lists keep their list"),
        }
    }
}

/// A future for one operation's result: what the kernel returned, and what was kept.
pub(super) struct OpFuture {
    shared: Rc<Shared>,
    slot: u32,
    /// Whether the kernel is asked to give up when nobody waits any more.
    cancel_on_drop: bool,
    taken: bool,
}

impl OpFuture {
    /// # Safety
    /// `keep` owns, at a fixed address, whatever `entry` points to.
    pub unsafe fn start(
        shared: &Rc<Shared>,
        entry: squeue::Entry,
        keep: Keep,
        cancel_on_drop: bool,
    ) -> Result<Self, (io::Error, Keep)> {
        if let Err(error) = shared.ring.borrow_mut().reserve() {
            return Err((error, keep));
        }
        let single = Single { state: State::Waiting(None), keep };
        let slot = shared.ops.borrow_mut().insert(Op::Single(single));
        // SAFETY: the slot keeps it until the completion.
        let pushed = unsafe { shared.push(entry.user_data(u64::from(slot))) };
        pushed.expect("there is the room that was reserved");
        Ok(Self { shared: shared.clone(), slot, cancel_on_drop, taken: false })
    }
}

impl Future for OpFuture {
    type Output = (i32, Keep);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut ops = self.shared.ops.borrow_mut();
        let Some(Op::Single(single)) = ops.get_mut(self.slot) else { unreachable!("a future's slot is its own") };
        match &mut single.state {
            State::Waiting(waker) => {
                if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
                    *waker = Some(context.waker().clone());
                }
                Poll::Pending
            }
            State::Done(result) => {
                let result = *result;
                let Some(Op::Single(single)) = ops.remove(self.slot) else { unreachable!("seen above") };
                drop(ops);
                self.taken = true;
                Poll::Ready((result, single.keep))
            }
            State::Abandoned => unreachable!("only a dropped future abandons its operation"),
        }
    }
}

impl Drop for OpFuture {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        let mut ops = self.shared.ops.borrow_mut();
        let Some(Op::Single(single)) = ops.get_mut(self.slot) else { return };
        let finished = match single.state {
            State::Done(_) => ops.remove(self.slot),
            _ => {
                single.state = State::Abandoned;
                None
            }
        };
        drop(ops);
        if finished.is_none() && self.cancel_on_drop {
            self.shared.cancel_op(self.slot);
        }
    }
}

impl Shared {
    /// # Safety
    /// As for `Ring::push`.
    unsafe fn push(&self, entry: squeue::Entry) -> io::Result<()> {
        // SAFETY: passed on to the caller.
        unsafe { self.ring.borrow_mut().push(&entry) }
    }

    /// Queues an entry that points to no memory and that nobody waits for. If the ring cannot take it, it is lost.
    pub fn push_plain(&self, entry: squeue::Entry) {
        // SAFETY: the entry points to nothing.
        if let Err(error) = unsafe { self.push(entry.user_data(TOKEN_IGNORED)) } {
            tracing::warn!(shard = self.shard.0, %error, "the ring does not take an entry");
        }
    }

    /// Starts an operation with many completions, made by `entry` without its token.
    ///
    /// # Safety
    /// `multi` owns what the entry names.
    pub unsafe fn start_multishot(&self, entry: squeue::Entry, multi: Rc<dyn Multishot>) -> io::Result<u32> {
        let slot = self.ops.borrow_mut().insert(Op::Multi(multi));
        // SAFETY: the slot keeps `multi` until the last completion; passed on to the caller otherwise.
        let pushed = unsafe { self.push(entry.user_data(u64::from(slot))) };
        if let Err(error) = pushed {
            let removed = self.ops.borrow_mut().remove(slot);
            drop(removed);
            return Err(error);
        }
        Ok(slot)
    }

    /// Asks the kernel to end an operation. Its last completion comes in any case.
    pub fn cancel_op(&self, slot: u32) {
        self.push_plain(opcode::AsyncCancel::new(u64::from(slot)).build());
    }

    /// Hands a completion to whoever waits for it.
    pub fn dispatch(self: &Rc<Self>, completion: Completion) {
        if completion.token >= TOKEN_WAKE {
            return;
        }
        let slot = completion.token as u32;
        let mut ops = self.ops.borrow_mut();
        match ops.get_mut(slot) {
            None => unreachable!("the kernel completes only what was started"),
            Some(Op::Multi(multi)) => {
                let multi = multi.clone();
                let last = (!completion.more()).then(|| ops.remove(slot));
                drop(ops);
                multi.completed(self, completion);
                drop(last);
            }
            Some(Op::Single(single)) => {
                let before = std::mem::replace(&mut single.state, State::Done(completion.result));
                let abandoned = matches!(before, State::Abandoned).then(|| ops.remove(slot));
                drop(ops);
                drop(abandoned);
                if let State::Waiting(Some(waker)) = before {
                    waker.wake();
                }
            }
        }
    }
}
