//! Decisions about the metadata for requests that came in on any shard: they are taken on the controller's.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duramen_wire::ids::{ShardId, TopicId};
use duramen_wire::messages::{ResponseError, StrBytes};
use uuid::Uuid;

use super::groups::DeletedTopic;
use super::{Context, Services};
use crate::controller::{self, Change, Image, Refusal, ShardLoad};
use crate::errors::chain;
use crate::metadata::{self, CONTROLLER_SHARD, Keeper};
use crate::runtime::TaskClass;
use crate::shard::Shard;

/// Why something was not done, as clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: i16,
    pub message: String,
}

impl Failure {
    pub fn new(error: ResponseError, message: impl Into<String>) -> Self {
        Self { code: error.code(), message: message.into() }
    }

    pub fn text(&self) -> Option<StrBytes> {
        Some(StrBytes::from_string(self.message.clone()))
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self { code: refusal.code.number(), message: refusal.message }
    }
}

impl From<&metadata::Error> for Failure {
    fn from(error: &metadata::Error) -> Self {
        Self::new(ResponseError::KafkaStorageError, chain(error))
    }
}

/// Runs `work` with the keeper of the metadata, on its shard. Once begun it runs to its end, whatever becomes of the
/// caller: half a change of the metadata is none that anybody could go on from.
pub async fn with_keeper<R, F>(
    shard: &Shard,
    work: impl FnOnce(Rc<Keeper>, Rc<Shard>) -> F + Send + 'static,
) -> Result<R, Failure>
where
    R: Send + 'static,
    F: Future<Output = R> + 'static,
{
    let done = shard.call(CONTROLLER_SHARD, |shard| async move {
        let keeper = Services::of(&shard).keeper.clone().expect("the controller's shard has the keeper");
        let reactor = shard.reactor.clone();
        reactor.spawn(TaskClass::Serve, work(keeper, shard)).await.ok()
    });
    done.await.ok_or_else(|| Failure::new(ResponseError::KafkaStorageError, "The broker is stopping."))
}

/// Has changes decided upon and made. `decide` sees the metadata as it is when its turn has come.
pub async fn commit<R: Send + 'static>(
    shard: &Shard,
    decide: impl FnOnce(&controller::Context<'_>) -> (Vec<Change>, R) + Send + 'static,
) -> Result<R, Failure> {
    let made = with_keeper(shard, |keeper, shard| async move {
        let services = Services::of(&shard);
        let loads = loads(&shard).await;
        let broker = services.config();
        let mut settings_change = false;
        let mut deleted = Vec::new();
        let decided = keeper.commit(|image| {
            let layers = image.layers(&services.settings, broker.node_id);
            let (changes, decided) = decide(&controller::Context { image, broker: &broker, layers, loads: &loads });
            settings_change = changes.iter().any(|change| matches!(change, Change::OwnerConfigsChanged(_)));
            deleted = deleted_topics(image, &changes);
            (changes, decided)
        });
        let (decided, made) = decided.await;
        if settings_change {
            refresh_all(&shard).await;
        }
        if !deleted.is_empty() {
            forget_all(&shard, deleted.into()).await;
        }
        made.map(|()| decided).map_err(|error| Failure::from(&error))
    });
    made.await?
}

/// How busy each shard is.
async fn loads(shard: &Shard) -> Vec<ShardLoad> {
    let mut loads = Vec::with_capacity(usize::from(shard.shards()));
    for id in (0..shard.shards()).map(ShardId) {
        loads.push(shard.call(id, |shard| async move { shard.load() }).await);
    }
    loads
}

/// Has every shard compute its typed settings anew.
async fn refresh_all(shard: &Shard) {
    for id in (0..shard.shards()).map(ShardId) {
        shard.call(id, |shard| async move { Services::of(&shard).refresh(&shard) }).await;
    }
}

/// The topics that changes delete, while the metadata still knows them.
fn deleted_topics(image: &Image, changes: &[Change]) -> Vec<DeletedTopic> {
    let deleted = changes.iter().filter_map(|change| match change {
        Change::TopicDeleted(deleted) => image.topic(deleted.topic_id),
        _ => None,
    });
    deleted.map(|topic| (topic.name.as_str().into(), topic.id)).collect()
}

/// Has all coordinators forget what was committed in topics that are gone.
async fn forget_all(shard: &Shard, deleted: Arc<[DeletedTopic]>) {
    for id in (0..shard.shards()).map(ShardId) {
        let deleted = deleted.clone();
        shard.call(id, |shard| async move { Services::of(&shard).groups.forget(&shard, &deleted) }).await;
    }
}

/// As [`commit`], for a client that waits so long. What is under way goes on when the time is over.
pub async fn commit_within<R: Send + 'static>(
    context: &Context,
    timeout_ms: i32,
    decide: impl FnOnce(&controller::Context<'_>) -> (Vec<Change>, R) + Send + 'static,
) -> Result<R, Failure> {
    let work = commit(&context.shard, decide);
    let Ok(timeout_ms @ 1..) = u64::try_from(timeout_ms) else { return work.await };
    let deadline = Instant::now() + Duration::from_millis(timeout_ms);
    let timed_out = || Failure::new(ResponseError::RequestTimedOut, "The change was not made in time; it may be yet.");
    context.shard.reactor.timeout_at(deadline, work).await.unwrap_or_else(|| Err(timed_out()))
}

/// A fresh id for a topic. Like Kafka's, its base64 form never starts with a dash, which tools would take for an option.
pub fn new_topic_id() -> TopicId {
    loop {
        let id = Uuid::new_v4();
        if is_fit_for_topic(id) {
            return TopicId(id);
        }
    }
}

/// '-' is 62 in the alphabet for URLs, and the first letter stands for the first six bits.
fn is_fit_for_topic(id: Uuid) -> bool {
    id.as_bytes()[0] >> 2 != 62
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_start_with_a_dash_are_not_given() {
        for (first, fit) in [(0, true), (0xf7, true), (0xf8, false), (0xfb, false), (0xfc, true)] {
            let mut bytes = [7; 16];
            bytes[0] = first;
            assert_eq!(is_fit_for_topic(Uuid::from_bytes(bytes)), fit, "{first:#x}");
        }
    }
}
