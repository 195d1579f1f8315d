//! The simulated host: files and names, what is under way, and what may go wrong.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::content::{Content, Extent};
use super::effect::Effect;
use super::fault::Faults;
use super::names::{Name, Names, NodeId, ROOT};
use super::random::Random;
use crate::log::memory::BLOCK_LEN;

/// A file or directory.
#[derive(Debug)]
pub(super) enum Node {
    File(Content),
    Dir,
}

/// Files and names.
#[derive(Debug)]
pub(super) struct Host {
    pub names: Names,
    nodes: BTreeMap<NodeId, Node>,
    next_node: NodeId,
    operations: u64,
    /// Bytes that files may take up together.
    pub capacity: Option<u64>,
    /// Syncs answer and do nothing.
    pub loses_syncs: bool,
}

impl Host {
    fn new() -> Self {
        Self {
            names: Names::default(),
            nodes: BTreeMap::from([(ROOT, Node::Dir)]),
            next_node: ROOT + 1,
            operations: 0,
            capacity: None,
            loses_syncs: false,
        }
    }

    /// The number of the operation that takes effect now.
    pub fn new_operation(&mut self) -> u64 {
        self.operations += 1;
        self.operations
    }

    /// The number of the last one that did.
    pub fn last_operation(&self) -> u64 {
        self.operations
    }

    pub fn new_node(&mut self, node: Node) -> NodeId {
        let id = self.next_node;
        self.next_node += 1;
        self.nodes.insert(id, node);
        id
    }

    pub fn is_dir(&self, node: NodeId) -> bool {
        matches!(self.nodes.get(&node), Some(Node::Dir))
    }

    pub fn file(&self, node: NodeId) -> io::Result<&Content> {
        match self.nodes.get(&node) {
            Some(Node::File(content)) => Ok(content),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub fn file_mut(&mut self, node: NodeId) -> io::Result<&mut Content> {
        match self.nodes.get_mut(&node) {
            Some(Node::File(content)) => Ok(content),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    /// The name that `path` is, in a directory that exists.
    pub fn name(&self, path: &Path) -> io::Result<Name> {
        let name = self.names.name(path).ok_or(io::ErrorKind::NotFound)?;
        if self.is_dir(name.0) { Ok(name) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    /// As `name`, and nothing has it.
    pub fn free_name(&self, path: &Path) -> io::Result<Name> {
        let name = self.name(path)?;
        if self.names.get(&name).is_some() { Err(io::ErrorKind::AlreadyExists.into()) } else { Ok(name) }
    }

    /// Blocks that can still be taken up.
    pub fn room(&self) -> u64 {
        let Some(capacity) = self.capacity else { return u64::MAX };
        let used: u64 =
            self.names.nodes().iter().filter_map(|node| self.file(*node).ok()).map(Content::allocated).sum();
        (capacity / BLOCK_LEN as u64).saturating_sub(used)
    }

    pub fn has_room(&self, blocks: u64) -> bool {
        blocks == 0 || blocks <= self.room()
    }
}

/// The host and what happens to it.
#[derive(Debug)]
pub(super) struct Storage {
    pub host: Host,
    pub faults: Faults,
    pub random: Random,
    /// Goes up with each crash; handles of earlier lives are dead.
    pub life: u64,
    pub open_files: Arc<AtomicUsize>,
    /// After so many stores the process dies in one.
    pub stores_left: Option<u32>,
    in_flight: BTreeMap<u64, Effect>,
    next_flight: u64,
    cached: BTreeMap<NodeId, Vec<Range<u64>>>,
}

impl Storage {
    pub fn new(random: Random) -> Self {
        Self {
            host: Host::new(),
            faults: Faults::default(),
            random,
            life: 0,
            open_files: Arc::default(),
            stores_left: None,
            in_flight: BTreeMap::new(),
            next_flight: 0,
            cached: BTreeMap::new(),
        }
    }

    /// Begins an operation.
    ///
    /// # Panics
    /// If it writes to blocks that another one is writing: which of them wins is for nobody to say.
    pub fn begin(&mut self, effect: Effect) -> u64 {
        if let Some((node, range)) = effect.written() {
            let meets = |(other, taken): (NodeId, Range<u64>)| {
                other == node && taken.start < range.end && range.start < taken.end
            };
            let clash = self.in_flight.values().filter_map(Effect::written).any(meets);
            assert!(!clash, "two writes of {range:?} of {} at a time", self.host.names.path_of(node));
        }
        self.next_flight += 1;
        self.in_flight.insert(self.next_flight, effect);
        self.next_flight
    }

    /// Ends an operation, whole or with a fault.
    pub fn end(&mut self, flight: u64, fault: Option<io::Error>) -> io::Result<NodeId> {
        let effect = self.in_flight.remove(&flight).expect("an operation ends once");
        match fault {
            None => self.host.apply(effect, Extent::Whole, &mut self.random),
            Some(error) => {
                if effect.leaves_traces() {
                    let _whatever = self.host.apply(effect, Extent::Torn, &mut self.random);
                }
                Err(error)
            }
        }
    }

    pub fn effect(&self, flight: u64) -> &Effect {
        &self.in_flight[&flight]
    }

    /// The process dies: of what is under way, each has happened, or not, or in part.
    pub fn crash_process(&mut self) {
        let mut under_way: Vec<Effect> = std::mem::take(&mut self.in_flight).into_values().collect();
        while !under_way.is_empty() {
            let effect = under_way.swap_remove(self.random.index(under_way.len()));
            let extent = match self.random.below(3) {
                0 => continue,
                1 => Extent::Whole,
                _ => Extent::Torn,
            };
            // A sync that nobody heard of may still have worked, but has not failed.
            if matches!(effect, Effect::Sync { .. }) && extent == Extent::Torn {
                continue;
            }
            let _nobody_hears = self.host.apply(effect, extent, &mut self.random);
        }
        self.life += 1;
    }

    /// Power is lost: beside what `crash_process` does, what was not synced is kept, dropped or torn.
    pub fn crash_host(&mut self) {
        self.crash_process();
        self.host.names.crash(&mut self.random);
        for node in self.host.nodes.values_mut() {
            if let Node::File(content) = node {
                content.crash(&mut self.random);
            }
        }
        let named = self.host.names.nodes();
        self.host.nodes.retain(|node, _| *node == ROOT || named.contains(node));
        self.cached.clear();
    }

    pub fn fill_cache(&mut self, node: NodeId, range: Range<u64>) {
        self.cached.entry(node).or_default().push(range);
    }

    /// Whether the page cache holds the range; now and then it has dropped everything.
    pub fn is_cached(&mut self, node: NodeId, range: &Range<u64>) -> bool {
        if self.random.one_in(16) {
            self.cached.remove(&node);
        }
        let holds = |cached: &Range<u64>| cached.start <= range.start && range.end <= cached.end;
        range.is_empty() || self.cached.get(&node).is_some_and(|ranges| ranges.iter().any(holds))
    }
}

impl Effect {
    /// Whether a part of it may have happened although it failed.
    fn leaves_traces(&self) -> bool {
        matches!(self, Self::Write { .. } | Self::Zero { .. } | Self::Sync { .. } | Self::Replace { .. })
    }
}
