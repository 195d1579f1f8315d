//! Whatever the disk loses, tears or reorders in a crash: what was acknowledged is there, in order.

use super::world::{End, Met, World};

/// Seeds that a test run tries; `DURAMEN_SEEDS` asks for another number.
const SEEDS: u64 = 40;
const LIVES: u64 = 5;

fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let from = number("DURAMEN_SEED_FROM").unwrap_or(0);
    from..from + number("DURAMEN_SEEDS").unwrap_or(SEEDS)
}

/// Some lives with their ends; the digest of all that happened, and what it was.
fn run(seed: u64) -> (u64, Met) {
    let mut world = World::new(seed);
    let sim = world.sim.clone();
    sim.block_on(async {
        world.start().await;
        for _ in 0..LIVES {
            live(&mut world).await;
            let how = [End::Shutdown, End::Kill, End::Kill, End::PowerLoss, End::PowerLoss][world.random.index(5)];
            world.sim.note(format_args!("life ends: {how:?}"));
            world.end(how).await;
            world.start().await;
        }
        world.produce(1_000);
        world.settle().await;
    });
    (sim.trace(), world.met)
}

async fn live(world: &mut World) {
    if world.random.one_in(4) {
        world.die_in_store();
    }
    for _ in 0..world.random.below(120) {
        match world.random.below(24) {
            0..6 => world.produce(300),
            6 => world.produce(20_000),
            7 => world.produce(150_000),
            8 if world.random.coin() => (0..20).for_each(|_| world.produce(200)),
            8 => (0..12).for_each(|_| world.produce(150_000)),
            9..14 => {
                let looks = 1 + world.random.below(8);
                world.append(looks);
            }
            14..18 => world.hear(),
            18..21 => world.sleep(300).await,
            21 => {
                let ms = world.random.below(60) as i64;
                world.pass(ms).await;
            }
            22 => world.checkpoint(),
            _ => world.settle().await,
        }
        if !world.is_alive() {
            return;
        }
    }
}

#[test]
fn acknowledged_requests_survive_every_crash() {
    let all: Vec<Met> = seeds().map(|seed| run(seed).1).collect();
    let total = |count: fn(&Met) -> u64| all.iter().map(count).sum::<u64>();
    let in_stats = |count: fn(&crate::log::Stats) -> u64| all.iter().flat_map(|met| &met.stats).map(count).sum::<u64>();
    let ways = [
        ("acknowledged", total(|met| met.acknowledged)),
        ("answered without a promise", total(|met| met.unacknowledged)),
        ("lost in a crash, unacknowledged", total(|met| met.lost)),
        ("out of memory", total(|met| met.out_of_memory)),
        ("slices over", total(|met| met.slices_over)),
        ("deaths in a store", total(|met| met.died_in_store)),
        ("ring frames", in_stats(|stats| stats.ring_frames)),
        ("journal frames", in_stats(|stats| stats.journal_frames)),
        ("segment writes", in_stats(|stats| stats.segment_writes)),
        ("segment syncs", in_stats(|stats| stats.segment_syncs)),
        ("checkpoints", in_stats(|stats| stats.checkpoints)),
    ];
    assert!(ways.iter().all(|(_, count)| *count > 0), "a way was never taken: {ways:?}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    assert_eq!(run(42).0, run(42).0);
    assert_ne!(run(42).0, run(43).0);
}
