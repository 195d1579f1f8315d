//! Finding records by time and epoch, across segments, memory and disk.

use duramen_wire::batch::BatchBuilder;
use duramen_wire::ids::{LeaderEpoch, Offset};
use duramen_wire::slices::Slices;

use super::world::{End, World, id};
use crate::log::{Appended, Durability, Origin, PartitionConfig};

/// Appends a batch with these timestamps, behind the model's back.
fn append(world: &World, times: &[i64]) -> Appended {
    let mut builder = BatchBuilder::new();
    times.iter().for_each(|time| builder.push(None, Some(&[7; 3_000]), &[], *time));
    let bytes = builder.finish();
    world.partition(id(1, 0)).append(Slices::one(&&bytes[..]), Origin::Client, world.now_ms).unwrap()
}

#[test]
fn records_are_found_by_time_in_memory_and_on_disk() {
    let mut world = World::new(11);
    world.sim.clone().block_on(async {
        world.start().await;
        let config = PartitionConfig {
            segment_bytes: 40_000,
            index_interval_bytes: 1,
            retention_ms: -1,
            ..PartitionConfig::default()
        };
        world.create("events", id(1, 0), config).await;
        // Offsets 0 to 59; times 10, 20, ... but for one that lies far ahead.
        for number in 0..30 {
            let time = number * 20 + 10;
            append(&world, &[if number == 7 { 5_000 } else { time }, time + 10]);
            world.wait_committed().await;
        }
        let partition = world.partition(id(1, 0));
        assert!(partition.segment_count() > 3);
        for idle_ms in [0, 10_000] {
            world.pass(idle_ms).await;
            let found =
                async |time| partition.offset_for_time(time).await.unwrap().map(|(offset, time, _)| (offset.0, time));
            assert_eq!(found(0).await, Some((0, 10)));
            assert_eq!(found(10).await, Some((0, 10)));
            assert_eq!(found(11).await, Some((1, 20)));
            assert_eq!(found(145).await, Some((14, 5_000)), "the first record that is not before, not the nearest");
            assert_eq!(found(601).await, Some((14, 5_000)));
            assert_eq!(found(5_001).await, None);
            let latest = partition.max_timestamp().await.unwrap();
            assert_eq!(latest, Some((Offset(14), 5_000, LeaderEpoch(0))));
        }
        assert!(world.log().stats().bytes_read_cold > 0, "an idle partition has given its memory back");
        partition.delete_records(Offset(21)).await.unwrap();
        assert_eq!(partition.offset_for_time(0).await.unwrap().map(|found| found.0), Some(Offset(21)));
        assert_eq!(partition.max_timestamp().await.unwrap().map(|found| found.0), Some(Offset(59)));
    });
}

#[test]
fn epochs_outlive_a_crash() {
    let mut world = World::new(12);
    world.sim.clone().block_on(async {
        world.start().await;
        world.create("events", id(1, 0), PartitionConfig::default()).await;
        for epoch in [0, 3] {
            world.partition(id(1, 0)).raise_epoch(LeaderEpoch(epoch));
            world.append(id(1, 0), 100, false).unwrap();
            world.wait_committed().await;
        }
        let (first, end) = (world.models[&id(1, 0)].batches[0].end, world.models[&id(1, 0)].end());
        for _ in 0..2 {
            let partition = world.partition(id(1, 0));
            assert_eq!(partition.end_offset_for_epoch(LeaderEpoch(0)), Some((LeaderEpoch(0), first)));
            assert_eq!(partition.end_offset_for_epoch(LeaderEpoch(2)), Some((LeaderEpoch(0), first)));
            assert_eq!(partition.end_offset_for_epoch(LeaderEpoch(3)), Some((LeaderEpoch(3), end)));
            assert_eq!(partition.epoch_at(first), Some(LeaderEpoch(3)));
            world.end(End::PowerLoss).await;
            world.start().await;
        }
    });
}

#[test]
fn a_repeated_batch_is_answered_as_the_first_time_also_after_a_crash() {
    let mut world = World::new(13);
    world.sim.clone().block_on(async {
        world.start().await;
        world.create("events", id(1, 0), PartitionConfig::default()).await;
        let first = world.append(id(1, 0), 100, true).unwrap();
        world.wait_committed().await;
        let (_, sent) = world.models[&id(1, 0)].batches[0].sequence.clone().unwrap();
        for _ in 0..2 {
            let again =
                world.partition(id(1, 0)).append(Slices::one(&&sent[..]), Origin::Client, world.now_ms).unwrap();
            assert_eq!((again.duplicate, again.base_offset, again.end), (true, first.base_offset, first.end));
            assert_eq!(world.partition(id(1, 0)).log_end(), first.end);
            world.end(End::Kill).await;
            world.start().await;
        }
    });
}

#[test]
fn an_idle_log_comes_to_rest_and_has_nothing_due() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        world.sim.clone().block_on(async {
            world.start().await;
            for (number, durability) in [Durability::Fsync, Durability::Replicated].into_iter().enumerate() {
                let config =
                    PartitionConfig { durability, segment_bytes: 100_000, retention_ms: 1_000, ..Default::default() };
                world.create("events", id(1, number as i32), config).await;
                (0..30).for_each(|_| drop(world.append(id(1, number as i32), 8_000, false)));
            }
            world.wait_committed().await;
            // Long enough for retention to empty the log.
            world.pass(1_000_000).await;
            let log = world.log();
            assert_eq!(log.next_tick(world.now_ms), None, "{}", world.sim);
            let stats = log.stats();
            assert_eq!((stats.journal_used, stats.ring_used), (0, 0));
            for partition in log.partitions() {
                assert_eq!((partition.size_bytes(), partition.segment_count()), (0, 1), "{}", world.sim);
                assert!(partition.0.state.borrow().tail.numbers().is_empty());
            }
        });
    }
}

/// What recovery trusts and does not read has no index in memory: it is made once, by the first who needs it.
#[test]
fn after_a_start_the_active_segment_is_read_once_for_its_index_and_not_for_each_look_up() {
    for (seed, how) in [(20, End::Shutdown), (21, End::Kill), (22, End::PowerLoss)] {
        let mut world = World::new(seed);
        world.sim.clone().block_on(async {
            world.start().await;
            world.create("events", id(1, 0), PartitionConfig { segment_ms: i64::MAX, ..Default::default() }).await;
            let mut sent = Vec::new();
            for _ in 0..150 {
                world.now_ms += 10;
                let appended = world.append(id(1, 0), 5_000, false).unwrap();
                sent.push((appended.base_offset, world.now_ms));
                world.wait_committed().await;
            }
            world.log().checkpoint().await.unwrap();
            let trusted = world.partition(id(1, 0)).size_bytes();
            world.end(how).await;
            world.start().await;
            assert_eq!(world.log().stats().index_bytes_read, 0, "a start reads nothing for readers that never come");
            // The index has to know what is appended now, too.
            for _ in 0..40 {
                world.now_ms += 10;
                let appended = world.append(id(1, 0), 5_000, false).unwrap();
                sent.push((appended.base_offset, world.now_ms));
            }
            world.wait_committed().await;
            world.pass(5_000).await;
            let partition = world.partition(id(1, 0));
            assert_eq!(partition.segment_count(), 1);
            for (offset, time) in sent.iter().step_by(9) {
                let found = partition.offset_for_time(*time).await.unwrap().map(|(offset, time, _)| (offset, time));
                assert_eq!(found, Some((*offset, *time)), "{}", world.sim);
            }
            for _ in 0..30 {
                world.read(id(1, 0)).await;
            }
            let look_ups = sent.len().div_ceil(9) as u64;
            let stats = world.log().stats();
            assert_eq!(stats.index_bytes_read, trusted, "once, and no more than was not known");
            let most = look_ups * 2 * (64 << 10) + 30 * 6 * 110_000;
            assert!(stats.cold_read_bytes <= most, "{} bytes for {look_ups} look-ups", stats.cold_read_bytes);
            // The largest timestamp behind a log start within a segment, too.
            let deleted = sent[3].0;
            partition.delete_records(deleted).await.unwrap();
            world.models.get_mut(&id(1, 0)).unwrap().log_start = deleted;
            let latest = partition.max_timestamp().await.unwrap().map(|(offset, time, _)| (offset, time));
            assert_eq!(latest.as_ref(), sent.last());
            let more = world.log().stats().cold_read_bytes - stats.cold_read_bytes;
            assert!(more <= 2 * (64 << 10), "{more} bytes");
            // A sealed segment has the index of all of it, in its files.
            world.append(id(1, 0), 900_000, false).unwrap();
            world.wait_committed().await;
            world.end(End::Shutdown).await;
            world.start().await;
            world.read(id(1, 0)).await;
        });
    }
}

#[test]
fn look_ups_that_come_together_make_the_index_once() {
    let mut world = World::new(23);
    world.sim.clone().block_on(async {
        world.start().await;
        world.create("events", id(1, 0), PartitionConfig::default()).await;
        (0..100).for_each(|_| drop(world.append(id(1, 0), 5_000, false)));
        world.wait_committed().await;
        world.end(End::Shutdown).await;
        world.start().await;
        let partition = world.partition(id(1, 0));
        let trusted = partition.size_bytes();
        for offset in [20, 50, 80, 90] {
            let partition = partition.clone();
            world.sim.spawn(async move {
                let mut out = crate::log::ReadOut::default();
                let end = partition.log_end();
                partition.read_cold(Offset(offset), 4_096, end, true, &mut out).await.unwrap();
            });
        }
        world.sim.sleep(100_000).await;
        let stats = world.log().stats();
        assert_eq!(stats.index_bytes_read, trusted);
        assert!(stats.bytes_read_cold >= 4 * 4_096, "all were answered: {stats:?}");
    });
}
