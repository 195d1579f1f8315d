//! Every version of every API that is offered answers, in a form that its clients can read.

use bytes::Buf;
use duramen_wire::api::ApiKey;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request};

use crate::broker::{is_other, shared};
use crate::requests::error;
use crate::wire::{Client, text};

fn api_versions() -> ApiVersionsRequest {
    ApiVersionsRequest::default().with_client_software_name(text("semantics")).with_client_software_version(text("1"))
}

/// Whatever stands in any list; the default asks for kinds that are unknown.
fn any_acls() -> DescribeAclsRequest {
    const ANY: i8 = 1;
    DescribeAclsRequest::default()
        .with_resource_type_filter(ANY)
        .with_pattern_type_filter(ANY)
        .with_operation(ANY)
        .with_permission_type(ANY)
}

#[test]
fn the_ranges_are_those_of_kafka_4_3() {
    let broker = shared();
    let mut client = broker.connect();
    for version in 0..=4 {
        let told = client.call(version, &api_versions()).api_keys;
        let told = told.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect::<Vec<_>>();
        for api in ApiKey::ALL {
            let range = (*api as i16, *api.versions().start(), *api.versions().end());
            assert!(told.contains(&range), "{range:?} is not among {told:?}");
        }
        if !is_other() {
            assert_eq!(told.len(), ApiKey::ALL.len(), "nothing else is offered");
        }
    }
}

#[test]
fn an_unsupported_version_of_api_versions_is_answered_in_version_0() {
    let broker = shared();
    let mut client = broker.connect();
    let sent = client.send_body(ApiKey::ApiVersions as i16, 99, 2, &[1, 1, 0]);
    let mut answer = client.frame().unwrap();
    assert_eq!(answer.get_i32(), sent);
    let response = ApiVersionsResponse::decode(&mut answer, 0).unwrap();
    assert_eq!(error(response.error_code), Some(ResponseError::UnsupportedVersion));
    let own = &response.api_keys[0];
    assert_eq!((own.api_key, own.min_version, own.max_version), (18, 0, 4));
    assert_eq!(error(client.call(4, &api_versions()).error_code), None, "the connection lives");
}

/// Sends a request in each version that the crate can write and reads the answers. A version that the crate lacks is sent
/// in the bytes of the last one that it has: they differ in what these requests leave out.
fn probe<R: Request>(client: &mut Client, api: ApiKey, request: &R) {
    assert_eq!(R::KEY, api as i16);
    let first = R::VERSIONS.min.max(*api.versions().start());
    for version in first..=*api.versions().end() {
        let known = version.min(R::VERSIONS.max);
        let mut body = Vec::new();
        request.encode(&mut body, known).unwrap();
        let sent = client.send_body(R::KEY, version, R::header_version(known), &body);
        let mut answer = client.frame().unwrap_or_else(|cause| panic!("{api} {version}: {cause}"));
        let header = ResponseHeader::decode(&mut answer, R::Response::header_version(known)).unwrap();
        assert_eq!(header.correlation_id, sent, "{api} {version}");
        if known == version {
            R::Response::decode(&mut answer, version).unwrap_or_else(|cause| panic!("{api} {version}: {cause}"));
            assert!(!answer.has_remaining(), "{api} {version}: bytes left over");
        }
    }
}

macro_rules! probes {
    ($($api:ident: $request:expr;)*) => {
        #[test]
        fn every_version_of_every_api_answers() {
            let broker = shared();
            let mut client = broker.connect();
            let mut probed = Vec::new();
            $(
                probe(&mut client, ApiKey::$api, &$request);
                probed.push(ApiKey::$api);
            )*
            assert_eq!(probed, ApiKey::ALL);
        }
    };
}

probes! {
    Produce: ProduceRequest::default().with_acks(1);
    Fetch: FetchRequest::default();
    ListOffsets: ListOffsetsRequest::default();
    Metadata: MetadataRequest::default();
    OffsetCommit: OffsetCommitRequest::default();
    OffsetFetch: OffsetFetchRequest::default();
    FindCoordinator: FindCoordinatorRequest::default();
    JoinGroup: JoinGroupRequest::default();
    Heartbeat: HeartbeatRequest::default();
    LeaveGroup: LeaveGroupRequest::default();
    SyncGroup: SyncGroupRequest::default();
    DescribeGroups: DescribeGroupsRequest::default();
    ListGroups: ListGroupsRequest::default();
    ApiVersions: ApiVersionsRequest::default();
    CreateTopics: CreateTopicsRequest::default();
    DeleteTopics: DeleteTopicsRequest::default();
    DeleteRecords: DeleteRecordsRequest::default();
    InitProducerId: InitProducerIdRequest::default();
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequest::default();
    DescribeAcls: any_acls();
    DescribeConfigs: DescribeConfigsRequest::default();
    AlterConfigs: AlterConfigsRequest::default();
    DescribeLogDirs: DescribeLogDirsRequest::default();
    CreatePartitions: CreatePartitionsRequest::default();
    DeleteGroups: DeleteGroupsRequest::default();
    IncrementalAlterConfigs: IncrementalAlterConfigsRequest::default();
    ListPartitionReassignments: ListPartitionReassignmentsRequest::default();
    OffsetDelete: OffsetDeleteRequest::default();
    DescribeQuorum: DescribeQuorumRequest::default();
    DescribeCluster: DescribeClusterRequest::default();
    ListConfigResources: ListConfigResourcesRequest::default();
    DescribeTopicPartitions: DescribeTopicPartitionsRequest::default();
}
