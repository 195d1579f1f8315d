//! What a hop between shards costs: a request to another shard and its reply, over two executors; and the bare ring below.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use duramen::runtime::mesh::Mesh;
use duramen::runtime::{Pool, Reactor, ShardId, Spec, spawn_shard};

/// Unanswered requests at most, in the second of the two loads.
const UNDER_WAY: u64 = 64;
/// How often the shard that answers looks whether it is still needed.
const LOOK: Duration = Duration::from_millis(1);

/// Replies that came, and who waits for the next.
#[derive(Default)]
struct Replies {
    count: Cell<u64>,
    waiting: RefCell<Option<Waker>>,
}

impl Replies {
    fn came(&self) {
        self.count.set(self.count.get() + 1);
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    async fn reach(&self, count: u64) {
        poll_fn(|context| {
            if self.count.get() >= count {
                return Poll::Ready(());
            }
            self.waiting.replace(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// Time for so many requests of one shard to another, `under_way` of them unanswered at most.
fn requests(number: u64, under_way: u64) -> Duration {
    let pool = Pool::new(1, 4);
    let mut ends = Mesh::new::<u64, u64>(2, UNDER_WAY as usize);
    let (second, first) = (ends.pop().expect("there are two"), ends.pop().expect("there are two"));
    let is_done = Arc::new(AtomicBool::new(false));
    let done = is_done.clone();
    let mut spec = Spec::new(ShardId(1), pool.clone());
    spec.cpu = Some(1);
    let answering = spawn_shard(spec, move |reactor: Reactor| async move {
        second.serve(&reactor, |peers, from, value| peers.reply(from, value), |_, _, _| {});
        while !is_done.load(Ordering::Acquire) {
            reactor.sleep(LOOK).await;
        }
    });
    let mut spec = Spec::new(ShardId(0), pool);
    spec.cpu = Some(0);
    let asking = spawn_shard(spec, move |reactor: Reactor| async move {
        let replies = Rc::new(Replies::default());
        let counted = replies.clone();
        let peers = first.serve(&reactor, |_, _, _| {}, move |_, _, _| counted.came());
        let began = Instant::now();
        for sent in 0..number {
            peers.request(ShardId(1), sent).await.expect("the other shard runs");
            replies.reach((sent + 1).saturating_sub(under_way - 1)).await;
        }
        replies.reach(number).await;
        let took = began.elapsed();
        done.store(true, Ordering::Release);
        took
    });
    let took = asking.expect("a shard starts").join();
    answering.expect("a shard starts").join();
    took
}

fn hop(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request_and_reply");
    group.sample_size(10);
    for (name, under_way) in [("one at a time", 1), ("64 under way", UNDER_WAY)] {
        group.bench_function(name, |bencher| bencher.iter_custom(|number| requests(number, under_way)));
    }
    group.finish();
}

/// Push and pop on one thread: what the ring itself costs, without the way between two cores.
fn ring(criterion: &mut Criterion) {
    let (mut producer, mut consumer) = rtrb::RingBuffer::new(UNDER_WAY as usize);
    criterion.bench_function("push_and_pop", |bencher| {
        bencher.iter(|| {
            producer.push(1_u64).expect("it is empty");
            consumer.pop().expect("one was pushed")
        });
    });
}

criterion_group!(benches, hop, ring);
criterion_main!(benches);
