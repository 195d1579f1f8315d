//! The records of `__consumer_offsets`: round trips, and bytes as Kafka writes them.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::group::CommittedOffset;

fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().map(|digit| (digit as char).to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

// The next five were written by Apache Kafka 4.3.1: a console consumer with client.id=cl and group.instance.id=inst-1
// in group g1 on topic t1 of two partitions, and `kafka-consumer-groups --delete-offsets`.
const OFFSET_KEY: &str = "0001000267310002743100000001";
const OFFSET_VALUE_V4: &str = "00040000000000000005ffffffff01000001a1fdf6b28e01001091b3f1b942ce4870af9f85e759123d94";
const GROUP_KEY: &str = "000200026731";
const GROUP_VALUE_NEW: &str = "0003000000000000ffffffff000001a1fdf6b18b00000000";
const GROUP_VALUE_STABLE: &str = concat!(
    "00030008636f6e73756d657200000001000572616e6765002b696e73742d312d33636662383937392d303861352d343935662d62646463",
    "2d653930343864623137633931000001a1fdf6b19900000001002b696e73742d312d33636662383937392d303861352d343935662d6264",
    "64632d6539303438646231376339310006696e73742d310002636c000a2f3132372e302e302e31000493e00000afc80000001800030000",
    "000100027431ffffffff00000000ffffffffffff0000001a00030000000100027431000000020000000000000001ffffffff",
);
const MEMBER_ID: &str = "inst-1-3cfb8979-08a5-495f-bddc-e9048db17c91";

fn kafka_offset() -> CommittedOffset {
    CommittedOffset {
        offset: 5,
        leader_epoch: -1,
        metadata: "".into(),
        commit_timestamp_ms: 0x01a1_fdf6_b28e,
        expire_timestamp_ms: None,
        topic_id: hex("91b3f1b942ce4870af9f85e759123d94").as_ref().try_into().unwrap(),
    }
}

#[test]
fn offset_commit_as_kafka_writes_it() {
    let key = Key::Offset { group: "g1".into(), topic: "t1".into(), partition: 1 };
    assert_eq!(decode_key(hex(OFFSET_KEY)), Ok(key));
    assert_eq!(encode_offset_key("g1", "t1", 1), Ok(hex(OFFSET_KEY)));
    assert_eq!(decode_offset(hex(OFFSET_VALUE_V4)), Ok(kafka_offset()));
    assert_eq!(encode_offset(&kafka_offset()), Ok(hex(OFFSET_VALUE_V4)));
}

#[test]
fn group_metadata_as_kafka_writes_it() {
    assert_eq!(decode_key(hex(GROUP_KEY)), Ok(Key::Group { group: "g1".into() }));
    assert_eq!(encode_group_key("g1"), Ok(hex(GROUP_KEY)));
    let group = decode_group(hex(GROUP_VALUE_STABLE)).unwrap();
    assert_eq!((group.generation, group.protocol.as_deref()), (1, Some("range")));
    assert_eq!(group.leader.as_deref(), Some(MEMBER_ID));
    let member = &group.members[0];
    assert_eq!((&*member.member_id, member.group_instance_id.as_deref()), (MEMBER_ID, Some("inst-1")));
    assert_eq!((&*member.client_id, &*member.client_host), ("cl", "/127.0.0.1"));
    assert_eq!((member.rebalance_timeout_ms, member.session_timeout_ms), (300_000, 45_000));
    assert_eq!(subscribed_topics(member.subscription.clone()), Ok(vec!["t1".to_owned()]));
    assert_eq!(encode_group(&group), Ok(hex(GROUP_VALUE_STABLE)));
}

#[test]
fn metadata_of_a_new_group_as_kafka_writes_it() {
    let group = decode_group(hex(GROUP_VALUE_NEW)).unwrap();
    let none: (&str, i32, Option<&str>) = ("", 0, None);
    assert_eq!((&*group.protocol_type, group.generation, group.leader.as_deref()), none);
    assert_eq!(encode_group(&group), Ok(hex(GROUP_VALUE_NEW)));
}

// The values of the older versions below are laid out by hand after the schemas in Kafka's group-coordinator jar.
#[test]
fn offset_commit_of_every_older_version_is_read() {
    let read = |text: &str| decode_offset(hex(text)).unwrap();
    let v0 = read("00000000000000000007 0001 6d 0000000000000009".replace(' ', "").as_str());
    assert_eq!((v0.offset, &*v0.metadata, v0.commit_timestamp_ms, v0.leader_epoch), (7, "m", 9, -1));
    let v1 = read("00010000000000000007 0000 0000000000000009 000000000000000a".replace(' ', "").as_str());
    assert_eq!(v1.expire_timestamp_ms, Some(10));
    let no_expiry = read("00010000000000000007 0000 0000000000000009 ffffffffffffffff".replace(' ', "").as_str());
    assert_eq!(no_expiry.expire_timestamp_ms, None);
    let v2 = read("00020000000000000007 0000 0000000000000009".replace(' ', "").as_str());
    assert_eq!((v2.offset, v2.commit_timestamp_ms), (7, 9));
    let v3 = read("00030000000000000007 00000003 0000 0000000000000009".replace(' ', "").as_str());
    assert_eq!((v3.leader_epoch, v3.topic_id), (3, [0; 16]));
}

#[test]
fn group_metadata_of_every_version_is_read() {
    let member = |middle: &str| format!("0001 61{middle} 0001 63 0001 68 {{r}} 00001770 00000001 73 00000001 61");
    let cases = [
        ("0000", "", member("").replace("{r}", ""), (-1, -1, None)),
        ("0001", "", member("").replace("{r}", "00000bb8"), (-1, 3_000, None)),
        ("0002", "0000000000000005", member("").replace("{r}", "00000bb8"), (5, 3_000, None)),
        ("0003", "0000000000000005", member(" 0001 69").replace("{r}", "00000bb8"), (5, 3_000, Some("i"))),
    ];
    for (version, timestamp, member, expected) in cases {
        let text = format!("{version} 0001 74 00000002 0001 70 0001 61 {timestamp} 00000001 {member}").replace(' ', "");
        let group = decode_group(hex(&text)).unwrap();
        let member = &group.members[0];
        let found = (group.state_timestamp_ms, member.rebalance_timeout_ms, member.group_instance_id.as_deref());
        assert_eq!(found, expected, "version {version}");
        assert_eq!((group.generation, &*member.client_host, member.session_timeout_ms), (2, "h", 6_000));
    }
    let v4 = "0004 0274 00000002 0270 0261 0000000000000005 02 0261 00 0263 0268 00000bb8 00001770 0273 0261 00 00";
    let group = decode_group(hex(&v4.replace(' ', ""))).unwrap();
    assert_eq!((&*group.members[0].member_id, group.members[0].assignment.as_ref()), ("a", b"a".as_ref()));
}

#[test]
fn keys_of_other_kinds_are_told_apart() {
    assert_eq!(decode_key(hex("0003000267310001")), Ok(Key::Other(3)));
    let legacy = Key::Offset { group: "g1".into(), topic: "t1".into(), partition: 1 };
    assert_eq!(decode_key(hex(&OFFSET_KEY.replacen("0001", "0000", 1))), Ok(legacy));
}

#[test]
fn damaged_records_are_errors() {
    assert_eq!(decode_offset(hex("0005")), Err(Error::Version { what: "an offset commit", version: 5 }));
    assert_eq!(decode_key(hex("00010002673100")), Err(Error::Truncated));
    assert_eq!(decode_key(hex("00020002673100")), Err(Error::Trailing(1)));
    assert_eq!(decode_key(hex("0002ffff")), Err(Error::Null));
    assert_eq!(decode_key(hex("0002fffe")), Err(Error::Length(-2)));
    assert_eq!(decode_key(hex("00020001ff")), Err(Error::Utf8));
    assert_eq!(encode_group_key(&"x".repeat(40_000)), Err(Error::Length(40_000)));
    let huge_array = "0000 0000 00000000 ffff ffff 7fffffff".replace(' ', "");
    assert_eq!(decode_group(hex(&huge_array)), Err(Error::Truncated));
}

prop_compose! {
    fn committed()(
        offset: i64, leader_epoch: i32, metadata in ".{0,20}", commit_timestamp_ms: i64,
        expire in proptest::option::of(0i64..), topic_id: [u8; 16],
    ) -> CommittedOffset {
        // The version with an expiry has neither epoch nor topic id.
        let plain = expire.is_some();
        CommittedOffset {
            offset,
            leader_epoch: if plain { -1 } else { leader_epoch },
            metadata: metadata.into(),
            commit_timestamp_ms,
            expire_timestamp_ms: expire,
            topic_id: if plain { [0; 16] } else { topic_id },
        }
    }
}

prop_compose! {
    fn member()(
        id in ".{0,9}", instance in proptest::option::of(".{0,9}"), client in ".{0,9}", host in ".{0,9}",
        rebalance_timeout_ms: i32, session_timeout_ms: i32,
        subscription in proptest::collection::vec(any::<u8>(), 0..20),
        assignment in proptest::collection::vec(any::<u8>(), 0..20),
    ) -> MemberValue {
        MemberValue {
            member_id: id.into(),
            group_instance_id: instance.map(Into::into),
            client_id: client.into(),
            client_host: host.into(),
            rebalance_timeout_ms,
            session_timeout_ms,
            subscription: subscription.into(),
            assignment: assignment.into(),
        }
    }
}

prop_compose! {
    fn group_value()(
        protocol_type in ".{0,9}", generation: i32, protocol in proptest::option::of(".{0,9}"),
        leader in proptest::option::of(".{0,9}"), state_timestamp_ms: i64,
        members in proptest::collection::vec(member(), 0..4),
    ) -> GroupValue {
        GroupValue {
            protocol_type: protocol_type.into(),
            generation,
            protocol: protocol.map(Into::into),
            leader: leader.map(Into::into),
            state_timestamp_ms,
            members,
        }
    }
}

proptest! {
    #[test]
    fn offsets_round_trip(value in committed(), group in ".{0,9}", topic in ".{0,9}", partition: i32) {
        prop_assert_eq!(decode_offset(encode_offset(&value).unwrap()), Ok(value));
        let key = decode_key(encode_offset_key(&group, &topic, partition).unwrap());
        prop_assert_eq!(key, Ok(Key::Offset { group: group.into(), topic: topic.into(), partition }));
    }

    #[test]
    fn groups_round_trip(value in group_value()) {
        prop_assert_eq!(decode_group(encode_group(&value).unwrap()), Ok(value));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), version in 0i16..5) {
        let mut value = version.to_be_bytes().to_vec();
        value.extend(bytes);
        let value = Bytes::from(value);
        let _ = (decode_key(value.clone()), decode_offset(value.clone()), decode_group(value.clone()));
        let _ = subscribed_topics(value);
    }
}
