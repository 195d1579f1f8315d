//! What groups have committed in a topic goes with the topic, and a later one of its name begins without offsets.

use crate::broker::{Broker, is_other, shared};
use crate::group_offsets::{NO_GENERATION, commit, committed, committed_topics, try_committed};
use crate::requests::*;
use crate::topics::delete;
use crate::wire::Client;

/// Enough for coordinators on every shard.
const GROUPS: usize = 8;

fn groups(client: &mut Client, topic: &str) -> Vec<String> {
    (0..GROUPS)
        .map(|number| {
            let group = group(client);
            assert_eq!(commit(client, &group, ("", NO_GENERATION), topic, 10 + number as i64), None);
            group
        })
        .collect()
}

#[test]
fn offsets_of_a_deleted_topic_are_gone() {
    let broker = shared();
    let mut client = broker.connect();
    let (topic, kept) = (topic(&mut client), topic(&mut client));
    let groups = groups(&mut client, &topic);
    groups.iter().for_each(|group| assert_eq!(commit(&mut client, group, ("", NO_GENERATION), &kept, 3), None));
    assert_eq!(delete(&mut client, &topic), None);
    for group in &groups {
        assert!(eventually(|| committed(&mut client, group, &topic).committed_offset == -1), "{group}");
        assert!(eventually(|| committed_topics(&mut client, group) == [kept.as_str()]), "{group}");
        assert_eq!(committed(&mut client, group, &kept).committed_offset, 3);
    }
}

#[test]
fn a_topic_made_again_begins_without_offsets() {
    let broker = shared();
    let mut client = broker.connect();
    let name = topic(&mut client);
    let groups = groups(&mut client, &name);
    assert_eq!(delete(&mut client, &name), None);
    // Kafka lets go of a topic in its own time.
    assert!(eventually(|| client.call(5, &create_request(vec![creatable(&name, 1, &[])])).topics[0].error_code == 0));
    await_leaders(&mut client, &name, 1);
    for (number, group) in groups.iter().enumerate() {
        assert!(eventually(|| committed(&mut client, group, &name).committed_offset == -1), "{group}");
        assert_eq!(commit(&mut client, group, ("", NO_GENERATION), &name, number as i64), None);
    }
    for (number, group) in groups.iter().enumerate() {
        assert_eq!(committed(&mut client, group, &name).committed_offset, number as i64, "those of the new one stay");
    }
}

/// A kill may come before the coordinators have heard of the deletion; so does a coordinator that is loaded later.
#[test]
fn a_kill_brings_no_old_offset_back() {
    if is_other() {
        return;
    }
    let mut broker = Broker::start(&["group.initial.rebalance.delay.ms=0"]);
    let mut client = broker.connect();
    let (gone, again) = (topic(&mut client), topic(&mut client));
    let groups = groups(&mut client, &gone);
    groups.iter().for_each(|group| assert_eq!(commit(&mut client, group, ("", NO_GENERATION), &again, 7), None));
    assert_eq!(delete(&mut client, &gone), None);
    assert_eq!(delete(&mut client, &again), None);
    assert_eq!(client.call(5, &create_request(vec![creatable(&again, 1, &[])])).topics[0].error_code, 0);
    broker.kill_and_restart();
    let mut client = broker.connect();
    for group in &groups {
        let mut found = None;
        assert!(eventually(|| {
            found = try_committed(&mut client, group, &gone);
            found.is_some()
        }));
        assert_eq!(found, Some(-1));
        assert_eq!(committed(&mut client, group, &again).committed_offset, -1);
        assert!(eventually(|| committed_topics(&mut client, group).is_empty()), "{group}");
    }
}
