//! GroupMetadataValue: a group's generation with its members and their assignments.
//!
//! ```text
//! protocol_type: string | generation: i32 | protocol: string? | leader: string? | state_timestamp: i64 (2+) | members
//! member: id: string | instance_id: string? (3+) | client_id: string | client_host: string
//!         | rebalance_timeout: i32 (1+) | session_timeout: i32 | subscription: bytes | assignment: bytes
//! ```
//! Version 4 is the same in flexible form. Kafka 4.3 writes version 3.

use std::sync::Arc;

use bytes::Bytes;

use super::codec::{Error, Reader, Writer};

const WHAT: &str = "a group's metadata";
const WRITTEN_VERSION: i16 = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupValue {
    /// Empty for a group that only stores offsets or has had no members yet.
    pub protocol_type: Arc<str>,
    pub generation: i32,
    pub protocol: Option<Arc<str>>,
    pub leader: Option<Arc<str>>,
    /// When the group entered the state it is in; -1 if that is not known.
    pub state_timestamp_ms: i64,
    pub members: Vec<MemberValue>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberValue {
    pub member_id: Arc<str>,
    pub group_instance_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    /// -1 if it is not known.
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// The member's metadata for the group's protocol.
    pub subscription: Bytes,
    pub assignment: Bytes,
}

/// Reads versions 0 to 4.
pub fn decode_group(value: Bytes) -> Result<GroupValue, Error> {
    let mut reader = Reader::new(value);
    let version = reader.i16()?;
    if !(0..=4).contains(&version) {
        return Err(Error::Version { what: WHAT, version });
    }
    if version >= 4 {
        reader.set_flexible();
    }
    let mut group = GroupValue {
        protocol_type: reader.string()?,
        generation: reader.i32()?,
        protocol: reader.nullable_string()?,
        leader: reader.nullable_string()?,
        state_timestamp_ms: if version >= 2 { reader.i64()? } else { -1 },
        members: Vec::new(),
    };
    for _ in 0..reader.array()? {
        group.members.push(decode_member(&mut reader, version)?);
    }
    reader.tags(|_, _| Ok(()))?;
    reader.end()?;
    Ok(group)
}

fn decode_member(reader: &mut Reader, version: i16) -> Result<MemberValue, Error> {
    let member = MemberValue {
        member_id: reader.string()?,
        group_instance_id: if version >= 3 { reader.nullable_string()? } else { None },
        client_id: reader.string()?,
        client_host: reader.string()?,
        rebalance_timeout_ms: if version >= 1 { reader.i32()? } else { -1 },
        session_timeout_ms: reader.i32()?,
        subscription: reader.bytes()?,
        assignment: reader.bytes()?,
    };
    reader.tags(|_, _| Ok(()))?;
    Ok(member)
}

/// Writes version 3.
pub fn encode_group(group: &GroupValue) -> Result<Bytes, Error> {
    let mut writer = Writer::default();
    writer.i16(WRITTEN_VERSION);
    writer.string(&group.protocol_type)?;
    writer.i32(group.generation);
    writer.nullable_string(group.protocol.as_deref())?;
    writer.nullable_string(group.leader.as_deref())?;
    writer.i64(group.state_timestamp_ms);
    writer.array(group.members.len())?;
    for member in &group.members {
        writer.string(&member.member_id)?;
        writer.nullable_string(member.group_instance_id.as_deref())?;
        writer.string(&member.client_id)?;
        writer.string(&member.client_host)?;
        writer.i32(member.rebalance_timeout_ms);
        writer.i32(member.session_timeout_ms);
        writer.bytes(&member.subscription)?;
        writer.bytes(&member.assignment)?;
    }
    Ok(writer.finish())
}
