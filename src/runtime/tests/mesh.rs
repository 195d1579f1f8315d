//! Messages between shards.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::{PATIENCE, Signal};
use crate::runtime::mesh::{Mesh, Peers};
use crate::runtime::{Pool, Reactor, ShardId, Spec, TaskClass, spawn_shard};

const SHARDS: usize = 5;
const LANE_LEN: usize = 8;
const REQUESTS: u64 = 3000;

type Outstanding = Rc<RefCell<BTreeMap<(ShardId, u64), u64>>>;

/// Sends requests to random shards from several tasks, at random times.
async fn load(reactor: Reactor, peers: Peers<(u64, u64), (u64, u64)>, outstanding: Outstanding) {
    let shard = peers.shard();
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let (inner, peers, outstanding) = (reactor.clone(), peers.clone(), outstanding.clone());
            reactor.spawn(TaskClass::Serve, async move {
                let mut random = SmallRng::seed_from_u64(u64::from(shard.0) * 100 + task);
                for number in 0..REQUESTS / 4 {
                    let to = ShardId(random.random_range(0..SHARDS as u16));
                    let id = task << 32 | number;
                    outstanding.borrow_mut().insert((to, id), id * 3);
                    peers.request(to, (id, id)).await.unwrap();
                    if random.random_ratio(1, 200) {
                        inner.sleep(Duration::from_micros(random.random_range(0..2000))).await;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[test]
fn nothing_is_lost_between_more_shards_than_cores() {
    let running = Arc::new(AtomicUsize::new(SHARDS));
    let pool = Pool::new(1, 4);
    let shards: Vec<_> = Mesh::new::<(u64, u64), (u64, u64)>(SHARDS, LANE_LEN)
        .into_iter()
        .map(|end| {
            let mut spec = Spec::new(end.shard(), pool.clone());
            spec.cpu = Some(end.shard().0 as usize % 2);
            let running = running.clone();
            let main = move |reactor: Reactor| async move {
                let outstanding = Outstanding::default();
                let asked = outstanding.clone();
                let inner = reactor.clone();
                let unanswered = Rc::new(RefCell::new([0_usize; SHARDS]));
                let peers = end.serve(
                    &reactor,
                    move |peers, from, (id, value)| {
                        unanswered.borrow_mut()[usize::from(from.0)] += 1;
                        assert!(
                            unanswered.borrow()[usize::from(from.0)] <= LANE_LEN,
                            "a lane holds more than its length"
                        );
                        let (peers, inner, unanswered) = (peers.clone(), inner.clone(), unanswered.clone());
                        inner.clone().spawn(TaskClass::Serve, async move {
                            if id % 97 == 0 {
                                inner.sleep(Duration::from_micros(300)).await;
                            }
                            unanswered.borrow_mut()[usize::from(from.0)] -= 1;
                            peers.reply(from, (id, value * 3));
                        });
                    },
                    move |_, from, (id, value)| {
                        assert_eq!(asked.borrow_mut().remove(&(from, id)), Some(value));
                    },
                );
                let deadline = reactor.now() + PATIENCE;
                let done = reactor.timeout_at(deadline, async {
                    load(reactor.clone(), peers, outstanding.clone()).await;
                    while !outstanding.borrow().is_empty() {
                        reactor.sleep(Duration::from_millis(1)).await;
                    }
                    running.fetch_sub(1, Ordering::SeqCst);
                    // The others may still have requests for this shard.
                    while running.load(Ordering::SeqCst) > 0 {
                        reactor.sleep(Duration::from_millis(1)).await;
                    }
                });
                done.await.expect("every request is answered in time");
            };
            spawn_shard(spec, main).unwrap()
        })
        .collect();
    for shard in shards {
        shard.join();
    }
}

#[test]
fn a_full_lane_suspends_the_caller_and_a_sleeper_is_woken() {
    let pool = Pool::new(1, 4);
    let mut ends = Mesh::new::<u32, u32>(2, 2);
    let (second, first) = (ends.pop().unwrap(), ends.pop().unwrap());
    let done = Arc::new(AtomicUsize::new(0));
    let is_done = done.clone();
    let answering = spawn_shard(Spec::new(ShardId(1), pool.clone()), move |reactor| async move {
        let held = Rc::new(RefCell::new(Vec::new()));
        let hold = held.clone();
        let peers =
            second.serve(&reactor, move |_, from, value: u32| hold.borrow_mut().push((from, value)), |_, _, _| {});
        while is_done.load(Ordering::SeqCst) == 0 {
            reactor.sleep(Duration::from_millis(20)).await;
            assert!(held.borrow().len() <= 2);
            for (from, value) in held.take() {
                peers.reply(from, value);
            }
        }
    });
    let asking = spawn_shard(Spec::new(ShardId(0), pool), move |reactor| async move {
        let answered = Rc::new(Cell::new(0));
        let count = answered.clone();
        let peers = first.serve(
            &reactor,
            |_, _, _| {},
            move |_, _, value| {
                assert_eq!(value, count.get());
                count.set(value + 1);
            },
        );
        assert_eq!(peers.try_request(ShardId(1), 0), Ok(()));
        assert_eq!(peers.try_request(ShardId(1), 1), Ok(()));
        assert_eq!(peers.try_request(ShardId(1), 2), Err(2));
        for value in 2..10 {
            peers.request(ShardId(1), value).await.unwrap();
        }
        while answered.get() < 10 {
            reactor.sleep(Duration::from_millis(1)).await;
        }
        done.store(1, Ordering::SeqCst);
    });
    asking.unwrap().join();
    answering.unwrap().join();
}

#[test]
fn a_request_to_a_sleeping_shard_is_answered_at_once() {
    let pool = Pool::new(1, 4);
    let mut ends = Mesh::new::<Option<u32>, u32>(2, 4);
    let (second, first) = (ends.pop().unwrap(), ends.pop().unwrap());
    let answering = spawn_shard(Spec::new(ShardId(1), pool.clone()), move |reactor| async move {
        let last = Signal::default();
        let ended = last.clone();
        second.serve(
            &reactor,
            move |peers, from, value: Option<u32>| {
                peers.reply(from, value.unwrap_or(0));
                if value.is_none() {
                    ended.set();
                }
            },
            |_, _, _| {},
        );
        last.wait().await;
        // The answer is pushed; a pass later it is announced.
        reactor.sleep(Duration::from_millis(1)).await;
        reactor.stats().wakes_sent
    });
    let asking = spawn_shard(Spec::new(ShardId(0), pool), move |reactor| async move {
        let answer = Signal::default();
        let answered = answer.clone();
        let peers = first.serve(&reactor, |_, _, _| {}, move |_, _, _| answered.set());
        for value in [Some(1), Some(2), Some(3), Some(4), None] {
            // Both fall asleep.
            reactor.sleep(Duration::from_millis(30)).await;
            let start = reactor.now();
            peers.request(ShardId(1), value).await.unwrap();
            answer.wait().await;
            assert!(start.elapsed() < Duration::from_millis(500), "answered after {:?}", start.elapsed());
        }
        reactor.stats().wakes_sent
    });
    assert!(asking.unwrap().join() > 0);
    assert!(answering.unwrap().join() > 0);
}
