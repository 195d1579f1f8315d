//! Changes and snapshots as bytes: a header of eight bytes, then an archive.
//!
//! ```text
//! 0  magic    "DM"
//! 2  version  u8, 1
//! 3  kind     u8: which body follows
//! 4  crc      u32, little-endian: CRC-32C of bytes 2, 3 and the archive
//! 8  archive  rkyv, little-endian, validated when read
//! ```
//! The header comes first and is of eight bytes, so that an archive keeps its alignment in an aligned buffer. A kind's
//! number and body never change within a format version; new kinds get new numbers.

use rkyv::api::high::{HighDeserializer, HighSerializer, HighValidator};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor;
use rkyv::ser::allocator::ArenaHandle;
use rkyv::util::AlignedVec;
use rkyv::{Archive, Deserialize, Serialize};

use super::change::Change;
use super::error::Error;

const MAGIC: [u8; 2] = *b"DM";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 8;

/// The kind of a snapshot; changes count up from 1.
pub(super) const SNAPSHOT: u8 = 128;

macro_rules! kinds {
    ($($kind:literal => $body:ident),* $(,)?) => {
        /// A change as bytes, ready for the log.
        pub fn encode(change: &Change) -> Vec<u8> {
            match change {
                $(Change::$body(body) => {
                    seal($kind, body).expect("a change is bounded by its request, far below an archive's 2 GiB")
                })*
            }
        }

        /// Reads a change back.
        ///
        /// # Errors
        /// Anything but bytes that [`encode`] has written, of a version and kind that this release knows.
        pub fn decode(bytes: &[u8]) -> Result<Change, Error> {
            let (kind, archive) = open(bytes)?;
            match kind {
                $($kind => read::<super::change::$body>(archive).map(Change::$body),)*
                found => Err(Error::Kind { found }),
            }
        }
    };
}

kinds! {
    1 => ClusterCreated,
    2 => TopicCreated,
    3 => TopicDeleted,
    4 => PartitionsAdded,
    5 => TopicConfigsChanged,
    6 => OwnerConfigsChanged,
    7 => PartitionMoved,
    8 => ProducerIdBlockAllocated,
    9 => LeaderEpochsRaised,
    10 => ShardsChanged,
}

/// Puts a body into its envelope. An archive holds up to 2 GiB.
pub(super) fn seal<T>(kind: u8, body: &T) -> Result<Vec<u8>, Error>
where
    T: for<'a> Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, rancor::Error>>,
{
    let archive = rkyv::to_bytes::<rancor::Error>(body).map_err(|error| Error::Archive { why: error.to_string() })?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + archive.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[VERSION, kind]);
    bytes.extend_from_slice(&crc(VERSION, kind, &archive).to_le_bytes());
    bytes.extend_from_slice(&archive);
    Ok(bytes)
}

/// Checks an envelope and gives its kind and archive.
pub(super) fn open(bytes: &[u8]) -> Result<(u8, &[u8]), Error> {
    let too_short = || Error::TooShort { length: bytes.len() };
    let (header, archive) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or_else(too_short)?;
    let [m0, m1, version, kind, c0, c1, c2, c3] = *header;
    if [m0, m1] != MAGIC {
        return Err(Error::Magic { found: [m0, m1] });
    }
    if version != VERSION {
        return Err(Error::Version { found: version, known: VERSION });
    }
    let (stored, computed) = (u32::from_le_bytes([c0, c1, c2, c3]), crc(version, kind, archive));
    if stored != computed {
        return Err(Error::Crc { stored, computed });
    }
    Ok((kind, archive))
}

/// Reads a body from its archive, which is validated first.
pub(super) fn read<T>(archive: &[u8]) -> Result<T, Error>
where
    T: Archive,
    T::Archived: for<'a> CheckBytes<HighValidator<'a, rancor::Error>> + Deserialize<T, HighDeserializer<rancor::Error>>,
{
    let mut aligned = AlignedVec::<16>::with_capacity(archive.len());
    aligned.extend_from_slice(archive);
    rkyv::from_bytes::<T, rancor::Error>(&aligned).map_err(|error| Error::Archive { why: error.to_string() })
}

fn crc(version: u8, kind: u8, archive: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&[version, kind]), archive)
}

#[cfg(test)]
mod tests {
    use super::super::change::{Owner, OwnerConfigsChanged, PartitionPlacement, TopicCreated};
    use super::*;
    use duramen_wire::ids::{LeaderEpoch, ShardId, TopicId};
    use proptest::prelude::*;

    fn topic_created() -> Change {
        let placement = |shard, epoch| PartitionPlacement { shard: ShardId(shard), leader_epoch: LeaderEpoch(epoch) };
        Change::TopicCreated(TopicCreated {
            topic_id: TopicId(uuid::Uuid::from_bytes([7; 16])),
            name: "events".to_string(),
            configs: [("retention.ms".to_string(), "1000".to_string())].into(),
            partitions: vec![placement(0, 0), placement(1, 2)],
        })
    }

    #[test]
    fn version_1_keeps_its_bytes() {
        let hex: String = encode(&topic_created()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("golden/topic_created.v1.hex").trim());
    }

    #[test]
    fn each_flipped_bit_is_noticed() {
        let bytes = encode(&topic_created());
        for bit in 0..bytes.len() * 8 {
            let mut broken = bytes.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            decode(&broken).expect_err("a flipped bit");
        }
        for length in 0..bytes.len() {
            decode(&bytes[..length]).expect_err("a cut");
        }
    }

    #[test]
    fn what_is_foreign_is_named() {
        let bytes = encode(&topic_created());
        assert_eq!(decode(b"HTTP/1.1"), Err(Error::Magic { found: *b"HT" }));
        let mut later = bytes.clone();
        later[2] = 2;
        assert_eq!(decode(&later), Err(Error::Version { found: 2, known: 1 }));
        let unknown = seal(99, &super::super::change::LeaderEpochsRaised {}).expect("small");
        assert_eq!(decode(&unknown), Err(Error::Kind { found: 99 }));
    }

    #[test]
    fn an_archive_of_another_body_is_refused() {
        let Change::TopicCreated(body) = topic_created() else { panic!("a topic") };
        for kind in [1, 6, 10] {
            let _ = decode(&seal(kind, &body).expect("small"));
        }
        assert!(matches!(decode(&seal(6, &[0xffu8; 64]).expect("small")), Err(Error::Archive { .. })));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(kind in 0u8..12, payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = [MAGIC[0], MAGIC[1], VERSION, kind].to_vec();
            bytes.extend_from_slice(&crc(VERSION, kind, &payload).to_le_bytes());
            bytes.extend_from_slice(&payload);
            let _ = decode(&bytes);
        }

        #[test]
        fn settings_come_back(owner in ".{0,20}", configs in prop::collection::btree_map(".{0,20}", ".{0,40}", 0..10)) {
            let change = Change::OwnerConfigsChanged(OwnerConfigsChanged { owner: Owner::Group(owner), configs });
            prop_assert_eq!(decode(&encode(&change)), Ok(change));
        }
    }
}
