//! Offset and time look-ups, in the index being built and in the sealed one.

use proptest::prelude::*;

use super::*;

const BASE: Offset = Offset(1000);

/// A batch: first and last offset, position, length, largest timestamp.
#[derive(Clone, Copy, Debug)]
struct Batch {
    base: i64,
    last: i64,
    position: u32,
    len: u32,
    timestamp: i64,
}

/// Batches one behind the other, from (records, bytes, timestamp).
fn batches(sizes: &[(i64, u32, i64)]) -> Vec<Batch> {
    let (mut base, mut position) = (BASE.0, 0);
    let mut batches = Vec::new();
    for (records, len, timestamp) in sizes {
        batches.push(Batch { base, last: base + records - 1, position, len: *len, timestamp: *timestamp });
        (base, position) = (base + records, position + len);
    }
    batches
}

fn build(batches: &[Batch], interval: u32, max_bytes: u32) -> IndexBuilder {
    let mut index = IndexBuilder::new(BASE, interval, max_bytes);
    for batch in batches {
        index.append(Offset(batch.base), batch.position, batch.timestamp, Offset(batch.last), batch.len);
    }
    index
}

fn seal(index: &IndexBuilder, batches: &[Batch]) -> Result<SealedIndex, Error> {
    let last = batches.last().unwrap();
    let (end, len) = (Offset(last.last + 1), u64::from(last.position + last.len));
    SealedIndex::decode(BASE, end, len, index.encode_offset_index(), index.encode_time_index())
}

fn three() -> Vec<Batch> {
    batches(&[(2, 100, 50), (3, 100, 70), (1, 100, 60), (4, 100, 90), (2, 100, 90)])
}

proptest! {
    /// What is looked for lies at or behind what is found, in the builder and in the files alike, and not far behind.
    #[test]
    fn nothing_is_passed_over(
        sizes in prop::collection::vec((1..6i64, 61..500u32, 0..1000i64), 1..80),
        interval in 0..1000u32,
        times in prop::collection::vec(0..1001i64, 20),
    ) {
        let batches = batches(&sizes);
        let index = build(&batches, interval, 10 << 20);
        let sealed = seal(&index, &batches).unwrap();
        prop_assert_eq!(sealed.max_timestamp(), index.max_timestamp());
        for batch in &batches {
            for offset in [batch.base, batch.last] {
                let found = index.lookup(Offset(offset));
                prop_assert_eq!(sealed.lookup(Offset(offset)), found);
                prop_assert!(found <= batch.position);
                prop_assert!(batch.position - found <= interval + 2 * 500);
                prop_assert!(batches.iter().any(|each| each.position == found), "where a batch begins");
            }
        }
        for time in times {
            for from in [index.lookup_time(time), sealed.lookup_time(time)] {
                let mut skipped = batches.iter().filter(|batch| batch.last < from.0);
                prop_assert!(skipped.all(|batch| batch.timestamp < time));
                prop_assert!(from == BASE || batches.iter().any(|batch| batch.last == from.0));
            }
            prop_assert!(index.lookup_time(time) <= sealed.lookup_time(time), "the last entry is in the file only");
        }
    }

    #[test]
    fn any_files_are_read_without_a_panic(
        offsets in prop::collection::vec(any::<u8>(), 0..50),
        times in prop::collection::vec(any::<u8>(), 0..50),
    ) {
        if let Ok(index) = SealedIndex::decode(BASE, Offset(i64::MAX), u64::MAX, offsets, times) {
            index.lookup(Offset(i64::MAX));
            index.lookup_time(i64::MAX);
        }
    }
}

#[test]
fn an_empty_index_begins_at_the_begin() {
    let index = IndexBuilder::new(BASE, 4096, 10 << 20);
    let sealed = SealedIndex::decode(BASE, BASE, 0, index.encode_offset_index(), index.encode_time_index()).unwrap();
    assert_eq!((sealed.lookup(Offset(5000)), sealed.lookup_time(7), sealed.max_timestamp()), (0, BASE, (-1, BASE)));
}

#[test]
fn the_first_batch_with_the_largest_timestamp_counts() {
    let index = build(&three(), 0, 10 << 20);
    assert_eq!(index.max_timestamp(), (90, Offset(1009)));
    assert_eq!(index.lookup_time(70), BASE, "the batch with that very timestamp is not passed over");
    assert_eq!(index.lookup_time(71), Offset(1004));
}

#[test]
fn a_full_index_takes_no_more_entries() {
    let index = build(&three(), 0, 3 * TIME_ENTRY_LEN as u32);
    assert!(index.is_full());
    assert_eq!(index.encode_offset_index().len(), 2 * OFFSET_ENTRY_LEN);
    assert!(index.encode_time_index().len() <= 3 * TIME_ENTRY_LEN);
    assert_eq!(index.max_timestamp().0, 90, "the largest timestamp is known all the same");
}

#[test]
fn damaged_files_are_refused() {
    let index = build(&three(), 0, 10 << 20);
    let (offsets, times) = (index.encode_offset_index(), index.encode_time_index());
    let decode = |end, len, offsets: &[u8], times: &[u8]| {
        SealedIndex::decode(BASE, Offset(end), len, offsets.to_vec(), times.to_vec()).map(drop)
    };
    assert_eq!(decode(1012, 500, &offsets, &times), Ok(()));
    assert_eq!(decode(1012, 500, &offsets[1..], &times), Err(Error::Length { len: 31 }));
    assert_eq!(decode(1012, 500, &offsets, &times[..13]), Err(Error::Length { len: 13 }));
    assert_eq!(decode(1012, 400, &offsets, &times), Err(Error::Outside { index: "offset", entry: 3 }));
    assert_eq!(decode(1009, 500, &[], &times), Err(Error::Outside { index: "time", entry: 1 }));
    let swapped = [&offsets[8..16], &offsets[..8]].concat();
    assert_eq!(decode(1012, 500, &swapped, &times), Err(Error::Order { index: "offset", entry: 1 }));
    let twice = [&times[..12], &times[..12]].concat();
    assert_eq!(decode(1012, 500, &offsets, &twice), Err(Error::Order { index: "time", entry: 1 }));
}

#[test]
#[should_panic(expected = "fewer than 2^32")]
fn a_segment_of_too_many_offsets_is_a_mistake() {
    let mut index = IndexBuilder::new(BASE, 0, 10 << 20);
    index.append(BASE, 0, 1, BASE, 100);
    index.append(BASE.plus(1 << 32), 100, 2, BASE.plus(1 << 32), 100);
}

/// Kafka's formats, byte by byte. They never change.
#[test]
fn golden_bytes() {
    let index = build(&three(), 150, 10 << 20);
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(index.encode_offset_index()), "00000005000000c8".to_owned() + "0000000b00000190");
    assert_eq!(hex(index.encode_time_index()), concat!("000000000000004600000004", "000000000000005a00000009"));
}

proptest! {
    /// An index that is put together from two finds the same as one that was made in one go, or begins to look earlier.
    #[test]
    fn two_halves_make_a_whole(
        sizes in prop::collection::vec((1..6i64, 61..500u32, 0..1000i64), 2..80),
        interval in 0..1000u32,
        cut in any::<prop::sample::Index>(),
    ) {
        let batches = batches(&sizes);
        let (head, rest) = batches.split_at(cut.index(batches.len()));
        let whole = build(head, interval, 10 << 20).followed_by(&build(rest, interval, 10 << 20));
        let direct = build(&batches, interval, 10 << 20);
        prop_assert_eq!(whole.max_timestamp(), direct.max_timestamp());
        let sealed = seal(&whole, &batches).unwrap();
        prop_assert_eq!(sealed.max_timestamp(), whole.max_timestamp());
        for batch in &batches {
            for offset in [batch.base, batch.last] {
                prop_assert!(whole.lookup(Offset(offset)) <= batch.position);
            }
            let first = batches.iter().find(|each| each.timestamp >= batch.timestamp).unwrap();
            prop_assert!(whole.lookup_time(batch.timestamp).0 <= first.last);
        }
        let far = |index: &IndexBuilder| batches.iter().map(|batch| batch.position - index.lookup(Offset(batch.last))).max();
        prop_assert!(far(&whole) <= far(&direct).map(|far| far + interval + 500));
    }
}
