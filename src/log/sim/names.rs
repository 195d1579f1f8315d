//! Directories: which names there are, which of them would survive the loss of power, and what lies between.
//!
//! Every change of a name is an operation that waits until its directory is synced: the directory that gets the name,
//! or the one that loses it if none gets it. A rename is one operation, never half of one. Two operations on a common
//! name keep their order; all others may survive a crash without each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use super::random::Random;

/// A file or directory, whatever its names.
pub(super) type NodeId = u64;
/// A name in a directory.
pub(super) type Name = (NodeId, String);

/// The directory that all paths start from.
pub(super) const ROOT: NodeId = 0;

/// A change: `from` goes away, `to` comes to be.
#[derive(Clone, Debug)]
struct Change {
    from: Option<Name>,
    to: Option<(Name, NodeId)>,
}

impl Change {
    fn names(&self) -> impl Iterator<Item = &Name> {
        self.from.iter().chain(self.to.iter().map(|(name, _)| name))
    }

    /// The directory whose sync makes it stable.
    fn directory(&self) -> NodeId {
        let (directory, _) =
            self.to.as_ref().map(|(name, _)| name).or(self.from.as_ref()).expect("a change has a name");
        *directory
    }

    fn apply(&self, names: &mut BTreeMap<Name, NodeId>) {
        if let Some(from) = &self.from {
            names.remove(from);
        }
        if let Some((name, node)) = &self.to {
            names.insert(name.clone(), *node);
        }
    }
}

/// All names.
#[derive(Debug, Default)]
pub(super) struct Names {
    current: BTreeMap<Name, NodeId>,
    stable: BTreeMap<Name, NodeId>,
    pending: BTreeMap<u64, Change>,
    changes: u64,
}

impl Names {
    pub fn get(&self, name: &Name) -> Option<NodeId> {
        self.current.get(name).copied()
    }

    /// What `path` leads to.
    pub fn find(&self, path: &Path) -> Option<NodeId> {
        parts(path).try_fold(ROOT, |node, part| self.get(&(node, part)))
    }

    /// The name that `path` is, whether there is such a thing or not; `None` if its directory is missing.
    pub fn name(&self, path: &Path) -> Option<Name> {
        let last = parts(path).last()?;
        let directory = self.find(path.parent()?)?;
        Some((directory, last))
    }

    /// A path to `node`, for people.
    pub fn path_of(&self, node: NodeId) -> String {
        if node == ROOT {
            return String::new();
        }
        let name = self.current.iter().find(|(_, target)| **target == node);
        name.map_or_else(
            || format!("removed:{node}"),
            |((parent, name), _)| format!("{}/{name}", self.path_of(*parent)),
        )
    }

    /// The names in a directory, sorted.
    pub fn list(&self, directory: NodeId) -> Vec<(String, NodeId)> {
        let range = (directory, String::new())..(directory + 1, String::new());
        self.current.range(range).map(|((_, name), node)| (name.clone(), *node)).collect()
    }

    /// The nodes that have a name.
    pub fn nodes(&self) -> BTreeSet<NodeId> {
        self.current.values().copied().collect()
    }

    pub fn add(&mut self, name: Name, node: NodeId) -> u64 {
        self.change(None, Some((name, node)))
    }

    pub fn remove(&mut self, name: Name) -> u64 {
        self.change(Some(name), None)
    }

    /// Moves `node`, replacing what had the new name.
    pub fn rename(&mut self, from: Name, to: Name, node: NodeId) -> u64 {
        self.change(Some(from), Some((to, node)))
    }

    /// What a sync of `directory` that begins now will make stable.
    pub fn waiting(&self, directory: NodeId) -> Vec<u64> {
        self.pending.iter().filter(|(_, change)| change.directory() == directory).map(|(number, _)| *number).collect()
    }

    /// Makes these changes stable, and those before them that share a name.
    pub fn make_stable(&mut self, numbers: &[u64]) {
        let mut wanted: BTreeSet<u64> =
            numbers.iter().copied().filter(|number| self.pending.contains_key(number)).collect();
        let mut touched: BTreeSet<Name> = BTreeSet::new();
        for (number, change) in self.pending.iter().rev() {
            if wanted.contains(number) || change.names().any(|name| touched.contains(name)) {
                wanted.insert(*number);
                touched.extend(change.names().cloned());
            }
        }
        for number in wanted {
            let change = self.pending.remove(&number).expect("it was found there");
            change.apply(&mut self.stable);
        }
    }

    /// Power is lost: a part of the pending changes has happened, the rest has not.
    pub fn crash(&mut self, random: &mut Random) {
        let keep_of_four = random.below(5);
        let mut lost: BTreeSet<Name> = BTreeSet::new();
        for change in std::mem::take(&mut self.pending).into_values() {
            let possible = !change.names().any(|name| lost.contains(name));
            if possible && random.below(4) < keep_of_four {
                change.apply(&mut self.stable);
            } else {
                lost.extend(change.names().cloned());
            }
        }
        self.current = self.stable.clone();
    }

    fn change(&mut self, from: Option<Name>, to: Option<(Name, NodeId)>) -> u64 {
        let change = Change { from, to };
        change.apply(&mut self.current);
        self.changes += 1;
        self.pending.insert(self.changes, change);
        self.changes
    }
}

fn parts(path: &Path) -> impl Iterator<Item = String> + '_ {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    })
}
