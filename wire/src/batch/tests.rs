//! Batches against golden bytes, against the crate's encoder, and against damage.

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression as CrateCompression, Record as CrateRecord, RecordBatchDecoder, RecordBatchEncoder,
    RecordEncodeOptions, TimestampType as CrateTimestampType,
};
use proptest::prelude::*;

use super::*;
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use crate::slices::Slices;

const MAX_OUTPUT: usize = 1 << 20;

fn check(bytes: &[u8], limits: &Limits) -> Result<BatchHeader, Error> {
    validate(Slices::one(&bytes), limits)
}

fn sample() -> Vec<u8> {
    let mut builder = BatchBuilder::new().base_offset(Offset(5)).leader_epoch(LeaderEpoch(3)).producer(
        ProducerId(9),
        ProducerEpoch(1),
        i32::MAX - 1,
    );
    builder.push(Some(b"k"), Some(b"v"), &[(b"h", Some(b"x")), (b"n", None)], 1_000);
    builder.push(None, Some(b""), &[], 1_005);
    builder.push(Some(b""), None, &[], 998);
    builder.finish()
}

/// Overwrites bytes and makes the CRC fit again.
fn patched(mut bytes: Vec<u8>, at: usize, with: &[u8]) -> Vec<u8> {
    bytes[at..at + with.len()].copy_from_slice(with);
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

#[test]
fn golden_bytes() {
    #[rustfmt::skip]
    let expected: &[u8] = &[
        0, 0, 0, 0, 0, 0, 0, 5, // base offset
        0, 0, 0, 79, // length from here on
        0, 0, 0, 3, // leader epoch
        2, // magic
        0x03, 0xc0, 0xa3, 0xce, // CRC-32C, computed bit by bit elsewhere
        0, 0, // attributes
        0, 0, 0, 2, // last offset delta
        0, 0, 0, 0, 0, 0, 3, 0xe8, // base timestamp
        0, 0, 0, 0, 0, 0, 3, 0xed, // max timestamp
        0, 0, 0, 0, 0, 0, 0, 9, // producer id
        0, 1, // producer epoch
        0x7f, 0xff, 0xff, 0xfe, // base sequence
        0, 0, 0, 3, // record count
        30, 0, 0, 0, 2, b'k', 2, b'v', 4, 2, b'h', 2, b'x', 2, b'n', 1,
        12, 0, 10, 2, 1, 0, 0,
        12, 0, 3, 4, 0, 1, 0,
    ];
    assert_eq!(sample(), expected);
}

#[test]
fn crc_is_castagnoli() {
    assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
}

#[test]
fn a_header_tells_what_it_holds() {
    let header = check(&sample(), &Limits::default()).unwrap();
    assert_eq!((header.total_len(), header.last_offset()), (91, Offset(7)));
    assert_eq!(header.last_sequence(), 0, "the sequence wraps at i32::MAX");
    assert_eq!(header.timestamp_type(), TimestampType::CreateTime);
    assert!(!header.is_transactional() && !header.is_control() && !header.has_delete_horizon());
    assert!(header.has_producer());
    assert_eq!(peek_len(sample()[..12].try_into().unwrap()).unwrap(), 91);
    assert_eq!(header.to_bytes(), sample()[..61]);
    let flags = BatchHeader { attributes: 0b111_1010, ..header };
    assert_eq!(flags.timestamp_type(), TimestampType::LogAppendTime);
    assert!(flags.is_transactional() && flags.is_control() && flags.has_delete_horizon());
    assert_eq!(flags.compression().unwrap(), Compression::Snappy);
}

#[test]
fn placing_a_batch_keeps_it_valid() {
    let mut bytes = sample();
    set_base_offset_and_epoch(&mut bytes, Offset(77), LeaderEpoch(8));
    let header = check(&bytes, &Limits::default()).unwrap();
    assert_eq!((header.base_offset, header.leader_epoch), (Offset(77), LeaderEpoch(8)));
    assert_eq!(bytes[16..], sample()[16..]);
    assert_eq!(bytes[8..12], sample()[8..12]);
}

#[test]
fn what_is_not_one_good_batch_is_refused_by_name() {
    let all = Limits::default();
    let good = sample();
    assert!(matches!(check(&[], &all), Err(Error::Empty)));
    assert!(matches!(check(&good[..60], &all), Err(Error::Truncated { length: 60 })));
    assert!(matches!(check(&good[..90], &all), Err(Error::Length { claimed: 91, actual: 90 })));
    let twice = [good.as_slice(), &good].concat();
    assert!(matches!(check(&twice, &all), Err(Error::MoreThanOne { count: 91 })));
    assert!(matches!(check(&patched(good.clone(), 16, &[1]), &all), Err(Error::Magic(1))));
    assert!(matches!(check(&patched(good.clone(), 8, &[0xff; 4]), &all), Err(Error::Truncated { .. })));
    assert!(matches!(check(&patched(good.clone(), 22, &[7]), &all), Err(Error::UnknownCompression(7))));
    let lying = patched(good.clone(), 57, &4_i32.to_be_bytes());
    assert!(matches!(check(&lying, &all), Err(Error::RecordCount { record_count: 4, last_offset_delta: 2 })));
    let none = patched(patched(good.clone(), 57, &[0; 4]), 23, &[0xff; 4]);
    assert!(matches!(check(&none, &all), Err(Error::RecordCount { .. })));
    let four = patched(patched(good.clone(), 57, &4_i32.to_be_bytes()), 23, &3_i32.to_be_bytes());
    assert!(matches!(check(&four, &all), Err(Error::Record { index: 3, .. })));
    let two = patched(patched(good.clone(), 57, &2_i32.to_be_bytes()), 23, &1_i32.to_be_bytes());
    assert!(matches!(check(&two, &all), Err(Error::BytesAfterRecords { count: 7 })));
    assert!(matches!(
        check(&patched(good.clone(), 64, &[2]), &all),
        Err(Error::OffsetDelta { index: 0, offset_delta: 1 })
    ));
    assert!(matches!(check(&patched(good, 69, &[2]), &all), Err(Error::Record { index: 0, .. })));
    let mut wraps = sample();
    wraps[..8].copy_from_slice(&i64::MAX.to_be_bytes());
    assert!(matches!(check(&wraps, &all), Err(Error::RecordCount { .. })));
}

#[test]
fn limits_ask_for_keys_and_times() {
    let limits = Limits { require_key: true, ..Limits::default() };
    assert!(matches!(check(&sample(), &limits), Err(Error::NullKey { index: 1 })));
    let limits = Limits { timestamp_max: 1_004, ..Limits::default() };
    assert!(matches!(check(&sample(), &limits), Err(Error::Timestamp { timestamp: 1_005, .. })));
    let understated = patched(sample(), 35, &1_000_i64.to_be_bytes());
    assert!(matches!(check(&understated, &limits), Err(Error::Timestamp { index: 1, timestamp: 1_005 })));
    let limits = Limits { timestamp_min: 999, ..Limits::default() };
    assert!(matches!(check(&sample(), &limits), Err(Error::Timestamp { index: 2, timestamp: 998 })));
    let mut untimed = BatchBuilder::new();
    untimed.push(None, None, &[], -1);
    assert!(check(&untimed.finish(), &limits).is_ok());
}

#[test]
fn records_are_what_was_pushed() {
    let bytes = sample();
    let records: Vec<Record> = Records::new(&bytes[HEADER_LEN..], 3).map(Result::unwrap).collect();
    assert_eq!(records.iter().map(|r| r.offset_delta).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(records.iter().map(|r| r.timestamp_delta).collect::<Vec<_>>(), [0, 5, -2]);
    assert_eq!(records.iter().map(|r| r.key).collect::<Vec<_>>(), [Some(&b"k"[..]), None, Some(b"")]);
    assert_eq!(records.iter().map(|r| r.value).collect::<Vec<_>>(), [Some(&b"v"[..]), Some(b""), None]);
    let headers: Vec<Header> = records[0].headers().collect();
    assert_eq!(headers, [Header { key: b"h", value: Some(b"x") }, Header { key: b"n", value: None }]);
    let cut = &bytes[HEADER_LEN..bytes.len() - 1];
    assert!(matches!(Records::new(cut, 3).last(), Some(Err(Error::Record { index: 2, .. }))));
    assert!(matches!(Records::new(&bytes[HEADER_LEN..], 2).last(), Some(Err(Error::BytesAfterRecords { count: 7 }))));
}

#[test]
fn the_crate_reads_what_is_built() {
    let set = RecordBatchDecoder::decode(&mut Bytes::from(sample())).unwrap();
    let offsets: Vec<i64> = set.records.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [5, 6, 7]);
    assert_eq!(set.records[0].headers.len(), 2);
    assert_eq!(set.records[2].timestamp, 998);
}

fn by_the_crate(values: &[Vec<u8>], compression: CrateCompression) -> Vec<u8> {
    let record = |(index, value): (usize, &Vec<u8>)| CrateRecord {
        transactional: false,
        control: false,
        partition_leader_epoch: 0,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: CrateTimestampType::Creation,
        offset: index as i64,
        sequence: index as i32,
        timestamp: 1_000 + index as i64,
        key: None,
        value: Some(Bytes::copy_from_slice(value)),
        headers: Default::default(),
        delete_horizon: Default::default(),
    };
    let records: Vec<CrateRecord> = values.iter().enumerate().map(record).collect();
    let mut out = BytesMut::new();
    RecordBatchEncoder::encode(&mut out, &records, &RecordEncodeOptions { version: 2, compression }).unwrap();
    out.to_vec()
}

const CODECS: [(CrateCompression, Compression); 5] = [
    (CrateCompression::None, Compression::None),
    (CrateCompression::Gzip, Compression::Gzip),
    (CrateCompression::Snappy, Compression::Snappy),
    (CrateCompression::Lz4, Compression::Lz4),
    (CrateCompression::Zstd, Compression::Zstd),
];

proptest! {
    #[test]
    fn every_compression_opens_to_its_records(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20),
        cut in 1_usize..200,
    ) {
        for (theirs, ours) in CODECS {
            let bytes = by_the_crate(&values, theirs);
            let pieces: Vec<&[u8]> = bytes.chunks(cut).collect();
            let slices = Slices::new(&pieces);
            let header = validate(slices, &Limits::default()).unwrap();
            prop_assert_eq!(header.compression().unwrap(), ours);
            let section = decompress(&header, slices, MAX_OUTPUT).unwrap();
            let read: Vec<Vec<u8>> = Records::new(&section, header.record_count)
                .map(|record| record.unwrap().value.unwrap().to_vec())
                .collect();
            prop_assert_eq!(&read, &values);
            let too_small = decompress(&header, slices, section.len() - 1);
            prop_assert!(matches!(too_small, Err(Error::TooLarge { .. })), "{ours:?}: {too_small:?}");
            prop_assert_eq!(decompress(&header, slices, section.len()).unwrap(), section);
        }
    }

    #[test]
    fn no_damage_goes_unseen(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let mut bytes = sample();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let outside_the_crc = at < 8 || (12..16).contains(&at);
        prop_assert_eq!(check(&bytes, &Limits::default()).is_ok(), outside_the_crc);
    }

    /// Flips a byte of the records and makes the CRC fit again.
    #[test]
    fn damaged_records_are_judged_alike_in_any_cut(
        at in 61..91_usize,
        with: u8,
        cut in 1_usize..40,
        require_key: bool,
        timestamp_max in 990..1_010_i64,
    ) {
        let bytes = patched(sample(), at, &[with]);
        let limits = Limits { require_key, timestamp_max, ..Limits::default() };
        let pieces: Vec<&[u8]> = bytes.chunks(cut).collect();
        let cut = validate(Slices::new(&pieces), &limits);
        prop_assert_eq!(format!("{cut:?}"), format!("{:?}", check(&bytes, &limits)));
        if cut.is_ok() {
            prop_assert!(Records::new(&bytes[HEADER_LEN..], 3).all(|record| record.is_ok()));
        }
    }

    #[test]
    fn no_record_bytes_make_it_panic(
        section in prop::collection::vec(any::<u8>(), 0..80),
        count in 1..6_i32,
        codec in 0..5_u8,
        cut in 1_usize..50,
    ) {
        let mut header = check(&sample(), &Limits::default()).unwrap();
        header.attributes = i16::from(codec);
        header.batch_length = (HEADER_LEN - 12 + section.len()) as i32;
        header.record_count = count;
        header.last_offset_delta = count - 1;
        let bytes = patched([&header.to_bytes()[..], &section].concat(), 0, &[]);
        let pieces: Vec<&[u8]> = bytes.chunks(cut).collect();
        let slices = Slices::new(&pieces);
        let valid = validate(slices, &Limits::default());
        let in_one = check(&bytes, &Limits::default());
        prop_assert_eq!(format!("{valid:?}"), format!("{in_one:?}"), "the cut makes no difference");
        if let Ok(section) = decompress(&header, slices, MAX_OUTPUT) {
            let walked = Records::new(&section, count).all(|record| record.is_ok());
            if codec == 0 && valid.is_ok() {
                prop_assert!(walked, "what validates can be read");
            }
        }
    }
}

#[test]
fn java_snappy_frames_are_opened() {
    let section = &sample()[HEADER_LEN..];
    let mut framed = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    for block in section.chunks(10) {
        let packed = snap::raw::Encoder::new().compress_vec(block).unwrap();
        framed.extend((packed.len() as u32).to_be_bytes());
        framed.extend(packed);
    }
    let mut header = check(&sample(), &Limits::default()).unwrap();
    header.attributes = Compression::Snappy as i16;
    let batch = [&header.to_bytes()[..], &framed].concat();
    let open = |batch: &[u8], max| decompress(&header, Slices::one(&batch), max);
    assert_eq!(open(&batch, MAX_OUTPUT).unwrap(), section);
    assert!(matches!(open(&batch, section.len() - 1), Err(Error::TooLarge { .. })));
    assert!(matches!(open(&batch[..batch.len() - 1], MAX_OUTPUT), Err(Error::Decompress(_))));
}

#[test]
fn a_bomb_is_stopped_at_the_bound() {
    let values = vec![vec![0; 8 << 20]];
    for (theirs, ours) in &CODECS[1..] {
        let bytes = by_the_crate(&values, *theirs);
        let piece = bytes.as_slice();
        let header = check(&bytes, &Limits::default()).unwrap();
        let opened = decompress(&header, Slices::one(&piece), MAX_OUTPUT);
        assert!(matches!(opened, Err(Error::TooLarge { limit: MAX_OUTPUT })), "{ours:?}");
    }
}
