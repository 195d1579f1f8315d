//! Every API but Produce and Fetch, as structures. They are those of the `kafka-protocol` crate, with the versions added
//! that it lacks, and with a guard before it: the crate reserves memory for whatever count the bytes claim.
//!
//! Strings in a decoded request share the request's buffer. What is kept for long is better copied.

mod guard;
mod newer;
mod schema;

pub use kafka_protocol::ResponseError;
pub use kafka_protocol::messages::*;
pub use kafka_protocol::protocol::StrBytes;

use bytes::Bytes;
use kafka_protocol::protocol::{Decodable, Encodable};

pub use crate::api::ApiKey;
use crate::header::{begin_response, end_frame};
use crate::slices;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a body could not be decoded or encoded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0} has a module of its own")]
    ByHand(ApiKey),
    #[error("{api} {version} is not offered")]
    Version { api: ApiKey, version: i16 },
    #[error(transparent)]
    Malformed(#[from] slices::Error),
    #[error("the request would take {decoded} bytes when it is decoded; {max} is the most here")]
    TooLarge { decoded: usize, max: usize },
    #[error("{api} {version} cannot be decoded")]
    Decode {
        api: ApiKey,
        version: i16,
        #[source]
        cause: Cause,
    },
    /// A field is set that the version does not carry, or a string is too long.
    #[error("{api} {version} cannot be encoded")]
    Encode {
        api: ApiKey,
        version: i16,
        #[source]
        cause: Cause,
    },
}

macro_rules! bodies {
    ($($name:ident: $request:ident, $response:ident;)*) => {
        /// A decoded request.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Request {
            $($name($request),)*
        }

        /// A response to encode.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Response {
            $($name($response),)*
        }

        impl Request {
            pub fn api(&self) -> ApiKey {
                match self {
                    $(Self::$name(_) => ApiKey::$name,)*
                }
            }

            /// Reads what the guard has let through, by the crate. `version` is one that it has.
            fn decode(api: ApiKey, version: i16, body: &mut Bytes) -> Result<Self, Cause> {
                match api {
                    $(ApiKey::$name => Ok(Self::$name($request::decode(body, version)?)),)*
                    ApiKey::Produce | ApiKey::Fetch => Err(Error::ByHand(api).into()),
                }
            }

            /// The body as the crate's clients write it.
            #[cfg(test)]
            fn encode(&self, version: i16, out: &mut Vec<u8>) -> Result<(), Cause> {
                match self {
                    $(Self::$name(request) => Ok(request.encode(out, version)?),)*
                }
            }
        }

        impl Response {
            pub fn api(&self) -> ApiKey {
                match self {
                    $(Self::$name(_) => ApiKey::$name,)*
                }
            }

            /// Writes it by the crate, in a `version` that it has.
            fn encode(&self, version: i16, out: &mut Vec<u8>) -> Result<(), Cause> {
                match self {
                    $(Self::$name(response) => Ok(response.encode(out, version)?),)*
                }
            }
        }

        $(
            impl From<$response> for Response {
                fn from(response: $response) -> Self {
                    Self::$name(response)
                }
            }
        )*
    };
}

bodies! {
    ListOffsets: ListOffsetsRequest, ListOffsetsResponse;
    Metadata: MetadataRequest, MetadataResponse;
    OffsetCommit: OffsetCommitRequest, OffsetCommitResponse;
    OffsetFetch: OffsetFetchRequest, OffsetFetchResponse;
    FindCoordinator: FindCoordinatorRequest, FindCoordinatorResponse;
    JoinGroup: JoinGroupRequest, JoinGroupResponse;
    Heartbeat: HeartbeatRequest, HeartbeatResponse;
    LeaveGroup: LeaveGroupRequest, LeaveGroupResponse;
    SyncGroup: SyncGroupRequest, SyncGroupResponse;
    DescribeGroups: DescribeGroupsRequest, DescribeGroupsResponse;
    ListGroups: ListGroupsRequest, ListGroupsResponse;
    ApiVersions: ApiVersionsRequest, ApiVersionsResponse;
    CreateTopics: CreateTopicsRequest, CreateTopicsResponse;
    DeleteTopics: DeleteTopicsRequest, DeleteTopicsResponse;
    DeleteRecords: DeleteRecordsRequest, DeleteRecordsResponse;
    InitProducerId: InitProducerIdRequest, InitProducerIdResponse;
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse;
    DescribeAcls: DescribeAclsRequest, DescribeAclsResponse;
    DescribeConfigs: DescribeConfigsRequest, DescribeConfigsResponse;
    AlterConfigs: AlterConfigsRequest, AlterConfigsResponse;
    DescribeLogDirs: DescribeLogDirsRequest, DescribeLogDirsResponse;
    CreatePartitions: CreatePartitionsRequest, CreatePartitionsResponse;
    DeleteGroups: DeleteGroupsRequest, DeleteGroupsResponse;
    IncrementalAlterConfigs: IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse;
    ListPartitionReassignments: ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse;
    OffsetDelete: OffsetDeleteRequest, OffsetDeleteResponse;
    DescribeQuorum: DescribeQuorumRequest, DescribeQuorumResponse;
    DescribeCluster: DescribeClusterRequest, DescribeClusterResponse;
    ListConfigResources: ListConfigResourcesRequest, ListConfigResourcesResponse;
    DescribeTopicPartitions: DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse;
}

/// A request's body that the guard has looked at, and that is not yet decoded.
#[derive(Debug)]
pub struct Checked {
    api: ApiKey,
    version: i16,
    body: Bytes,
    decoded: usize,
}

/// Looks at a request's body, that is what follows the header. Bytes after the body are ignored, as Kafka does. Nothing
/// is allocated.
pub fn check_request(api: ApiKey, version: i16, body: Bytes) -> Result<Checked, Error> {
    if matches!(api, ApiKey::Produce | ApiKey::Fetch) {
        return Err(Error::ByHand(api));
    }
    if !api.is_supported(version) {
        return Err(Error::Version { api, version });
    }
    let decoded = guard::check(api, version, &body)?;
    Ok(Checked { api, version, body, decoded })
}

impl Checked {
    /// The bytes that the decoded request may take at most, beside those of its body.
    pub fn decoded_size(&self) -> usize {
        self.decoded
    }

    /// The same request, if it may take no more than `max` bytes.
    pub fn within(self, max: usize) -> Result<Self, Error> {
        match self.decoded {
            decoded if decoded > max => Err(Error::TooLarge { decoded, max }),
            _ => Ok(self),
        }
    }

    /// Decodes it. No bytes make it panic.
    pub fn decode(mut self) -> Result<Request, Error> {
        let (api, version) = (self.api, self.version);
        let decoded = match newer::decode_request(api, version, &self.body) {
            Some(decoded) => decoded,
            None => Request::decode(api, newer::version_of_the_crate(api, version), &mut self.body),
        };
        decoded.map_err(|cause| Error::Decode { api, version, cause })
    }
}

/// Checks and decodes a request's body, whatever memory that takes: at most a constant factor of the body.
pub fn decode_request(api: ApiKey, version: i16, body: Bytes) -> Result<Request, Error> {
    check_request(api, version, body)?.decode()
}

/// Appends a whole frame: length, header, body. Returns its length. After an error `out` is as before.
///
/// A field that is set although `version` does not carry it is an error, unless Kafka calls it ignorable.
pub fn encode_response(
    response: &Response,
    version: i16,
    correlation_id: i32,
    out: &mut Vec<u8>,
) -> Result<usize, Error> {
    let api = response.api();
    if !api.is_supported(version) {
        return Err(Error::Version { api, version });
    }
    let start = begin_response(out, api, version, correlation_id);
    let encoded = match response {
        Response::DescribeLogDirs(response) if version == newer::DESCRIBE_LOG_DIRS_5 => {
            newer::encode_describe_log_dirs_5(response, out);
            Ok(())
        }
        response => response.encode(newer::version_of_the_crate(api, version), out),
    };
    match encoded {
        Ok(()) => Ok(end_frame(out, start, 0)),
        Err(cause) => {
            out.truncate(start);
            Err(Error::Encode { api, version, cause })
        }
    }
}

#[cfg(test)]
mod tests;
