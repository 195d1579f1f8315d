//! Fetch sessions (KIP-227): what a consumer fetches is remembered, so that its requests name only what has changed, and
//! the answers only what is new. Each shard keeps those that were opened on its connections, within a bound.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duramen_wire::ids::{PartitionIndex, ShardId, TopicId};
use duramen_wire::messages::ResponseError;

/// A session that was used within this time is not put out for a new one.
const EVICTION_AGE_MIN: Duration = Duration::from_secs(120);

/// How a client names a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TopicKey {
    Name(Arc<str>),
    Id(TopicId),
}

/// One partition that a client fetches.
#[derive(Clone, Debug)]
pub struct FetchPartition {
    pub topic: TopicKey,
    pub index: PartitionIndex,
    pub from: i64,
    pub bytes_max: i32,
    /// -1 where the client says nothing.
    pub leader_epoch: i32,
    pub last_fetched_epoch: i32,
    /// What the client was told last; -1 before and after an error.
    pub high_watermark: i64,
    pub log_start: i64,
}

/// The partitions of one session, in the order in which they are served.
#[derive(Debug, Default)]
pub struct Partitions {
    pub list: Vec<FetchPartition>,
    places: HashMap<(TopicKey, i32), usize>,
}

impl Partitions {
    pub fn from_list(list: Vec<FetchPartition>) -> Self {
        let places = list.iter().enumerate().map(|(at, one)| ((one.topic.clone(), one.index.0), at)).collect();
        Self { list, places }
    }

    /// Adds a partition, or changes where it is read from.
    pub fn update(&mut self, wanted: FetchPartition) {
        match self.places.get(&(wanted.topic.clone(), wanted.index.0)) {
            Some(at) => {
                let known = &mut self.list[*at];
                known.from = wanted.from;
                known.bytes_max = wanted.bytes_max;
                known.leader_epoch = wanted.leader_epoch;
                known.last_fetched_epoch = wanted.last_fetched_epoch;
            }
            None => {
                self.places.insert((wanted.topic.clone(), wanted.index.0), self.list.len());
                self.list.push(wanted);
            }
        }
    }

    pub fn forget(&mut self, topic: &TopicKey, index: PartitionIndex) {
        if let Some(at) = self.places.remove(&(topic.clone(), index.0)) {
            self.list.swap_remove(at);
            if let Some(moved) = self.list.get(at) {
                self.places.insert((moved.topic.clone(), moved.index.0), at);
            }
        }
    }
}

/// One session between its requests.
#[derive(Debug)]
pub struct Session {
    /// The epoch that the next request must carry.
    epoch: i32,
    by_id: bool,
    /// `None` while a request of this session is under way.
    partitions: Option<Partitions>,
    last_used: Instant,
}

/// The sessions of one shard.
#[derive(Debug)]
pub struct Sessions {
    sessions: HashMap<i32, Session>,
    slots: usize,
    shard: ShardId,
    shards: u16,
}

impl Sessions {
    /// At most `slots` sessions; 0 means none, and every client is answered without one.
    pub fn new(slots: usize, shard: ShardId, shards: u16) -> Self {
        Self { sessions: HashMap::new(), slots, shard, shards }
    }

    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Takes the partitions of a session for the request with this epoch.
    pub fn take(&mut self, id: i32, epoch: i32, by_id: bool, now: Instant) -> Result<Partitions, ResponseError> {
        let session = self.sessions.get_mut(&id).ok_or(ResponseError::FetchSessionIdNotFound)?;
        if session.epoch != epoch || session.partitions.is_none() {
            return Err(ResponseError::InvalidFetchSessionEpoch);
        }
        if session.by_id != by_id {
            return Err(ResponseError::FetchSessionTopicIdError);
        }
        session.epoch = next_epoch(epoch);
        session.last_used = now;
        Ok(session.partitions.take().expect("it was there a moment ago"))
    }

    /// Puts the partitions of a session in, when its request is answered.
    pub fn put_back(&mut self, id: i32, partitions: Partitions) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.partitions = Some(partitions);
        }
    }

    /// Opens a session whose partitions the caller puts in, and returns its id; 0 if there is no room for it.
    pub fn open(&mut self, by_id: bool, now: Instant) -> i32 {
        if self.sessions.len() >= self.slots && !self.evict(now) {
            return 0;
        }
        let id = self.fresh_id();
        self.sessions.insert(id, Session { epoch: 1, by_id, partitions: None, last_used: now });
        id
    }

    /// Takes a session out whose client goes to another shard. One with a request under way stays.
    pub fn depart(&mut self, id: i32) -> Option<Session> {
        self.sessions.get(&id)?.partitions.as_ref()?;
        self.sessions.remove(&id)
    }

    /// Takes in a session whose client has come from another shard, if there is room. Without it the client is told that
    /// the session is not known, and opens another.
    pub fn arrive(&mut self, id: i32, session: Session, now: Instant) {
        if self.sessions.len() < self.slots || self.evict(now) {
            self.sessions.insert(id, session);
        }
    }

    pub fn close(&mut self, id: i32) {
        self.sessions.remove(&id);
    }

    /// Puts out the session that was not used for longest, if that is long enough.
    fn evict(&mut self, now: Instant) -> bool {
        let oldest = self.sessions.iter().min_by_key(|(id, session)| (session.last_used, **id));
        let Some((&id, session)) = oldest else { return false };
        let old = now.saturating_duration_since(session.last_used) >= EVICTION_AGE_MIN;
        if old {
            self.sessions.remove(&id);
        }
        old
    }

    /// An id that no session of any shard has: a client may come back on another shard, and must not find a stranger's.
    fn fresh_id(&self) -> i32 {
        loop {
            let shards = i32::from(self.shards);
            let id = rand::random_range(1..i32::MAX / shards) * shards + i32::from(self.shard.0);
            if !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }
}

/// Epochs go from 1 to the largest and then to 1 again; 0 opens a session.
fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(name: &str, index: i32) -> FetchPartition {
        FetchPartition {
            topic: TopicKey::Name(name.into()),
            index: PartitionIndex(index),
            from: 0,
            bytes_max: 1,
            leader_epoch: -1,
            last_fetched_epoch: -1,
            high_watermark: -1,
            log_start: -1,
        }
    }

    #[test]
    fn a_request_must_carry_the_next_epoch() {
        let now = Instant::now();
        let mut sessions = Sessions::new(2, ShardId(1), 3);
        let id = sessions.open(false, now);
        assert_eq!(sessions.take(id, 1, false, now).unwrap_err(), ResponseError::InvalidFetchSessionEpoch);
        sessions.put_back(id, Partitions::from_list(vec![partition("a", 0)]));
        assert_eq!(id % 3, 1);
        assert_eq!(sessions.take(id, 2, false, now).unwrap_err(), ResponseError::InvalidFetchSessionEpoch);
        assert_eq!(sessions.take(id, 1, true, now).unwrap_err(), ResponseError::FetchSessionTopicIdError);
        let partitions = sessions.take(id, 1, false, now).unwrap();
        assert_eq!(sessions.take(id, 2, false, now).unwrap_err(), ResponseError::InvalidFetchSessionEpoch);
        sessions.put_back(id, partitions);
        assert!(sessions.take(id, 2, false, now).is_ok());
        assert_eq!(sessions.take(id + 3, 1, false, now).unwrap_err(), ResponseError::FetchSessionIdNotFound);
    }

    #[test]
    fn a_session_goes_with_its_client_to_another_shard() {
        let now = Instant::now();
        let (mut here, mut there) = (Sessions::new(2, ShardId(0), 2), Sessions::new(1, ShardId(1), 2));
        let id = here.open(false, now);
        assert!(here.depart(id).is_none(), "its first request is under way");
        here.put_back(id, Partitions::from_list(vec![partition("a", 0)]));
        there.arrive(id, here.depart(id).unwrap(), now);
        assert_eq!(here.take(id, 1, false, now).unwrap_err(), ResponseError::FetchSessionIdNotFound);
        assert_eq!(there.take(id, 1, false, now).unwrap().list.len(), 1);
        let second = here.open(false, now);
        here.put_back(second, Partitions::default());
        there.arrive(second, here.depart(second).unwrap(), now);
        assert_eq!(there.len(), 1, "there was room for one");
    }

    #[test]
    fn epochs_wrap_to_one() {
        assert_eq!(next_epoch(1), 2);
        assert_eq!(next_epoch(i32::MAX), 1);
    }

    #[test]
    fn forgotten_partitions_leave_and_the_rest_is_found_again() {
        let mut partitions = Partitions::from_list((0..3).map(|index| partition("a", index)).collect());
        partitions.forget(&TopicKey::Name("a".into()), PartitionIndex(0));
        partitions.update(FetchPartition { from: 7, ..partition("a", 2) });
        let mut left: Vec<_> = partitions.list.iter().map(|one| (one.index.0, one.from)).collect();
        left.sort_unstable();
        assert_eq!(left, [(1, 0), (2, 7)]);
    }

    #[test]
    fn a_full_cache_puts_out_only_what_is_old() {
        let now = Instant::now();
        let mut sessions = Sessions::new(1, ShardId(0), 1);
        let first = sessions.open(false, now);
        assert_ne!(first, 0);
        assert_eq!(sessions.open(false, now), 0);
        assert_ne!(sessions.open(false, now + EVICTION_AGE_MIN), 0);
        assert_eq!(sessions.len(), 1);
    }
}
