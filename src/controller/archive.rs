//! How ids lie in an archive: as their plain integers or bytes.

use duramen_wire::ids::{LeaderEpoch, PartitionIndex, ShardId, TopicId};
use rkyv::rancor::Fallible;
use rkyv::with::{ArchiveWith, DeserializeWith, SerializeWith};
use rkyv::{Archive, Archived, Deserialize, Place, Resolver, Serialize};

/// Archives an id as what it wraps.
pub struct Plain;

macro_rules! plain {
    ($id:ty, $inner:ty, $into:expr, $from:expr) => {
        impl ArchiveWith<$id> for Plain {
            type Archived = Archived<$inner>;
            type Resolver = Resolver<$inner>;

            fn resolve_with(field: &$id, resolver: Self::Resolver, out: Place<Self::Archived>) {
                let into: fn(&$id) -> $inner = $into;
                into(field).resolve(resolver, out);
            }
        }

        impl<S: Fallible + ?Sized> SerializeWith<$id, S> for Plain {
            fn serialize_with(field: &$id, serializer: &mut S) -> Result<Self::Resolver, S::Error> {
                let into: fn(&$id) -> $inner = $into;
                into(field).serialize(serializer)
            }
        }

        impl<D: Fallible + ?Sized> DeserializeWith<Archived<$inner>, $id, D> for Plain {
            fn deserialize_with(field: &Archived<$inner>, deserializer: &mut D) -> Result<$id, D::Error> {
                let from: fn($inner) -> $id = $from;
                Ok(from(field.deserialize(deserializer)?))
            }
        }
    };
}

plain!(TopicId, [u8; 16], |id| id.0.into_bytes(), |bytes| TopicId(uuid::Uuid::from_bytes(bytes)));
plain!(PartitionIndex, i32, |index| index.0, PartitionIndex);
plain!(LeaderEpoch, i32, |epoch| epoch.0, LeaderEpoch);
plain!(ShardId, u16, |shard| shard.0, ShardId);
