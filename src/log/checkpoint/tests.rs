use proptest::prelude::*;

use super::*;
use crate::log::producers::KeptBatch;

fn segment() -> impl Strategy<Value = SegmentCheckpoint> {
    (any::<u64>(), any::<i64>(), any::<i64>()).prop_map(|(len, max_timestamp, first_timestamp)| SegmentCheckpoint {
        base: 0,
        len,
        max_timestamp,
        first_timestamp,
    })
}

fn producer() -> impl Strategy<Value = ProducerState> {
    let batch = any::<(i32, i32, i64, i64, i64)>().prop_map(|fields| KeptBatch {
        base_sequence: fields.0,
        last_sequence: fields.1,
        base_offset: fields.2,
        last_offset: fields.3,
        timestamp: fields.4,
    });
    (any::<(i64, i16, i64)>(), prop::collection::vec(batch, 0..6))
        .prop_map(|((producer_id, epoch, last_ms), batches)| ProducerState { producer_id, epoch, last_ms, batches })
}

fn partition() -> impl Strategy<Value = PartitionCheckpoint> {
    let numbers = (any::<([u8; 16], i32, u32, i32)>(), 0..i64::MAX, 0..i64::MAX);
    let lists = (prop::collection::vec(segment(), 0..4), prop::collection::vec(producer(), 0..3), 0..5i32);
    (numbers, "[a-z]{0,12}", lists).prop_map(
        |(((topic_id, partition, generation, epoch), start, end), topic, lists)| {
            let (mut segments, producers, epochs) = lists;
            (0..).zip(&mut segments).for_each(|(base, segment)| segment.base = base * 100);
            let epochs = (0..epochs).map(|epoch| (epoch, i64::from(epoch) * 10)).collect();
            PartitionCheckpoint {
                topic_id,
                partition,
                topic,
                generation,
                log_start: start,
                synced_end: end,
                epoch,
                segments,
                epochs,
                producers,
            }
        },
    )
}

fn checkpoint() -> impl Strategy<Value = Checkpoint> {
    let attachments = prop::collection::vec(("[a-z]{0,8}", prop::collection::vec(any::<u8>(), 0..20)), 0..3);
    (any::<(u16, u64, bool)>(), prop::collection::vec(partition(), 0..4), attachments).prop_map(
        |((shard, generation, clean), partitions, attachments)| Checkpoint {
            shard,
            generation,
            clean,
            partitions,
            attachments,
        },
    )
}

fn small() -> Checkpoint {
    let segment = SegmentCheckpoint { base: 5, len: 4096, max_timestamp: 77, first_timestamp: 66 };
    let batch = KeptBatch { base_sequence: 1, last_sequence: 2, base_offset: 5, last_offset: 6, timestamp: 77 };
    let partition = PartitionCheckpoint {
        topic_id: *b"0123456789abcdef",
        partition: 3,
        topic: "orders".to_owned(),
        generation: 2,
        log_start: 5,
        synced_end: 7,
        epoch: 4,
        segments: vec![segment],
        epochs: vec![(4, 5)],
        producers: vec![ProducerState { producer_id: 9, epoch: 1, last_ms: 88, batches: vec![batch] }],
    };
    let attachments = vec![("groups".to_owned(), vec![1, 2, 3])];
    Checkpoint { shard: 1, generation: 0x1122_3344_5566_7788, clean: true, partitions: vec![partition], attachments }
}

/// `bytes` with what `change` does to its archive, under a header that fits.
fn changed(bytes: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut archive = bytes[HEADER_LEN..].to_vec();
    change(&mut archive);
    let mut all = bytes[..8].to_vec();
    all.extend_from_slice(&crc32c::crc32c(&archive).to_le_bytes());
    all.extend_from_slice(&(archive.len() as u32).to_le_bytes());
    all.extend_from_slice(&archive);
    all
}

fn what(bytes: &[u8]) -> String {
    Checkpoint::decode(bytes).unwrap_err().to_string()
}

proptest! {
    #[test]
    fn a_checkpoint_comes_back(checkpoint in checkpoint()) {
        let bytes = checkpoint.encode();
        prop_assert_eq!(Checkpoint::decode(&bytes).unwrap(), checkpoint);
    }

    #[test]
    fn a_changed_bit_is_noticed(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut bytes = small().encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Checkpoint::decode(&bytes).is_err());
    }

    #[test]
    fn a_part_is_not_taken_for_the_whole(len in any::<prop::sample::Index>()) {
        let bytes = small().encode();
        prop_assert!(Checkpoint::decode(&bytes[..len.index(bytes.len())]).is_err());
    }

    /// Even under a CRC that holds, an archive that is none does not panic and is not believed blindly.
    #[test]
    fn any_archive_is_read_without_a_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in 0..40usize) {
        let bytes = changed(&small().encode(), |archive| {
            let at = at.index(archive.len());
            archive[at] = byte;
            archive.truncate(archive.len() - cut);
        });
        let _either_is_fine = Checkpoint::decode(&bytes);
    }
}

#[test]
fn a_newer_format_is_told_from_damage() {
    let mut bytes = small().encode();
    bytes[4] = 2;
    assert!(matches!(Checkpoint::decode(&bytes), Err(Error::NewerFormat { found: 2, known: 1 })));
    bytes[4] = 0;
    assert_eq!(what(&bytes), "it is damaged: its format never existed");
    bytes[0] = 0;
    assert_eq!(what(&bytes), "it is damaged: it is not a checkpoint");
}

#[test]
fn an_archive_that_is_none_is_refused() {
    let bytes = changed(&small().encode(), |archive| archive.truncate(16));
    assert_eq!(what(&bytes), "it is damaged: its archive is not valid");
}

/// Checkpoints that contradict themselves, and what is said of them.
fn contradictions() -> Vec<(&'static str, Checkpoint)> {
    let change = |change: &dyn Fn(&mut PartitionCheckpoint)| {
        let mut checkpoint = small();
        change(&mut checkpoint.partitions[0]);
        checkpoint
    };
    vec![
        ("leader epochs", change(&|partition| partition.epochs = vec![(4, 5), (3, 9)])),
        ("leader epochs", change(&|partition| partition.epochs = vec![(4, 5), (5, 5)])),
        ("segments", change(&|partition| partition.segments.push(partition.segments[0]))),
        ("negative", change(&|partition| partition.log_start = -1)),
    ]
}

#[test]
fn a_statement_that_contradicts_itself_is_not_believed() {
    for (expected, checkpoint) in contradictions() {
        let archive = rkyv::to_bytes::<rancor::Error>(&checkpoint).unwrap();
        let found = what(&changed(&small().encode(), |place| *place = archive.to_vec()));
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
#[should_panic(expected = "as it can be read")]
fn a_statement_that_contradicts_itself_is_not_written() {
    contradictions()[0].1.encode();
}

/// Format version 1, byte by byte. It never changes; a new format has a new number.
#[test]
fn golden_bytes_of_version_1() {
    let bytes = small().encode();
    let lines: Vec<String> =
        bytes.chunks(32).map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect()).collect();
    assert_eq!(lines, GOLDEN);
    assert_eq!(Checkpoint::decode(&bytes).unwrap(), small());
}

const GOLDEN: &[&str] = &[
    "4475437001000000adbf281e0001000005000000000000000010000000000000",
    "4d00000000000000420000000000000004000000000000000500000000000000",
    "0100000002000000050000000000000006000000000000004d00000000000000",
    "090000000000000001000000000000005800000000000000c8ffffff01000000",
    "30313233343536373839616263646566030000006f7264657273ffff02000000",
    "05000000000000000700000000000000040000005cffffff0100000074ffffff",
    "010000009cffffff01000000000000000102030067726f757073fffff4ffffff",
    "0300000000000000010000000000000088776655443322110100000084ffffff",
    "01000000d0ffffff0100000000000000",
];
