//! Tasks, timers, wakes and the pump's sleep.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::{Signal, on_shard, on_shard_of, spec};
use crate::runtime::{Cancelled, Reactor, TaskClass, spawn_shard};

#[test]
fn a_task_yields_its_output_or_its_cancellation() {
    on_shard(|reactor| async move {
        assert_eq!(reactor.spawn(TaskClass::Serve, async { 7 }).await, Ok(7));
        let endless = reactor.spawn(TaskClass::Background, std::future::pending::<()>());
        endless.cancel();
        assert_eq!(endless.await, Err(Cancelled));
        // A dropped handle leaves its task running.
        let done = Signal::default();
        let setter = done.clone();
        drop(reactor.spawn(TaskClass::Background, async move { setter.set() }));
        done.wait().await;
    });
}

#[test]
fn timers_fire_in_order_and_not_early() {
    on_shard(|reactor| async move {
        let start = reactor.now();
        let order = Rc::new(RefCell::new(Vec::new()));
        let tasks: Vec<_> = [30, 10, 20, 10]
            .map(|ms| {
                let (reactor, order) = (reactor.clone(), order.clone());
                reactor.clone().spawn(TaskClass::Serve, async move {
                    let deadline = start + Duration::from_millis(ms);
                    reactor.sleep_until(deadline).await;
                    assert!(reactor.now() >= deadline);
                    order.borrow_mut().push(ms);
                })
            })
            .into();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.borrow(), [10, 10, 20, 30]);
        assert!(start.elapsed() < Duration::from_secs(1));
        let late = reactor.timeout_at(reactor.now() + Duration::from_millis(5), std::future::pending::<()>()).await;
        assert_eq!(late, None);
        let ready = reactor.timeout_at(reactor.now() + Duration::from_secs(60), async { 1 }).await;
        assert_eq!(ready, Some(1));
        // The abandoned deadline is forgotten; the test's own is left.
        assert_eq!(reactor.stats().timers, 1);
    });
}

/// Two tasks of the given classes wake each other in turn; nobody waits for the pump to end a sleep.
async fn ping_pong(reactor: &Reactor, classes: [TaskClass; 2], rounds: usize) -> Duration {
    let (ping, pong) = (Signal::default(), Signal::default());
    let start = Instant::now();
    let first = reactor.spawn(classes[0], {
        let (ping, pong) = (ping.clone(), pong.clone());
        async move {
            for _ in 0..rounds {
                ping.set();
                pong.wait().await;
            }
        }
    });
    let second = reactor.spawn(classes[1], async move {
        for _ in 0..rounds {
            ping.wait().await;
            pong.set();
        }
    });
    first.await.unwrap();
    second.await.unwrap();
    start.elapsed()
}

#[test]
fn a_task_woken_by_another_never_waits_for_a_sleep_of_the_pump() {
    use TaskClass::{Background, Serve};
    on_shard(|reactor| async move {
        let before = reactor.stats();
        for classes in [[Serve, Serve], [Serve, Background], [Background, Serve], [Background, Background]] {
            let took = ping_pong(&reactor, classes, 500).await;
            // One sleep alone would be a second, since no deadline is nearer.
            assert!(took < Duration::from_millis(500), "{classes:?} took {took:?}");
        }
        let sleeps = reactor.stats().wakeups - before.wakeups;
        assert!(sleeps < 50, "the pump slept {sleeps} times although a task was runnable");
    });
}

#[test]
fn the_busy_do_not_starve_the_others() {
    on_shard(|reactor| async move {
        let polls = [Rc::new(Cell::new(0_u32)), Rc::new(Cell::new(0_u32))];
        for (class, polls) in [TaskClass::Serve, TaskClass::Background].into_iter().zip(&polls) {
            let (reactor, polls) = (reactor.clone(), polls.clone());
            reactor.clone().spawn(class, async move {
                loop {
                    let start = Instant::now();
                    while start.elapsed() < Duration::from_micros(50) {}
                    polls.set(polls.get() + 1);
                    reactor.yield_now().await;
                }
            });
        }
        // Shares are of elapsed time, in which other processes have their part: one fair stretch of many is enough.
        for _ in 0..50 {
            let before = polls.each_ref().map(|polls| polls.get());
            // The timer needs the pump to run beside both.
            reactor.sleep(Duration::from_millis(100)).await;
            let serve = polls[0].get() - before[0];
            let background = polls[1].get() - before[1];
            if background > 10 && (5 * background..20 * background).contains(&serve) {
                return;
            }
        }
        panic!("requests ran {} times, background work {}", polls[0].get(), polls[1].get());
    });
}

#[test]
fn a_wake_from_a_foreign_thread_ends_the_sleep() {
    on_shard(|_| async move {
        for _ in 0..20 {
            let slot: Arc<Mutex<(bool, Option<Waker>)>> = Arc::default();
            let shared = slot.clone();
            let start = Instant::now();
            let thread = thread::spawn(move || {
                loop {
                    let waker = {
                        let mut slot = shared.lock().unwrap();
                        slot.0 = slot.1.is_some();
                        slot.1.take()
                    };
                    if let Some(waker) = waker {
                        return waker.wake();
                    }
                    thread::yield_now();
                }
            });
            poll_fn(|context| {
                let mut slot = slot.lock().unwrap();
                if slot.0 {
                    return Poll::Ready(());
                }
                slot.1 = Some(context.waker().clone());
                Poll::Pending
            })
            .await;
            assert!(start.elapsed() < Duration::from_millis(500), "woken after {:?}", start.elapsed());
            thread.join().unwrap();
        }
    });
}

#[test]
fn the_pool_answers_and_its_queue_is_bounded() {
    on_shard(|reactor| async move {
        let tasks: Vec<_> = (0..64_u32)
            .map(|number| {
                let inner = reactor.clone();
                reactor.spawn(TaskClass::Serve, async move { inner.blocking(move || number * 2).await })
            })
            .collect();
        reactor.yield_now().await;
        assert!(reactor.stats().pool_queue <= 4);
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await, Ok(number as u32 * 2));
        }
    });
}

#[test]
fn an_idle_shard_hardly_wakes() {
    let wakeups = on_shard(|reactor| async move {
        reactor.sleep(Duration::from_millis(50)).await;
        let before = reactor.stats();
        reactor.sleep(Duration::from_secs(2)).await;
        let after = reactor.stats();
        assert!(after.utilisation_since(&before) < 0.05);
        after.wakeups - before.wakeups
    });
    assert!(wakeups <= 10, "woke {wakeups} times in two seconds");
}

#[test]
fn the_end_of_a_shard_drops_its_tasks() {
    struct Dropped(Arc<Mutex<u32>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    let count: Arc<Mutex<u32>> = Arc::default();
    let counted = count.clone();
    let shard = spawn_shard(spec(), move |reactor| async move {
        for class in [TaskClass::Serve, TaskClass::Background] {
            let guard = Dropped(counted.clone());
            reactor.spawn(class, async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            });
        }
        reactor.yield_now().await;
    });
    shard.unwrap().join();
    assert_eq!(*count.lock().unwrap(), 2);
}

#[test]
fn a_shard_that_cannot_be_made_is_an_error() {
    let mut impossible = spec();
    impossible.cpu = Some(1023);
    assert!(spawn_shard(impossible, |_| async {}).is_err());
}

#[test]
fn a_short_preemption_timer_does_not_stop_a_shard() {
    let mut nervous = spec();
    nervous.preempt_timer = Duration::from_millis(1);
    on_shard_of(nervous, |reactor| async move {
        for _ in 0..50 {
            ping_pong(&reactor, [TaskClass::Serve, TaskClass::Background], 20).await;
            reactor.sleep(Duration::from_millis(2)).await;
        }
    });
}
