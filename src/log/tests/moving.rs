//! A partition on its way from one log to another: what is known of it outlives a stop at any instant, and what fails
//! leaves it where it can be served.

use std::path::Path;

use duramen_wire::ids::{LeaderEpoch, Offset, ShardId};

use super::world::{DATA, End, World, id};
use crate::log::checkpoint::Checkpoint;
use crate::log::checkpoint::files::{CHECKPOINT, COPY};
use crate::log::disk::{Access, Disk};
use crate::log::recovery::{Note, recover};
use crate::log::sim::{Fault, Kind, SimDisk};
use crate::log::{Durability, Error, Health, Log, NotAdopted, PartitionConfig, ReadOut, paths};

fn config() -> PartitionConfig {
    PartitionConfig { durability: Durability::Replicated, segment_bytes: 100_000, ..PartitionConfig::default() }
}

/// A world with records in a partition, of which the first were deleted and the others are known to be synced; the next
/// log, of another shard; and the offset below which all is known to be synced.
async fn begin(world: &mut World) -> (Log<SimDisk>, Offset) {
    world.start().await;
    world.create("events", id(1, 0), config()).await;
    (0..8).for_each(|_| drop(world.append(id(1, 0), 3_000, true)));
    world.wait_committed().await;
    let deleted = world.models[&id(1, 0)].batches[2].end;
    assert_eq!(world.partition(id(1, 0)).delete_records(deleted).await.unwrap(), deleted);
    world.models.get_mut(&id(1, 0)).unwrap().log_start = deleted;
    world.log().checkpoint().await.unwrap();
    let known = world.partition(id(1, 0)).log_end();
    (other_log(world).await, known)
}

async fn other_log(world: &World) -> Log<SimDisk> {
    let other = ShardId(1 - world.shard.0);
    let (options, told) = (world.options.clone(), world.told.clone());
    let log = Log::open(world.disk.clone(), Path::new(DATA), other, options, told).await.unwrap();
    log.background().into_iter().for_each(|task| world.sim.spawn(task));
    log
}

/// What the keeper of the metadata has two shards do.
async fn hand_over(from: &Log<SimDisk>, to: &Log<SimDisk>, now_ms: i64) {
    let Ok(state) = from.release(id(1, 0)).await else { return };
    if to.adopt(state, config(), LeaderEpoch(0), now_ms).await.is_ok() {
        drop(from.let_go(id(1, 0)).await);
    }
}

/// Both logs write checkpoints all the time while the partition goes to and fro; then the process or the host dies.
async fn move_and_die(world: &mut World, seed: u64) -> Offset {
    let (other, known) = begin(world).await;
    let (from, to, now_ms) = (world.log(), other.clone(), world.now_ms);
    world.sim.spawn(async move {
        hand_over(&from, &to, now_ms).await;
        hand_over(&to, &from, now_ms).await;
    });
    for log in [world.log(), other.clone()] {
        world.sim.spawn(async move { while log.checkpoint().await.is_ok() {} });
    }
    world.sim.sleep(seed % 200 * 15).await;
    drop(other);
    world.end(if seed.is_multiple_of(2) { End::Kill } else { End::PowerLoss }).await;
    known
}

#[test]
fn what_is_known_of_a_partition_outlives_a_stop_at_any_instant_of_its_move() {
    for seed in 0..400 {
        let mut world = World::new(seed);
        world.sim.clone().block_on(async {
            let known = move_and_die(&mut world, seed).await;
            world.models.get_mut(&id(1, 0)).unwrap().promised = known;
            // The log start is compared here.
            world.start().await;
            world.append(id(1, 0), 100, true).unwrap();
            world.wait_committed().await;
        });
    }
}

/// With another number of shards, the partition is dealt to one that has not made a checkpoint yet when all ends again.
#[test]
fn what_is_known_of_a_partition_outlives_a_start_that_deals_it_to_another_shard() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        world.sim.clone().block_on(async {
            let (other, known) = begin(&mut world).await;
            drop(other);
            world.end(if seed.is_multiple_of(2) { End::Kill } else { End::PowerLoss }).await;
            let recovered = recover(&world.disk, Path::new(DATA), world.now_ms).await.unwrap();
            let log_start = world.models[&id(1, 0)].log_start;
            assert_eq!(recovered.partitions[0].log_start, log_start);
            let (options, told) = (world.options.clone(), world.told.clone());
            let first = Log::open(world.disk.clone(), Path::new(DATA), world.shard, options, told).await.unwrap();
            first.adopt_all(Vec::new(), world.now_ms).await.unwrap();
            drop(first);
            world.disk = world.disk.crash_process();
            let again = recover(&world.disk, Path::new(DATA), world.now_ms).await.unwrap();
            let state = &again.partitions[0];
            assert_eq!((state.log_start, state.log_end >= known), (log_start, true));
        });
    }
}

#[test]
fn a_checkpoint_forgets_strangers_when_it_is_told() {
    let mut world = World::new(7);
    world.sim.clone().block_on(async {
        let (other, _) = begin(&mut world).await;
        drop(other);
        world.end(End::Kill).await;
        let (options, told) = (world.options.clone(), world.told.clone());
        let first = Log::open(world.disk.clone(), Path::new(DATA), world.shard, options, told).await.unwrap();
        first.adopt_all(Vec::new(), world.now_ms).await.unwrap();
        let dir = paths::shard_dir(Path::new(DATA), world.shard);
        let named = || async {
            let bytes = world.disk.read_small(&dir.join(CHECKPOINT), 1 << 20).await.unwrap();
            Checkpoint::decode(&bytes).unwrap().partitions.len()
        };
        assert_eq!(named().await, 1);
        first.forget_strangers();
        first.checkpoint().await.unwrap();
        assert_eq!(named().await, 0);
    });
}

#[test]
fn damage_below_the_synced_end_is_corruption_also_after_a_stop_during_a_move() {
    for seed in 0..200 {
        let mut world = World::new(seed);
        world.sim.clone().block_on(async {
            let known = move_and_die(&mut world, seed).await;
            let path = paths::segment(&world.dir(id(1, 0)), Offset(0), "log");
            world.disk.poke(&path, 12_000, b"damage");
            let recovered = recover(&world.disk, Path::new(DATA), world.now_ms).await.unwrap();
            let state = &recovered.partitions[0];
            // What a record speaks of is not read, so damage is found only where the record is older.
            if state.corrupt.is_none() {
                assert!(state.log_end >= known, "{} < {known}: {:?}\n{}", state.log_end, recovered.report, world.sim);
            }
            let cut = |note: &Note| matches!(note, Note::Cut { .. });
            assert!(!recovered.report.iter().any(cut), "{:?}\n{}", recovered.report, world.sim);
        });
    }
}

#[test]
fn a_segment_that_lost_synced_bytes_is_corrupt_also_after_a_stop_during_a_move() {
    let mut corrupt = 0;
    for seed in 0..200 {
        let mut world = World::new(seed);
        world.sim.clone().block_on(async {
            let known = move_and_die(&mut world, seed).await;
            let path = paths::segment(&world.dir(id(1, 0)), Offset(0), "log");
            let disk = world.disk.clone();
            let file = disk.open(&path, Access::Direct).await.unwrap();
            disk.set_len(&file, 10_000).await.unwrap();
            let recovered = recover(&world.disk, Path::new(DATA), world.now_ms).await.unwrap();
            let state = &recovered.partitions[0];
            // The journal or the ring may still have all of it.
            let whole = state.log_end >= known;
            assert!(state.corrupt.is_some() || whole, "{:?}\n{}", recovered.report, world.sim);
            corrupt += usize::from(state.corrupt.is_some());
        });
    }
    assert!(corrupt > 100, "{corrupt}");
}

#[test]
fn a_partition_that_nobody_else_can_take_goes_back_and_loses_nothing() {
    for seed in 0..60 {
        let mut world = World::new(seed);
        world.sim.clone().block_on(async {
            let (other, _) = begin(&mut world).await;
            let state = world.log().release(id(1, 0)).await.unwrap();
            let place = format!("shards/{}/checkpoint", 1 - world.shard.0);
            world.disk.inject(Fault::eio(Kind::Small, &place));
            let refused = other.adopt(state, config(), LeaderEpoch(0), world.now_ms).await;
            let Err(NotAdopted { state, error: Error::Io { .. } }) = refused else { panic!("it is adopted") };
            assert!(other.partition(id(1, 0)).is_none());
            other.checkpoint().await.unwrap();
            let dir = paths::shard_dir(Path::new(DATA), ShardId(1 - world.shard.0));
            let said = Checkpoint::decode(&world.disk.peek(&dir.join(CHECKPOINT)).unwrap()).unwrap();
            assert_eq!(said.partitions, [], "it does not speak of what it does not have");
            // Its own log fails at first, too.
            world.disk.inject(Fault::eio(Kind::Small, &format!("shards/{}/checkpoint", world.shard.0)));
            let refused = world.log().adopt(*state, config(), LeaderEpoch(0), world.now_ms).await;
            let state = refused.err().expect("there is a fault").state;
            world.log().adopt(*state, config(), LeaderEpoch(0), world.now_ms).await.unwrap();
            world.append(id(1, 0), 500, true).unwrap();
            world.wait_committed().await;
            drop(other);
            world.end(End::Kill).await;
            world.start().await;
        });
    }
}

#[test]
fn a_release_that_fails_leaves_the_partition_in_service() {
    let mut world = World::new(5);
    world.sim.clone().block_on(async {
        begin(&mut world).await;
        // The disk is full: what is appended cannot be brought to rest.
        world.disk.set_capacity(Some(0));
        world.append(id(1, 0), 70_000, false).unwrap();
        let refused = world.log().release(id(1, 0)).await;
        assert!(matches!(refused, Err(Error::DiskFull(_))), "{refused:?}");
        world.disk.set_capacity(None);
        world.pass(2_000).await;
        world.wait_committed().await;
        world.append(id(1, 0), 10, false).unwrap();
        world.wait_committed().await;
        // The file cannot be opened.
        world.pass(2_000).await;
        world.disk.inject(Fault::eio(Kind::Open, "events-0/"));
        assert!(matches!(world.log().release(id(1, 0)).await, Err(Error::Io { .. })));
        world.append(id(1, 0), 10, false).unwrap();
        world.wait_committed().await;
        // Its end cannot be cut: as after any failed write, it is read and no longer written.
        world.pass(2_000).await;
        world.disk.inject(Fault::eio(Kind::SetLen, "events-0/"));
        assert!(matches!(world.log().release(id(1, 0)).await, Err(Error::Io { .. })));
        assert_eq!(world.partition(id(1, 0)).health(), Health::Poisoned);
        world.read(id(1, 0)).await;
        world.end(End::PowerLoss).await;
        world.start().await;
    });
}

#[test]
fn a_full_disk_does_not_stand_in_the_way_of_the_checkpoint_of_the_others() {
    let mut world = World::new(6);
    world.sim.clone().block_on(async {
        begin(&mut world).await;
        world.create("others", id(2, 0), config()).await;
        world.append(id(2, 0), 100, false).unwrap();
        world.wait_committed().await;
        world.disk.inject(Fault::no_space(Kind::Growth, "events-0/"));
        world.append(id(1, 0), 70_000, false).unwrap();
        world.log().checkpoint().await.unwrap();
        assert!(matches!(world.partition(id(1, 0)).health(), Health::DiskFull { .. }));
        world.disk.clear_faults();
        world.pass(2_000).await;
        world.wait_committed().await;
    });
}

/// The new owner's checkpoint is lost, the old one's still speaks of the partition: what the new one acknowledged counts.
#[test]
fn frames_of_the_new_owner_follow_the_statement_of_the_old_one() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        world.sim.clone().block_on(async {
            let (other, _) = begin(&mut world).await;
            let state = world.log().release(id(1, 0)).await.unwrap();
            other.adopt(state, config(), LeaderEpoch(0), world.now_ms).await.unwrap();
            let old = world.log.replace(other).expect("the log runs");
            (0..3).for_each(|_| drop(world.append(id(1, 0), 200, true)));
            world.wait_committed().await;
            drop(old);
            world.end(End::Kill).await;
            let dir = paths::shard_dir(Path::new(DATA), ShardId(1 - world.shard.0));
            for name in [CHECKPOINT, COPY] {
                world.disk.poke(&dir.join(name), 0, b"nonsense");
            }
            world.start().await;
            assert!(world.notes.iter().any(|note| matches!(note, Note::CheckpointLost { .. })), "{:?}", world.notes);
        });
    }
}

#[test]
fn a_read_from_the_disk_may_meet_a_move() {
    let mut refused = 0;
    for seed in 0..100 {
        let mut world = World::new(seed);
        refused += world.sim.clone().block_on(async {
            world.start().await;
            world.create("events", id(1, 0), config()).await;
            for _ in 0..12 {
                world.append(id(1, 0), 30_000, true).unwrap();
                world.wait_committed().await;
            }
            // All is written and nothing of it in memory, the indexes neither.
            world.pass(10_000).await;
            let (from, now_ms) = (world.log(), world.now_ms);
            let to = other_log(&world).await;
            let partition = world.partition(id(1, 0));
            let (asked, end) = (world.models[&id(1, 0)].batches[1].base, partition.committed());
            world.sim.spawn(async move { hand_over(&from, &to, now_ms).await });
            world.sim.sleep(seed * 10).await;
            let mut out = ReadOut::default();
            let read = partition.read_cold(asked, 1_000, end, true, &mut out).await;
            u32::from(read.is_err())
        });
    }
    assert!((1..100).contains(&refused), "{refused} of 100 reads met the move");
}
