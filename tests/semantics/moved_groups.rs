//! A group whose coordinator moves to another shard, as it moves to another broker in Kafka: members are told to look for
//! it, stay members in their generation, and lose nothing that was committed.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::IncrementalAlterConfigsRequest;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};

use crate::broker::{Broker, is_other};
use crate::group_offsets::{commit, committed, is_settling, try_committed};
use crate::groups::{heartbeat, leave, lone_member, partition_of, state};
use crate::requests::*;
use crate::wire::{Client, text};

const TOPIC: i8 = 2;

fn move_to(client: &mut Client, partition: usize, shard: u16) -> Option<ResponseError> {
    let config = AlterableConfig::default()
        .with_name(text(&format!("duramen.shard.{partition}")))
        .with_value(Some(text(&shard.to_string())));
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text("__consumer_offsets"))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    error(client.call(1, &request).responses[0].error_code)
}

#[test]
fn members_and_offsets_survive_a_move() {
    if is_other() {
        return;
    }
    let mut broker = Broker::start(&["group.initial.rebalance.delay.ms=0"]);
    let (mut client, mut operator) = (broker.connect(), broker.connect());
    let topic = topic(&mut client);
    let group = group(&mut client);
    let (member, generation) = lone_member(&mut client, &group);
    let partition = partition_of(&group, 50);
    let mut offset = 0;
    for round in 0..6 {
        for shard in [0, 1] {
            offset += 1;
            assert_eq!(commit(&mut client, &group, (&member, generation), &topic, offset), None);
            assert_eq!(move_to(&mut operator, partition, shard), None, "round {round}");
            let mut beat = None;
            assert!(eventually(|| {
                beat = heartbeat(&mut client, &group, generation, &member, None);
                !is_settling(beat)
            }));
            assert_eq!(beat, None, "still a member, in the same generation");
            assert!(eventually(|| state(&mut client, &group) == "Stable"));
            assert_eq!(committed(&mut client, &group, &topic).committed_offset, offset);
        }
    }
    broker.kill_and_restart();
    let mut client = broker.connect();
    assert!(eventually(|| !is_settling(heartbeat(&mut client, &group, generation, &member, None))));
    assert!(eventually(|| state(&mut client, &group) == "Stable"));
    assert_eq!(committed(&mut client, &group, &topic).committed_offset, offset);
    assert_eq!(leave(&mut client, &group, &member), None);
}

/// Commits go on while the partition moves to and fro: each that was acknowledged is there.
#[test]
fn commits_during_moves_are_kept_or_refused() {
    if is_other() {
        return;
    }
    let broker = Broker::start(&["group.initial.rebalance.delay.ms=0"]);
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let group = group(&mut client);
    let partition = partition_of(&group, 50);
    let mut operator = broker.connect();
    let mover = std::thread::spawn(move || {
        (0..40).for_each(|round| assert_eq!(move_to(&mut operator, partition, round % 2), None));
    });
    let (mut acknowledged, mut refused) = (0, 0);
    let mut offset = 0;
    while !mover.is_finished() || acknowledged == 0 {
        offset += 1;
        match commit(&mut client, &group, ("", -1), &topic, offset) {
            None => {
                acknowledged = offset;
                let found = try_committed(&mut client, &group, &topic);
                assert!(found.is_none_or(|found| found == acknowledged), "{found:?} of {acknowledged}");
            }
            code if is_settling(code) => refused += 1,
            code => panic!("{code:?}"),
        }
    }
    mover.join().unwrap();
    println!("{offset} commits, {refused} of them refused");
    let mut found = None;
    assert!(eventually(|| {
        found = try_committed(&mut client, &group, &topic);
        found.is_some()
    }));
    assert!(found >= Some(acknowledged), "{found:?} of {acknowledged}");
}
