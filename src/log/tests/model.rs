//! Random operations and crashes from a seed, checked against the model.

use super::world::{End, World, id};
use crate::log::{Durability, PartitionConfig, Stats};

/// Seeds that a test run tries; `DURAMEN_SEEDS` asks for another number.
const SEEDS: u64 = 150;

fn seeds() -> std::ops::Range<u64> {
    let from = std::env::var("DURAMEN_SEED_FROM").ok().and_then(|from| from.parse().ok()).unwrap_or(0);
    let count = std::env::var("DURAMEN_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(SEEDS);
    from..from + count
}

/// A run of several lives; the digest of all that the disk was asked, and what the logs did.
fn run(seed: u64) -> (u64, Vec<Stats>) {
    let mut world = World::new(seed);
    let sim = world.sim.clone();
    sim.block_on(async {
        world.start().await;
        for (number, durability) in
            [Durability::Fsync, Durability::Replicated, Durability::Fsync].into_iter().enumerate()
        {
            let segment_bytes = [100_000, 1 << 20, 40_000][world.random.index(3)];
            let retention_bytes = [-1, 150_000][world.random.index(2)];
            let config = PartitionConfig { durability, segment_bytes, retention_bytes, ..PartitionConfig::default() };
            world.create("events", id(number as u128 + 1, number as i32), config).await;
        }
        for _ in 0..4 {
            live(&mut world).await;
            let how = [End::Shutdown, End::Kill, End::Kill, End::PowerLoss, End::PowerLoss][world.random.index(5)];
            world.sim.note(format_args!("life ends: {how:?}"));
            world.end(how).await;
            if world.random.one_in(4) {
                world.damage_a_checkpoint();
            }
            world.start().await;
        }
        world.wait_committed().await;
    });
    (sim.trace(), world.stats)
}

async fn live(world: &mut World) {
    let ids: Vec<_> = world.models.keys().copied().collect();
    if ids.is_empty() {
        return;
    }
    for _ in 0..world.random.below(60) {
        let id = ids[world.random.index(ids.len())];
        if !world.models.contains_key(&id) {
            continue;
        }
        match world.random.below(28) {
            0..10 => append(world, id, 300),
            10..12 => append(world, id, 20_000),
            12 => append(world, id, 36_000),
            13 => world.wait_committed().await,
            14 => {
                let steps = world.random.below(2_000);
                world.sim.sleep(steps).await;
            }
            15 => {
                let ms = world.random.below(60) as i64;
                world.pass(ms).await;
            }
            16 => (0..20).for_each(|_| append(world, id, 200)),
            17 => world.log().checkpoint().await.expect("no fault"),
            18 => {
                let steps = world.random.below(100);
                world.sim.sleep(steps).await;
            }
            19 => world.log().checkpoint().await.expect("no fault"),
            20..23 => world.read(id).await,
            23 => {
                let partition = world.partition(id);
                let log_start = partition.log_start();
                let count = world.random.below((partition.log_end().0 - log_start.0) as u64 + 2) as i64;
                let moved = partition.delete_records(log_start.plus(count)).await.expect("no fault");
                assert!(moved >= log_start && moved <= partition.committed());
                world.models.get_mut(&id).expect("it is here").log_start = moved;
            }
            24 => {
                let state = world.log().release(id).await.expect("no fault");
                let log = world.log();
                let model = world.models.get_mut(&id).expect("it is here");
                assert!(state.log_start >= model.log_start, "retention does not go back");
                model.log_start = state.log_start;
                assert_eq!(state.log_end, model.end().max(model.log_start));
                let partition =
                    log.adopt(state, model.config.clone(), model.epoch, world.now_ms).await.expect("no fault");
                assert_eq!(partition.committed(), partition.log_end());
            }
            25 => (0..4).for_each(|_| append(world, id, 30_000)),
            26 => {
                world.log().retain(world.now_ms).await.expect("no fault");
                world.note_log_starts();
            }
            _ => {
                for _ in 0..40 {
                    append(world, id, 500);
                    let steps = world.random.below(60);
                    world.sim.sleep(steps).await;
                }
            }
        }
    }
}

fn append(world: &mut World, id: duramen_wire::ids::TopicPartitionId, len_max: u64) {
    let len = 1 + world.random.below(len_max) as usize;
    let idempotent = world.random.coin();
    match world.append(id, len, idempotent) {
        Ok(_) | Err(crate::log::append::Error::Busy { .. }) => {}
        Err(other) => panic!("{other}\n{}", world.sim),
    }
}

#[test]
fn acknowledged_records_survive_every_crash() {
    let stats: Vec<Stats> = seeds().flat_map(|seed| run(seed).1).collect();
    let total = |count: fn(&Stats) -> u64| stats.iter().map(count).sum::<u64>();
    let ways = [
        ("ring frames", total(|stats| stats.ring_frames)),
        ("journal frames", total(|stats| stats.journal_frames)),
        ("segment writes", total(|stats| stats.segment_writes)),
        ("partial blocks", total(|stats| stats.bounce_bytes)),
        ("zeroing", total(|stats| stats.bytes_zeroed)),
        ("checkpoints", total(|stats| stats.checkpoints)),
        ("hot reads", total(|stats| stats.bytes_read_hot)),
        ("cached reads", total(|stats| stats.bytes_read_cached)),
        ("cold reads", total(|stats| stats.bytes_read_cold)),
        ("removed segments", total(|stats| stats.segments_removed)),
    ];
    assert!(ways.iter().all(|(_, count)| *count > 0), "a way was never taken: {ways:?}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    assert_eq!(run(42).0, run(42).0);
    assert_ne!(run(42).0, run(43).0);
}
