//! The end: no new connections, what is under way is finished, the logs are sealed.

use std::rc::Rc;
use std::time::{Duration, Instant};

use duramen_wire::ids::ShardId;

use super::start::State;
use crate::api::groups::hosting;
use crate::errors::chain;
use crate::metrics::Phase;
use crate::shard::Shard;

/// How long requests that are under way may take to finish, on all shards together.
const DRAIN_MAX: Duration = Duration::from_secs(10);
const DRAIN_LOOK: Duration = Duration::from_millis(10);

/// Waits on a shard other than 0 until the broker stops.
pub async fn wait(shard: &Rc<Shard>) -> Result<(), String> {
    let state = State::of(shard);
    while !state.released.get() {
        state.release.wait().await;
    }
    Ok(())
}

/// Stops all shards cleanly, from shard 0.
pub async fn all(shard: &Rc<Shard>) -> Result<(), String> {
    State::of(shard).phase.set(Phase::Stopping);
    tracing::info!("stopping: finishing what is under way");
    for id in ids(shard) {
        shard.call(id, |shard| async move { refuse_new(&shard) }).await;
    }
    let deadline = Instant::now() + DRAIN_MAX;
    for id in ids(shard) {
        shard.call(id, move |shard| async move { drained(&shard, deadline).await }).await;
    }
    let mut ended = Ok(());
    for id in ids(shard) {
        let sealed = shard.call(id, |shard| async move { seal(&shard).await }).await;
        ended = ended.and(sealed);
    }
    release_all(shard).await;
    if ended.is_ok() {
        tracing::info!("stopped");
    }
    ended
}

/// Lets the other shards end.
pub async fn release_all(shard: &Rc<Shard>) {
    for id in ids(shard).filter(|id| *id != shard.id) {
        shard
            .call(id, |shard| async move {
                let state = State::of(&shard);
                state.released.set(true);
                state.release.raise();
            })
            .await;
    }
}

fn ids(shard: &Shard) -> impl Iterator<Item = ShardId> + use<> {
    (0..shard.shards()).map(ShardId)
}

/// No new connections, and the end of those that are there when they have their answers.
fn refuse_new(shard: &Rc<Shard>) {
    State::of(shard).draining.set(true);
    for task in State::of(shard).accepting.take() {
        task.cancel();
    }
    shard.clients().iter().for_each(|client| client.drain());
}

async fn drained(shard: &Rc<Shard>, deadline: Instant) {
    while shard.client_count() > 0 && Instant::now() < deadline {
        shard.reactor.sleep_until(Instant::now() + DRAIN_LOOK).await;
    }
}

async fn seal(shard: &Rc<Shard>) -> Result<(), String> {
    hosting::attach_all(shard);
    shard
        .log()
        .shutdown()
        .await
        .map_err(|error| format!("shard {}: the log cannot be sealed: {}", shard.id, chain(&error)))
}
