//! New connections: taken where the kernel puts them, and handed to the shard that has the fewest.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use duramen_wire::ids::ShardId;

use crate::api::{Context, Services};
use crate::metrics::count;
use crate::net::complaints::Complaints;
use crate::net::connection::Connection;
use crate::net::follow::{Arrival, Departure};
use crate::runtime::TaskClass;
use crate::runtime::net::{Listener, Socket};
use crate::serve::start::State;
use crate::shard::{Client, Shard};

/// How long a listener waits after an error, such as too many open files.
const RETRY: Duration = Duration::from_millis(100);
/// How often idle connections are looked for, at most.
const SWEEP_MAX: Duration = Duration::from_secs(30);
/// A connection stays on the shard that accepted it unless another has so many fewer.
const IMBALANCE_MAX: usize = 1;

/// Connections of the whole process. Shards look at it when a connection comes or goes, never in between.
#[derive(Debug, Default)]
pub struct Census {
    by_shard: Vec<AtomicUsize>,
    by_listener: Vec<AtomicUsize>,
    by_ip: Mutex<HashMap<IpAddr, usize>>,
}

impl Census {
    pub fn new(shards: u16, listeners: usize) -> Arc<Self> {
        Arc::new(Self {
            by_shard: (0..shards).map(|_| AtomicUsize::new(0)).collect(),
            by_listener: (0..listeners).map(|_| AtomicUsize::new(0)).collect(),
            by_ip: Mutex::default(),
        })
    }

    fn total(&self) -> usize {
        self.by_shard.iter().map(|shard| shard.load(Ordering::Relaxed)).sum()
    }

    fn fewest(&self) -> (ShardId, usize) {
        let counts = self.by_shard.iter().map(|shard| shard.load(Ordering::Relaxed));
        let (shard, count) = counts.enumerate().min_by_key(|(_, count)| *count).unwrap_or((0, 0));
        (ShardId(u16::try_from(shard).unwrap_or(0)), count)
    }

    fn enter(&self, shard: ShardId, listener: usize, ip: IpAddr) {
        self.by_shard[usize::from(shard.0)].fetch_add(1, Ordering::Relaxed);
        self.by_listener[listener].fetch_add(1, Ordering::Relaxed);
        let mut by_ip = self.by_ip.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *by_ip.entry(ip).or_default() += 1;
    }

    fn leave(&self, shard: ShardId, listener: usize, ip: IpAddr) {
        self.by_shard[usize::from(shard.0)].fetch_sub(1, Ordering::Relaxed);
        self.by_listener[listener].fetch_sub(1, Ordering::Relaxed);
        let mut by_ip = self.by_ip.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(count) = by_ip.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                by_ip.remove(&ip);
            }
        }
    }

    fn count_of_ip(&self, ip: IpAddr) -> usize {
        let by_ip = self.by_ip.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        by_ip.get(&ip).copied().unwrap_or(0)
    }
}

/// Accepts on one listener until the task is cancelled.
pub async fn accept(
    shard: Rc<Shard>,
    listener: Listener,
    index: usize,
    census: Arc<Census>,
    complaints: Rc<Complaints>,
) {
    loop {
        let (fd, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                complaints.say(|| tracing::warn!(%error, "a connection cannot be accepted; trying again"));
                shard.reactor.sleep_until(Instant::now() + RETRY).await;
                continue;
            }
        };
        let services = Services::of(&shard);
        if let Err(reason) = admit(&services, &census, index, peer) {
            count(&services.metrics.connections_refused);
            complaints.say(|| tracing::warn!(%peer, reason, "connection refused"));
            continue;
        }
        let per_shard = services.endpoints.listeners[index].per_shard;
        let target = if per_shard { shard.id } else { choose(&census, shard.id) };
        count(&services.metrics.connections_accepted);
        census.enter(target, index, peer.ip());
        let arrival = Arrival::new(fd, peer, index);
        match target == shard.id {
            true => start(&shard, arrival, census.clone()),
            false => hand_over(&shard, Departure { to: target, arrival }, census.clone()),
        }
    }
}

fn admit(services: &Services, census: &Census, listener: usize, peer: SocketAddr) -> Result<(), &'static str> {
    let config = services.config();
    let within = |count: usize, max: i32| usize::try_from(max).is_ok_and(|max| count < max);
    if !within(census.total(), config.max_connections) {
        return Err("max.connections is reached");
    }
    let listener_max = config.listeners.all[listener].connections_max.unwrap_or(i32::MAX);
    if !within(census.by_listener[listener].load(Ordering::Relaxed), listener_max) {
        return Err("max.connections of this listener is reached");
    }
    if config.max_connections_per_ip != i32::MAX
        && !within(census.count_of_ip(peer.ip()), config.max_connections_per_ip)
    {
        return Err("max.connections.per.ip is reached");
    }
    Ok(())
}

fn choose(census: &Census, here: ShardId) -> ShardId {
    let (fewest, count) = census.fewest();
    let own = census.by_shard[usize::from(here.0)].load(Ordering::Relaxed);
    if own > count + IMBALANCE_MAX - 1 { fewest } else { here }
}

/// Has another shard serve a connection, which the census counts there already.
fn hand_over(shard: &Rc<Shard>, departure: Departure, census: Arc<Census>) {
    let here = shard.clone();
    let handed_over = async move {
        let Departure { to, arrival } = departure;
        here.call(to, move |shard| async move { start(&shard, arrival, census) }).await;
    };
    shard.reactor.spawn(TaskClass::Serve, handed_over).detach();
}

fn start(shard: &Rc<Shard>, arrival: Arrival, census: Arc<Census>) {
    let services = Services::of(shard);
    let complaints = services.complaints.clone();
    let Arrival { fd, peer, listener, leftover, session } = arrival;
    let id = shard.id;
    let socket = match Socket::new(&shard.reactor, fd) {
        Ok(socket) => socket,
        Err(error) => {
            census.leave(id, listener, peer.ip());
            complaints.say(|| tracing::warn!(%peer, %error, "connection refused"));
            return;
        }
    };
    if let Some((id, session)) = session {
        services.sessions.borrow_mut().arrive(id, session, Instant::now());
    }
    let metrics = services.metrics.clone();
    let context = Context { shard: shard.clone(), services, listener };
    let here = shard.clone();
    let connection = Connection::start(context, socket, peer, leftover, move |connection| {
        census.leave(id, listener, peer.ip());
        if let Some(departure) = connection.departure() {
            census.enter(departure.to, listener, peer.ip());
            count(&metrics.connections_moved);
            hand_over(&here, departure, census);
        } else if let Some(reason) = connection.failure() {
            count(&metrics.connections_failed);
            complaints.say(|| tracing::warn!(%peer, reason, "connection closed"));
        }
    });
    if State::of(shard).draining.get() {
        connection.drain();
    }
}

/// Closes connections that were idle for too long.
pub async fn sweep(shard: Rc<Shard>) {
    loop {
        let idle_max =
            u64::try_from(Services::of(&shard).config().connections_max_idle_ms).ok().map(Duration::from_millis);
        let pause = idle_max.map_or(SWEEP_MAX, |max| (max / 4).clamp(Duration::from_millis(100), SWEEP_MAX));
        let began = Instant::now();
        shard.reactor.sleep_until(began + pause).await;
        for client in shard.clients() {
            client.trim_if_quiet_since(began);
        }
        let Some(since) = idle_max.and_then(|max| Instant::now().checked_sub(max)) else { continue };
        for client in shard.clients() {
            client.close_if_idle_since(since);
        }
    }
}
