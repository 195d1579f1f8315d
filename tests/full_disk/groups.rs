//! Groups on a full disk: commits and joins are refused at once with an error that clients retry, never left without an
//! answer, and are taken again when there is room.

use std::time::{Duration, Instant};

use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::{
    FindCoordinatorRequest, GroupId, JoinGroupRequest, OffsetCommitRequest, OffsetFetchRequest,
};
use kafka_protocol::protocol::StrBytes;

use super::bare::client::topic;
use super::bare::{Broker, Client, await_that};
use super::{Volume, fill_disk, fs};

/// What Kafka makes of KAFKA_STORAGE_ERROR, and of an offsets topic that cannot be made.
const NOT_COORDINATOR: i16 = 16;
const COORDINATOR_NOT_AVAILABLE: i16 = 15;
const PARTITIONS: i32 = 100;
/// Commits of 400 kB each, more than fit.
const COMMITS_MAX: i64 = 400;
/// No answer takes longer, on a busy machine.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn in_time<T>(ask: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let answer = ask();
    assert!(started.elapsed() < ANSWER_WITHIN, "{:?}", started.elapsed());
    answer
}

fn find(client: &mut Client, group: &str) -> i16 {
    in_time(|| client.call(&FindCoordinatorRequest::default().with_key(text(group)), 3).error_code)
}

/// Commits the same offset for all partitions, with as much metadata as there may be.
fn commit(client: &mut Client, group: &str, offset: i64) -> i16 {
    let metadata = text(&"m".repeat(4000));
    let partition = |index| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(index)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(metadata.clone()))
    };
    let topic = OffsetCommitRequestTopic::default()
        .with_name(topic("t"))
        .with_partitions((0..PARTITIONS).map(partition).collect());
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    in_time(|| client.call(&request, 8).topics[0].partitions[0].error_code)
}

fn committed(client: &mut Client, group: &str) -> i64 {
    let topic = OffsetFetchRequestTopic::default().with_name(topic("t")).with_partition_indexes(vec![PARTITIONS - 1]);
    let request = OffsetFetchRequest::default().with_group_id(GroupId(text(group))).with_topics(Some(vec![topic]));
    let answer = in_time(|| client.call(&request, 5));
    assert_eq!(answer.error_code, 0);
    answer.topics[0].partitions[0].committed_offset
}

/// Joins a group that nobody has joined before.
fn join(client: &mut Client, group: &str) -> i16 {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range"));
    let request = JoinGroupRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_session_timeout_ms(30_000)
        .with_rebalance_timeout_ms(30_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    in_time(|| client.call(&request, 3).error_code)
}

fn rig(root: &std::path::Path) -> Option<(Broker, std::path::PathBuf)> {
    fs::create_dir(root.join("volume")).unwrap();
    if !Volume::Tmpfs.can_be_mounted(&root.join("volume")) {
        eprintln!("not tested: this user may not mount such a volume");
        return None;
    }
    let broker = Volume::Tmpfs.broker(root);
    let filler = broker.root().join(root.join("volume/filler").strip_prefix("/").unwrap());
    let mut client = broker.client();
    assert_eq!(client.create_topics(&["t"], PARTITIONS), [0]);
    Some((broker, filler))
}

#[test]
fn commits_and_joins_on_a_full_disk_are_refused_and_taken_later() {
    let root = tempfile::tempdir().unwrap();
    let Some((mut broker, filler)) = rig(root.path()) else { return };
    let mut client = broker.client();
    assert_eq!(find(&mut client, "g"), 0);
    await_that("the first commit is taken", || commit(&mut client, "g", 0) == 0);
    fill_disk(&filler);

    let mut refused = None;
    let mut kept = 0;
    for offset in 1..COMMITS_MAX {
        match commit(&mut client, "g", offset) {
            0 => kept = offset,
            code => {
                refused = Some(code);
                break;
            }
        }
    }
    assert_eq!(refused, Some(NOT_COORDINATOR), "after {kept} commits");
    println!("{kept} commits still fitted");
    for _ in 0..5 {
        assert_eq!(commit(&mut client, "g", COMMITS_MAX), NOT_COORDINATOR);
    }
    assert_eq!(committed(&mut client, "g"), kept, "what was acknowledged is told");
    // The groups whose coordinator is the same partition's as that of "g": the empty string is no group.
    let same = (0..).map(|number| format!("join-{number}")).find(|id| partition(id) == partition("g")).unwrap();
    assert_eq!(join(&mut client, &same), NOT_COORDINATOR);

    fs::remove_file(&filler).unwrap();
    await_that("commits are taken again", || commit(&mut client, "g", COMMITS_MAX) == 0);
    assert_eq!(committed(&mut client, "g"), COMMITS_MAX);
    await_that("joins are taken again", || join(&mut client, &same) == 0);
    assert!(broker.is_alive());
    assert!(!broker.log().contains("panicked"), "{}", broker.log());
}

#[test]
fn the_first_group_on_a_full_disk_is_refused_and_served_later() {
    let root = tempfile::tempdir().unwrap();
    let Some((mut broker, filler)) = rig(root.path()) else { return };
    let mut client = broker.client();
    fill_disk(&filler);
    assert_eq!(find(&mut client, "g"), COORDINATOR_NOT_AVAILABLE);
    fs::remove_file(&filler).unwrap();
    await_that("the coordinator is found", || find(&mut client, "g") == 0);
    await_that("commits are taken", || commit(&mut client, "g", 5) == 0);
    assert_eq!(committed(&mut client, "g"), 5);
    assert!(broker.is_alive());
    assert!(!broker.log().contains("panicked"), "{}", broker.log());
}

/// Java's `String.hashCode`, masked, modulo the default number of partitions.
fn partition(group: &str) -> i32 {
    let hash = group.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    (hash & i32::MAX) % 50
}
