//! What Produce and Fetch have in common: how a request names a topic, and how a response points to the leader.

use std::ops::Range;

use crate::encode::{Writer, compact_string_len, uvarint_len};
use crate::ids::{LeaderEpoch, TopicId};
use crate::slices::{self, Cursor};

/// No request may name more topics.
pub const TOPICS_MAX: usize = 100_000;

/// No request may name more partitions.
pub const PARTITIONS_MAX: usize = 200_000;

/// Why a Produce or Fetch request cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Malformed(#[from] slices::Error),
    #[error("the request names more than {limit} {what}")]
    TooMany { what: &'static str, limit: usize },
    #[error("version {0} is not offered")]
    Version(i16),
    #[error("isolation level {0} is unknown")]
    IsolationLevel(i8),
}

/// A topic in a request: by name, or in the newest versions by id (KIP-516).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicRef {
    /// Where the name lies in the request. It need not be UTF-8.
    Name(Range<usize>),
    Id(TopicId),
}

/// A topic in a response, as the version wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicName<'a> {
    Name(&'a [u8]),
    Id(TopicId),
}

/// Who leads the partition now (KIP-951).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrentLeader {
    pub leader_id: i32,
    pub leader_epoch: LeaderEpoch,
}

/// Where a node that a response names as leader can be reached (KIP-951).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeEndpoint<'a> {
    pub node_id: i32,
    pub host: &'a str,
    pub port: i32,
    pub rack: Option<&'a str>,
}

impl CurrentLeader {
    const LEN: usize = 4 + 4 + 1;

    pub(crate) fn write(&self, tag: u32, writer: &mut Writer) {
        writer.tag(tag, Self::LEN);
        writer.i32(self.leader_id);
        writer.i32(self.leader_epoch.0);
        writer.no_tags();
    }
}

impl NodeEndpoint<'_> {
    fn len(&self) -> usize {
        4 + compact_string_len(Some(self.host)) + 4 + compact_string_len(self.rack) + 1
    }

    fn write(&self, writer: &mut Writer) {
        writer.i32(self.node_id);
        writer.string(Some(self.host.as_bytes()));
        writer.i32(self.port);
        writer.string(self.rack.map(str::as_bytes));
        writer.no_tags();
    }

    /// The tagged fields that end a response: endpoints under tag 0, if there are any.
    pub(crate) fn write_all(endpoints: &[Self], writer: &mut Writer) {
        if endpoints.is_empty() {
            return writer.no_tags();
        }
        let length: usize = endpoints.iter().map(NodeEndpoint::len).sum();
        writer.tags(1);
        writer.tag(0, uvarint_len(endpoints.len() as u32 + 1) + length);
        writer.array(endpoints.len());
        endpoints.iter().for_each(|endpoint| endpoint.write(writer));
    }
}

impl TopicRef {
    pub(crate) fn read(cursor: &mut Cursor, by_id: bool, flexible: bool) -> Result<Self, slices::Error> {
        match by_id {
            true => Ok(Self::Id(TopicId(cursor.uuid()?))),
            false => Ok(Self::Name(cursor.string(flexible)?)),
        }
    }
}

impl TopicName<'_> {
    pub(crate) fn write(&self, writer: &mut Writer, by_id: bool) {
        match (self, by_id) {
            (TopicName::Id(id), true) => writer.uuid(*id),
            (TopicName::Name(name), false) => writer.string(Some(name)),
            _ => panic!("a response names topics as its version does"),
        }
    }
}

/// Pushes, unless the request names too many already.
pub(crate) fn push<T>(list: &mut Vec<T>, item: T, what: &'static str, limit: usize) -> Result<(), Error> {
    if list.len() == limit {
        return Err(Error::TooMany { what, limit });
    }
    list.push(item);
    Ok(())
}
