//! The records of `__consumer_offsets`, in Kafka's own format: read in every version, written as Kafka 4.3 writes.
//!
//! Key: `version: i16`, then the fields below; the version tells the kind. Value: `version: i16`, then its fields.
//! Integers are big-endian; before the first flexible value version (4) a string is `len: i16` (-1 null) and bytes
//! are `len: i32`, from it on lengths are `uvarint(len + 1)` and every struct ends in tagged fields.
//!
//! | key | fields | value |
//! |---|---|---|
//! | 0, 1 | group, topic, partition: i32 | [`CommittedOffset`](super::CommittedOffset), versions 0 to 4 |
//! | 2 | group | [`GroupValue`], versions 0 to 4 |
//! | 3 and up | of other kinds of groups | skipped |

mod codec;
mod group_metadata;
mod offset_commit;
mod subscription;

pub use codec::Error;
use codec::{Reader, Writer};
pub use group_metadata::{GroupValue, MemberValue, decode_group, encode_group};
pub use offset_commit::{decode_offset, encode_offset};
pub(super) use subscription::subscribed_topics;

use std::sync::Arc;

use bytes::Bytes;

const OFFSET_KEY_LEGACY: i16 = 0;
const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    Offset {
        group: Arc<str>,
        topic: Arc<str>,
        partition: i32,
    },
    Group {
        group: Arc<str>,
    },
    /// Of a kind that this coordinator does not keep (key version).
    Other(i16),
}

/// Reads a key; one with bytes behind it is refused.
pub fn decode_key(key: Bytes) -> Result<Key, Error> {
    let mut reader = Reader::new(key);
    let version = reader.i16()?;
    let key = match version {
        OFFSET_KEY_LEGACY | OFFSET_KEY => {
            Key::Offset { group: reader.string()?, topic: reader.string()?, partition: reader.i32()? }
        }
        GROUP_KEY => Key::Group { group: reader.string()? },
        other => return Ok(Key::Other(other)),
    };
    reader.end()?;
    Ok(key)
}

/// The key of a committed offset. `group` and `topic` are at most `i16::MAX` bytes long.
pub fn encode_offset_key(group: &str, topic: &str, partition: i32) -> Result<Bytes, Error> {
    let mut writer = Writer::default();
    writer.i16(OFFSET_KEY);
    writer.string(group)?;
    writer.string(topic)?;
    writer.i32(partition);
    Ok(writer.finish())
}

/// The key of a group's metadata.
pub fn encode_group_key(group: &str) -> Result<Bytes, Error> {
    let mut writer = Writer::default();
    writer.i16(GROUP_KEY);
    writer.string(group)?;
    Ok(writer.finish())
}

#[cfg(test)]
mod tests;
