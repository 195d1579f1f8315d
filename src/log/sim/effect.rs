//! What an operation does to the host, whole or in part.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::content::{Content, Extent};
use super::fault::Kind;
use super::names::{Name, NodeId};
use super::random::Random;
use super::storage::{Host, Node};
use crate::log::memory::BLOCK_LEN;

/// An operation's effect.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    /// Reads change nothing.
    Nothing,
    Find {
        path: PathBuf,
    },
    Create {
        path: PathBuf,
    },
    Write {
        node: NodeId,
        at: u64,
        bytes: Vec<u8>,
        is_stable: bool,
    },
    Zero {
        node: NodeId,
        range: Range<u64>,
    },
    SetLen {
        node: NodeId,
        len: u64,
    },
    /// Everything that was finished when it began.
    Sync {
        node: NodeId,
        through: u64,
    },
    SyncDir {
        changes: Vec<u64>,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    CreateDir {
        path: PathBuf,
    },
    RemoveDir {
        path: PathBuf,
    },
    Replace {
        path: PathBuf,
        bytes: Vec<u8>,
    },
    Map {
        path: PathBuf,
        len: u64,
    },
}

impl Effect {
    /// Where it writes.
    pub fn written(&self) -> Option<(NodeId, Range<u64>)> {
        match self {
            Self::Write { node, at, bytes, .. } => Some((*node, *at..at + bytes.len() as u64)),
            Self::Zero { node, range } => Some((*node, range.clone())),
            _ => None,
        }
    }
}

impl Host {
    /// The faults that can meet an effect, beside those of its own kind.
    pub fn grows(&self, effect: &Effect) -> &'static [Kind] {
        let grows = match effect {
            Effect::SetLen { node, len } => self.file(*node).is_ok_and(|content| *len > content.len()),
            other => other.written().is_some_and(|(node, range)| {
                self.file(node).is_ok_and(|content| content.holes(range.start, range.end - range.start) > 0)
            }),
        };
        if grows { &[Kind::Growth] } else { &[] }
    }

    /// Makes it happen. Returns the node that was found or made, if the effect is about one.
    pub fn apply(&mut self, effect: Effect, extent: Extent, random: &mut Random) -> io::Result<NodeId> {
        let operation = self.new_operation();
        match effect {
            Effect::Nothing => Ok(0),
            Effect::Find { path } => self.names.find(&path).ok_or_else(|| io::ErrorKind::NotFound.into()),
            Effect::Create { path } => self.create(&path),
            Effect::Write { node, at, bytes, is_stable } => {
                self.write(operation, (node, at), &bytes, extent, random)?;
                if is_stable && extent == Extent::Whole && !self.loses_syncs {
                    self.file_mut(node)?.sync_write(operation);
                }
                Ok(node)
            }
            Effect::Zero { node, range } => self.zero(operation, node, range, extent, random),
            Effect::SetLen { node, len } => {
                self.file_mut(node)?.set_len(operation, len);
                Ok(node)
            }
            Effect::Sync { node, through } => {
                let loses_syncs = self.loses_syncs;
                let content = self.file_mut(node)?;
                match extent {
                    Extent::Whole if loses_syncs => {}
                    Extent::Whole => content.sync(through),
                    Extent::Torn => content.fail_sync(through, random),
                }
                Ok(node)
            }
            Effect::SyncDir { changes } => {
                if extent == Extent::Whole && !self.loses_syncs {
                    self.names.make_stable(&changes);
                }
                Ok(0)
            }
            Effect::Rename { from, to } => self.rename(&from, &to),
            Effect::Remove { path } => self.remove(&path),
            Effect::CreateDir { path } => self.create_dir(&path, extent, random),
            Effect::RemoveDir { path } => self.remove_dir(&path, extent, random),
            Effect::Replace { path, bytes } => self.replace(&path, &bytes, extent, random),
            Effect::Map { path, len } => self.map(operation, &path, len),
        }
    }

    fn write(
        &mut self,
        operation: u64,
        (node, at): (NodeId, u64),
        bytes: &[u8],
        extent: Extent,
        random: &mut Random,
    ) -> io::Result<()> {
        let needed = self.file(node)?.holes(at, bytes.len() as u64);
        if self.has_room(needed) {
            self.file_mut(node)?.write(operation, at, bytes, extent, random);
            return Ok(());
        }
        // As much as there is room for, from the front.
        let fits = (self.room() as usize * BLOCK_LEN).min(bytes.len());
        self.file_mut(node)?.write(operation, at, &bytes[..fits], extent, random);
        Err(io::ErrorKind::StorageFull.into())
    }

    fn zero(
        &mut self,
        operation: u64,
        node: NodeId,
        range: Range<u64>,
        extent: Extent,
        random: &mut Random,
    ) -> io::Result<NodeId> {
        let (block, len) = (BLOCK_LEN as u64, range.end - range.start);
        let full = !self.has_room(self.file(node)?.holes(range.start, len));
        let room = self.room().min(len / block);
        let blocks = match extent {
            _ if full => random.below(room + 1),
            Extent::Torn => random.below(len / block + 1),
            Extent::Whole => len.div_ceil(block),
        };
        self.file_mut(node)?.zero(operation, range.start, (blocks * block).min(len));
        if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(node) }
    }

    fn create(&mut self, path: &Path) -> io::Result<NodeId> {
        let name = self.free_name(path)?;
        let node = self.new_node(Node::File(Content::default()));
        self.names.add(name, node);
        Ok(node)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<NodeId> {
        let node = self.names.find(from).ok_or(io::ErrorKind::NotFound)?;
        let (from, to) = (self.name(from)?, self.name(to)?);
        match self.names.get(&to) {
            Some(target) if target == node => return Ok(node),
            Some(target) if self.is_dir(target) && !self.names.list(target).is_empty() => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            Some(target) if self.is_dir(target) != self.is_dir(node) => {
                let kind = if self.is_dir(target) { io::ErrorKind::IsADirectory } else { io::ErrorKind::NotADirectory };
                return Err(kind.into());
            }
            _ => self.names.rename(from, to, node),
        };
        Ok(node)
    }

    fn remove(&mut self, path: &Path) -> io::Result<NodeId> {
        let node = self.names.find(path).ok_or(io::ErrorKind::NotFound)?;
        if self.is_dir(node) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let name = self.name(path)?;
        self.names.remove(name);
        Ok(node)
    }

    fn create_dir(&mut self, path: &Path, extent: Extent, random: &mut Random) -> io::Result<NodeId> {
        let missing: Vec<&Path> = path.ancestors().take_while(|each| self.names.find(each).is_none()).collect();
        let count = if extent == Extent::Whole { missing.len() } else { random.index(missing.len() + 1) };
        for each in missing.into_iter().rev().take(count) {
            let name = self.name(each)?;
            let node = self.new_node(Node::Dir);
            self.names.add(name, node);
        }
        match self.names.find(path) {
            Some(node) if !self.is_dir(node) => Err(io::ErrorKind::AlreadyExists.into()),
            found => Ok(found.unwrap_or_default()),
        }
    }

    fn remove_dir(&mut self, path: &Path, extent: Extent, random: &mut Random) -> io::Result<NodeId> {
        let node = self.names.find(path).ok_or(io::ErrorKind::NotFound)?;
        if !self.is_dir(node) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let mut found = vec![self.name(path)?];
        let mut at = 0;
        while let Some(node) = found.get(at).and_then(|name| self.names.get(name)) {
            found.extend(self.names.list(node).into_iter().map(|(name, _)| (node, name)));
            at += 1;
        }
        let count = if extent == Extent::Whole { found.len() } else { random.index(found.len() + 1) };
        for name in found.into_iter().rev().take(count) {
            self.names.remove(name);
        }
        Ok(node)
    }

    /// Writes beside the file, syncs, renames, syncs the directory; in part: any of the first steps.
    fn replace(&mut self, path: &Path, bytes: &[u8], extent: Extent, random: &mut Random) -> io::Result<NodeId> {
        let (directory, name) = self.name(path)?;
        let beside: Name = (directory, format!("{name}.tmp"));
        let full = !self.has_room(bytes.len().div_ceil(BLOCK_LEN) as u64);
        if full || (extent == Extent::Torn && random.coin()) {
            let written = random.index(bytes.len() + 1);
            let node = self.new_node(Node::File(Content::stable(&bytes[..written])));
            self.names.add(beside, node);
            return if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(node) };
        }
        let node = self.new_node(Node::File(Content::stable(bytes)));
        let change = self.names.rename(beside, (directory, name), node);
        if extent == Extent::Whole && !self.loses_syncs {
            self.names.make_stable(&[change]);
        }
        Ok(node)
    }

    fn map(&mut self, operation: u64, path: &Path, len: u64) -> io::Result<NodeId> {
        let node = self.names.find(path).map_or_else(|| self.create(path), Ok)?;
        let content = self.file(node)?;
        let start = content.len() / BLOCK_LEN as u64 * BLOCK_LEN as u64;
        if content.len() < len {
            if !self.has_room(self.file(node)?.holes(start, len - start)) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let missing = vec![0; (len - self.file(node)?.len()) as usize];
            let content = self.file_mut(node)?;
            content.write(operation, content.len(), &missing, Extent::Whole, &mut Random::new(0));
        }
        Ok(node)
    }
}
