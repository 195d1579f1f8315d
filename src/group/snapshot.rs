//! The durable state of a coordinator in one piece, so that a start need not replay the whole log.
//!
//! ```text
//! magic: "DGRP" | version: u32 BE | crc32c of the rest: u32 BE | rkyv archive of `Contents`
//! ```
//! It holds what a replay of the log up to its offset would find, nothing of sessions or of what is in flight. Reading
//! checks all of it; nothing in a file can make it panic.

use std::sync::Arc;

use bytes::Bytes;
use rkyv::rancor;
use rkyv::util::AlignedVec;
use rkyv::{Archive, Deserialize, Serialize};

use super::coordinator::Coordinator;
use super::load::Loader;
use super::offset_store::CommittedOffset;
use super::records::{self, decode_group, encode_group};

const MAGIC: [u8; 4] = *b"DGRP";
const VERSION: u32 = 1;
const HEADER_LEN: usize = 12;

/// Why a snapshot cannot be used; the log from its start can be replayed instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("not a snapshot of groups")]
    Magic,
    #[error("version {0} of the snapshot is not known")]
    Version(u32),
    #[error("the snapshot is damaged: its checksum does not match")]
    Checksum,
    #[error("the snapshot cannot be read: {0}")]
    Archive(rancor::Error),
    #[error("the snapshot cannot be written: {0}")]
    Write(rancor::Error),
    #[error("a group's record in the snapshot cannot be read")]
    Record(#[from] records::Error),
}

#[derive(Archive, Serialize, Deserialize)]
struct Contents {
    next_offset: i64,
    groups: Vec<GroupEntry>,
    offsets: Vec<OffsetEntry>,
}

#[derive(Archive, Serialize, Deserialize)]
struct GroupEntry {
    group: String,
    /// As in the offsets topic.
    value: Vec<u8>,
}

#[derive(Archive, Serialize, Deserialize)]
struct OffsetEntry {
    group: String,
    topic: String,
    partition: i32,
    offset: i64,
    leader_epoch: i32,
    metadata: String,
    commit_timestamp_ms: i64,
    expire_timestamp_ms: Option<i64>,
    topic_id: [u8; 16],
}

impl Coordinator {
    /// Writes a snapshot that is true up to [`applied_offset`](Self::applied_offset). Read it with
    /// [`Loader::from_snapshot`].
    pub fn snapshot(&self) -> Result<Vec<u8>, Error> {
        let archive = rkyv::to_bytes::<rancor::Error>(&self.contents()?).map_err(Error::Write)?;
        let mut bytes = Vec::with_capacity(HEADER_LEN + archive.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&archive).to_be_bytes());
        bytes.extend_from_slice(&archive);
        Ok(bytes)
    }

    fn contents(&self) -> Result<Contents, Error> {
        let mut groups = Vec::new();
        for group in self.groups.values() {
            if let Some(value) = &group.durable {
                groups.push(GroupEntry { group: group.id.to_string(), value: encode_group(value)?.to_vec() });
            }
        }
        let offsets = self.committed_offsets().map(|entry| OffsetEntry {
            group: entry.group_id.to_string(),
            topic: entry.topic.to_string(),
            partition: entry.partition,
            offset: entry.committed.offset,
            leader_epoch: entry.committed.leader_epoch,
            metadata: entry.committed.metadata.to_string(),
            commit_timestamp_ms: entry.committed.commit_timestamp_ms,
            expire_timestamp_ms: entry.committed.expire_timestamp_ms,
            topic_id: entry.committed.topic_id,
        });
        Ok(Contents { next_offset: self.applied_offset, groups, offsets: offsets.collect() })
    }
}

/// Puts what a snapshot holds into a loader.
pub(super) fn read(bytes: &[u8], loader: &mut Loader) -> Result<(), Error> {
    let contents = open(bytes)?;
    for entry in contents.groups {
        loader.put_group(entry.group.into(), decode_group(Bytes::from(entry.value))?);
    }
    for entry in contents.offsets {
        let committed = CommittedOffset {
            offset: entry.offset,
            leader_epoch: entry.leader_epoch,
            metadata: entry.metadata.into(),
            commit_timestamp_ms: entry.commit_timestamp_ms,
            expire_timestamp_ms: entry.expire_timestamp_ms,
            topic_id: entry.topic_id,
        };
        let topic: Arc<str> = entry.topic.into();
        loader.put_offset(entry.group.into(), &topic, entry.partition, committed);
    }
    loader.skip_to(contents.next_offset);
    Ok(())
}

fn open(bytes: &[u8]) -> Result<Contents, Error> {
    let (header, archive) = bytes.split_at_checked(HEADER_LEN).ok_or(Error::Magic)?;
    if header[..4] != MAGIC {
        return Err(Error::Magic);
    }
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if word(4) != VERSION {
        return Err(Error::Version(word(4)));
    }
    if word(8) != crc32c::crc32c(archive) {
        return Err(Error::Checksum);
    }
    let mut aligned = AlignedVec::<16>::with_capacity(archive.len());
    aligned.extend_from_slice(archive);
    rkyv::from_bytes::<Contents, rancor::Error>(&aligned).map_err(Error::Archive)
}
