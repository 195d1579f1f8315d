//! What the wire codec costs: the checksum, a whole batch's check, Produce and Fetch requests read, Fetch answers written.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use duramen_wire::api::ApiKey;
use duramen_wire::batch::{self, BatchBuilder, Limits};
use duramen_wire::fetch;
use duramen_wire::header::RequestHeader;
use duramen_wire::ids::{PartitionIndex, TopicId};
use duramen_wire::produce::Request;
use duramen_wire::slices::Slices;
use duramen_wire::topic::TopicName;
use kafka_protocol::messages::RequestHeader as Header;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::protocol::Encodable;

/// The version of Produce whose topics have names and whose lengths are compact.
const VERSION: i16 = 9;
/// The newest version of Fetch, whose topics have ids.
const FETCH_VERSION: i16 = 18;
/// Partitions of a Fetch request: a change to a session, a consumer of one topic, one of everything.
const FETCHED: [i32; 3] = [0, 10, 1_000];
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

fn parse_fetch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse_fetch");
    for count in FETCHED {
        let bytes = fetch_request(count);
        let piece = bytes.as_slice();
        let mut request = fetch::Request::default();
        group.bench_function(format!("{count} partitions"), |bencher| {
            bencher.iter(|| {
                let slices = Slices::one(black_box(&piece));
                let header = RequestHeader::parse(slices).expect("a good header");
                request.parse(slices, header.body, FETCH_VERSION).expect("a good request");
                request.partitions.len()
            });
        });
    }
    group.finish();
}

/// All but the records, which are sent from where they lie.
fn write_fetch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("write_fetch");
    for count in FETCHED {
        let (mut out, mut splices) = (Vec::new(), Vec::new());
        group.bench_function(format!("{count} partitions"), |bencher| {
            bencher.iter(|| {
                out.clear();
                splices.clear();
                let head = fetch::ResponseHead::default();
                let mut response =
                    fetch::ResponseEncoder::begin(&mut out, &mut splices, FETCH_VERSION, 7, black_box(&head), 1);
                response.topic(TopicName::Id(TopicId::default()), count as usize);
                for index in 0..count {
                    let none = fetch::PartitionResponse::error(PartitionIndex(index), 0);
                    response.partition(&fetch::PartitionResponse { records_len: Some(1 << 20), ..none });
                }
                response.finish(&[])
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

/// As Java's consumer sends it, without the frame's length.
fn fetch_request(partitions: i32) -> Vec<u8> {
    let header = Header::default()
        .with_request_api_key(ApiKey::Fetch as i16)
        .with_request_api_version(FETCH_VERSION)
        .with_client_id(Some("bench".into()));
    let partition = |index| FetchPartition::default().with_partition(index).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_partitions((0..partitions).map(partition).collect());
    let topics = if partitions == 0 { Vec::new() } else { vec![topic] };
    let mut bytes = Vec::new();
    header.encode(&mut bytes, 2).expect("a good header");
    FetchRequest::default().with_topics(topics).encode(&mut bytes, FETCH_VERSION).expect("a good request");
    bytes
}

fn compact_length(mut length: usize, out: &mut Vec<u8>) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

criterion_group!(benches, checksum, validate, parse_produce, parse_fetch, write_fetch);
criterion_main!(benches);
