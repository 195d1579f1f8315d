//! Messages between shards: for each pair a lane of requests and a lane of replies in either direction, each a bounded
//! ring with one producer and one consumer.
//!
//! A request reserves the place of its reply: at most `lane_len` requests of one shard to another are unanswered, so
//! neither lane can be full when it is pushed to. Whoever finds no place waits in order; the pump never does. Each
//! request is answered exactly once. A shard is woken by a message to its ring, and only if it sleeps.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use rtrb::{Consumer, Producer, RingBuffer};

use super::ShardId;
use super::home::Home;
use super::reactor::{Poller, Reactor, Shared};
use super::semaphore::Semaphore;

/// Messages that one pass of the pump takes from one lane.
const BATCH_MAX: usize = 64;

/// The other shard has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shard {} has ended", .0.0)]
pub struct Ended(pub ShardId);

/// The lanes between all shards of a process.
pub struct Mesh;

impl Mesh {
    /// Lanes between `shards` shards, each with itself too. The end at index `k` belongs to shard `k`.
    #[expect(clippy::new_ret_no_self, reason = "a mesh is its ends")]
    pub fn new<Q: Send, P: Send>(shards: usize, lane_len: usize) -> Vec<MeshEnd<Q, P>> {
        assert!(lane_len > 0, "a lane has a place");
        let homes: Arc<[OnceLock<Arc<Home>>]> = (0..shards).map(|_| OnceLock::new()).collect();
        let mut requests = Lanes::new(shards, lane_len);
        let mut replies = Lanes::new(shards, lane_len);
        (0..shards)
            .map(|shard| MeshEnd {
                shard,
                lane_len,
                homes: homes.clone(),
                requests_out: requests.producers(shard),
                requests_in: requests.consumers(shard),
                replies_out: replies.producers(shard),
                replies_in: replies.consumers(shard),
            })
            .collect()
    }
}

/// One kind of lane between all pairs, by sender and receiver.
struct Lanes<T>(Vec<Vec<Ends<T>>>);

/// The ends of a lane, until their shards take them.
type Ends<T> = (Option<Producer<T>>, Option<Consumer<T>>);

impl<T> Lanes<T> {
    fn new(shards: usize, lane_len: usize) -> Self {
        let lane = |_| {
            let (producer, consumer) = RingBuffer::new(lane_len);
            (Some(producer), Some(consumer))
        };
        Self((0..shards).map(|_| (0..shards).map(lane).collect()).collect())
    }

    fn producers(&mut self, from: usize) -> Vec<Producer<T>> {
        self.0[from].iter_mut().map(|(producer, _)| producer.take().expect("one end per shard")).collect()
    }

    fn consumers(&mut self, to: usize) -> Vec<Consumer<T>> {
        self.0.iter_mut().map(|lanes| lanes[to].1.take().expect("one end per shard")).collect()
    }
}

/// A shard's end of the mesh, to be sent to its thread.
pub struct MeshEnd<Q, P> {
    shard: usize,
    lane_len: usize,
    homes: Arc<[OnceLock<Arc<Home>>]>,
    requests_out: Vec<Producer<Q>>,
    requests_in: Vec<Consumer<Q>>,
    replies_out: Vec<Producer<P>>,
    replies_in: Vec<Consumer<P>>,
}

impl<Q: Send + 'static, P: Send + 'static> MeshEnd<Q, P> {
    pub fn shard(&self) -> ShardId {
        ShardId(self.shard as u16)
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.requests_out.len()
    }

    /// Unanswered requests from one shard to another, at most.
    pub fn lane_len(&self) -> usize {
        self.lane_len
    }

    /// Connects this end to the shard's pump, which calls the handlers with what arrives. They run inside the pump: they
    /// hand over, spawn or reply, and return at once.
    pub fn serve(
        self,
        reactor: &Reactor,
        on_request: impl FnMut(&Peers<Q, P>, ShardId, Q) + 'static,
        on_reply: impl FnMut(&Peers<Q, P>, ShardId, P) + 'static,
    ) -> Peers<Q, P> {
        let peers = Peers(Rc::new(Outbound {
            shared: reactor.0.clone(),
            shard: self.shard,
            homes: self.homes,
            requests: self.requests_out.into_iter().map(RefCell::new).collect(),
            replies: self.replies_out.into_iter().map(RefCell::new).collect(),
            places: (0..self.requests_in.len()).map(|_| Semaphore::new(self.lane_len)).collect(),
        }));
        let inbound = Inbound {
            peers: peers.clone(),
            requests: self.requests_in.into_iter().map(RefCell::new).collect(),
            replies: self.replies_in.into_iter().map(RefCell::new).collect(),
            on_request: RefCell::new(on_request),
            on_reply: RefCell::new(on_reply),
        };
        // From here on others can end this shard's sleep; what they sent before is seen by its next pass.
        let first = peers.0.homes[self.shard].set(reactor.0.home.clone());
        assert!(first.is_ok(), "an end of a mesh is served once");
        reactor.0.pollers.borrow_mut().push(Rc::new(inbound));
        peers
    }
}

/// The other shards, as seen from this one. Clones are handles to the same.
pub struct Peers<Q, P>(Rc<Outbound<Q, P>>);

impl<Q, P> Clone for Peers<Q, P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Outbound<Q, P> {
    shared: Rc<Shared>,
    shard: usize,
    homes: Arc<[OnceLock<Arc<Home>>]>,
    requests: Vec<RefCell<Producer<Q>>>,
    replies: Vec<RefCell<Producer<P>>>,
    /// Places for unanswered requests, by shard.
    places: Vec<Semaphore>,
}

impl<Q, P> Peers<Q, P> {
    pub fn shards(&self) -> usize {
        self.0.requests.len()
    }

    pub fn shard(&self) -> ShardId {
        ShardId(self.0.shard as u16)
    }

    /// Sends a request, after those that wait for a place before it. If the future is dropped early, nothing is sent.
    pub async fn request(&self, to: ShardId, message: Q) -> Result<(), Ended> {
        self.0.places[usize::from(to.0)].acquire().await;
        self.send(to, message)
    }

    /// Sends a request, or gives it back if there is no place now or the other shard has ended.
    pub fn try_request(&self, to: ShardId, message: Q) -> Result<(), Q> {
        let index = usize::from(to.0);
        if self.0.requests[index].borrow().is_abandoned() || !self.0.places[index].try_acquire() {
            return Err(message);
        }
        self.push_request(to, message);
        Ok(())
    }

    /// Answers one request of `to`. Never waits.
    pub fn reply(&self, to: ShardId, message: P) {
        let pushed = self.0.replies[usize::from(to.0)].borrow_mut().push(message);
        assert!(pushed.is_ok(), "a request is answered once");
        self.wake(to);
    }

    fn send(&self, to: ShardId, message: Q) -> Result<(), Ended> {
        let index = usize::from(to.0);
        if self.0.requests[index].borrow().is_abandoned() {
            self.0.places[index].release();
            return Err(Ended(to));
        }
        self.push_request(to, message);
        Ok(())
    }

    fn push_request(&self, to: ShardId, message: Q) {
        let pushed = self.0.requests[usize::from(to.0)].borrow_mut().push(message);
        assert!(pushed.is_ok(), "a lane has room for every request that has a place");
        self.wake(to);
    }

    fn wake(&self, to: ShardId) {
        let index = usize::from(to.0);
        if index != self.0.shard
            && let Some(home) = self.0.homes[index].get()
        {
            self.0.shared.wake_shard(home);
        }
    }
}

struct Inbound<Q, P, F, G> {
    peers: Peers<Q, P>,
    requests: Vec<RefCell<Consumer<Q>>>,
    replies: Vec<RefCell<Consumer<P>>>,
    on_request: RefCell<F>,
    on_reply: RefCell<G>,
}

impl<Q, P, F, G> Poller for Inbound<Q, P, F, G>
where
    F: FnMut(&Peers<Q, P>, ShardId, Q),
    G: FnMut(&Peers<Q, P>, ShardId, P),
{
    fn poll(&self) -> bool {
        let mut worked = false;
        for index in 0..self.requests.len() {
            let from = ShardId(index as u16);
            worked |= take(&self.replies[index], |reply| {
                self.peers.0.places[index].release();
                (self.on_reply.borrow_mut())(&self.peers, from, reply);
            });
            worked |= take(&self.requests[index], |request| {
                (self.on_request.borrow_mut())(&self.peers, from, request);
            });
        }
        worked
    }

    fn has_work(&self) -> bool {
        let waiting = |lane: &RefCell<Consumer<Q>>| !lane.borrow().is_empty();
        self.requests.iter().any(waiting) || self.replies.iter().any(|lane| !lane.borrow().is_empty())
    }
}

/// Hands a bounded number of messages of a lane to `handle`; says whether there were any.
fn take<T>(lane: &RefCell<Consumer<T>>, mut handle: impl FnMut(T)) -> bool {
    for taken in 0..BATCH_MAX {
        let message = lane.borrow_mut().pop();
        match message {
            Ok(message) => handle(message),
            Err(_) => return taken > 0,
        }
    }
    true
}
