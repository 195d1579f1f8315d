//! `topic` and `group` against a broker that answers by script: what is asked, and what becomes of the answers.

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use clap::Parser;
use duramen_tools::{Error, Exit, group, topic};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use support::Script;

#[derive(Parser)]
enum Cli {
    #[command(subcommand)]
    Topic(topic::Command),
    #[command(subcommand)]
    Group(group::Command),
}

fn run(server: &str, line: &str) -> Result<Exit, Error> {
    match Cli::parse_from(["duramen"].into_iter().chain(line.split(' ')).chain(["-b", server])) {
        Cli::Topic(command) => topic::run(command),
        Cli::Group(command) => group::run(command),
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Answers `R` always alike, and tells what was asked.
fn recorded<R: kafka_protocol::protocol::Request + Send + Clone + 'static>(
    script: Script,
    answer: impl Fn(&R) -> R::Response + Send + 'static,
) -> (Script, Receiver<R>) {
    let (asked, requests) = channel();
    let script = script.on::<R>(move |request| {
        let response = answer(&request);
        asked.send(request).expect("the test listens");
        response
    });
    (script, requests)
}

#[test]
fn create_asks_for_what_the_command_says() {
    let (script, requests) = recorded(Script::default(), |_: &CreateTopicsRequest| {
        CreateTopicsResponse::default()
            .with_topics(vec![CreatableTopicResult::default().with_name(TopicName(text("t")))])
    });
    let server = script.start();
    assert_eq!(run(&server, "topic create t -p 4 --config a=1 --config b=x=y").unwrap(), Exit::Success);
    let request = requests.recv().unwrap();
    let topic = &request.topics[0];
    assert_eq!((topic.name.0.as_str(), topic.num_partitions, topic.replication_factor), ("t", 4, -1));
    let configs: Vec<_> =
        topic.configs.iter().map(|c| (c.name.to_string(), c.value.as_ref().unwrap().to_string())).collect();
    assert_eq!(configs, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "x=y".to_owned())]);
}

#[test]
fn a_refusal_carries_the_brokers_words() {
    let server = Script::default()
        .on(|_: CreateTopicsRequest| {
            let refused = CreatableTopicResult::default()
                .with_error_code(ResponseError::InvalidConfig.code())
                .with_error_message(Some(text("unknown setting retention.m")));
            CreateTopicsResponse::default().with_topics(vec![refused])
        })
        .start();
    let error = run(&server, "topic create t --config retention.m=1").unwrap_err();
    assert_eq!(error.to_string(), "cannot make topic t: unknown setting retention.m (InvalidConfig)");
}

#[test]
fn delete_does_what_it_can_and_names_what_is_missing() {
    let answer = |request: DeleteTopicsRequest| {
        let results = request.topics.into_iter().map(|topic| {
            let missing = topic.name.as_ref().is_some_and(|name| name.0.as_str() == "ordres");
            let code = if missing { ResponseError::UnknownTopicOrPartition.code() } else { 0 };
            DeletableTopicResult::default().with_name(topic.name).with_error_code(code)
        });
        DeleteTopicsResponse::default().with_responses(results.collect())
    };
    let server = Script::default().topic("orders", 1).on(answer).start();
    assert_eq!(run(&server, "topic delete a b").unwrap(), Exit::Success);
    let error = run(&server, "topic delete ordres a").unwrap_err();
    assert!(matches!(&error, Error::NoTopic { topic, nearest: Some(near) } if topic == "ordres" && near == "orders"));
}

#[test]
fn delete_speaks_the_older_form_to_an_older_broker() {
    let (asked, requests) = channel();
    let server = Script::default()
        .on_up_to(5, move |request: DeleteTopicsRequest| {
            asked.send(request.topic_names.clone()).unwrap();
            let results = request.topic_names.into_iter();
            let results = results.map(|name| DeletableTopicResult::default().with_name(Some(name)));
            DeleteTopicsResponse::default().with_responses(results.collect())
        })
        .start();
    run(&server, "topic delete a").unwrap();
    assert_eq!(requests.recv().unwrap(), [TopicName(text("a"))]);
}

fn altered(code: Option<ResponseError>, message: &str) -> IncrementalAlterConfigsResponse {
    let response = AlterConfigsResourceResponse::default()
        .with_error_code(code.map_or(0, |code| code.code()))
        .with_error_message(code.map(|_| text(message)));
    IncrementalAlterConfigsResponse::default().with_responses(vec![response])
}

#[test]
fn alter_sets_and_deletes_in_one_request() {
    let (script, requests) =
        recorded(Script::default().topic("t", 1), |_: &IncrementalAlterConfigsRequest| altered(None, ""));
    run(&script.start(), "topic alter t --config a=1 --delete-config b").unwrap();
    let request = requests.recv().unwrap();
    let resource = &request.resources[0];
    assert_eq!((resource.resource_type, resource.resource_name.as_str()), (2, "t"));
    let changes: Vec<_> =
        resource.configs.iter().map(|c| (c.name.as_str(), c.config_operation, c.value.as_deref())).collect();
    assert_eq!(changes, [("a", 0, Some("1")), ("b", 1, None)]);
}

#[test]
fn move_sets_the_pseudo_setting() {
    let (script, requests) =
        recorded(Script::default().topic("t", 4), |_: &IncrementalAlterConfigsRequest| altered(None, ""));
    let server = script.start();
    run(&server, "topic move t:3 --shard 2").unwrap();
    let config = requests.recv().unwrap().resources[0].configs[0].clone();
    assert_eq!((config.name.as_str(), config.value.as_deref()), ("duramen.shard.3", Some("2")));
    let error = run(&server, "topic move t:4 --shard 2").unwrap_err();
    assert!(matches!(error, Error::NoPartition { partition: 4, count: 4, .. }), "{error}");
}

#[test]
fn move_tells_another_broker_from_a_refusal() {
    let unknown = |_| altered(Some(ResponseError::InvalidConfig), "Unknown topic config name: duramen.shard.0");
    let server = Script::default().topic("t", 1).on::<IncrementalAlterConfigsRequest>(unknown).start();
    let error = run(&server, "topic move t:0 --shard 2").unwrap_err();
    assert!(error.to_string().contains("is not Duramen"), "{error}");

    let refused = |_| altered(Some(ResponseError::InvalidConfig), "there are shards 0 and 1");
    let server = Script::default().topic("t", 1).on::<IncrementalAlterConfigsRequest>(refused).start();
    let error = run(&server, "topic move t:0 --shard 2").unwrap_err();
    assert_eq!(error.to_string(), "cannot move t:0: there are shards 0 and 1 (InvalidConfig)");
}

/// A group `g` with so many members, and a topic `t` with two partitions of offsets 10 to 100.
fn grouped(members: usize) -> Script {
    let coordinator = |port: i32| Coordinator::default().with_node_id(BrokerId(1)).with_port(port);
    Script::default()
        .topic("t", 2)
        .on(move |_: FindCoordinatorRequest| FindCoordinatorResponse::default().with_coordinators(vec![coordinator(0)]))
        .on(move |request: DescribeGroupsRequest| {
            let group = DescribedGroup::default()
                .with_group_state(text(if members > 0 { "Stable" } else { "Empty" }))
                .with_members(vec![DescribedGroupMember::default(); members]);
            let missing = DescribedGroup::default().with_error_code(ResponseError::GroupIdNotFound.code());
            let known = request.groups[0].0.as_str() == "g";
            DescribeGroupsResponse::default().with_groups(vec![if known { group } else { missing }])
        })
        .on(|_: OffsetFetchRequest| OffsetFetchResponse::default())
        .on(|request: ListOffsetsRequest| {
            let topics = request.topics.into_iter().map(|topic| {
                let partitions = topic.partitions.into_iter().map(|partition| {
                    let offset = match partition.timestamp {
                        -2 => 10,
                        -1 => 100,
                        // Partition 1 has nothing as late as any time.
                        _ => {
                            if partition.partition_index == 0 {
                                42
                            } else {
                                -1
                            }
                        }
                    };
                    ListOffsetsPartitionResponse::default()
                        .with_partition_index(partition.partition_index)
                        .with_offset(offset)
                });
                ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions.collect())
            });
            ListOffsetsResponse::default().with_topics(topics.collect())
        })
}

fn commits(script: Script) -> (Script, Receiver<OffsetCommitRequest>) {
    recorded(script, |request: &OffsetCommitRequest| {
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter();
            let partitions = partitions
                .map(|p| OffsetCommitResponsePartition::default().with_partition_index(p.partition_index))
                .collect();
            OffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions)
        });
        OffsetCommitResponse::default().with_topics(topics.collect())
    })
}

fn committed(request: &OffsetCommitRequest) -> Vec<(i32, i64)> {
    assert_eq!((request.group_id.0.as_str(), request.generation_id_or_member_epoch), ("g", -1));
    request.topics[0].partitions.iter().map(|p| (p.partition_index, p.committed_offset)).collect()
}

#[test]
fn reset_commits_only_when_it_is_told_to() {
    let (script, requests) = commits(grouped(0));
    let server = script.start();
    run(&server, "group reset g --topic t --to beginning").unwrap();
    assert!(requests.try_recv().is_err(), "a trial run commits nothing");
    for (to, offsets) in [
        ("beginning", [(0, 10), (1, 10)]),
        ("end", [(0, 100), (1, 100)]),
        ("55", [(0, 55), (1, 55)]),
        ("5", [(0, 10), (1, 10)]),
        ("-30", [(0, 70), (1, 70)]),
        ("2025-03-01T12:00:00Z", [(0, 42), (1, 100)]),
    ] {
        run(&server, &format!("group reset g --topic t --to {to} --execute")).unwrap();
        assert_eq!(committed(&requests.recv().unwrap()), offsets, "{to}");
    }
    run(&server, "group reset g --topic t:1 --to end --execute").unwrap();
    assert_eq!(committed(&requests.recv().unwrap()), [(1, 100)]);
}

#[test]
fn a_group_in_use_is_left_alone() {
    let (script, requests) = commits(grouped(2));
    let server = script
        .on(|_: DeleteGroupsRequest| {
            let result = DeletableGroupResult::default().with_error_code(ResponseError::NonEmptyGroup.code());
            DeleteGroupsResponse::default().with_results(vec![result])
        })
        .start();
    for line in ["group reset g --topic t --to end --execute", "group delete g"] {
        let error = run(&server, line).unwrap_err();
        assert!(matches!(error, Error::GroupInUse { members: 2, .. }), "{line}: {error}");
    }
    assert!(requests.try_recv().is_err());
}

#[test]
fn a_broker_that_is_not_there_is_reported_at_once() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let started = Instant::now();
    let error = run(&address.to_string(), "topic list").unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_broker_that_is_silent_is_given_up_within_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let started = Instant::now();
    let error = run(&listener.local_addr().unwrap().to_string(), "group list").unwrap_err();
    assert!(matches!(error, Error::NoAnswer { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(8));
}

#[test]
fn what_is_no_kafka_broker_is_said_to_be_none() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 10]).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let error = run(&address, "topic list").unwrap_err();
    assert!(matches!(error, Error::NotKafka { .. }), "{error}");
}
