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
use crate::runtime::{Permit, TaskClass};

/// The calls of one shard that wait for their answers.
#[derive(Default)]
pub struct Calls(RefCell<Slab<Waiting>>);

#[derive(Default)]
struct Waiting {
    answer: Option<Box<dyn Any + Send>>,
    caller: Option<Waker>,
    /// The caller has gone; the answer is dropped.
    abandoned: bool,
    /// Its place among the long ones, until the answer comes.
    permit: Option<Permit>,
}

/// Frees the place of a call when its caller ends, also before the answer has come.
struct Place<'a> {
    calls: &'a Calls,
    key: usize,
}

impl Calls {
    fn open(&self, permit: Option<Permit>) -> Place<'_> {
        Place { calls: self, key: self.0.borrow_mut().insert(Waiting { permit, ..Waiting::default() }) }
    }

    pub(super) fn answered(&self, call: CallId, answer: Box<dyn Any + Send>) {
        let mut calls = self.0.borrow_mut();
        let waiting = &mut calls[call.0];
        let permit = waiting.permit.take();
        if waiting.abandoned {
            calls.remove(call.0);
        } else {
            waiting.answer = Some(answer);
            if let Some(caller) = waiting.caller.take() {
                caller.wake();
            }
        }
        drop(calls);
        drop(permit);
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
    /// Runs `body` on another shard, or here, as a task of its own, and returns what it returns. If the caller is dropped
    /// meanwhile, the body is carried through nevertheless.
    pub async fn call<R, F>(&self, to: ShardId, body: impl FnOnce(Rc<Shard>) -> F + Send + 'static) -> R
    where
        R: Send + 'static,
        F: Future<Output = R> + 'static,
    {
        self.call_holding(None, to, body).await
    }

    /// As `call`, for what may take as long as clients like: at most half of the messages to another shard are such.
    pub async fn call_long<R, F>(&self, to: ShardId, body: impl FnOnce(Rc<Shard>) -> F + Send + 'static) -> R
    where
        R: Send + 'static,
        F: Future<Output = R> + 'static,
    {
        let permit = if to == self.id { None } else { Some(Permit::acquire(self.long_place(to)).await) };
        self.call_holding(permit, to, body).await
    }

    async fn call_holding<R, F>(
        &self,
        permit: Option<Permit>,
        to: ShardId,
        body: impl FnOnce(Rc<Shard>) -> F + Send + 'static,
    ) -> R
    where
        R: Send + 'static,
        F: Future<Output = R> + 'static,
    {
        let place = self.calls.open(permit);
        let body: CallBody = Box::new(move |shard| {
            let answer = body(shard);
            Box::pin(async move { Box::new(answer.await) as Box<dyn Any + Send> })
        });
        if to == self.id {
            self.run_call(to, CallId(place.key), body);
        } else if self.peers().request(to, Request::Call(CallId(place.key), body)).await.is_err() {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::runtime::mesh::Mesh;
    use crate::runtime::{Pool, Spec, spawn_shard};

    /// Turns of the shard in which a task has come to its end.
    const TURNS: usize = 100;

    #[test]
    fn a_call_is_carried_through_though_nobody_waits_for_it() {
        for to in [ShardId(0), ShardId(1)] {
            let mut ends = Mesh::new(2, 8).into_iter();
            let (here, there) = (ends.next().unwrap(), ends.next().unwrap());
            let done = Arc::new(AtomicBool::new(false));
            let pool = Pool::new(1, 1);
            let stop = Arc::new(AtomicBool::new(false));
            let stopped = stop.clone();
            let other = spawn_shard(Spec::new(ShardId(1), pool.clone()), move |reactor| async move {
                let _shard = Shard::new(ShardId(1), reactor.clone(), there);
                while !stopped.load(Ordering::Acquire) {
                    reactor.yield_now().await;
                }
            });
            let seen = done.clone();
            let caller = spawn_shard(Spec::new(ShardId(0), pool), move |reactor| async move {
                let shard = Shard::new(ShardId(0), reactor.clone(), here);
                let mut call = Box::pin(shard.call(to, move |shard| async move {
                    for _ in 0..3 {
                        shard.reactor.yield_now().await;
                    }
                    done.store(true, Ordering::Release);
                }));
                let asked = poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending())).await;
                assert!(asked, "the body takes several turns");
                drop(call);
                for _ in 0..TURNS {
                    reactor.yield_now().await;
                    std::thread::yield_now();
                }
                // The place is free for the next one, and its answer is its own.
                assert_eq!(shard.call(to, |_| async { 7 }).await, 7);
            });
            caller.unwrap().join();
            stop.store(true, Ordering::Release);
            other.unwrap().join();
            assert!(seen.load(Ordering::Acquire), "{to:?}");
        }
    }
}
