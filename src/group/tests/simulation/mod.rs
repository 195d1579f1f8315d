//! Simulated members, appends that fail, clients that vanish, coordinators that crash: one world per seed.
//!
//! After each step [`checks`] looks at the coordinator and at what the clients were told. In the end the world calms
//! down, and everything that was asked has been answered. The same seed gives the same trace.

mod checks;
mod client;
mod world;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use world::World;

const SEEDS: u64 = 120;
const STEPS: usize = 500;

/// Prints the seed of a world that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the failing seed is {}", self.0);
        }
    }
}

fn run(seed: u64) -> World {
    let _seed = Seed(seed);
    let mut random = SmallRng::seed_from_u64(seed);
    let mut world = World::new(&mut random);
    for _ in 0..STEPS {
        step(&mut world, &mut random);
        checks::check(&mut world);
    }
    world.calm_down();
    checks::check(&mut world);
    checks::check_calm(&world);
    world
}

fn step(world: &mut World, random: &mut SmallRng) {
    match random.random_range(0..1_000) {
        0..550 => world.client_acts(random),
        550..750 => world.complete_append(random),
        750..950 => {
            let ms = if random.random_bool(0.1) { random.random_range(0..20_000) } else { random.random_range(0..800) };
            world.pass_time(ms);
        }
        950..975 => world.administrate(random),
        975..990 => world.take_snapshot(),
        _ => world.crash(random),
    }
}

#[test]
fn the_promises_hold_in_every_world() {
    let worlds: Vec<World> = (0..SEEDS).map(run).collect();
    let sum = |count: fn(&World) -> usize| worlds.iter().map(count).sum::<usize>();
    assert!(sum(|world| world.syncs_granted) > 500, "the members do get assignments");
    assert!(sum(|world| world.commits_granted) > 500, "offsets are committed");
    assert!(sum(|world| world.crashes) > 300, "coordinators do crash");
    assert!(sum(|world| world.snapshots_used) > 50, "some start from a snapshot");
    assert!(sum(|world| world.static_rejoins) > 20, "static members come back without a rebalance");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [3, 77] {
        assert!(run(seed).trace == run(seed).trace, "seed {seed}");
    }
    assert!(run(3).trace != run(77).trace);
}
