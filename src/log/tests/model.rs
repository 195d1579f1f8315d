//! Random operations and crashes from a seed, checked against the model.

use super::world::{End, World, id};
use crate::log::{Durability, PartitionConfig};

/// Seeds that a test run tries; `DURAMEN_SEEDS` asks for another number.
const SEEDS: u64 = 150;

fn seeds() -> std::ops::Range<u64> {
    let from = std::env::var("DURAMEN_SEED_FROM").ok().and_then(|from| from.parse().ok()).unwrap_or(0);
    let count = std::env::var("DURAMEN_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(SEEDS);
    from..from + count
}

/// A run of several lives; the digest of all that the disk was asked.
fn run(seed: u64) -> u64 {
    let mut world = World::new(seed);
    let sim = world.sim.clone();
    sim.block_on(async {
        world.start().await;
        for (number, durability) in
            [Durability::Fsync, Durability::Replicated, Durability::Fsync].into_iter().enumerate()
        {
            let segment_bytes = [100_000, 1 << 20, 40_000][world.random.index(3)];
            let config = PartitionConfig { durability, segment_bytes, ..PartitionConfig::default() };
            world.create("events", id(number as u128 + 1, number as i32), config).await;
        }
        for _ in 0..4 {
            live(&mut world).await;
            let how = [End::Shutdown, End::Kill, End::Kill, End::PowerLoss, End::PowerLoss][world.random.index(5)];
            world.sim.note(format_args!("life ends: {how:?}"));
            world.end(how).await;
            world.start().await;
        }
        world.wait_committed().await;
    });
    sim.trace()
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
        match world.random.below(26) {
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
                let (log, model) = (world.log(), &world.models[&id]);
                assert_eq!((state.log_end, state.log_start), (model.end().max(model.log_start), model.log_start));
                let partition =
                    log.adopt(state, model.config.clone(), model.epoch, world.now_ms).await.expect("no fault");
                assert_eq!(partition.committed(), partition.log_end());
            }
            _ => (0..4).for_each(|_| append(world, id, 30_000)),
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
    for seed in seeds() {
        run(seed);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    assert_eq!(run(42), run(42));
    assert_ne!(run(42), run(43));
}
