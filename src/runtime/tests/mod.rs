//! The runtime as its users see it, on real shards.

mod disk;
mod mesh;
mod net;
mod tasks;

use std::future::Future;
use std::time::{Duration, Instant};

use super::{Pool, Reactor, ShardId, Spec, spawn_shard};

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
