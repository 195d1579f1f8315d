//! Names of files and directories below the data directory.

use std::path::{Path, PathBuf};

use duramen_wire::ids::{Offset, PartitionIndex, ShardId, TopicId};

/// The file that says which topic a directory belongs to, in Kafka's format.
pub const METADATA: &str = "partition.metadata";
/// Longest `partition.metadata` that is read.
pub const METADATA_MAX: usize = 4096;
/// The end of the name of a directory that waits to be removed: `NAME.TOPIC_ID-delete`.
pub const DELETED: &str = "-delete";
/// The end of the name of a directory that did not match: `NAME.N.set-aside`, which no partition's name can be.
pub const SET_ASIDE: &str = ".set-aside";
/// Where each shard keeps its journal, ring and checkpoint.
pub const SHARDS: &str = "shards";

pub fn partition_dir(data: &Path, topic: &str, partition: PartitionIndex) -> PathBuf {
    data.join(format!("{topic}-{partition}"))
}

/// Topic and partition of a directory's name.
pub fn parse_partition_dir(name: &str) -> Option<(&str, PartitionIndex)> {
    let (topic, partition) = name.rsplit_once('-')?;
    let well_formed = !topic.is_empty() && !partition.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit());
    if !well_formed || (partition.len() > 1 && partition.starts_with('0')) {
        return None;
    }
    Some((topic, PartitionIndex(partition.parse().ok()?)))
}

pub fn shard_dir(data: &Path, shard: ShardId) -> PathBuf {
    data.join(SHARDS).join(shard.to_string())
}

pub fn segment(dir: &Path, base: Offset, extension: &str) -> PathBuf {
    dir.join(format!("{:020}.{extension}", base.0))
}

/// The base offset of `BASE.EXTENSION`.
pub fn parse_segment(name: &str, extension: &str) -> Option<Offset> {
    let base = name.strip_suffix(extension)?.strip_suffix('.')?;
    let well_formed = base.len() == 20 && base.bytes().all(|byte| byte.is_ascii_digit());
    if well_formed { base.parse().ok().map(Offset) } else { None }
}

/// The content of `partition.metadata`; the topic id in Kafka's base64 without padding.
pub fn metadata(topic: TopicId) -> String {
    format!("version: 0\ntopic_id: {}", encode_uuid(topic.0.as_bytes()))
}

/// The topic id that a `partition.metadata` names, if it is well-formed.
pub fn parse_metadata(bytes: &[u8]) -> Option<TopicId> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.lines();
    (lines.next()?.trim_end() == "version: 0").then_some(())?;
    let id = lines.next()?.strip_prefix("topic_id: ")?.trim_end();
    lines.all(|line| line.trim().is_empty()).then_some(())?;
    decode_uuid(id).map(|bytes| TopicId(uuid::Uuid::from_bytes(bytes)))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Letters of a topic id in base64 without padding.
const UUID_LETTERS: usize = 22;

fn encode_uuid(bytes: &[u8; 16]) -> String {
    let value = u128::from_be_bytes(*bytes);
    // 22 letters hold 132 bits: the value, and 4 bits of zeros behind it.
    let letter = |index: usize| match index {
        21 => (value << 4 & 63) as usize,
        _ => (value >> (122 - 6 * index) & 63) as usize,
    };
    (0..UUID_LETTERS).map(|index| char::from(ALPHABET[letter(index)])).collect()
}

fn decode_uuid(text: &str) -> Option<[u8; 16]> {
    if text.len() != UUID_LETTERS {
        return None;
    }
    let mut value = 0u128;
    for (index, letter) in text.bytes().enumerate() {
        let six = ALPHABET.iter().position(|known| *known == letter)? as u128;
        match index {
            21 if six & 15 != 0 => return None,
            21 => value = value << 2 | six >> 4,
            _ => value = value << 6 | six,
        }
    }
    Some(value.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn metadata_round_trips(id in any::<u128>()) {
            let topic = TopicId(uuid::Uuid::from_u128(id));
            prop_assert_eq!(parse_metadata(metadata(topic).as_bytes()), Some(topic));
        }
    }

    #[test]
    fn metadata_is_what_kafka_writes() {
        // Kafka's Uuid.toString of these bytes is their base64url without padding.
        let topic = TopicId(uuid::Uuid::from_u128(0x00010203_04050607_08090a0b_0c0d0e0f));
        assert_eq!(metadata(topic), "version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw");
        for broken in
            ["", "version: 1\ntopic_id: AAECAwQFBgcICQoLDA0ODw", "version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODx"]
        {
            assert_eq!(parse_metadata(broken.as_bytes()), None, "{broken}");
        }
    }

    #[test]
    fn names_parse_as_they_are_written() {
        assert_eq!(parse_partition_dir("a-b-12"), Some(("a-b", PartitionIndex(12))));
        for other in ["spare", "shards", "a-", "-1", "a-01", "a-1-delete", "a-1.0.set-aside"] {
            assert_eq!(parse_partition_dir(other), None, "{other}");
        }
        let dir = Path::new("/data/a-0");
        let path = segment(dir, Offset(42), "log");
        assert_eq!(path.to_str(), Some("/data/a-0/00000000000000000042.log"));
        assert_eq!(parse_segment("00000000000000000042.log", "log"), Some(Offset(42)));
        assert_eq!(parse_segment("00000000000000000042.log.cut-0", "log"), None);
    }
}
