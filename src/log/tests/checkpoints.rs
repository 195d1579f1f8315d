//! Checkpoint files that are damaged: one of the two costs nothing, both cost only what nobody else knows.

use std::path::{Path, PathBuf};

use duramen_wire::ids::Offset;

use super::world::{DATA, End, World, id};
use crate::log::checkpoint::files::{CHECKPOINT, COPY};
use crate::log::disk::{Access, Disk};
use crate::log::recovery::{Note, recover};
use crate::log::sim::{Fault, Kind};
use crate::log::{Durability, Error, PartitionConfig, checkpoint, paths};

/// Where a checkpoint says its format: a newer one is refused, not taken for damage.
const FORMAT_FIELD: std::ops::Range<usize> = 4..8;

fn path(world: &World, name: &str) -> PathBuf {
    paths::shard_dir(Path::new(DATA), world.shard).join(name)
}

/// Flips a bit somewhere, or cuts the file somewhere.
async fn damage(world: &mut World, name: &str) {
    let path = path(world, name);
    let mut bytes = world.disk.peek(&path).expect("there is a checkpoint");
    let at = world.random.index(bytes.len());
    if world.random.coin() || FORMAT_FIELD.contains(&at) {
        let file = world.disk.open(&path, Access::Direct).await.unwrap();
        world.disk.set_len(&file, at as u64).await.unwrap();
        world.disk.sync(&file).await.unwrap();
    } else {
        bytes[at] ^= 1 << world.random.below(8);
        world.disk.poke(&path, at as u64, &bytes[at..=at]);
    }
}

/// A life with records that are known to be synced, records that only the journal or the ring has, and deleted ones.
async fn live(world: &mut World, how: End) {
    world.start().await;
    for (number, durability) in [Durability::Fsync, Durability::Replicated].into_iter().enumerate() {
        let config = PartitionConfig { durability, segment_bytes: 20_000, ..PartitionConfig::default() };
        world.create("events", id(1, number as i32), config).await;
        (0..8).for_each(|_| drop(world.append(id(1, number as i32), 3_000, true)));
    }
    world.wait_committed().await;
    let deleted = world.models[&id(1, 0)].batches[1].end;
    world.partition(id(1, 0)).delete_records(deleted).await.unwrap();
    world.models.get_mut(&id(1, 0)).unwrap().log_start = deleted;
    world.log().checkpoint().await.unwrap();
    for number in 0..2 {
        (0..3).for_each(|_| drop(world.append(id(1, number), 400, true)));
    }
    world.wait_committed().await;
    world.end(how).await;
}

fn how(seed: u64) -> End {
    [End::Kill, End::PowerLoss, End::Shutdown][seed as usize % 3]
}

#[test]
fn one_damaged_file_costs_nothing() {
    for seed in 0..150 {
        let mut world = World::new(seed);
        world.sim.clone().block_on(async {
            live(&mut world, how(seed)).await;
            let name = [CHECKPOINT, COPY][world.random.index(2)];
            damage(&mut world, name).await;
            // What was promised and the log starts are compared here.
            world.start().await;
            let told = |note: &Note| matches!(note, Note::CheckpointDamaged { .. });
            assert_eq!(world.notes.iter().any(told), name == CHECKPOINT, "{:?}", world.notes);
            assert!(!world.notes.iter().any(|note| matches!(note, Note::CheckpointLost { .. })), "{:?}", world.notes);
            world.append(id(1, 0), 100, true).unwrap();
            world.wait_committed().await;
            world.end(End::Kill).await;
            world.start().await;
        });
    }
}

#[test]
fn an_unreadable_file_costs_nothing() {
    let mut world = World::new(3);
    world.sim.clone().block_on(async {
        live(&mut world, End::Kill).await;
        let place = path(&world, CHECKPOINT);
        world.disk.inject(Fault::eio(Kind::Small, place.to_str().unwrap()));
        world.start().await;
        assert!(matches!(world.notes[0], Note::CheckpointDamaged { kept: None, .. }), "{:?}", world.notes);
    });
}

#[test]
fn a_damaged_file_is_kept_for_people() {
    let mut world = World::new(4);
    world.sim.clone().block_on(async {
        live(&mut world, End::Kill).await;
        world.disk.poke(&path(&world, CHECKPOINT), 20, b"damage");
        let before = world.disk.peek(&path(&world, CHECKPOINT)).unwrap();
        for _ in 0..2 {
            let recovered = recover(&world.disk, Path::new(DATA), world.now_ms).await.unwrap();
            let Note::CheckpointDamaged { kept: Some(kept), .. } = &recovered.report[0] else {
                panic!("{:?}", recovered.report)
            };
            assert_eq!(world.disk.peek(&path(&world, kept)).as_ref(), Some(&before));
        }
        let copies = world.disk.files().into_iter().filter(|file| file.contains("damaged")).count();
        assert_eq!(copies, 1, "a start that is repeated keeps it once");
    });
}

/// Without any statement all records are still found, in the segments and the frames; only deleted ones may be back.
#[test]
fn two_damaged_files_cost_no_record() {
    for seed in 0..150 {
        let mut world = World::new(seed);
        world.sim.clone().block_on(async {
            live(&mut world, [End::Kill, End::Shutdown][seed as usize % 2]).await;
            damage(&mut world, CHECKPOINT).await;
            damage(&mut world, COPY).await;
            if world.random.coin() {
                // A start that is stopped before its first checkpoint.
                drop(recover(&world.disk, Path::new(DATA), world.now_ms).await.unwrap());
                world.disk = world.disk.crash_host();
            }
            world.models.get_mut(&id(1, 0)).unwrap().log_start = Offset(0);
            world.start().await;
            assert!(world.notes.iter().any(|note| matches!(note, Note::CheckpointLost { .. })), "{:?}", world.notes);
            for number in 0..2 {
                world.append(id(1, number), 100, true).unwrap();
            }
            world.wait_committed().await;
            world.end(End::PowerLoss).await;
            world.start().await;
        });
    }
}

/// What was synced is unknown, so nothing is cut that may have been.
#[test]
fn without_any_statement_a_bad_batch_is_corruption_and_stays() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        world.sim.clone().block_on(async {
            live(&mut world, End::Shutdown).await;
            damage(&mut world, CHECKPOINT).await;
            damage(&mut world, COPY).await;
            let path = paths::segment(&world.dir(id(1, 1)), Offset(0), "log");
            let at = world.random.below(10_000);
            let byte = world.disk.peek(&path).unwrap()[at as usize];
            world.disk.poke(&path, at, &[!byte]);
            let before = world.disk.peek(&path).unwrap();
            let mut recovered = recover(&world.disk, Path::new(DATA), world.now_ms).await.unwrap();
            let state = recovered.partitions.pop().unwrap();
            assert!(state.id == id(1, 1) && state.corrupt.is_some(), "{:?}", recovered.report);
            assert_eq!(world.disk.peek(&path).unwrap(), before, "nothing is cut");
            // The next checkpoint has to say so, too.
            let (options, told) = (world.options.clone(), world.told.clone());
            let log =
                crate::log::Log::open(world.disk.clone(), Path::new(DATA), world.shard, options, told).await.unwrap();
            log.adopt_all(vec![(state, PartitionConfig::default(), Default::default())], world.now_ms).await.unwrap();
            drop(log);
            let recovered = recover(&world.disk, Path::new(DATA), world.now_ms).await.unwrap();
            assert!(recovered.partitions[1].corrupt.is_some(), "{:?}", recovered.report);
        });
    }
}

/// A write that the crash has torn is no corruption where the journal has what was written.
#[test]
fn without_any_statement_a_torn_end_that_the_journal_goes_on_from_is_cut() {
    let mut torn = 0;
    for seed in 0..40 {
        let mut world = World::new(seed);
        world.sim.clone().block_on(async {
            live(&mut world, End::Kill).await;
            damage(&mut world, CHECKPOINT).await;
            damage(&mut world, COPY).await;
            let dir = format!("{}/", world.dir(id(1, 0)).display());
            let files = world.disk.files().into_iter().filter(|file| file.starts_with(&dir) && file.ends_with(".log"));
            let path = PathBuf::from(files.max().unwrap());
            let base = paths::parse_segment(path.file_name().unwrap().to_str().unwrap(), "log").unwrap();
            let written = world.disk.peek(&path).unwrap();
            let mut end = 0;
            for sent in world.models[&id(1, 0)].batches.iter().filter(|sent| sent.base >= base) {
                if !written[end..].starts_with(&sent.bytes) {
                    // From here on only the journal has it.
                    world.disk.poke(&path, end as u64, &sent.bytes[..70]);
                    torn += 1;
                    break;
                }
                end += sent.bytes.len();
            }
            world.models.get_mut(&id(1, 0)).unwrap().log_start = Offset(0);
            world.start().await;
        });
    }
    assert!(torn > 10, "{torn}");
}

#[test]
fn a_newer_format_and_the_loss_of_everything_are_refused() {
    let mut world = World::new(9);
    world.sim.clone().block_on(async {
        live(&mut world, End::Kill).await;
        let refused = async || recover(&world.disk, Path::new(DATA), world.now_ms).await.err();
        world.disk.poke(&path(&world, CHECKPOINT), 4, &[9]);
        let newer = |error: &Error| {
            matches!(error, Error::Checkpoint { source: checkpoint::Error::NewerFormat { found: 9, .. }, .. })
        };
        assert!(refused().await.is_some_and(|error| newer(&error)));
        for name in [CHECKPOINT, COPY, "generation"] {
            world.disk.poke(&path(&world, name), 0, b"nonsense");
        }
        let error = refused().await.expect("frames may be there, and nobody knows which of them count");
        assert!(matches!(error, Error::Checkpoint { source: checkpoint::Error::Damaged { .. }, .. }), "{error:?}");
    });
}

#[test]
fn attachments_are_carried_from_checkpoint_to_checkpoint_until_they_change() {
    let mut world = World::new(10);
    world.sim.clone().block_on(async {
        let attachments = async |world: &World| {
            let recovered = recover(&world.disk, Path::new(DATA), world.now_ms).await.unwrap();
            let of_shard = recovered.attachments.into_iter().filter(|(shard, ..)| *shard == world.shard);
            of_shard.map(|(_, name, bytes)| (name, bytes)).collect::<Vec<_>>()
        };
        world.start().await;
        let shard = world.shard;
        world.create("events", id(1, 0), PartitionConfig::default()).await;
        world.log().attach("groups", b"first".to_vec());
        world.log().checkpoint().await.unwrap();
        // Lives that attach nothing, with and without a checkpoint of their own.
        for life in 0..6 {
            world.end([End::Kill, End::PowerLoss, End::Shutdown][life % 3]).await;
            assert_eq!(attachments(&world).await, [("groups".to_owned(), b"first".to_vec())]);
            while {
                world.start().await;
                world.shard != shard
            } {
                world.end(End::Kill).await;
            }
            world.append(id(1, 0), 100, true).unwrap();
            world.wait_committed().await;
            if life % 2 == 0 {
                world.log().checkpoint().await.unwrap();
            }
        }
        world.log().attach("groups", b"second".to_vec());
        world.log().checkpoint().await.unwrap();
        world.end(End::Kill).await;
        world.shard = shard;
        assert_eq!(attachments(&world).await, [("groups".to_owned(), b"second".to_vec())]);
    });
}

/// What is attached may speak of records that a failed partition has not synced.
#[test]
fn an_attachment_waits_for_what_it_may_speak_of() {
    let mut world = World::new(11);
    world.sim.clone().block_on(async {
        world.start().await;
        let config = PartitionConfig { durability: Durability::Replicated, ..PartitionConfig::default() };
        world.create("events", id(1, 0), config).await;
        world.disk.inject(Fault::no_space(Kind::Growth, "events-0/"));
        world.append(id(1, 0), 100_000, false).unwrap();
        world.log().attach("groups", b"early".to_vec());
        world.log().checkpoint().await.unwrap();
        world.disk.clear_faults();
        world.end(End::Kill).await;
        let recovered = recover(&world.disk, Path::new(DATA), world.now_ms).await.unwrap();
        assert!(recovered.attachments.is_empty(), "{:?}", recovered.attachments);
    });
}
