//! `duramen serve`: from settings to a running broker, and back to a clean end.
//!
//! The main thread checks what can be checked before anything is touched, starts the shards and waits for signals. What
//! needs all shards is led by shard 0, by calls ([`start`], [`stop`]).

pub mod accept;
pub mod data_dir;
pub mod options;
mod plan;
mod signals;
mod start;
mod stop;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;

use duramen_wire::ids::ShardId;

pub use options::{LogFormat, Options};
pub use plan::Plan;

use self::data_dir::DataDir;
use crate::config::{self, Configs};
use crate::metrics;
use crate::net::endpoints::{self, Endpoints};
use crate::runtime::mesh::Mesh;
use crate::runtime::net::{Bound, SocketOptions, bind, is_not_offered};
use crate::runtime::{self, Pool, Spec, host, spawn_shard};
use crate::shard::Shard;
use crate::shard::message::{Reply, Request};

/// Threads for blocking calls, for all shards together.
const POOL_THREADS: usize = 4;
/// Blocking calls that may wait for a thread.
const POOL_QUEUE: usize = 256;

/// Why the broker does not start, or ends badly.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Options(#[from] options::Error),
    #[error(transparent)]
    Config(#[from] crate::config::Error),
    #[error(transparent)]
    Host(#[from] host::Error),
    #[error(transparent)]
    Cores(#[from] host::CoreListError),
    #[error(transparent)]
    DataDir(#[from] data_dir::Error),
    #[error(transparent)]
    Endpoints(#[from] endpoints::Error),
    #[error(transparent)]
    Metrics(#[from] metrics::EndpointError),
    #[error("listener {listener} cannot bind {address}: {reason}")]
    Bind { listener: String, address: SocketAddr, reason: String },
    #[error("shard {shard} cannot start: {source}")]
    Shard { shard: ShardId, source: io::Error },
    #[error("{0}")]
    Start(String),
    #[error("{0}")]
    Stop(String),
    #[error("signals cannot be awaited: {0}")]
    Signals(io::Error),
}

/// What the main thread hears from shard 0.
pub(crate) enum News {
    Started(start::Report),
    Failed(String),
}

/// Runs the broker until it is told to stop.
pub fn run(options: &Options) -> Result<(), Error> {
    let began = std::time::Instant::now();
    let mut settings = options.settings()?;
    let none = Configs::new();
    let config = config::Broker::new(&settings, &none, &none);
    let host = host::probe(Path::new(&config.data_dir))?;
    let plan = Plan::new(config, &host.facts)?;
    let mut endpoints = Endpoints::new(&plan.config, plan.shards)?;
    let listeners = bind_all(&mut endpoints, plan.shards, &plan.socket_options())?;
    let metrics = plan.config.metrics_listener.as_deref().map(metrics::bind_all).transpose()?.unwrap_or_default();
    let data_dir = DataDir::take(&plan.data_dir)?;
    start::advertise(&mut settings, &endpoints);
    let settings = Arc::new(settings);
    let (signals, stop_requests) = signals::watch().map_err(Error::Signals)?;
    let (news, heard) = mpsc::channel();
    let ground = start::Ground {
        census: accept::Census::new(plan.shards, endpoints.listeners.len()),
        plan: plan.clone(),
        settings: settings.clone(),
        endpoints: Arc::new(endpoints),
        data_dir: data_dir.path.clone(),
        lock: data_dir.lock.clone(),
    };
    let shards = start_shards(&ground, listeners, metrics, stop_requests, &news)?;
    drop(news);
    match heard.recv() {
        Ok(News::Started(report)) => report.print(&plan, &host, settings.notices(), began.elapsed()),
        Ok(News::Failed(reason)) => return Err(Error::Start(reason)),
        Err(_) => return Err(Error::Start("a shard ended while the broker was starting".into())),
    }
    let ended: Vec<Result<(), String>> = shards.into_iter().map(runtime::JoinHandle::join).collect();
    drop(signals);
    drop(data_dir);
    ended.into_iter().collect::<Result<(), _>>().map_err(Error::Stop)
}

/// A bound address of a listener.
type BoundListener = (usize, Bound);

/// Binds every address of every listener, for each shard. Ports of 0 become what the system chose.
fn bind_all(endpoints: &mut Endpoints, shards: u16, options: &SocketOptions) -> Result<Vec<Vec<BoundListener>>, Error> {
    let mut bound: Vec<Vec<BoundListener>> = (0..shards).map(|_| Vec::new()).collect();
    for (index, listener) in endpoints.listeners.iter_mut().enumerate() {
        for (node_index, node) in listener.nodes.iter_mut().enumerate() {
            let sharing = if listener.per_shard { 1 } else { usize::from(shards) };
            let mut port = None;
            for address in &listener.binds[node_index] {
                let address = SocketAddr::new(address.ip(), port.unwrap_or(address.port()));
                let sockets = match bind_or_fall_back(address, sharing, options) {
                    Ok(sockets) => sockets,
                    // localhost is then 127.0.0.1 alone.
                    Err(error) if port.is_some() && address.is_ipv6() && is_not_offered(&error) => continue,
                    Err(error) => return Err(bind_error(&listener.name, address, &error)),
                };
                if let Some(local) = sockets.first().and_then(|socket| socket.local_addr().ok()) {
                    port = Some(local.port());
                    if node.port == 0 {
                        node.port = i32::from(local.port());
                    }
                }
                for (at, socket) in sockets.into_iter().enumerate() {
                    let shard = if listener.per_shard { node_index } else { at };
                    bound[shard].push((index, socket));
                }
            }
        }
    }
    Ok(bound)
}

/// Every address is every IPv4 address on a host without IPv6.
fn bind_or_fall_back(address: SocketAddr, sharing: usize, options: &SocketOptions) -> io::Result<Vec<Bound>> {
    match bind(address, sharing, options) {
        Err(error) if address.is_ipv6() && address.ip().is_unspecified() && is_not_offered(&error) => {
            bind((Ipv4Addr::UNSPECIFIED, address.port()).into(), sharing, options)
        }
        bound => bound,
    }
}

fn bind_error(listener: &str, address: SocketAddr, error: &io::Error) -> Error {
    let reason = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use, perhaps by another broker. Stop that, or choose another with --listen".to_string()
        }
        io::ErrorKind::AddrNotAvailable => "this host does not have that address. Choose another with --listen".into(),
        io::ErrorKind::PermissionDenied => "ports below 1024 need privileges. Choose another with --listen".into(),
        _ => error.to_string(),
    };
    Error::Bind { listener: listener.to_string(), address, reason }
}

type Shards = Vec<runtime::JoinHandle<Result<(), String>>>;

fn start_shards(
    ground: &start::Ground,
    listeners: Vec<Vec<BoundListener>>,
    metrics: Vec<Bound>,
    stop_requests: UnixStream,
    news: &mpsc::Sender<News>,
) -> Result<Shards, Error> {
    let pool = Pool::new(POOL_THREADS, POOL_QUEUE);
    let mut leading = Some((stop_requests, news.clone(), metrics));
    let mut shards = Vec::new();
    let ends = Mesh::new::<Request, Reply>(usize::from(ground.plan.shards), ground.plan.config.shard_ring_slots);
    for (index, (end, bound)) in ends.into_iter().zip(listeners).enumerate() {
        let id = ShardId(u16::try_from(index).expect("the plan counts shards in 16 bits"));
        let mut spec = Spec::new(id, pool.clone());
        spec.cpu = ground.plan.cpu_of(id);
        spec.receive_buffers_max = ground.plan.receive_buffers_max;
        spec.held = Some(ground.lock.clone());
        let ground = ground.clone();
        let leader = leading.take();
        let shard = spawn_shard(spec, move |reactor| async move {
            let shard = Shard::new(id, reactor, end);
            start::prepare(&shard, ground, bound);
            match leader {
                Some((requests, news, metrics)) => {
                    start::serve_metrics(&shard, metrics);
                    lead(shard, requests, news).await
                }
                None => stop::wait(&shard).await,
            }
        });
        shards.push(shard.map_err(|source| Error::Shard { shard: id, source })?);
    }
    Ok(shards)
}

/// What shard 0 does for all: start, serve until told otherwise, stop.
async fn lead(shard: std::rc::Rc<Shard>, requests: UnixStream, news: mpsc::Sender<News>) -> Result<(), String> {
    match start::all(&shard).await {
        Ok(report) => drop(news.send(News::Started(report))),
        Err(reason) => {
            drop(news.send(News::Failed(reason.clone())));
            stop::release_all(&shard).await;
            return Err(reason);
        }
    }
    signals::wait(&shard, requests).await;
    stop::all(&shard).await
}
