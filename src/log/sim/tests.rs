use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::transfer::list_of;
use super::{Fault, Kind, Sim, SimDisk, SimFile, conformance};
use crate::log::disk::{Access, Disk, Persist};
use crate::log::memory::{BLOCK_LEN, ChunkPool, SLAB_LEN};

const BLOCK: u64 = BLOCK_LEN as u64;
const SEEDS: std::ops::Range<u64> = 0..60;

fn path(name: &str) -> PathBuf {
    Path::new("/data").join(name)
}

/// A disk with a synced directory.
fn new(seed: u64) -> (Sim, SimDisk) {
    let sim = Sim::new(seed);
    let disk = SimDisk::new(&sim);
    sim.block_on(async {
        disk.create_dir(Path::new("/data")).await.unwrap();
        disk.sync_dir(Path::new("/")).await.unwrap();
    });
    (sim, disk)
}

/// A new file with a synced name and so many synced blocks of ones.
async fn file_of_ones(disk: &SimDisk, name: &str, blocks: u64) -> SimFile {
    let file = disk.open(&path(name), Access::CreateDirect).await.unwrap();
    for block in 0..blocks {
        put(disk, &file, block, 1, Persist::Kernel).await.unwrap();
    }
    disk.sync(&file).await.unwrap();
    disk.sync_dir(Path::new("/data")).await.unwrap();
    file
}

async fn put(disk: &SimDisk, file: &SimFile, block: u64, byte: u8, persist: Persist) -> std::io::Result<()> {
    let mut pool = ChunkPool::new(SLAB_LEN);
    disk.write(file, block * BLOCK, list_of(&mut pool, &[byte; BLOCK_LEN]), persist).await.0
}

/// The values that occur in a block.
fn values(disk: &SimDisk, name: &str, block: u64) -> BTreeSet<u8> {
    let bytes = disk.peek(&path(name)).unwrap_or_default();
    bytes.iter().skip(block as usize * BLOCK_LEN).take(BLOCK_LEN).copied().collect()
}

/// What `run` comes to, over many seeds.
fn outcomes<T: Ord>(run: impl Fn(Sim, SimDisk) -> T) -> BTreeSet<T> {
    SEEDS.map(new).map(|(sim, disk)| run(sim, disk)).collect()
}

fn set(values: &[u8]) -> BTreeSet<u8> {
    values.iter().copied().collect()
}

#[test]
fn it_conforms() {
    for seed in 0..10 {
        let (sim, disk) = new(seed);
        sim.block_on(conformance::run(&disk, Path::new("/data")));
        assert_eq!(disk.open_files(), 0, "every handle is closed");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed| {
        let (sim, disk) = new(seed);
        sim.block_on(conformance::run(&disk, Path::new("/data")));
        let disk = disk.crash_host();
        sim.block_on(async { disk.list(Path::new("/data")).await.unwrap() });
        (sim.trace(), disk.files(), sim.now())
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}

#[test]
fn tasks_run_in_many_orders() {
    let orders = outcomes(|sim, _| {
        let order = Rc::new(std::cell::RefCell::new(Vec::new()));
        for task in 0..3 {
            let (order, clock) = (order.clone(), sim.clone());
            sim.spawn(async move {
                clock.sleep(1).await;
                order.borrow_mut().push(task);
            });
        }
        sim.run_until_idle();
        order.take()
    });
    assert_eq!(orders.len(), 6);
}

#[test]
#[should_panic(expected = "seed 3")]
fn a_deadlock_names_its_seed() {
    Sim::new(3).block_on(std::future::pending::<()>());
}

#[test]
fn power_loss_takes_keeps_and_tears_what_was_not_synced() {
    let seen = outcomes(|sim, disk| {
        sim.block_on(async {
            let file = file_of_ones(&disk, "f", 2).await;
            put(&disk, &file, 1, 2, Persist::Kernel).await.unwrap();
        });
        let disk = disk.crash_host();
        assert_eq!(values(&disk, "f", 0), set(&[1]), "what was synced stays");
        values(&disk, "f", 1)
    });
    assert_eq!(seen, BTreeSet::from([set(&[1]), set(&[2]), set(&[1, 2])]));
}

#[test]
fn a_killed_process_loses_nothing_that_was_finished() {
    let seen = outcomes(|sim, disk| {
        let started = disk.clone();
        sim.block_on(async {
            let file = file_of_ones(&disk, "f", 2).await;
            put(&disk, &file, 0, 2, Persist::Kernel).await.unwrap();
            sim.spawn(async move { drop(put(&started, &file, 1, 2, Persist::Stable).await) });
            sim.sleep(1).await;
        });
        let disk = disk.crash_process();
        sim.drop_tasks();
        assert_eq!(values(&disk, "f", 0), set(&[2]));
        values(&disk, "f", 1)
    });
    assert_eq!(seen, BTreeSet::from([set(&[1]), set(&[2]), set(&[1, 2])]), "what was under way may have happened");
}

#[test]
fn a_stable_write_makes_itself_stable_and_nothing_else() {
    let seen = outcomes(|sim, disk| {
        sim.block_on(async {
            let file = file_of_ones(&disk, "f", 2).await;
            put(&disk, &file, 0, 2, Persist::Kernel).await.unwrap();
            put(&disk, &file, 1, 2, Persist::Stable).await.unwrap();
            put(&disk, &file, 2, 2, Persist::Stable).await.unwrap();
        });
        let disk = disk.crash_host();
        assert_eq!(values(&disk, "f", 1), set(&[2]));
        assert_eq!(values(&disk, "f", 2), set(&[2]), "with the length that it needs");
        values(&disk, "f", 0)
    });
    assert_eq!(seen.len(), 3);
}

#[test]
fn a_sync_covers_what_was_finished_when_it_began() {
    let seen = outcomes(|sim, disk| {
        let later = disk.clone();
        let written = Rc::new(Cell::new(false));
        let mark = written.clone();
        sim.block_on(async {
            let file = file_of_ones(&disk, "f", 2).await;
            put(&disk, &file, 0, 2, Persist::Kernel).await.unwrap();
            let behind = file.clone();
            sim.spawn(async move {
                later.len(&behind).await.unwrap();
                put(&later, &behind, 1, 2, Persist::Kernel).await.unwrap();
                mark.set(true);
            });
            disk.sync(&file).await.unwrap();
        });
        let disk = disk.crash_host();
        assert_eq!(values(&disk, "f", 0), set(&[2]));
        (written.get(), values(&disk, "f", 1))
    });
    assert!(seen.contains(&(true, set(&[1]))), "a write that ends while the sync runs is not covered by it");
}

#[test]
fn a_length_is_lost_without_a_sync() {
    let seen = outcomes(|sim, disk| {
        sim.block_on(async {
            let file = file_of_ones(&disk, "f", 1).await;
            put(&disk, &file, 1, 2, Persist::Kernel).await.unwrap();
            disk.set_len(&file, 100).await.unwrap();
        });
        disk.crash_host().peek(&path("f")).unwrap().len()
    });
    assert_eq!(seen, BTreeSet::from([100, BLOCK_LEN, 2 * BLOCK_LEN]));
}

#[test]
fn what_was_cut_and_synced_never_comes_back() {
    let seen = outcomes(|sim, disk| {
        sim.block_on(async {
            let file = file_of_ones(&disk, "f", 2).await;
            disk.set_len(&file, 100).await.unwrap();
            disk.sync(&file).await.unwrap();
            disk.set_len(&file, 2 * BLOCK).await.unwrap();
        });
        disk.crash_host().peek(&path("f")).unwrap().into_iter().skip(100).collect::<BTreeSet<u8>>()
    });
    assert_eq!(seen, BTreeSet::from([set(&[]), set(&[0])]));
}

#[test]
fn names_wait_for_their_directory() {
    let seen = outcomes(|sim, disk| {
        sim.block_on(async {
            disk.write_small(&path("kept"), b"kept".to_vec()).await.unwrap();
            disk.open(&path("new"), Access::CreateDirect).await.unwrap();
            disk.open(&path("other"), Access::CreateDirect).await.unwrap();
        });
        let disk = disk.crash_host();
        assert_eq!(disk.peek(&path("kept")).unwrap(), b"kept", "a small file needs nothing else");
        (disk.peek(&path("new")).is_some(), disk.peek(&path("other")).is_some())
    });
    assert_eq!(seen.len(), 4, "each name fares by itself");
}

#[test]
fn a_rename_between_directories_is_never_half_done() {
    let seen = outcomes(|sim, disk| {
        sim.block_on(async {
            disk.create_dir(&path("a")).await.unwrap();
            disk.create_dir(&path("b")).await.unwrap();
            disk.write_small(&path("a/f"), b"f".to_vec()).await.unwrap();
            disk.sync_dir(Path::new("/data")).await.unwrap();
            disk.rename(&path("a/f"), &path("b/f")).await.unwrap();
            disk.sync_dir(&path("a")).await.unwrap();
        });
        let disk = disk.crash_host();
        let places = (disk.peek(&path("a/f")).is_some(), disk.peek(&path("b/f")).is_some());
        assert!(places.0 != places.1, "{places:?}");
        places
    });
    assert_eq!(seen.len(), 2, "it is stable with its new directory only");
}

#[test]
fn a_synced_rename_brings_the_creation_along() {
    outcomes(|sim, disk| {
        sim.block_on(async {
            disk.create_dir(&path("spare")).await.unwrap();
            disk.create_dir(&path("used")).await.unwrap();
            disk.sync_dir(Path::new("/data")).await.unwrap();
            disk.open(&path("spare/f"), Access::CreateDirect).await.unwrap();
            disk.rename(&path("spare/f"), &path("used/f")).await.unwrap();
            disk.sync_dir(&path("used")).await.unwrap();
            disk.sync_dir(&path("spare")).await.unwrap();
        });
        assert_eq!(disk.crash_host().files(), ["/data/used/f"]);
    });
}

#[test]
fn operations_on_one_name_keep_their_order() {
    let seen = outcomes(|sim, disk| {
        sim.block_on(async {
            disk.write_small(&path("a"), b"old".to_vec()).await.unwrap();
            disk.rename(&path("a"), &path("b")).await.unwrap();
            disk.open(&path("a"), Access::CreateDirect).await.unwrap();
        });
        let disk = disk.crash_host();
        (disk.peek(&path("a")), disk.peek(&path("b")))
    });
    let old = || Some(b"old".to_vec());
    assert_eq!(seen, BTreeSet::from([(old(), None), (None, old()), (Some(Vec::new()), old())]));
}

#[test]
fn a_small_file_is_old_or_new() {
    let seen = outcomes(|sim, disk| {
        let background = disk.clone();
        sim.block_on(async {
            disk.write_small(&path("f"), b"old".to_vec()).await.unwrap();
            sim.spawn(async move { drop(background.write_small(&path("f"), b"new".to_vec()).await) });
            sim.sleep(1).await;
        });
        disk.crash_host().peek(&path("f")).unwrap()
    });
    assert_eq!(seen, BTreeSet::from([b"old".to_vec(), b"new".to_vec()]));
}

#[test]
fn stores_survive_the_process_and_not_the_host() {
    let run = |sim: Sim, disk: SimDisk| {
        sim.block_on(async {
            let mapping = disk.map(&path("f"), BLOCK_LEN).await.unwrap();
            let file = disk.open(&path("f"), Access::Direct).await.unwrap();
            disk.sync(&file).await.unwrap();
            disk.sync_dir(Path::new("/data")).await.unwrap();
            disk.store(&mapping, 0, &[&[1; BLOCK_LEN]]);
        });
        let disk = disk.crash_process();
        assert_eq!(values(&disk, "f", 0), set(&[1]));
        values(&disk.crash_host(), "f", 0)
    };
    assert_eq!(outcomes(run), BTreeSet::from([set(&[0]), set(&[1]), set(&[0, 1])]));
}

#[test]
fn a_process_can_die_in_the_middle_of_a_store() {
    let seen = outcomes(|sim, disk| {
        let mapping = sim.block_on(disk.map(&path("f"), BLOCK_LEN)).unwrap();
        disk.die_in_store(1);
        disk.store(&mapping, 0, &[b"whole"]);
        assert!(disk.is_alive());
        disk.store(&mapping, 5, &[b"a", b"b"]);
        assert!(!disk.is_alive());
        disk.store(&mapping, 0, &[b"never"]);
        let next = disk.crash_process();
        assert!(next.is_alive());
        next.peek(&path("f")).unwrap()[..8].to_vec()
    });
    assert_eq!(seen, BTreeSet::from([b"whole\0\0\0", b"wholea\0\0", b"wholeab\0"].map(|bytes| bytes.to_vec())));
}

#[test]
fn dead_handles_do_nothing() {
    let (sim, disk) = new(1);
    let (file, mapping) = sim.block_on(async {
        let mapping = disk.map(&path("m"), BLOCK_LEN).await.unwrap();
        (file_of_ones(&disk, "f", 1).await, mapping)
    });
    let next = disk.crash_process();
    disk.store(&mapping, 0, &[b"x"]);
    let ended = Rc::new(Cell::new(false));
    let mark = ended.clone();
    sim.spawn(async move {
        let _never = put(&disk, &file, 0, 2, Persist::Kernel).await;
        mark.set(true);
    });
    sim.run_until_idle();
    assert!(!ended.get());
    assert_eq!(values(&next, "f", 0), set(&[1]));
    assert_eq!(values(&next, "m", 0), set(&[0]));
}

#[test]
fn what_was_under_way_never_ends_after_a_crash() {
    outcomes(|sim, disk| {
        let ended = Rc::new(Cell::new(false));
        let (mark, old) = (ended.clone(), disk.clone());
        sim.block_on(async {
            let file = file_of_ones(&disk, "f", 1).await;
            sim.spawn(async move {
                put(&old, &file, 0, 2, Persist::Kernel).await.unwrap();
                mark.set(true);
            });
            sim.sleep(0).await;
        });
        let before = ended.get();
        let next = disk.crash_process();
        let bytes = next.peek(&path("f"));
        sim.run_until_idle();
        assert_eq!((ended.get(), next.peek(&path("f"))), (before, bytes));
    });
}

#[test]
fn lost_syncs_lose_what_they_promised() {
    let seen = outcomes(|sim, disk| {
        disk.lose_syncs(true);
        sim.block_on(async {
            let file = disk.open(&path("f"), Access::CreateDirect).await.unwrap();
            put(&disk, &file, 0, 1, Persist::Stable).await.unwrap();
            disk.sync(&file).await.unwrap();
            disk.sync_dir(Path::new("/data")).await.unwrap();
        });
        disk.crash_host().peek(&path("f")).is_some()
    });
    assert_eq!(seen.len(), 2);
}

#[test]
fn the_nth_write_fails_and_may_have_arrived_in_part() {
    let seen = outcomes(|sim, disk| {
        disk.inject(Fault::eio(Kind::Write, "/data/f").after(2));
        sim.block_on(async {
            let other = disk.open(&path("other"), Access::CreateDirect).await.unwrap();
            let file = disk.open(&path("f"), Access::CreateDirect).await.unwrap();
            put(&disk, &file, 0, 1, Persist::Kernel).await.unwrap();
            put(&disk, &file, 1, 1, Persist::Kernel).await.unwrap();
            put(&disk, &other, 0, 1, Persist::Kernel).await.unwrap();
            let error = put(&disk, &file, 1, 2, Persist::Kernel).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EIO));
            put(&disk, &file, 2, 1, Persist::Kernel).await.unwrap();
        });
        values(&disk, "f", 1)
    });
    assert!(seen.contains(&set(&[1])) && seen.contains(&set(&[1, 2])));
}

#[test]
fn no_later_sync_makes_up_for_one_that_failed() {
    let seen = outcomes(|sim, disk| {
        sim.block_on(async {
            let file = file_of_ones(&disk, "f", 1).await;
            put(&disk, &file, 0, 2, Persist::Kernel).await.unwrap();
            disk.inject(Fault::eio(Kind::Sync, "/data/f"));
            assert!(disk.sync(&file).await.is_err());
            disk.sync(&file).await.unwrap();
        });
        assert_eq!(values(&disk, "f", 0), set(&[2]), "a reader sees it all the time");
        values(&disk.crash_host(), "f", 0)
    });
    assert!(seen.contains(&set(&[1])));
}

#[test]
fn a_full_disk_refuses_growth_until_something_is_removed() {
    outcomes(|sim, disk| {
        sim.block_on(async {
            let file = file_of_ones(&disk, "f", 2).await;
            file_of_ones(&disk, "g", 2).await;
            disk.set_capacity(Some(5 * BLOCK));
            let full =
                |result: std::io::Result<()>| assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
            full(disk.zero(&file, 2 * BLOCK..4 * BLOCK).await);
            full(disk.write_small(&path("s"), vec![1; 3 * BLOCK_LEN]).await);
            put(&disk, &file, 1, 2, Persist::Kernel).await.unwrap();
            disk.remove(&path("g")).await.unwrap();
            drop(disk.remove(&path("s.tmp")).await);
            disk.zero(&file, 2 * BLOCK..4 * BLOCK).await.unwrap();
        });
    });
}

#[test]
fn growth_can_fail_at_a_chosen_point() {
    let (sim, disk) = new(5);
    disk.inject(Fault::no_space(Kind::Growth, "/data/f").after(2));
    sim.block_on(async {
        let file = file_of_ones(&disk, "f", 2).await;
        put(&disk, &file, 1, 2, Persist::Kernel).await.unwrap();
        assert_eq!(put(&disk, &file, 2, 2, Persist::Kernel).await.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
        assert!(disk.zero(&file, 8 * BLOCK..9 * BLOCK).await.is_err());
        disk.clear_faults();
        put(&disk, &file, 2, 2, Persist::Kernel).await.unwrap();
    });
}

#[test]
#[should_panic(expected = "two writes")]
fn two_writes_of_a_block_at_a_time_are_a_mistake() {
    let (sim, disk) = new(6);
    sim.block_on(async {
        let file = file_of_ones(&disk, "f", 1).await;
        let (other, same) = (disk.clone(), file.clone());
        sim.spawn(async move { put(&other, &same, 0, 2, Persist::Kernel).await.unwrap() });
        sim.sleep(0).await;
        put(&disk, &file, 0, 3, Persist::Kernel).await.unwrap();
        sim.sleep(100).await;
    });
}

#[test]
#[should_panic(expected = "immutable")]
fn a_block_that_changes_in_flight_is_a_mistake() {
    let (sim, disk) = new(7);
    sim.block_on(async {
        let file = file_of_ones(&disk, "f", 1).await;
        let mut pool = ChunkPool::new(SLAB_LEN);
        let list = list_of(&mut pool, &[1; BLOCK_LEN]);
        let mut same = crate::log::memory::IoList::default();
        for (chunk, start, len) in list.parts() {
            same.push(chunk.clone(), start..start + len);
        }
        let clock = sim.clone();
        sim.spawn(async move { drop(disk.write(&file, 0, list, Persist::Kernel).await) });
        clock.sleep(1).await;
        super::transfer::scatter(&same, &[2; BLOCK_LEN]);
        clock.sleep(1000).await;
    });
}

#[test]
fn poked_bytes_survive_everything() {
    let (sim, disk) = new(8);
    sim.block_on(async { drop(file_of_ones(&disk, "f", 1).await) });
    disk.poke(&path("f"), 10, &[9, 9]);
    let bytes = disk.crash_host().peek(&path("f")).unwrap();
    assert_eq!((&bytes[9..13], bytes.len()), (&[1, 9, 9, 1][..], BLOCK_LEN));
}
