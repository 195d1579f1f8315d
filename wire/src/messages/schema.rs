//! The shapes of the requests that the crate decodes: what stands in which version, in order. Names are left out, since
//! only lengths and counts matter to the guard. The tests hold it against the crate.

use Kind::{Bytes, Fixed, List, OptionalStruct, String, Structs};

use super::ApiKey;

/// One field, in the versions from `since` to `until`.
pub(super) struct Field {
    pub(super) since: i16,
    pub(super) until: i16,
    pub(super) kind: Kind,
}

/// How a field's bytes are laid out. Lengths are compact in flexible versions, and there every structure ends with
/// tagged fields. Any string, byte string or array may be null as far as this is concerned.
pub(super) enum Kind {
    /// So many bytes.
    Fixed(usize),
    String,
    Bytes,
    /// An array of primitives.
    List(&'static Kind),
    /// An array of structures.
    Structs(&'static [Field]),
    /// A structure behind a byte that is negative when there is none.
    OptionalStruct(&'static [Field]),
}

const BOOLEAN: Kind = Fixed(1);
const INT8: Kind = Fixed(1);
const INT16: Kind = Fixed(2);
const INT32: Kind = Fixed(4);
const INT64: Kind = Fixed(8);
const UUID: Kind = Fixed(16);

const fn always(kind: Kind) -> Field {
    between(0, i16::MAX, kind)
}

const fn since(since: i16, kind: Kind) -> Field {
    between(since, i16::MAX, kind)
}

const fn until(until: i16, kind: Kind) -> Field {
    between(0, until, kind)
}

const fn between(since: i16, until: i16, kind: Kind) -> Field {
    Field { since, until, kind }
}

/// The body of an API's requests. Produce and Fetch are not decoded here and have none.
pub(super) fn request(api: ApiKey) -> &'static [Field] {
    match api {
        ApiKey::Produce | ApiKey::Fetch => &[],
        ApiKey::ListOffsets => LIST_OFFSETS,
        ApiKey::Metadata => METADATA,
        ApiKey::OffsetCommit => OFFSET_COMMIT,
        ApiKey::OffsetFetch => OFFSET_FETCH,
        ApiKey::FindCoordinator => FIND_COORDINATOR,
        ApiKey::JoinGroup => JOIN_GROUP,
        ApiKey::Heartbeat => HEARTBEAT,
        ApiKey::LeaveGroup => LEAVE_GROUP,
        ApiKey::SyncGroup => SYNC_GROUP,
        ApiKey::DescribeGroups => DESCRIBE_GROUPS,
        ApiKey::ListGroups => LIST_GROUPS,
        ApiKey::ApiVersions => API_VERSIONS,
        ApiKey::CreateTopics => CREATE_TOPICS,
        ApiKey::DeleteTopics => DELETE_TOPICS,
        ApiKey::DeleteRecords => DELETE_RECORDS,
        ApiKey::InitProducerId => INIT_PRODUCER_ID,
        ApiKey::OffsetForLeaderEpoch => OFFSET_FOR_LEADER_EPOCH,
        ApiKey::DescribeAcls => DESCRIBE_ACLS,
        ApiKey::DescribeConfigs => DESCRIBE_CONFIGS,
        ApiKey::AlterConfigs => ALTER_CONFIGS,
        ApiKey::DescribeLogDirs => DESCRIBE_LOG_DIRS,
        ApiKey::CreatePartitions => CREATE_PARTITIONS,
        ApiKey::DeleteGroups => DELETE_GROUPS,
        ApiKey::IncrementalAlterConfigs => INCREMENTAL_ALTER_CONFIGS,
        ApiKey::ListPartitionReassignments => LIST_PARTITION_REASSIGNMENTS,
        ApiKey::OffsetDelete => OFFSET_DELETE,
        ApiKey::DescribeQuorum => DESCRIBE_QUORUM,
        ApiKey::DescribeCluster => DESCRIBE_CLUSTER,
        ApiKey::ListConfigResources => LIST_CONFIG_RESOURCES,
        ApiKey::DescribeTopicPartitions => DESCRIBE_TOPIC_PARTITIONS,
    }
}

/// Topics by name, each with partition numbers: a shape that many requests share.
const TOPIC_PARTITIONS: &[Field] = &[always(String), always(List(&INT32))];

const LIST_OFFSETS: &[Field] = &[
    always(INT32),
    since(2, INT8),
    always(Structs(&[always(String), always(Structs(&[always(INT32), since(4, INT32), always(INT64)]))])),
    since(10, INT32),
];

const METADATA: &[Field] = &[
    always(Structs(&[since(10, UUID), always(String)])),
    since(4, BOOLEAN),
    between(8, 10, BOOLEAN),
    since(8, BOOLEAN),
];

const OFFSET_COMMIT: &[Field] = &[
    always(String),
    always(INT32),
    always(String),
    since(7, String),
    until(4, INT64),
    always(Structs(&[
        until(9, String),
        since(10, UUID),
        always(Structs(&[always(INT32), always(INT64), since(6, INT32), always(String)])),
    ])),
];

const OFFSET_FETCH: &[Field] = &[
    until(7, String),
    until(7, Structs(TOPIC_PARTITIONS)),
    since(
        8,
        Structs(&[
            always(String),
            since(9, String),
            since(9, INT32),
            always(Structs(&[until(9, String), since(10, UUID), always(List(&INT32))])),
        ]),
    ),
    since(7, BOOLEAN),
];

const FIND_COORDINATOR: &[Field] = &[until(3, String), since(1, INT8), since(4, List(&String))];

const JOIN_GROUP: &[Field] = &[
    always(String),
    always(INT32),
    since(1, INT32),
    always(String),
    since(5, String),
    always(String),
    always(Structs(&[always(String), always(Bytes)])),
    since(8, String),
];

const HEARTBEAT: &[Field] = &[always(String), always(INT32), always(String), since(3, String)];

const LEAVE_GROUP: &[Field] =
    &[always(String), until(2, String), since(3, Structs(&[always(String), always(String), since(5, String)]))];

const SYNC_GROUP: &[Field] = &[
    always(String),
    always(INT32),
    always(String),
    since(3, String),
    since(5, String),
    since(5, String),
    always(Structs(&[always(String), always(Bytes)])),
];

const DESCRIBE_GROUPS: &[Field] = &[always(List(&String)), since(3, BOOLEAN)];

const LIST_GROUPS: &[Field] = &[since(4, List(&String)), since(5, List(&String))];

const API_VERSIONS: &[Field] = &[since(3, String), since(3, String)];

const CREATE_TOPICS: &[Field] = &[
    always(Structs(&[
        always(String),
        always(INT32),
        always(INT16),
        always(Structs(&[always(INT32), always(List(&INT32))])),
        always(Structs(&[always(String), always(String)])),
    ])),
    always(INT32),
    always(BOOLEAN),
];

const DELETE_TOPICS: &[Field] =
    &[since(6, Structs(&[always(String), always(UUID)])), until(5, List(&String)), always(INT32)];

const DELETE_RECORDS: &[Field] =
    &[always(Structs(&[always(String), always(Structs(&[always(INT32), always(INT64)]))])), always(INT32)];

const INIT_PRODUCER_ID: &[Field] = &[always(String), always(INT32), since(3, INT64), since(3, INT16)];

const OFFSET_FOR_LEADER_EPOCH: &[Field] = &[
    since(3, INT32),
    always(Structs(&[always(String), always(Structs(&[always(INT32), always(INT32), always(INT32)]))])),
];

const DESCRIBE_ACLS: &[Field] =
    &[always(INT8), always(String), always(INT8), always(String), always(String), always(INT8), always(INT8)];

const DESCRIBE_CONFIGS: &[Field] =
    &[always(Structs(&[always(INT8), always(String), always(List(&String))])), always(BOOLEAN), since(3, BOOLEAN)];

const ALTER_CONFIGS: &[Field] = &[
    always(Structs(&[always(INT8), always(String), always(Structs(&[always(String), always(String)]))])),
    always(BOOLEAN),
];

const DESCRIBE_LOG_DIRS: &[Field] = &[always(Structs(TOPIC_PARTITIONS))];

const CREATE_PARTITIONS: &[Field] = &[
    always(Structs(&[always(String), always(INT32), always(Structs(&[always(List(&INT32))]))])),
    always(INT32),
    always(BOOLEAN),
];

const DELETE_GROUPS: &[Field] = &[always(List(&String))];

const INCREMENTAL_ALTER_CONFIGS: &[Field] = &[
    always(Structs(&[always(INT8), always(String), always(Structs(&[always(String), always(INT8), always(String)]))])),
    always(BOOLEAN),
];

const LIST_PARTITION_REASSIGNMENTS: &[Field] = &[always(INT32), always(Structs(TOPIC_PARTITIONS))];

const OFFSET_DELETE: &[Field] =
    &[always(String), always(Structs(&[always(String), always(Structs(&[always(INT32)]))]))];

const DESCRIBE_QUORUM: &[Field] = &[always(Structs(&[always(String), always(Structs(&[always(INT32)]))]))];

const DESCRIBE_CLUSTER: &[Field] = &[always(BOOLEAN), since(1, INT8), since(2, BOOLEAN)];

const LIST_CONFIG_RESOURCES: &[Field] = &[since(1, List(&INT8))];

const DESCRIBE_TOPIC_PARTITIONS: &[Field] =
    &[always(Structs(&[always(String)])), always(INT32), always(OptionalStruct(&[always(String), always(INT32)]))];
