//! The Kafka APIs, one file each: from a decoded request to an answer, by messages to the shards that know it.
//!
//! Produce and Fetch have their own way through (`produce`, `fetch`, `exchange`), without allocation. All others come
//! through [`serve`], one at a time per connection. Kafka's error codes appear here and nowhere below.

pub mod context;
pub mod controller;
pub mod errors;
pub mod exchange;
pub mod fetch;
pub mod groups;
pub mod partitions;
pub mod produce;
pub mod sessions;

mod alter_configs;
mod api_versions;
mod create_partitions;
mod create_topics;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_cluster;
mod describe_configs;
mod describe_log_dirs;
mod describe_quorum;
mod describe_topic_partitions;
mod disk_space;
mod find_coordinator;
mod init_producer_id;
mod list_config_resources;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_for_leader_epoch;
mod resources;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use duramen_wire::header::RequestHeader;
use duramen_wire::messages::{self, Request, Response};

pub use context::{Context, Services};

use self::exchange::Exchange;
use crate::net::gather::Reserved;

/// Requests that take less memory when they are decoded need not wait for it.
const SMALL_REQUEST: usize = 64 << 10;
/// How long the others may wait.
const MEMORY_WAIT_MAX: Duration = Duration::from_secs(60);

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    pub client_id: String,
    pub peer: SocketAddr,
    pub version: i16,
}

/// Answers a request that is neither Produce nor Fetch. An error closes the connection.
pub async fn serve(
    context: &Context,
    exchange: &mut Exchange,
    header: &RequestHeader,
    peer: SocketAddr,
) -> Result<(), messages::Error> {
    let (body, client_id) = exchange.request.with(|request| {
        let body = request.sub(header.body..request.len()).to_vec();
        let client_id = header.client_id.clone().map(|range| request.sub(range).to_vec()).unwrap_or_default();
        (Bytes::from(body), String::from_utf8_lossy(&client_id).into_owned())
    });
    // It may take long, and the request was copied.
    exchange.release_request();
    let caller = Caller { client_id, peer, version: header.version };
    let out = &mut exchange.response.bytes;
    if !header.is_supported() {
        // Only ApiVersions comes here with a version that is not offered: it is answered in the oldest form.
        messages::encode_response(&api_versions::unsupported().into(), 0, header.correlation_id, out)?;
    } else {
        let checked = messages::check_request(header.api, header.version, body)?.within(context.decode_budget.max())?;
        let _memory = memory_for(context, checked.decoded_size()).await?;
        let request = checked.decode()?;
        let response = answer(context, &caller, request).await;
        messages::encode_response(&response, header.version, header.correlation_id, out)?;
    }
    exchange.answered = true;
    Ok(())
}

/// Waits for the memory that a request takes when it is decoded, unless that is little.
async fn memory_for(context: &Context, decoded: usize) -> Result<Option<Reserved>, messages::Error> {
    if decoded <= SMALL_REQUEST {
        return Ok(None);
    }
    let budget = &context.decode_budget;
    let reserved = context.shard.reactor.timeout_at(Instant::now() + MEMORY_WAIT_MAX, budget.reserve(decoded)).await;
    let max = budget.max().saturating_sub(budget.used());
    reserved.map(Some).ok_or(messages::Error::TooLarge { decoded, max })
}

async fn answer(context: &Context, caller: &Caller, request: Request) -> Response {
    match request {
        Request::ApiVersions(request) => api_versions::answer(context, caller, &request).into(),
        Request::Metadata(request) => metadata::answer(context, caller, request).await.into(),
        Request::ListOffsets(request) => list_offsets::answer(context, caller, request).await.into(),
        Request::OffsetForLeaderEpoch(request) => offset_for_leader_epoch::answer(context, request).await.into(),
        Request::InitProducerId(request) => init_producer_id::answer(context, request).await.into(),
        Request::FindCoordinator(request) => find_coordinator::answer(context, caller, request).await.into(),
        Request::JoinGroup(request) => groups::join(context, caller, request).await.into(),
        Request::SyncGroup(request) => groups::sync(context, caller, request).await.into(),
        Request::Heartbeat(request) => groups::heartbeat(context, request).await.into(),
        Request::LeaveGroup(request) => groups::leave(context, caller, request).await.into(),
        Request::OffsetCommit(request) => groups::commit_offsets(context, caller, request).await.into(),
        Request::OffsetFetch(request) => groups::fetch_offsets(context, caller, request).await.into(),
        Request::OffsetDelete(request) => groups::delete_offsets(context, request).await.into(),
        Request::DescribeGroups(request) => groups::describe(context, caller, request).await.into(),
        Request::ListGroups(request) => groups::list(context, caller, request).await.into(),
        Request::DeleteGroups(request) => groups::delete(context, request).await.into(),
        Request::CreateTopics(request) => create_topics::answer(context, caller, request).await.into(),
        Request::DeleteTopics(request) => delete_topics::answer(context, caller, request).await.into(),
        Request::CreatePartitions(request) => create_partitions::answer(context, request).await.into(),
        Request::DeleteRecords(request) => delete_records::answer(context, request).await.into(),
        Request::DescribeConfigs(request) => describe_configs::answer(context, caller, request).await.into(),
        Request::AlterConfigs(request) => alter_configs::answer(context, request).await.into(),
        Request::IncrementalAlterConfigs(request) => alter_configs::incremental(context, request).await.into(),
        Request::DescribeCluster(request) => describe_cluster::answer(context, caller, &request).into(),
        Request::DescribeTopicPartitions(request) => describe_topic_partitions::answer(context, request).into(),
        Request::DescribeLogDirs(request) => describe_log_dirs::answer(context, request).await.into(),
        Request::ListPartitionReassignments(_) => list_partition_reassignments::answer().into(),
        Request::ListConfigResources(request) => list_config_resources::answer(context, caller, &request).into(),
        Request::DescribeQuorum(request) => describe_quorum::answer(context, caller, request).into(),
        Request::DescribeAcls(_) => describe_acls::answer().into(),
    }
}
