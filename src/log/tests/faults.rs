//! What goes wrong on a disk that goes on running: failed writes and syncs, no space, damage.

use std::path::Path;

use duramen_wire::ids::{LeaderEpoch, Offset, ShardId};

use super::world::{DATA, End, World, id};
use crate::log::recovery::{Note, recover};
use crate::log::sim::{Fault, Kind};
use crate::log::{Durability, Health, Log, PartitionConfig, append, paths};

fn config(durability: Durability) -> PartitionConfig {
    PartitionConfig { durability, segment_bytes: 200_000, ..PartitionConfig::default() }
}

async fn wait_health(world: &World, health: Health) {
    for _ in 0..1_000 {
        if world.partition(id(1, 0)).health() == health {
            return;
        }
        world.sim.sleep(10).await;
    }
    panic!("it is {:?}\n{}", world.partition(id(1, 0)).health(), world.sim);
}

#[test]
fn a_failed_segment_write_or_sync_ends_acknowledgements_and_not_reads() {
    for (kind, durability) in [(Kind::Write, Durability::Replicated), (Kind::Sync, Durability::Fsync)] {
        let mut world = World::new(1);
        world.sim.clone().block_on(async {
            world.start().await;
            world.create("events", id(1, 0), config(durability)).await;
            world.append(id(1, 0), 1_000, false).unwrap();
            world.wait_committed().await;
            let committed = world.partition(id(1, 0)).committed();
            world.disk.inject(Fault::eio(kind, "events-0/"));
            world.append(id(1, 0), 100_000, false).unwrap();
            wait_health(&world, Health::Poisoned).await;
            assert_eq!(*world.told.poisoned.borrow(), [id(1, 0)]);
            assert_eq!(world.partition(id(1, 0)).committed(), committed);
            assert!(matches!(world.append(id(1, 0), 10, false), Err(append::Error::Poisoned)));
            world.read(id(1, 0)).await;
            assert!(world.log().checkpoint().await.is_ok(), "the others are still checkpointed");
            world.disk.clear_faults();
            world.end(End::PowerLoss).await;
            world.start().await;
        });
    }
}

#[test]
fn a_failed_journal_write_poisons_its_partitions_and_the_others_are_written_directly() {
    let mut world = World::new(2);
    world.sim.clone().block_on(async {
        world.start().await;
        for number in 0..2 {
            world.create("events", id(1, number), config(Durability::Fsync)).await;
        }
        world.disk.inject(Fault::eio(Kind::Write, "journal"));
        world.append(id(1, 0), 100, false).unwrap();
        wait_health(&world, Health::Poisoned).await;
        world.append(id(1, 1), 100, false).unwrap();
        world.wait_committed().await;
        assert_eq!(world.partition(id(1, 1)).committed(), world.partition(id(1, 1)).log_end());
        world.end(End::PowerLoss).await;
        world.start().await;
    });
}

#[test]
fn a_full_disk_refuses_appends_and_goes_on_by_itself_once_there_is_room() {
    for durability in [Durability::Fsync, Durability::Replicated] {
        let mut world = World::new(3);
        world.sim.clone().block_on(async {
            world.start().await;
            world.create("events", id(1, 0), config(durability)).await;
            world.append(id(1, 0), 1_000, false).unwrap();
            world.wait_committed().await;
            world.disk.set_capacity(Some(0));
            world.append(id(1, 0), 100_000, false).unwrap();
            for _ in 0..100 {
                world.sim.sleep(20).await;
            }
            assert!(matches!(world.partition(id(1, 0)).health(), Health::DiskFull { .. }));
            assert!(matches!(world.append(id(1, 0), 10, false), Err(append::Error::DiskFull)));
            world.read(id(1, 0)).await;
            world.pass(2_000).await;
            let refused = world.append(id(1, 0), 10, false);
            assert!(matches!(refused, Err(append::Error::DiskFull)), "{refused:?}\n{}", world.sim);
            world.disk.set_capacity(None);
            world.pass(2_000).await;
            wait_health(&world, Health::Good).await;
            world.wait_committed().await;
            world.append(id(1, 0), 10, false).unwrap();
            world.wait_committed().await;
            world.end(End::PowerLoss).await;
            world.start().await;
        });
    }
}

#[test]
fn a_full_disk_does_not_stand_in_the_way_of_deletion() {
    let mut world = World::new(4);
    world.sim.clone().block_on(async {
        world.start().await;
        world.create("events", id(1, 0), config(Durability::Replicated)).await;
        world.disk.set_capacity(Some(0));
        world.append(id(1, 0), 100_000, false).unwrap();
        world.sim.sleep(2_000).await;
        world.log().delete(id(1, 0)).await.unwrap();
        assert!(world.log().partition(id(1, 0)).is_none());
        assert!(!world.disk.files().iter().any(|file| file.contains("events")));
    });
}

#[test]
fn damage_below_the_synced_end_is_corruption_and_stays() {
    let mut world = World::new(5);
    world.sim.clone().block_on(async {
        world.start().await;
        world.create("events", id(1, 0), config(Durability::Replicated)).await;
        (0..4).for_each(|_| drop(world.append(id(1, 0), 1_000, false)));
        world.wait_committed().await;
        world.end(End::Shutdown).await;
        let path = paths::segment(&world.dir(id(1, 0)), Offset(0), "log");
        let len = world.disk.peek(&path).unwrap().len();
        let damaged = world.disk.clone();
        let file = crate::log::disk::Disk::open(&damaged, &path, crate::log::disk::Access::Direct).await.unwrap();
        crate::log::disk::Disk::set_len(&damaged, &file, 1_500).await.unwrap();
        assert!(len > 1_500);
        for _ in 0..3 {
            let recovered = recover(&world.disk, Path::new(DATA), world.now_ms).await.unwrap();
            assert!(matches!(recovered.report[..], [.., Note::Corrupt { .. }]), "{:?}", recovered.report);
            assert_eq!(recovered.partitions[0].corrupt, Some((Offset(0), 1_500)));
            let config = config(Durability::Replicated);
            let states =
                recovered.partitions.into_iter().map(|state| (state, config.clone(), LeaderEpoch(1))).collect();
            let (options, told) = (world.options.clone(), world.told.clone());
            let log = Log::open(world.disk.clone(), Path::new(DATA), ShardId(0), options, told).await.unwrap();
            log.background().into_iter().for_each(|task| world.sim.spawn(task));
            log.adopt_all(states, world.now_ms).await.unwrap();
            world.log = Some(log);
            assert!(matches!(world.append(id(1, 0), 10, false), Err(append::Error::Corrupt { .. })));
            world.end(End::Shutdown).await;
        }
    });
}

#[test]
fn a_torn_tail_is_cut_and_kept() {
    let mut world = World::new(6);
    world.sim.clone().block_on(async {
        world.start().await;
        world.create("events", id(1, 0), config(Durability::Replicated)).await;
        world.append(id(1, 0), 500, false).unwrap();
        world.log().checkpoint().await.unwrap();
        let sizes = [66_000; 3].map(|len| world.append(id(1, 0), len, false).unwrap().end);
        world.wait_committed().await;
        world.end(End::Kill).await;
        let path = paths::segment(&world.dir(id(1, 0)), Offset(0), "log");
        let second = world.models[&id(1, 0)].batches[..2].iter().map(|sent| sent.bytes.len()).sum::<usize>();
        world.disk.poke(&path, second as u64 + 100, b"damage");
        world.models.get_mut(&id(1, 0)).unwrap().promised = sizes[0];
        world.start().await;
        let Some(Note::Cut { position, batches_beyond, kept, .. }) = world.notes.first().cloned() else {
            panic!("{:?}", world.notes)
        };
        assert_eq!((position, batches_beyond), (second as u64, 1), "{:?}\n{}", world.notes, world.sim);
        let kept = world.disk.peek(&world.dir(id(1, 0)).join(kept)).unwrap();
        assert!(kept.len() > 100_000);
        assert_eq!(world.partition(id(1, 0)).log_end(), sizes[0]);
    });
}

#[test]
fn a_directory_that_does_not_name_its_topic_is_set_aside() {
    let mut world = World::new(7);
    world.sim.clone().block_on(async {
        world.start().await;
        world.create("events", id(1, 0), config(Durability::Fsync)).await;
        world.append(id(1, 0), 1_000, false).unwrap();
        world.wait_committed().await;
        world.pass(5_000).await;
        world.log().checkpoint().await.unwrap();
        world.end(End::Kill).await;
        let dir = world.dir(id(1, 0));
        world.disk.poke(&dir.join(paths::METADATA), 0, b"nonsense");
        let recovered = recover(&world.disk, Path::new(DATA), world.now_ms).await.unwrap();
        assert!(recovered.partitions.is_empty());
        let aside = |note: &Note| matches!(note, Note::SetAside { renamed, .. } if renamed == "events-0.0.set-aside");
        assert!(recovered.report.iter().any(aside), "{:?}", recovered.report);
        assert!(world.disk.files().iter().any(|file| file.starts_with("/data/events-0.0.set-aside/")));
    });
}

#[test]
fn a_kill_in_the_middle_of_a_deletion_leaves_all_or_nothing() {
    let mut gone = 0;
    for steps in 0..40 {
        let mut world = World::new(steps);
        world.sim.clone().block_on(async {
            world.start().await;
            world.create("events", id(1, 0), config(Durability::Fsync)).await;
            world.append(id(1, 0), 1_000, false).unwrap();
            world.wait_committed().await;
            let (log, committed) = (world.log(), world.partition(id(1, 0)).committed());
            world.sim.spawn(async move { drop(log.delete(id(1, 0)).await) });
            world.sim.sleep(steps * 10).await;
            world.end(End::PowerLoss).await;
            world.models.get_mut(&id(1, 0)).unwrap().promised = Offset(0);
            world.start().await;
            match world.log().partition(id(1, 0)) {
                Some(partition) => assert_eq!(partition.committed(), committed),
                None => gone += 1,
            }
        });
    }
    assert!(gone > 0 && gone < 40, "{gone}");
}

#[test]
fn deleted_records_stay_deleted_and_the_log_goes_on_behind_them() {
    for seed in 0..60 {
        let mut world = World::new(seed);
        world.sim.clone().block_on(async {
            world.start().await;
            world.create("events", id(1, 0), config(Durability::Replicated)).await;
            (0..4).for_each(|_| drop(world.append(id(1, 0), 1_000, false)));
            let end = world.partition(id(1, 0)).log_end();
            assert_eq!(world.partition(id(1, 0)).delete_records(end).await.unwrap(), end);
            world.models.get_mut(&id(1, 0)).unwrap().log_start = end;
            world.end(End::PowerLoss).await;
            world.start().await;
            let partition = world.partition(id(1, 0));
            assert_eq!((partition.log_start(), partition.log_end()), (end, end));
            assert_eq!(world.append(id(1, 0), 10, false).unwrap().base_offset, end);
        });
    }
}
