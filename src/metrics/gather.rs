//! Asks every shard for its figures, one after the other: what a scrape shows is nearly, not exactly, of one moment.

use std::collections::BTreeMap;
use std::rc::Rc;

use duramen_wire::ids::ShardId;

use super::Snapshot;
use super::lag::{self, Lags};
use crate::api::Services;
use crate::log::{self, Health};
use crate::runtime;
use crate::shard::Shard;
use crate::shard::figures::Queues;

/// Partitions that are looked at before the shard does something else.
const PARTITIONS_PER_RUN: usize = 512;

/// The figures of the whole broker.
#[derive(Clone, Debug)]
pub struct Report {
    pub shards: Vec<ShardReport>,
    pub lags: Lags,
    pub topics: usize,
}

/// The figures of one shard.
#[derive(Clone, Debug)]
pub struct ShardReport {
    pub id: ShardId,
    pub runtime: runtime::Stats,
    pub log: log::Stats,
    pub queues: Queues,
    pub counted: Snapshot,
    pub connections: usize,
    pub fetch_sessions: usize,
    pub group_requests: usize,
    pub groups: BTreeMap<&'static str, usize>,
    pub gather_used: usize,
    pub gather_max: usize,
    pub gather_copied: u64,
    pub gather_waiting: usize,
    /// Partitions by what keeps them from taking writes, or `good`.
    pub health: BTreeMap<&'static str, usize>,
    /// Bytes of all segments.
    pub stored: u64,
}

/// Asks all shards, from any of them.
pub async fn all(shard: &Rc<Shard>) -> Report {
    let mut shards = Vec::new();
    for id in (0..shard.shards()).map(ShardId) {
        shards.push(shard.call(id, |shard| async move { one(&shard).await }).await);
    }
    let topics = shard.image.borrow().topics().count();
    Report { shards, lags: lag::all(shard).await, topics }
}

async fn one(shard: &Shard) -> ShardReport {
    let services = Services::of(shard);
    let runtime = shard.reactor.stats();
    shard.reactor.reset_longest_run();
    let (health, stored) = partitions(shard).await;
    ShardReport {
        id: shard.id,
        runtime,
        log: shard.log().stats(),
        queues: shard.queues(),
        counted: services.metrics.snapshot(),
        connections: shard.client_count(),
        fetch_sessions: services.sessions.borrow().len(),
        group_requests: services.groups.under_way(),
        groups: services.groups.by_state(),
        gather_used: services.gather_budget.used(),
        gather_max: services.gather_budget.max(),
        gather_copied: services.gather_budget.copied(),
        gather_waiting: services.gather_budget.waiting(),
        health,
        stored,
    }
}

async fn partitions(shard: &Shard) -> (BTreeMap<&'static str, usize>, u64) {
    let logs = shard.log().partitions();
    let (mut health, mut stored) = (BTreeMap::new(), 0);
    for some in logs.chunks(PARTITIONS_PER_RUN) {
        for log in some {
            *health.entry(name(&log.health())).or_default() += 1;
            stored += log.size_bytes();
        }
        shard.reactor.yield_if_due().await;
    }
    (health, stored)
}

fn name(health: &Health) -> &'static str {
    match health {
        Health::Good => "good",
        Health::DiskFull { .. } => "disk_full",
        Health::Corrupt { .. } => "corrupt",
        Health::Poisoned => "poisoned",
        Health::Closed => "closed",
    }
}
