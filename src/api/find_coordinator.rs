//! FindCoordinator (key 10): the node whose shard holds a group's partition of `__consumer_offsets`, which is made when
//! it is first asked for.

use duramen_wire::messages::find_coordinator_response::Coordinator;
use duramen_wire::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse, ResponseError, StrBytes};

use super::{Caller, Context};
use crate::controller::CONSUMER_OFFSETS;
use crate::group::partition_for;

/// What is looked for.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
/// The first version that asks for several keys (KIP-699).
const MANY_SINCE: i16 = 4;

pub async fn answer(context: &Context, caller: &Caller, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    if caller.version < MANY_SINCE {
        let found = find(context, request.key_type, request.key).await;
        let response = FindCoordinatorResponse::default()
            .with_error_code(found.error_code)
            .with_node_id(found.node_id)
            .with_host(found.host)
            .with_port(found.port);
        return if caller.version >= 1 { response.with_error_message(found.error_message) } else { response };
    }
    let mut coordinators = Vec::new();
    for key in request.coordinator_keys {
        coordinators.push(find(context, request.key_type, key).await);
    }
    FindCoordinatorResponse::default().with_coordinators(coordinators)
}

async fn find(context: &Context, key_type: i8, key: StrBytes) -> Coordinator {
    let refused = |error: ResponseError, why: &'static str| {
        Coordinator::default()
            .with_key(key.clone())
            .with_node_id(BrokerId(-1))
            .with_port(-1)
            .with_error_code(error.code())
            .with_error_message(Some(StrBytes::from_static_str(why)))
    };
    match key_type {
        GROUP => {}
        // There are no transactions yet. A retriable error would keep the producer trying for ever; this one is fatal to
        // every client.
        TRANSACTION => {
            let error = ResponseError::TransactionalIdAuthorizationFailed;
            return refused(error, "transactions are not offered yet");
        }
        _ => return refused(ResponseError::InvalidRequest, "only groups have coordinators here"),
    }
    if let Err(error) = super::create_topics::on_first_use(context, CONSUMER_OFFSETS).await {
        tracing::warn!(?error, "the topic {CONSUMER_OFFSETS} cannot be made");
        return refused(ResponseError::CoordinatorNotAvailable, "the offsets topic cannot be made");
    }
    let image = context.shard.image.borrow();
    let owner = image.topic_by_name(CONSUMER_OFFSETS).and_then(|topic| {
        let index = partition_for(&key, u32::try_from(topic.partitions.len()).ok()?)?;
        topic.partitions.get(usize::try_from(index).ok()?)
    });
    let Some(owner) = owner else {
        return refused(ResponseError::CoordinatorNotAvailable, "the offsets topic is not there yet");
    };
    let node = context.node_of(owner.shard);
    Coordinator::default()
        .with_key(key.clone())
        .with_node_id(BrokerId(node.id))
        .with_host(StrBytes::from_string(node.host.clone()))
        .with_port(node.port)
}
