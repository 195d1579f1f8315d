//! Calls from one shard to another: a closure goes over, runs there as a task, and its result comes back. For everything
//! that is not on the data path.

use std::any::Any;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

use duramen_wire::ids::ShardId;
use slab::Slab;

use super::Shard;
use super::message::{CallBody, CallId, Reply, Request};
use crate::runtime::TaskClass;

/// The calls of one shard that wait for their answers.
#[derive(Default)]
pub struct Calls(RefCell<Slab<Waiting>>);

#[derive(Default)]
struct Waiting {
    answer: Option<Box<dyn Any + Send>>,
    caller: Option<Waker>,
    /// The caller has gone; the answer is dropped.
    abandoned: bool,
}

/// Frees the place of a call when its caller ends, also before the answer has come.
struct Place<'a> {
    calls: &'a Calls,
    key: usize,
}

impl Calls {
    fn open(&self) -> Place<'_> {
        Place { calls: self, key: self.0.borrow_mut().insert(Waiting::default()) }
    }

    pub(super) fn answered(&self, call: CallId, answer: Box<dyn Any + Send>) {
        let mut calls = self.0.borrow_mut();
        let waiting = &mut calls[call.0];
        if waiting.abandoned {
            calls.remove(call.0);
            return;
        }
        waiting.answer = Some(answer);
        if let Some(caller) = waiting.caller.take() {
            caller.wake();
        }
    }
}

impl Place<'_> {
    async fn answer(&self) -> Box<dyn Any + Send> {
        poll_fn(|context| {
            let mut calls = self.calls.0.borrow_mut();
            let waiting = &mut calls[self.key];
            match waiting.answer.take() {
                Some(answer) => Poll::Ready(answer),
                None => {
                    waiting.caller = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut calls = self.calls.0.borrow_mut();
        let waiting = &mut calls[self.key];
        // Without an answer taken, one may still come and must find its place.
        match waiting.caller.is_some() && waiting.answer.is_none() {
            true => waiting.abandoned = true,
            false => drop(calls.remove(self.key)),
        }
    }
}

impl Shard {
    /// Runs `body` on another shard, or here, and returns what it returns.
    pub async fn call<R, F>(&self, to: ShardId, body: impl FnOnce(Rc<Shard>) -> F + Send + 'static) -> R
    where
        R: Send + 'static,
        F: Future<Output = R> + 'static,
    {
        if to == self.id {
            return body(self.this()).await;
        }
        let place = self.calls.open();
        let body: CallBody = Box::new(move |shard| {
            let answer = body(shard);
            Box::pin(async move { Box::new(answer.await) as Box<dyn Any + Send> })
        });
        let sent = self.peers().request(to, Request::Call(CallId(place.key), body)).await;
        if sent.is_err() {
            // The other shard has ended, so the broker stops; nobody waits for this any more.
            std::future::pending::<()>().await;
        }
        let answer = place.answer().await;
        *answer.downcast().expect("a call is answered with what its body returns")
    }

    pub(super) fn run_call(&self, from: ShardId, call: CallId, body: CallBody) {
        let shard = self.this();
        let task = body(shard.clone());
        self.reactor.spawn(TaskClass::Serve, async move {
            let answer = task.await;
            shard.answer(from, Reply::Call(call, answer));
        });
    }
}
