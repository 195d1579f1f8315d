//! OffsetCommitValue: what was committed for one partition.
//!
//! ```text
//! offset: i64 | leader_epoch: i32 (3+) | metadata: string | commit_timestamp: i64 | expire_timestamp: i64 (1 only)
//! | tags (4+): 0 topic_id: uuid
//! ```
//! Kafka 4.3 writes version 1 where the commit set a retention of its own, else 4 where the topic's id is known,
//! else 3.

use bytes::Bytes;

use super::codec::{Error, Reader, Writer};
use crate::group::CommittedOffset;

const WHAT: &str = "an offset commit";
const TAG_TOPIC_ID: u32 = 0;
const UNKNOWN: [u8; 16] = [0; 16];

/// Reads versions 0 to 4.
pub fn decode_offset(value: Bytes) -> Result<CommittedOffset, Error> {
    let mut reader = Reader::new(value);
    let version = reader.i16()?;
    if !(0..=4).contains(&version) {
        return Err(Error::Version { what: WHAT, version });
    }
    if version >= 4 {
        reader.set_flexible();
    }
    let offset = reader.i64()?;
    let leader_epoch = if version >= 3 { reader.i32()? } else { -1 };
    let metadata = reader.string()?;
    let commit_timestamp_ms = reader.i64()?;
    let expire_timestamp_ms = if version == 1 { Some(reader.i64()?).filter(|at| *at != -1) } else { None };
    let mut topic_id = UNKNOWN;
    reader.tags(|tag, field| {
        if tag == TAG_TOPIC_ID {
            topic_id = field.as_ref().try_into().map_err(|_| Error::Length(field.len() as i64))?;
        }
        Ok(())
    })?;
    reader.end()?;
    Ok(CommittedOffset { offset, leader_epoch, metadata, commit_timestamp_ms, expire_timestamp_ms, topic_id })
}

/// Writes the version that Kafka would.
pub fn encode_offset(committed: &CommittedOffset) -> Result<Bytes, Error> {
    let version = match (committed.expire_timestamp_ms, committed.topic_id == UNKNOWN) {
        (Some(_), _) => 1,
        (None, false) => 4,
        (None, true) => 3,
    };
    let mut writer = Writer::default();
    writer.i16(version);
    if version >= 4 {
        writer.set_flexible();
    }
    writer.i64(committed.offset);
    if version >= 3 {
        writer.i32(committed.leader_epoch);
    }
    writer.string(&committed.metadata)?;
    writer.i64(committed.commit_timestamp_ms);
    if let Some(at) = committed.expire_timestamp_ms {
        writer.i64(at);
    }
    if version >= 4 {
        writer.tags(&[(TAG_TOPIC_ID, &committed.topic_id)])?;
    }
    Ok(writer.finish())
}
