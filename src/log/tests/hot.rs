//! How much of a log stays in memory: what its readers need.

use super::world::{World, id};
use crate::log::{PartitionConfig, ReadKind, ReadOut};

const MIB: usize = 1 << 20;
const BATCH: usize = 50_000;
const BATCHES: usize = 400;
/// What is in memory because it is not written yet, and what a step of mapping adds.
const SLACK: u64 = 2 << 20;

/// Appends `BATCHES`, each followed by a read `behind` batches before the end, if any; returns the bytes of chunks that
/// are mapped then, and how many of the last hundred reads came from memory.
fn mapped_after(seed: u64, behind: Option<usize>) -> (u64, usize) {
    let mut world = World::new(seed);
    world.options.memory_budget = 32 * MIB;
    world.options.memory_start = 2 * MIB;
    world.sim.clone().block_on(async {
        world.start().await;
        let config = PartitionConfig { retention_ms: -1, ..PartitionConfig::default() };
        world.create("events", id(1, 0), config).await;
        let mut out = ReadOut::default();
        let mut hot = 0;
        for number in 0..BATCHES {
            world.append(id(1, 0), BATCH, false).unwrap();
            world.wait_committed().await;
            let Some(from) = behind.and_then(|behind| number.checked_sub(behind)) else { continue };
            let from = world.models[&id(1, 0)].batches[from].base;
            let partition = world.partition(id(1, 0));
            let end = partition.committed();
            match partition.read(from, BATCH, end, true, &mut out).unwrap() {
                ReadKind::Hot => hot += usize::from(number >= BATCHES - 100),
                _ => drop(partition.read_cold(from, BATCH, end, true, &mut out).await.unwrap()),
            }
        }
        (world.log().stats().memory_mapped, hot)
    })
}

#[test]
fn without_readers_memory_is_used_again() {
    let (mapped, _) = mapped_after(31, None);
    assert!(mapped <= 2 * MIB as u64 + SLACK, "{mapped}");
}

#[test]
fn who_reads_at_the_end_needs_no_more() {
    let (mapped, hot) = mapped_after(32, Some(1));
    assert!(mapped <= 2 * MIB as u64 + SLACK && hot == 100, "{mapped} {hot}");
}

#[test]
fn memory_grows_to_what_a_reader_needs_who_is_behind() {
    let behind = 100;
    let (mapped, hot) = mapped_after(33, Some(behind));
    assert!(hot == 100, "{hot} of 100 reads came from memory");
    let distance = (behind * BATCH) as u64;
    assert!((distance..3 * distance + SLACK).contains(&mapped), "{mapped} for {distance}");
}

#[test]
fn memory_does_not_grow_for_what_it_could_not_hold() {
    // 19 MB behind, and half of the budget is for others.
    let mut world = World::new(34);
    world.options.memory_budget = 8 * MIB;
    world.options.memory_start = 2 * MIB;
    world.sim.clone().block_on(async {
        world.start().await;
        world.create("events", id(1, 0), PartitionConfig { retention_ms: -1, ..PartitionConfig::default() }).await;
        let mut out = ReadOut::default();
        for number in 0..BATCHES {
            world.append(id(1, 0), BATCH, false).unwrap();
            world.wait_committed().await;
            if number >= 200 {
                let partition = world.partition(id(1, 0));
                let (start, end) = (partition.log_start(), partition.committed());
                assert!(matches!(partition.read(start, BATCH, end, true, &mut out).unwrap(), ReadKind::Cold));
                partition.read_cold(start, BATCH, end, true, &mut out).await.unwrap();
            }
        }
        let mapped = world.log().stats().memory_mapped;
        assert!(mapped <= 2 * MIB as u64 + SLACK, "{mapped}");
    });
}

#[test]
fn a_slow_topic_beside_a_busy_one_needs_no_more() {
    let mut world = World::new(35);
    world.options.memory_budget = 32 * MIB;
    world.options.memory_start = 2 * MIB;
    world.sim.clone().block_on(async {
        world.start().await;
        for (name, partition) in [("busy", id(1, 0)), ("slow", id(2, 0))] {
            world.create(name, partition, PartitionConfig { retention_ms: -1, ..PartitionConfig::default() }).await;
        }
        let mut out = ReadOut::default();
        for number in 0..BATCHES {
            world.append(id(1, 0), BATCH, false).unwrap();
            if number % 10 == 0 {
                world.append(id(2, 0), 1_000, false).unwrap();
            }
            world.wait_committed().await;
            let partition = world.partition(id(2, 0));
            let last = world.models[&id(2, 0)].batches.last().unwrap().base;
            let read = partition.read(last, BATCH, partition.committed(), true, &mut out).unwrap();
            assert!(matches!(read, ReadKind::Hot));
        }
        let mapped = world.log().stats().memory_mapped;
        assert!(mapped <= 2 * MIB as u64 + SLACK, "{mapped}");
    });
}
