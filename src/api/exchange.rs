//! One request of a client and its answer. Exchanges, with all their lists, are used again, so that steady produce and
//! fetch traffic allocates nothing.

use std::sync::Arc;
use std::time::Instant;

use duramen_wire::api::ApiKey;
use duramen_wire::fetch::Splice;
use duramen_wire::ids::ShardId;

use super::fetch::{FetchState, Phase};
use super::produce::ProduceState;
use crate::shard::message::{AppendBatch, ReadBatch, ReplyTo, Request};
use crate::shard::request_bytes::RequestBytes;

/// A larger response buffer is given back to the allocator after its use.
const RESPONSE_KEPT_MAX: usize = 64 << 10;

/// A request on its way through the shards.
pub struct Exchange {
    /// Never used twice on its shard.
    pub id: u64,
    pub api: ApiKey,
    pub version: i16,
    pub correlation_id: i32,
    pub request: Arc<RequestBytes>,
    /// Where the body begins in the request.
    pub body: usize,
    pub started: Instant,
    /// Messages at shards that have not come back.
    pub away: usize,
    pub answered: bool,
    pub produce: ProduceState,
    pub fetch: FetchState,
    /// The boxes of this exchange that are here: before they are sent, and after they have come back.
    pub appends: Vec<Box<AppendBatch>>,
    pub reads: Vec<Box<ReadBatch>>,
    /// Empty boxes for later use.
    pub spare_appends: Vec<Box<AppendBatch>>,
    pub spare_reads: Vec<Box<ReadBatch>>,
    pub response: Response,
    /// Memory that the request was gathered in.
    pub reserved: Option<crate::net::gather::Reserved>,
}

/// What goes back to the client.
#[derive(Default)]
pub struct Response {
    /// Size prefix, header and body, without the records.
    pub bytes: Vec<u8>,
    /// Where records go in between, in order.
    pub splices: Vec<Splice>,
    /// For each splice, which read found the records, and which item of it; `None` where there are none.
    pub sources: Vec<Option<(usize, usize)>>,
    pub fate: Fate,
}

/// What happens when an exchange is over.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Fate {
    #[default]
    Send,
    /// acks=0: the client expects no answer.
    Silent,
    /// The connection is closed, for this reason.
    Close(String),
}

impl Exchange {
    pub fn new() -> Box<Self> {
        Box::new(Self {
            id: 0,
            api: ApiKey::ApiVersions,
            version: 0,
            correlation_id: 0,
            request: Arc::default(),
            body: 0,
            started: Instant::now(),
            away: 0,
            answered: false,
            produce: ProduceState::default(),
            fetch: FetchState::default(),
            appends: Vec::new(),
            reads: Vec::new(),
            spare_appends: Vec::new(),
            spare_reads: Vec::new(),
            response: Response::default(),
            reserved: None,
        })
    }

    /// Gives back the memory that the request came in. Nobody may read it afterwards.
    pub fn release_request(&mut self) {
        if let Some(request) = Arc::get_mut(&mut self.request) {
            drop(request.clear(drop));
        }
        self.reserved = None;
    }

    /// Makes a used exchange ready for another request. The boxes that it holds stay, to be used again.
    pub fn reset(&mut self) {
        self.away = 0;
        self.answered = false;
        self.reserved = None;
        self.produce.clear();
        self.fetch.clear();
        self.appends.iter_mut().for_each(|append| append.clear());
        self.spare_appends.append(&mut self.appends);
        self.reads.iter_mut().for_each(|read| read.clear());
        self.spare_reads.append(&mut self.reads);
        let response = &mut self.response;
        response.bytes.clear();
        if response.bytes.capacity() > RESPONSE_KEPT_MAX {
            response.bytes = Vec::new();
        }
        response.splices.clear();
        response.sources.clear();
        response.fate = Fate::Send;
    }

    /// The next message that a fetch has to send in the middle of its wait; `None` if it has sent all.
    pub fn next_message(&mut self, reply_to: ReplyTo) -> Option<(ShardId, Request)> {
        let fetch = &mut self.fetch;
        if fetch.phase == Phase::ToWait {
            if let Some(batch) = fetch.to_wait.pop() {
                fetch.waiting.push(batch.owner);
                return Some((batch.owner, Request::Read(batch)));
            }
            fetch.phase =
                if self.reads.iter().any(|batch| batch.ends_wait()) { Phase::ToCancel } else { Phase::Waiting };
        }
        if fetch.phase == Phase::ToCancel {
            while let Some(owner) = fetch.waiting.pop() {
                if !self.reads.iter().any(|batch| batch.owner == owner) {
                    return Some((owner, Request::CancelRead(reply_to)));
                }
            }
            fetch.phase = Phase::Cancelled;
        }
        None
    }
}
