//! What the wire codec costs: the checksum, a whole batch's check, and the parsing of a Produce request.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use duramen_wire::api::ApiKey;
use duramen_wire::batch::{self, BatchBuilder, Limits};
use duramen_wire::header::RequestHeader;
use duramen_wire::produce::Request;
use duramen_wire::slices::Slices;

/// The version of Produce whose topics have names and whose lengths are compact.
const VERSION: i16 = 9;
/// Bytes of a receive buffer: a batch that is longer arrives in pieces.
const PIECE_LEN: usize = 64 << 10;
/// Records and bytes of each: a small request, one of Java's default batches, a full megabyte.
const SHAPES: [(usize, usize); 4] = [(1, 1_000), (150, 100), (9_000, 100), (980, 1_000)];

fn checksum(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("crc32c");
    for length in [64, 1 << 10, 16 << 10, 1 << 20] {
        let bytes = vec![0x5a_u8; length];
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_with_input(BenchmarkId::from_parameter(length), &bytes, |bencher, bytes| {
            bencher.iter(|| crc32c::crc32c(black_box(bytes)));
        });
    }
    group.finish();
}

fn validate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("validate");
    for (count, size) in SHAPES {
        let batch = batch_of(count, size);
        let pieces: Vec<&[u8]> = batch.chunks(PIECE_LEN).collect();
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(shape(count, size), |bencher| {
            bencher
                .iter(|| batch::validate(Slices::new(black_box(&pieces)), &Limits::default()).expect("a good batch"));
        });
    }
    group.finish();
}

fn parse_produce(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse_produce");
    for (count, size) in SHAPES {
        let bytes = produce_request(&batch_of(count, size));
        let pieces: Vec<&[u8]> = bytes.chunks(PIECE_LEN).collect();
        let mut request = Request::default();
        group.bench_function(shape(count, size), |bencher| {
            bencher.iter(|| {
                let slices = Slices::new(black_box(&pieces));
                let header = RequestHeader::parse(slices).expect("a good header");
                request.parse(slices, header.body, VERSION).expect("a good request");
                request.partitions.len()
            });
        });
    }
    group.finish();
}

fn shape(count: usize, size: usize) -> String {
    format!("{count}x{size}B")
}

fn batch_of(count: usize, size: usize) -> Vec<u8> {
    let value = vec![b'x'; size];
    let mut batch = BatchBuilder::new();
    for at in 0..count {
        batch.push(None, Some(&value), &[], 1_700_000_000_000 + at as i64 / 100);
    }
    batch.finish()
}

/// A request for one partition, without the frame's length.
fn produce_request(batch: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend((ApiKey::Produce as i16).to_be_bytes());
    out.extend(VERSION.to_be_bytes());
    out.extend(7_i32.to_be_bytes());
    out.extend(5_i16.to_be_bytes());
    out.extend(b"bench");
    out.push(0); // the header's tagged fields
    out.push(0); // no transactional id
    out.extend((-1_i16).to_be_bytes());
    out.extend(30_000_i32.to_be_bytes());
    out.push(2); // one topic
    out.push(6);
    out.extend(b"bench");
    out.push(2); // one partition
    out.extend(0_i32.to_be_bytes());
    compact_length(batch.len() + 1, &mut out);
    out.extend(batch);
    out.extend([0, 0, 0]); // tagged fields of the partition, the topic and the request
    out
}

fn compact_length(mut length: usize, out: &mut Vec<u8>) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

criterion_group!(benches, checksum, validate, parse_produce);
criterion_main!(benches);
