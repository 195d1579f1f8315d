//! The semantics of groups, clause by clause. `Rig` drives one coordinator and its log.
//!
//! The codes of refused requests, what a simple consumer may commit, what is answered while a rebalance is prepared or
//! completed, the fencing of static members, and what their quick rejoin returns were asked of Apache Kafka 4.3.1 by
//! sending it the same requests.

mod admin;
mod joining;
mod loading;
mod offsets;
mod rig;
mod sessions;
mod simulation;
mod static_membership;

use super::partition_for;

#[test]
fn the_partition_of_a_group_is_javas_hash_code() {
    // "polygenelubricants".hashCode() is i32::MIN, "é" is U+00E9, the emoji a surrogate pair; all from a JVM.
    let cases = [("", 0), ("a", 97), ("group", 98_629_247), ("polygenelubricants", 0), ("é", 233), ("😀", 1_772_899)];
    for (group, masked) in cases {
        assert_eq!(partition_for(group, 0x7fff_ffff), Some(masked % 0x7fff_ffff), "{group}");
        assert_eq!(partition_for(group, 50), Some(masked % 50), "{group}");
    }
    assert_eq!(partition_for("group", 0), None);
}
