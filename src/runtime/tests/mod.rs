//! The runtime as its users see it, on real shards.

mod disk;
mod held;
mod mesh;
mod net;
mod tasks;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::{Pool, Reactor, ShardId, Spec, spawn_shard};

/// A flag that one task sets and another awaits.
#[derive(Clone, Default)]
struct Signal(Rc<RefCell<(bool, Option<Waker>)>>);

impl Signal {
    fn set(&self) {
        let waker = {
            let mut state = self.0.borrow_mut();
            state.0 = true;
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn wait(&self) {
        poll_fn(|context| {
            let mut state = self.0.borrow_mut();
            if std::mem::take(&mut state.0) {
                return Poll::Ready(());
            }
            state.1 = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Longer than anything in these tests takes, and shorter than nobody would wait for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A shard with a small pool of its own.
fn spec() -> Spec {
    Spec::new(ShardId(0), Pool::new(2, 4))
}

/// Runs `main` on a shard, for at most [`PATIENCE`].
fn on_shard<F, T>(main: impl FnOnce(Reactor) -> F + Send + 'static) -> T
where
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    on_shard_of(spec(), main)
}

fn on_shard_of<F, T>(spec: Spec, main: impl FnOnce(Reactor) -> F + Send + 'static) -> T
where
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let shard = spawn_shard(spec, |reactor| async move {
        let deadline = Instant::now() + PATIENCE;
        reactor.timeout_at(deadline, main(reactor.clone())).await.expect("a test ends in time")
    });
    shard.unwrap().join()
}
