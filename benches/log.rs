//! What the log costs beside its disk: an append with the read that follows it, and where to look for an offset.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use duramen::log::index::{IndexBuilder, SealedIndex};
use duramen::log::{Durability, ReadOut};
use duramen_wire::ids::Offset;

use null_disk::{World, batch};

#[path = "../tests/null_disk/mod.rs"]
mod null_disk;

/// Records and bytes of each: a small request, one of Java's default batches, a full megabyte.
const SHAPES: [(usize, usize); 3] = [(1, 1_000), (150, 100), (980, 1_000)];
/// A segment of 1 GiB, with an entry every 4 KiB.
const ENTRIES: u32 = 1 << 18;
const BATCH_LEN: u32 = 4_200;
const RECORDS: i64 = 42;

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append_and_read");
    for (name, durability) in [("replicated", Durability::Replicated), ("fsync", Durability::Fsync)] {
        for (count, size) in SHAPES {
            let (batch, mut out) = (batch(count, size), ReadOut::default());
            let mut world = World::new(durability);
            group.throughput(Throughput::Bytes(batch.len() as u64));
            group.bench_function(format!("{name} {count}x{size}B"), |bencher| {
                bencher.iter(|| world.round(black_box(&batch), &mut out));
            });
            assert!(world.log.stats().bytes_appended > 0, "every round appends");
        }
    }
    group.finish();
}

fn look_up(criterion: &mut Criterion) {
    let mut growing = IndexBuilder::new(Offset(0), 4_096, u32::MAX);
    for number in 0..ENTRIES {
        let base = i64::from(number) * RECORDS;
        growing.append(Offset(base), number * BATCH_LEN, base, Offset(base + RECORDS - 1), BATCH_LEN);
    }
    let end = i64::from(ENTRIES) * RECORDS;
    let (offsets, times) = (growing.encode_offset_index(), growing.encode_time_index());
    let len = u64::from(ENTRIES) * u64::from(BATCH_LEN);
    let sealed = SealedIndex::decode(Offset(0), Offset(end), len, offsets, times).expect("it was just written");
    let mut group = criterion.benchmark_group("look_up");
    // Each is asked for another place, as consumers that begin somewhere ask.
    let mut at = 0_i64;
    let mut next = move || {
        at = (at + 7_919 * RECORDS) % end;
        at
    };
    group.bench_function("growing, by offset", |bencher| bencher.iter(|| growing.lookup(black_box(Offset(next())))));
    group.bench_function("sealed, by offset", |bencher| bencher.iter(|| sealed.lookup(black_box(Offset(next())))));
    group.bench_function("sealed, by time", |bencher| bencher.iter(|| sealed.lookup_time(black_box(next()))));
    group.finish();
}

criterion_group!(benches, append, look_up);
criterion_main!(benches);
