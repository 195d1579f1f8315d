//! Frames of the journal: round trips, torn ones, old ones.

use duramen_wire::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartitionId};
use proptest::prelude::*;

use super::{ENTRY_LEN, Entry, Frame, FrameWriter, HEADER_LEN, head_len, scan};

const GENERATION: u64 = 0x0123_4567_89ab_cdef;

fn entry(seed: u64, len: usize) -> Entry {
    let topic = TopicId(uuid::Uuid::from_u64_pair(seed, !seed));
    Entry {
        id: TopicPartitionId { topic, partition: PartitionIndex(seed as i32) },
        generation: seed as u32 + 1,
        base: Offset(seed as i64 * 1000),
        end: Offset(seed as i64 * 1000 + 7),
        epoch: LeaderEpoch(seed as i32 + 2),
        segment: Offset(seed as i64 * 900),
        position: seed as u32 + 3,
        len: len as u32,
    }
}

/// A frame of these payloads, padded to `align`.
fn frame(writer: &mut FrameWriter, generation: u64, sequence: u64, payloads: &[Vec<u8>], align: usize) -> Vec<u8> {
    writer.begin(generation, sequence);
    for (index, payload) in payloads.iter().enumerate() {
        writer.entry(&entry(index as u64, payload.len()));
        payload.chunks(5).for_each(|piece| writer.payload(piece));
    }
    let mut bytes = writer.finish().to_vec();
    assert_eq!(bytes.len(), head_len(payloads.len()));
    payloads.iter().for_each(|payload| bytes.extend_from_slice(payload));
    bytes.resize(bytes.len().next_multiple_of(align), 0);
    bytes
}

fn payloads(frame: &Frame<'_>) -> Vec<Vec<u8>> {
    frame.entries().map(|(_, payload)| payload.to_vec()).collect()
}

fn sequences(image: &[u8], align: usize) -> Vec<u64> {
    scan(image, align, GENERATION).iter().map(|frame| frame.sequence).collect()
}

proptest! {
    #[test]
    fn frames_come_back(
        frames in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..5), 0..6),
        align in prop::sample::select(vec![8usize, 64, 512]),
    ) {
        let mut writer = FrameWriter::default();
        let written = (1..).zip(&frames).map(|(sequence, each)| frame(&mut writer, GENERATION, sequence, each, align));
        let image: Vec<u8> = written.flatten().collect();
        let found = scan(&image, align, GENERATION);
        prop_assert_eq!(found.iter().map(payloads).collect::<Vec<_>>(), frames);
        for (sequence, each) in (1..).zip(found) {
            prop_assert_eq!((each.sequence, each.generation), (sequence, GENERATION));
            for (index, (found, payload)) in each.entries().enumerate() {
                prop_assert_eq!(found, entry(index as u64, payload.len()));
            }
        }
    }

    #[test]
    fn a_changed_bit_is_noticed(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 3..4),
        at in any::<prop::sample::Index>(),
        bit in 0..8u8,
    ) {
        let mut writer = FrameWriter::default();
        let mut image = Vec::new();
        let mut ends = Vec::new();
        for (sequence, payload) in (1..).zip(&frames) {
            let bytes = frame(&mut writer, GENERATION, sequence, std::slice::from_ref(payload), 8);
            ends.push((image.len(), image.len() + head_len(1) + payload.len()));
            image.extend(bytes);
        }
        let at = at.index(image.len());
        image[at] ^= 1 << bit;
        let intact = (1..).zip(&ends).filter(|(_, (start, end))| !(*start..*end).contains(&at));
        prop_assert_eq!(sequences(&image, 8), intact.map(|(sequence, _)| sequence).collect::<Vec<u64>>());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0..200usize) {
        let mut writer = FrameWriter::default();
        let mut image = frame(&mut writer, GENERATION, 1, std::slice::from_ref(&bytes), 8);
        image.truncate(cut);
        prop_assert!(cut >= head_len(1) + bytes.len() || scan(&image, 8, GENERATION).is_empty());
        scan(&bytes, 8, GENERATION);
    }

    /// Written round and round, what is found is exactly what was not overwritten.
    #[test]
    fn a_ring_gives_what_was_not_overwritten(lens in prop::collection::vec(0usize..300, 1..60)) {
        const LEN: usize = 2048;
        let (mut writer, mut image, mut at) = (FrameWriter::default(), vec![0; LEN], 0);
        let mut whole: Vec<(u64, std::ops::Range<usize>)> = Vec::new();
        for (sequence, len) in (1..).zip(&lens) {
            let bytes = frame(&mut writer, GENERATION, sequence, &[vec![sequence as u8; *len]], 64);
            at = if at + bytes.len() > LEN { 0 } else { at };
            let range = at..at + bytes.len();
            image[range.clone()].copy_from_slice(&bytes);
            at = range.end;
            whole.retain(|(_, old)| old.end <= range.start || range.end <= old.start);
            whole.push((sequence, range));
        }
        prop_assert_eq!(sequences(&image, 64), whole.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>());
        for (found, (_, range)) in scan(&image, 64, GENERATION).iter().zip(&whole) {
            prop_assert_eq!(found.position, range.start);
        }
    }
}

#[test]
fn frames_of_other_generations_do_not_count() {
    let mut writer = FrameWriter::default();
    let mut image = frame(&mut writer, GENERATION - 1, 9, &[b"old".to_vec()], 64);
    image.extend(frame(&mut writer, GENERATION, 1, &[b"new".to_vec()], 64));
    assert_eq!(sequences(&image, 64), [1]);
}

#[test]
fn what_looks_like_a_frame_within_a_frame_is_its_payload() {
    let mut writer = FrameWriter::default();
    let inner = frame(&mut writer, GENERATION, 5, &[b"inner".to_vec()], 8);
    let image = frame(&mut writer, GENERATION, 1, &[vec![0; 64 - head_len(1) % 64], inner], 64);
    assert_eq!(sequences(&image, 64), [1]);
}

#[test]
fn lengths_that_disagree_are_refused() {
    let mut writer = FrameWriter::default();
    let image = frame(&mut writer, GENERATION, 1, &[vec![7; 16]], 8);
    let mut shorter = image.clone();
    // The entry claims one byte less than the payload has, under a head CRC that holds.
    let len_at = HEADER_LEN + ENTRY_LEN - 8;
    shorter[len_at] -= 1;
    let crc = crc32c::crc32c(&shorter[12..head_len(1)]);
    shorter[8..12].copy_from_slice(&crc.to_le_bytes());
    assert_eq!((sequences(&image, 8), sequences(&shorter, 8)), (vec![1], vec![]));
}

#[test]
#[should_panic(expected = "the payload is what the entries say")]
fn a_payload_that_was_not_declared_is_a_mistake() {
    let mut writer = FrameWriter::default();
    writer.begin(GENERATION, 1);
    writer.payload(b"stray");
    writer.finish();
}

/// Format version 1, byte by byte. It never changes; a new format has a new number.
#[test]
fn golden_bytes_of_version_1() {
    let mut writer = FrameWriter::default();
    let bytes = frame(&mut writer, GENERATION, 0x11, &[b"ab".to_vec(), b"c".to_vec()], 8);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN);
    assert_eq!(payloads(&scan(&bytes, 8, GENERATION)[0]), [b"ab".to_vec(), b"c".to_vec()]);
}

/// Header, two entries, payload, padding.
const GOLDEN: &str = concat!(
    "44754672010000002f3f512bb73f4b36efcdab8967452301110000000000000003000000020000000000000000000000",
    "ffffffffffffffff0000000000000000070000000000000000000000000000000000000001000000020000000300000002000000",
    "00000000",
    "0000000000000001fffffffffffffffee803000000000000ef0300000000000084030000000000000100000002000000",
    "03000000040000000100000000000000",
    "6162630000000000"
);
