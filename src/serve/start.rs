//! The start, led by shard 0: recover what the last run left, read the metadata, give each shard its partitions, listen.
//!
//! Recovery works on the directories of the shards that wrote them, however many there were; only then is it decided
//! which shard owns what. Nobody is listened to before every partition is in its place.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write, stdout};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use duramen_wire::ids::ShardId;

use super::Plan;
use super::accept::{self, Census};
use crate::api::Services;
use crate::api::groups::{Groups, hosting};
use crate::api::sessions::Sessions;
use crate::config::{Advertised, Settings};
use crate::controller::{self, Change, Image};
use crate::errors::chain;
use crate::log::recovery::{self, Recovered};
use crate::log::{Log, PartitionState};
use crate::metadata::{self, Keeper, Store};
use crate::metrics::{self, Metrics, Phase};
use crate::net::complaints::Complaints;
use crate::net::endpoints::Endpoints;
use crate::net::gather::GatherBudget;
use crate::runtime::disk::RealDisk;
use crate::runtime::net::{Bound, Listener};
use crate::runtime::{Task, TaskClass, host};
use crate::shard::Shard;
use crate::shard::metadata::partition_config;
use crate::shard::notify::Notify;

const METADATA_DIR: &str = "metadata";
/// The part of the receive buffers that requests may hold which wait for memory.
const PINNED_SHARE: usize = 2;

/// What a shard's thread is given to start with.
#[derive(Clone)]
pub struct Ground {
    pub plan: Plan,
    pub settings: Arc<Settings>,
    pub endpoints: Arc<Endpoints>,
    pub data_dir: PathBuf,
    /// The lock of the data directory.
    pub lock: Arc<File>,
    pub census: Arc<Census>,
}

/// What the start and the end of a shard work with; it hangs in the shard's place for process state.
pub struct State {
    pub ground: Ground,
    pub bound: RefCell<Vec<(usize, Bound)>>,
    pub accepting: RefCell<Vec<Task<()>>>,
    /// Connections are to end when what is under way is finished.
    pub draining: Cell<bool>,
    pub released: Cell<bool>,
    pub release: Notify,
    /// What /readyz answers.
    pub phase: Rc<Cell<Phase>>,
    metrics_at: Cell<Option<SocketAddr>>,
}

impl State {
    pub fn of(shard: &Shard) -> Rc<State> {
        let Ok(state) = shard.process().downcast::<State>() else {
            unreachable!("the state of the process is of this type")
        };
        state
    }
}

/// What is printed once the broker serves.
pub struct Report {
    cluster_id: String,
    partitions: usize,
    topics: usize,
    clean: bool,
    recovery: Vec<String>,
    bytes_read: u64,
    endpoints: Arc<Endpoints>,
    metrics_at: Option<SocketAddr>,
}

/// Makes the advertised addresses known as settings, since they are described to clients.
pub fn advertise(settings: &mut Settings, endpoints: &Endpoints) {
    let told = endpoints.listeners.iter().filter_map(|listener| {
        let node = listener.nodes.first()?;
        let port = u16::try_from(node.port).ok()?;
        Some(Advertised { name: listener.name.clone(), host: node.host.clone(), port })
    });
    settings.advertise(&told.collect::<Vec<_>>());
}

/// Gives a new shard what it starts with.
pub fn prepare(shard: &Rc<Shard>, ground: Ground, bound: Vec<(usize, Bound)>) {
    shard.set_process(Rc::new(State {
        ground,
        bound: RefCell::new(bound),
        accepting: RefCell::default(),
        draining: Cell::new(false),
        released: Cell::new(false),
        release: Notify::default(),
        phase: Rc::default(),
        metrics_at: Cell::default(),
    }));
}

/// Begins to answer on the addresses of /metrics and /readyz, with "starting" at first.
pub fn serve_metrics(shard: &Rc<Shard>, bound: Vec<Bound>) {
    let state = State::of(shard);
    state.metrics_at.set(bound.first().and_then(|bound| bound.local_addr().ok()));
    metrics::serve(shard, bound, &state.phase);
}

/// Starts all shards, from shard 0.
pub async fn all(shard: &Rc<Shard>) -> Result<Report, String> {
    let state = State::of(shard);
    let ground = &state.ground;
    let disk = RealDisk::new(&shard.reactor);
    let (mut store, found) =
        Store::open(disk, &ground.data_dir.join(METADATA_DIR)).await.map_err(|error| chain(&error))?;
    let mut image = metadata::read(&found).map_err(|error| chain(&error))?;
    let disk = RealDisk::new(&shard.reactor);
    let recovered = recovery::recover(&disk, &ground.data_dir, shard.now_ms()).await.map_err(|error| chain(&error))?;
    let Recovered { partitions, report, attachments, clean, bytes_read, .. } = recovered;
    let mut recovery: Vec<String> = report.iter().map(ToString::to_string).collect();
    if found.torn > 0 {
        recovery.push(format!("a change of the metadata was being written; its {} bytes were cut", found.torn));
    }
    first_changes(&mut store, &mut image, ground.plan.shards, clean).await?;
    let mut by_shard = deal(shard, &image, partitions, &mut recovery).await?;
    let snapshots: Arc<Vec<(String, Vec<u8>)>> =
        Arc::new(attachments.into_iter().map(|(_, name, bytes)| (name, bytes)).collect());
    let image_bytes: Arc<[u8]> = controller::encode_snapshot(&image).map_err(|error| chain(&error))?.into();
    let mut store = Some(store);
    for id in (0..shard.shards()).map(ShardId) {
        let states = by_shard.remove(&id).unwrap_or_default();
        let (image, snapshots) = (image_bytes.clone(), snapshots.clone());
        if id == shard.id {
            take_up(shard.clone(), image, states, snapshots, store.take()).await?;
        } else {
            shard.call(id, move |shard| take_up(shard, image, states, snapshots, None)).await?;
        }
    }
    for id in (0..shard.shards()).map(ShardId) {
        shard.call(id, |shard| async move { shard.log().forget_strangers() }).await;
    }
    recovery::forget_shards(&disk, &ground.data_dir, ground.plan.shards).await.map_err(|error| chain(&error))?;
    for id in (0..shard.shards()).map(ShardId) {
        shard.call(id, |shard| async move { listen(&shard) }).await;
    }
    state.phase.set(Phase::Ready);
    let (topics, partitions) = (image.topics().count(), image.partition_count());
    let cluster_id = image.cluster_id().unwrap_or_default().to_string();
    let endpoints = ground.endpoints.clone();
    let metrics_at = state.metrics_at.get();
    Ok(Report { cluster_id, partitions, topics, clean, recovery, bytes_read, endpoints, metrics_at })
}

/// What the start itself changes: a new cluster, another number of shards, higher epochs after an unclean end.
async fn first_changes(store: &mut Store<RealDisk>, image: &mut Image, shards: u16, clean: bool) -> Result<(), String> {
    let changes: Vec<Change> = match image.cluster_id() {
        None => vec![controller::create_cluster(new_cluster_id(), shards)],
        Some(_) => controller::start(image, shards, !clean),
    };
    for change in &changes {
        image.apply(change).map_err(|error| chain(&error))?;
        store.append(&controller::encode(change)).await.map_err(|error| chain(&error))?;
    }
    Ok(())
}

/// 16 random bytes as Kafka writes them: URL-safe base64 without padding.
fn new_cluster_id() -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>())
}

/// Sorts recovered partitions by the shard that owns them now. What belongs to no topic is set aside: its name may be
/// another topic's by now.
async fn deal(
    shard: &Shard,
    image: &Image,
    recovered: Vec<PartitionState>,
    report: &mut Vec<String>,
) -> Result<BTreeMap<ShardId, Vec<PartitionState>>, String> {
    let mut by_shard: BTreeMap<ShardId, Vec<PartitionState>> = BTreeMap::new();
    let (disk, data_dir) = (RealDisk::new(&shard.reactor), &State::of(shard).ground.data_dir);
    for state in recovered {
        if let Some(partition) = image.partition(state.id.topic, state.id.partition) {
            by_shard.entry(partition.shard).or_default().push(state);
            continue;
        }
        let renamed = recovery::set_aside(&disk, data_dir, &state.topic, state.id.partition);
        let renamed = renamed.await.map_err(|error| chain(&error))?;
        report.push(format!("{}-{} belongs to no topic; kept as {renamed}", state.topic, state.id.partition));
    }
    Ok(by_shard)
}

/// Opens a shard's log with the partitions that it owns, and makes those that are missing.
async fn take_up(
    shard: Rc<Shard>,
    image: Arc<[u8]>,
    states: Vec<PartitionState>,
    snapshots: Arc<Vec<(String, Vec<u8>)>>,
    store: Option<Store<RealDisk>>,
) -> Result<(), String> {
    let state = State::of(&shard);
    let Ground { plan, settings, endpoints, data_dir, .. } = &state.ground;
    let image = controller::decode_snapshot(&image).map_err(|error| chain(&error))?;
    *shard.image.borrow_mut() = image;
    let disk = RealDisk::new(&shard.reactor);
    let log = Log::open(disk, data_dir, shard.id, plan.log.clone(), shard.observer());
    let log = log.await.map_err(|error| chain(&error))?;
    shard.start(log);
    let node_id = plan.config.node_id;
    let keeper = store.map(|store| Keeper::new(shard.clone(), settings.clone(), node_id, store));
    shard.set_services(Rc::new(Services {
        settings: settings.clone(),
        config: RefCell::new(Rc::new(plan.config.clone())),
        endpoints: endpoints.clone(),
        sessions: RefCell::new(Sessions::new(
            usize::try_from(plan.config.fetch_session_cache_slots_max).unwrap_or(0) / usize::from(plan.shards),
            shard.id,
            plan.shards,
        )),
        gather_budget: GatherBudget::new(
            plan.gather_bytes_max,
            plan.fronts_bytes_max,
            plan.receive_buffers_max / PINNED_SHARE,
        ),
        decode_budget: GatherBudget::new(plan.decode_bytes_max, 0, 0),
        metrics: Rc::new(Metrics::default()),
        complaints: Rc::new(Complaints::default()),
        groups: Groups::with_snapshots(&snapshots),
        producer_ids: RefCell::default(),
        keeper,
    }));
    Services::of(&shard).refresh(&shard);
    adopt(&shard, states, settings, node_id).await?;
    let topics: Vec<_> = shard.image.borrow().topics().map(|topic| topic.id).collect();
    for topic in topics {
        shard.host_missing(topic, settings, node_id).await.map_err(|error| chain(&error))?;
    }
    hosting::start_all(&shard);
    shard.reactor.spawn(TaskClass::Serve, hosting::run(shard.clone())).detach();
    Ok(())
}

async fn adopt(shard: &Shard, states: Vec<PartitionState>, settings: &Settings, node_id: i32) -> Result<(), String> {
    let with_settings = {
        let image = shard.image.borrow();
        let settings_of = |state: PartitionState| {
            let topic = image.topic(state.id.topic).expect("partitions are dealt by the same image");
            let placed = image.partition(state.id.topic, state.id.partition);
            let epoch = placed.expect("partitions are dealt by the same image").leader_epoch;
            (state, partition_config(&image, settings, node_id, topic), epoch)
        };
        states.into_iter().map(settings_of).collect()
    };
    let adopted = shard.log().adopt_all(with_settings, shard.now_ms()).await.map_err(|error| chain(&error))?;
    for log in adopted {
        shard.partitions.borrow_mut().insert(log.id(), log);
    }
    Ok(())
}

/// Opens the listeners of a shard.
fn listen(shard: &Rc<Shard>) {
    let state = State::of(shard);
    let services = Services::of(shard);
    let mut tasks = Vec::new();
    for (index, bound) in state.bound.take() {
        let listener = Listener::new(&shard.reactor, bound);
        let (census, complaints) = (state.ground.census.clone(), services.complaints.clone());
        let task = accept::accept(shard.clone(), listener, index, census, complaints);
        tasks.push(shard.reactor.spawn(TaskClass::Serve, task));
    }
    tasks.push(shard.reactor.spawn(TaskClass::Background, accept::sweep(shard.clone())));
    *state.accepting.borrow_mut() = tasks;
}

impl Report {
    /// Tells a person what is running: first what deserves attention, then where it listens, what it found out about the
    /// host, and what it promises. Its last line says that the broker is ready.
    pub fn print(&self, plan: &Plan, host: &host::Report, notices: &[String], took: Duration) {
        self.recovery.iter().for_each(|line| tracing::warn!("{line}"));
        host.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        notices.iter().for_each(|notice| tracing::warn!("{notice}"));
        if let Some(name) = self.endpoints.beyond_loopback() {
            tracing::warn!("listener {name} can be reached from other hosts, and nobody is authenticated");
        }
        // Who has closed stdout does not want to read it; the broker serves all the same.
        let _ = self.tell(&mut stdout().lock(), plan, host, took);
    }

    fn tell(&self, out: &mut impl Write, plan: &Plan, host: &host::Report, took: Duration) -> io::Result<()> {
        for listener in &self.endpoints.listeners {
            for node in &listener.nodes {
                writeln!(out, "{} listens on {}:{} (node {})", listener.name, node.host, node.port, node.id)?;
            }
        }
        if let Some(address) = self.metrics_at {
            writeln!(out, "metrics on http://{address}/metrics, and http://{address}/readyz")?;
        }
        let cores: Vec<String> = plan.cores.iter().map(ToString::to_string).collect();
        let (shards, memory) = (usize::from(plan.shards), plan.memory >> 20);
        writeln!(
            out,
            "{} on {} {}, {memory} MiB of memory, data in {}",
            counted(shards, "shard"),
            if cores.len() == 1 { "core" } else { "cores" },
            cores.join(","),
            plan.data_dir.display()
        )?;
        let kernel = &host.facts.kernel;
        let cached =
            if host.facts.cachestat { "sealed segments go out by sendfile when cached" } else { "no sendfile" };
        writeln!(
            out,
            "Linux {kernel}, io_uring and O_DIRECT work, {cached}; {} files may be open",
            host.facts.open_files
        )?;
        let level = match plan.config.durability {
            crate::config::Durability::Fsync => "fsync: acknowledged records are on stable storage",
            crate::config::Durability::Replicated => {
                "replicated: acknowledged records survive the death of the process"
            }
        };
        writeln!(out, "durability {level}, unless a topic says otherwise")?;
        if !self.clean {
            writeln!(out, "the last run did not end cleanly: {} bytes were read to recover", self.bytes_read)?;
        }
        // The last line: who waits for the broker may wait for this.
        let (topics, partitions) = (counted(self.topics, "topic"), counted(self.partitions, "partition"));
        writeln!(out, "cluster {}, {topics}, {partitions}; ready after {} ms", self.cluster_id, took.as_millis())?;
        out.flush()
    }
}

/// `1 shard`, `2 shards`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
