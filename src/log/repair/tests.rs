//! Looking at and mending real files of a broker that does not run.

use std::fs;
use std::path::PathBuf;

use duramen_wire::batch::BatchBuilder;
use duramen_wire::ids::{LeaderEpoch, Offset, TopicId};

use super::*;
use crate::log::checkpoint::files::{CHECKPOINT, COPY};
use crate::log::checkpoint::{Checkpoint, PartitionCheckpoint};

const TOPIC: TopicId = TopicId(uuid::Uuid::from_u128(77));

fn batch(base: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new().base_offset(Offset(base)).leader_epoch(LeaderEpoch(1));
    builder.push(Some(b"key"), Some(b"value"), &[(b"header", None)], 1_000 + base);
    builder.finish()
}

/// A data directory with one partition: segments with offsets 0 to 2 and 3 to 5, and a checkpoint that knows them all.
fn data_dir() -> (tempfile::TempDir, PathBuf) {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("events-0");
    fs::create_dir_all(data.path().join("shards/0")).unwrap();
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join(paths::METADATA), paths::metadata(TOPIC)).unwrap();
    for base in [0, 3] {
        let bytes: Vec<u8> = (base..base + 3).flat_map(batch).collect();
        fs::write(paths::segment(&dir, Offset(base), "log"), bytes).unwrap();
    }
    let record = PartitionCheckpoint {
        topic_id: *TOPIC.0.as_bytes(),
        partition: 0,
        topic: "events".to_owned(),
        generation: 5,
        log_start: 0,
        synced_end: 6,
        epoch: 1,
        segments: Vec::new(),
        epochs: vec![(1, 0)],
        producers: Vec::new(),
    };
    let checkpoint =
        Checkpoint { shard: 0, generation: 9, clean: true, partitions: vec![record], attachments: Vec::new() };
    fs::write(data.path().join("shards/0/checkpoint"), checkpoint.encode()).unwrap();
    (data, dir)
}

#[test]
fn a_good_directory_is_left_alone() {
    let (data, dir) = data_dir();
    for path in [data.path(), &dir] {
        let verified = verify(path).unwrap();
        assert_eq!((verified.segments, verified.batches, verified.records), (2, 6, 6));
        assert_eq!(verified.problems, []);
        assert!(repair(path).unwrap().is_empty());
    }
}

#[test]
fn damage_is_named_and_cut_and_kept() {
    let (data, dir) = data_dir();
    let path = paths::segment(&dir, Offset(0), "log");
    let mut bytes = fs::read(&path).unwrap();
    let position = batch(0).len();
    let whole = bytes.clone();
    bytes[position + 70] ^= 1;
    fs::write(&path, &bytes).unwrap();

    let problem = verify(data.path()).unwrap().problems.pop().unwrap();
    assert_eq!((problem.position, problem.offset), (position as u64, Offset(1)));
    assert_eq!(problem.file, path.canonicalize().unwrap());

    let repaired = repair(&dir).unwrap().pop().unwrap();
    assert_eq!((repaired.log_end, repaired.kept.len()), (Offset(1), 2));
    assert_eq!(fs::read(&path).unwrap(), whole[..position]);
    assert_eq!(fs::read(&repaired.kept[0]).unwrap(), bytes[position..]);
    assert_eq!(verify(data.path()).unwrap().problems, []);
    let checkpoint = Checkpoint::decode(&fs::read(data.path().join("shards/0/checkpoint")).unwrap()).unwrap();
    assert_eq!((checkpoint.partitions[0].synced_end, checkpoint.partitions[0].generation), (1, 6));
    assert!(repair(data.path()).unwrap().is_empty(), "once is enough");
}

#[test]
fn a_damaged_checkpoint_is_read_from_its_copy_and_both_are_written() {
    let (data, dir) = data_dir();
    let [first, copy] = [CHECKPOINT, COPY].map(|name| data.path().join("shards/0").join(name));
    fs::copy(&first, &copy).unwrap();
    fs::write(&first, b"nonsense").unwrap();
    fs::write(paths::segment(&dir, Offset(3), "log"), batch(3)).unwrap();
    assert_eq!(repair(data.path()).unwrap().len(), 1, "only the copy knows that it was longer");
    let written = fs::read(&first).unwrap();
    assert_eq!(Checkpoint::decode(&written).unwrap().partitions[0].synced_end, 4);
    assert_eq!(fs::read(&copy).unwrap(), written);
    for path in [&first, &copy] {
        fs::write(path, b"nonsense").unwrap();
    }
    assert!(matches!(repair(data.path()), Err(Error::Checkpoint { .. })));
}

#[test]
fn a_log_that_is_shorter_than_was_known_is_accepted_as_it_is() {
    let (data, dir) = data_dir();
    let path = paths::segment(&dir, Offset(3), "log");
    fs::write(&path, batch(3)).unwrap();
    assert_eq!(verify(data.path()).unwrap().problems, []);
    let repaired = repair(data.path()).unwrap().pop().unwrap();
    assert_eq!((repaired.log_end, repaired.problem), (Offset(4), None));
    assert!(repaired.kept.is_empty());
}

#[test]
fn a_dump_shows_batches_records_and_what_is_wrong() {
    let (_data, dir) = data_dir();
    let path = paths::segment(&dir, Offset(3), "log");
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(batch(3).len() + 10);
    fs::write(&path, &bytes).unwrap();
    let mut out = Vec::new();
    dump(&dir, true, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("partition events-0"), "{text}");
    assert!(text.contains("0: offsets 0 to 0, 1 records"), "{text}");
    assert!(text.contains("3 time 1003 key \"key\" value \"value\" headers [header=null]"), "{text}");
    assert!(text.contains(&format!("  {}: the file ends within a header", batch(3).len())), "{text}");
}

#[test]
fn a_file_of_somebody_else_is_no_segment() {
    let (data, dir) = data_dir();
    let foreign = data.path().join("notes.txt");
    fs::write(&foreign, "nothing of ours").unwrap();
    assert!(matches!(dump(&foreign, false, &mut Vec::new()), Err(Error::NoSegment { .. })));
    // What was cut off a segment can be looked at.
    let cut = dir.join("00000000000000000003.log.cut-0");
    fs::copy(paths::segment(&dir, Offset(3), "log"), &cut).unwrap();
    dump(&cut, false, &mut Vec::new()).unwrap();
}
