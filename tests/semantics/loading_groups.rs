//! Point 23: a coordinator that is being loaded says so to whoever wants to know or change something, and lets heartbeats
//! pass, so that no member leaves for that.

use kafka_protocol::ResponseError;

use crate::broker::{Broker, is_other};
use crate::group_offsets::{commit, commit_wide, try_committed};
use crate::groups::{heartbeat, join_error, lone_member, state};
use crate::requests::*;

const PARTITIONS: i32 = 100;
/// Each of 400 kB, so that loading takes a while; fewer records than a snapshot is made of.
const COMMITS: i64 = 90;
/// A start may be so quick that nobody catches it loading.
const STARTS_MAX: usize = 5;

#[test]
fn until_it_is_loaded_a_coordinator_says_so() {
    if is_other() {
        return;
    }
    let mut broker =
        Broker::start(&["group.initial.rebalance.delay.ms=0", "duramen.checkpoint.interval.bytes=1073741824"]);
    let mut client = broker.connect();
    let topic = topic_with(&mut client, PARTITIONS, &[]);
    let group = group(&mut client);
    let (member, generation) = lone_member(&mut client, &group);
    for offset in 1..=COMMITS {
        assert_eq!(commit_wide(&mut client, &group, (&member, generation), &topic, offset, PARTITIONS), None);
    }
    let loading = Some(ResponseError::CoordinatorLoadInProgress);
    let mut seen = false;
    for _ in 0..STARTS_MAX {
        broker.kill_and_restart();
        let mut client = broker.connect();
        let mut found = None;
        assert!(eventually(|| {
            let joined = join_error(&mut client, &group);
            let committed = commit(&mut client, &group, ("stranger", generation), &topic, 1);
            assert_eq!(heartbeat(&mut client, &group, generation, &member, None), None);
            found = try_committed(&mut client, &group, &topic);
            if found.is_none() {
                // It was loading until now, so it was when they asked.
                assert_eq!((joined, committed), (loading, loading));
                seen = true;
            }
            found.is_some()
        }));
        assert_eq!(found, Some(COMMITS), "never that nothing is committed");
        assert_eq!(state(&mut client, &group), "Stable");
        if seen {
            return;
        }
    }
    panic!("it was loaded at once {STARTS_MAX} times: this test needs more to load");
}
