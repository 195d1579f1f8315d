//! DescribeCluster (key 60): the nodes as the clients of this listener see them.

use duramen_wire::messages::describe_cluster_response::DescribeClusterBroker;
use duramen_wire::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse, ResponseError, StrBytes};

use super::metadata::OPERATIONS_NOT_ASKED;
use super::{Caller, Context};

/// What the client asks for: brokers, or the controllers, which it cannot reach here.
const BROKERS: i8 = 1;
/// All that the cluster's operations can be (KIP-430): create, alter, describe, cluster action, describe configs, alter
/// configs, idempotent write.
const CLUSTER_OPERATIONS: i32 = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;

pub fn answer(context: &Context, caller: &Caller, request: &DescribeClusterRequest) -> DescribeClusterResponse {
    if caller.version >= 1 && request.endpoint_type != BROKERS {
        return DescribeClusterResponse::default()
            .with_error_code(ResponseError::MismatchedEndpointType.code())
            .with_error_message(Some(StrBytes::from_static_str("This listener serves brokers, not controllers.")));
    }
    let brokers = context.nodes().iter().map(|node| {
        DescribeClusterBroker::default()
            .with_broker_id(BrokerId(node.id))
            .with_host(StrBytes::from_string(node.host.clone()))
            .with_port(node.port)
    });
    let operations =
        if request.include_cluster_authorized_operations { CLUSTER_OPERATIONS } else { OPERATIONS_NOT_ASKED };
    DescribeClusterResponse::default()
        .with_cluster_id(StrBytes::from_string(context.cluster_id()))
        .with_controller_id(BrokerId(context.node_of(crate::metadata::CONTROLLER_SHARD).id))
        .with_brokers(brokers.collect())
        .with_endpoint_type(BROKERS)
        .with_cluster_authorized_operations(operations)
}
