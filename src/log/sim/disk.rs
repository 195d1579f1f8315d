//! The simulated side of [`Disk`].

use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};

use super::content::Extent;
use super::effect::Effect;
use super::executor::Sim;
use super::fault::{Fault, Kind};
use super::names::NodeId;
use super::random::Random;
use super::storage::Storage;
use super::transfer::{gather, scatter};
use crate::log::disk::{Access, Disk, Entry, Persist};
use crate::log::memory::{BLOCK_LEN, IoList};

/// A simulated disk, as one life of a process sees it.
#[derive(Clone)]
pub struct SimDisk {
    sim: Sim,
    storage: Rc<RefCell<Storage>>,
    life: u64,
}

/// An open file of a [`SimDisk`].
#[derive(Clone, Debug)]
pub struct SimFile {
    node: NodeId,
    life: u64,
    access: Access,
    _open: Arc<OpenFile>,
}

/// A mapping of a [`SimDisk`].
#[derive(Debug)]
pub struct SimMapping {
    node: NodeId,
    life: u64,
    len: usize,
}

/// Counts itself among the open files.
#[derive(Debug)]
struct OpenFile(Arc<AtomicUsize>);

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl SimDisk {
    /// An empty disk, whose choices come from the seed of `sim`.
    pub fn new(sim: &Sim) -> Self {
        let random = Random::new(sim.random(Random::number));
        Self { sim: sim.clone(), storage: Rc::new(RefCell::new(Storage::new(random))), life: 0 }
    }

    /// The process dies, as by `kill -9`: what it did so far stays, what is under way may or may not happen, or in part.
    /// Handles to this disk are dead: their futures never end. Returns the disk of the next life. The tasks of the old
    /// one are the caller's to drop ([`Sim::drop_tasks`]). If the process is dead already, nothing more happens to it.
    pub fn crash_process(&self) -> Self {
        self.crash("process dies", Storage::crash_process)
    }

    /// Power is lost: as [`SimDisk::crash_process`], and of what was not synced any part may be lost.
    pub fn crash_host(&self) -> Self {
        self.crash("power is lost", Storage::crash_host)
    }

    /// Adds something that is to go wrong.
    pub fn inject(&self, fault: Fault) {
        self.storage.borrow_mut().faults.add(fault);
    }

    /// Nothing goes wrong any more.
    pub fn clear_faults(&self) {
        self.storage.borrow_mut().faults.clear();
    }

    /// Bounds the bytes that files may take up together; beyond it, growing fails with ENOSPC.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.storage.borrow_mut().host.capacity = bytes;
    }

    /// From now on syncs answer and do nothing. For showing that a test would notice.
    pub fn lose_syncs(&self, lose: bool) {
        self.storage.borrow_mut().host.loses_syncs = lose;
    }

    /// The process dies in the middle of a [`Disk::store`], after `skip` more whole ones: the beginning of its bytes is
    /// there, the rest is not. What runs on in the dead process counts for nothing; see [`SimDisk::is_alive`].
    pub fn die_in_store(&self, skip: u32) {
        self.storage.borrow_mut().stores_left = Some(skip);
    }

    /// Whether the process that has this disk lives.
    pub fn is_alive(&self) -> bool {
        self.storage.borrow().life == self.life
    }

    /// How many files this life and earlier ones have open.
    pub fn open_files(&self) -> usize {
        self.storage.borrow().open_files.load(Ordering::Relaxed)
    }

    /// The bytes of a file as a reader would see them now.
    pub fn peek(&self, path: &Path) -> Option<Vec<u8>> {
        let storage = self.storage.borrow();
        let content = storage.host.file(storage.host.names.find(path)?).ok()?;
        let mut bytes = vec![0; content.len() as usize];
        content.read(0, &mut bytes);
        Some(bytes)
    }

    /// Changes bytes of a file behind everybody's back, stably: a fault of the medium.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn poke(&self, path: &Path, at: u64, bytes: &[u8]) {
        let mut storage = self.storage.borrow_mut();
        let Storage { host, random, .. } = &mut *storage;
        let node = host.names.find(path).expect("the file to be changed is there");
        let operation = host.new_operation();
        let content = host.file_mut(node).expect("it is a file");
        content.write(operation, at, bytes, Extent::Whole, random);
        content.sync_write(operation);
    }

    /// The paths of all files, sorted.
    pub fn files(&self) -> Vec<String> {
        let storage = self.storage.borrow();
        let nodes = storage.host.names.nodes();
        let files = nodes.into_iter().filter(|node| !storage.host.is_dir(*node));
        let mut paths: Vec<String> = files.map(|node| storage.host.names.path_of(node)).collect();
        paths.sort();
        paths
    }

    fn crash(&self, how: &str, crash: impl FnOnce(&mut Storage)) -> Self {
        let mut storage = self.storage.borrow_mut();
        if storage.life == self.life {
            self.sim.note(how);
            crash(&mut storage);
        }
        Self { sim: self.sim.clone(), storage: self.storage.clone(), life: storage.life }
    }

    /// Does what `effect` says after a while, then `finish`, and hands out what that returns.
    async fn operate<T: 'static>(
        &self,
        kind: Kind,
        path: String,
        effect: Effect,
        finish: impl FnOnce(&mut Storage, io::Result<NodeId>) -> T + 'static,
    ) -> T {
        let slot = Rc::new(RefCell::new((None::<T>, None::<Waker>)));
        if self.is_alive() {
            self.start(kind, path, effect, slot.clone(), finish);
        }
        std::future::poll_fn(move |context| {
            let mut slot = slot.borrow_mut();
            slot.1 = Some(context.waker().clone());
            // A dead process hears of nothing, not even of what ended before.
            slot.0.take().filter(|_| self.is_alive()).map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    fn start<T: 'static>(
        &self,
        kind: Kind,
        path: String,
        effect: Effect,
        slot: Rc<RefCell<(Option<T>, Option<Waker>)>>,
        finish: impl FnOnce(&mut Storage, io::Result<NodeId>) -> T + 'static,
    ) {
        let mut storage = self.storage.borrow_mut();
        let flight = storage.begin(effect);
        let delay = delay(kind, &mut storage.random);
        self.sim.note(format_args!("#{flight} {kind:?} {path}: begins"));
        let disk = self.clone();
        self.sim.after(delay, move || {
            let mut storage = disk.storage.borrow_mut();
            if storage.life != disk.life {
                return;
            }
            let growth = storage.host.grows(storage.effect(flight));
            let fault = storage.faults.hit(&[&[kind], growth].concat(), &path);
            let result = storage.end(flight, fault);
            disk.sim.note(format_args!("#{flight} {kind:?} {path}: {:?}", result.as_ref().map_err(io::Error::kind)));
            let value = finish(&mut storage, result);
            drop(storage);
            let (place, waker) = &mut *slot.borrow_mut();
            *place = Some(value);
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        });
    }

    async fn on_path(&self, kind: Kind, path: &Path, effect: Effect) -> io::Result<()> {
        self.operate(kind, path.display().to_string(), effect, |_, result| result.map(drop)).await
    }

    async fn on_file(&self, kind: Kind, file: &SimFile, effect: Effect) -> io::Result<()> {
        self.operate(kind, self.label(file), effect, |_, result| result.map(drop)).await
    }

    fn label(&self, file: &SimFile) -> String {
        assert_eq!(file.life, self.life, "a file is used with the disk that opened it");
        self.storage.borrow().host.names.path_of(file.node)
    }
}

impl Disk for SimDisk {
    type File = SimFile;
    type Mapping = SimMapping;

    async fn open(&self, path: &Path, access: Access) -> io::Result<SimFile> {
        let effect = match access {
            Access::CreateDirect => Effect::Create { path: path.to_owned() },
            Access::Direct | Access::Cached => Effect::Find { path: path.to_owned() },
        };
        let life = self.life;
        self.operate(Kind::Open, path.display().to_string(), effect, move |storage, result| {
            let node = result?;
            storage.host.file(node)?;
            storage.open_files.fetch_add(1, Ordering::Relaxed);
            Ok(SimFile { node, life, access, _open: Arc::new(OpenFile(storage.open_files.clone())) })
        })
        .await
    }

    async fn len(&self, file: &SimFile) -> io::Result<u64> {
        let node = file.node;
        self.operate(Kind::Read, self.label(file), Effect::Nothing, move |storage, result| {
            result?;
            storage.host.file(node).map(|content| content.len())
        })
        .await
    }

    async fn write(&self, file: &SimFile, at: u64, list: IoList, persist: Persist) -> (io::Result<()>, IoList) {
        if file.access == Access::Cached {
            return (Err(io::Error::from_raw_os_error(libc::EBADF)), list);
        }
        assert!(at.is_multiple_of(BLOCK_LEN as u64), "a write begins at a block");
        let bytes = gather(&list);
        let digest = crc32c::crc32c(&bytes);
        let path = format!("{} {at}+{} {persist:?} {digest:08x}", self.label(file), bytes.len());
        let effect = Effect::Write { node: file.node, at, bytes, is_stable: persist == Persist::Stable };
        self.operate(Kind::Write, path.clone(), effect, move |_, result| {
            assert_eq!(crc32c::crc32c(&gather(&list)), digest, "a block in flight is immutable: {path}");
            (result.map(drop), list)
        })
        .await
    }

    async fn read(&self, file: &SimFile, at: u64, list: IoList) -> (io::Result<usize>, IoList) {
        assert!(file.access == Access::Cached || at.is_multiple_of(BLOCK_LEN as u64), "a read begins at a block");
        let node = file.node;
        let path = format!("{} {at}+{}", self.label(file), list.len());
        self.operate(Kind::Read, path, Effect::Nothing, move |storage, result| {
            let filled = result.and_then(|_| {
                let mut bytes = vec![0; list.len()];
                let count = storage.host.file(node)?.read(at, &mut bytes);
                scatter(&list, &bytes[..count]);
                Ok(count)
            });
            (filled, list)
        })
        .await
    }

    async fn sync(&self, file: &SimFile) -> io::Result<()> {
        let through = self.storage.borrow().host.last_operation();
        self.on_file(Kind::Sync, file, Effect::Sync { node: file.node, through }).await
    }

    async fn zero(&self, file: &SimFile, range: Range<u64>) -> io::Result<()> {
        let block = BLOCK_LEN as u64;
        assert!(
            range.start.is_multiple_of(block) && range.end.is_multiple_of(block),
            "whole blocks are zeroed, not {range:?}"
        );
        self.on_file(Kind::Zero, file, Effect::Zero { node: file.node, range }).await
    }

    async fn set_len(&self, file: &SimFile, len: u64) -> io::Result<()> {
        self.on_file(Kind::SetLen, file, Effect::SetLen { node: file.node, len }).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let effect = Effect::Rename { from: from.to_owned(), to: to.to_owned() };
        let label = format!("{} to {}", from.display(), to.display());
        self.operate(Kind::Name, label, effect, |_, result| result.map(drop)).await
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        self.on_path(Kind::Name, path, Effect::Remove { path: path.to_owned() }).await
    }

    async fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.on_path(Kind::Name, path, Effect::CreateDir { path: path.to_owned() }).await
    }

    async fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.on_path(Kind::Name, path, Effect::RemoveDir { path: path.to_owned() }).await
    }

    async fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let effect = Effect::Find { path: path.to_owned() };
        self.operate(Kind::Name, path.display().to_string(), effect, |storage, result| {
            let node = result?;
            if !storage.host.is_dir(node) {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            let names = storage.host.names.list(node).into_iter();
            Ok(names.map(|(name, node)| Entry { name, is_dir: storage.host.is_dir(node) }).collect())
        })
        .await
    }

    async fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let changes = {
            let names = &self.storage.borrow().host.names;
            names.find(path).map(|directory| names.waiting(directory))
        };
        let Some(changes) = changes else { return Err(io::ErrorKind::NotFound.into()) };
        self.on_path(Kind::SyncDir, path, Effect::SyncDir { changes }).await
    }

    async fn read_small(&self, path: &Path, max: usize) -> io::Result<Vec<u8>> {
        let effect = Effect::Find { path: path.to_owned() };
        self.operate(Kind::Small, path.display().to_string(), effect, move |storage, result| {
            let content = storage.host.file(result?)?;
            if content.len() > max as u64 {
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {max} bytes")));
            }
            let mut bytes = vec![0; content.len() as usize];
            content.read(0, &mut bytes);
            Ok(bytes)
        })
        .await
    }

    async fn write_small(&self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        self.on_path(Kind::Small, path, Effect::Replace { path: path.to_owned(), bytes }).await
    }

    async fn map(&self, path: &Path, len: usize) -> io::Result<SimMapping> {
        let life = self.life;
        let effect = Effect::Map { path: path.to_owned(), len: len as u64 };
        self.operate(Kind::Map, path.display().to_string(), effect, move |_, result| {
            Ok(SimMapping { node: result?, life, len })
        })
        .await
    }

    fn store(&self, mapping: &SimMapping, at: usize, pieces: &[&[u8]]) {
        let bytes = pieces.concat();
        assert!(at + bytes.len() <= mapping.len, "a store stays within its mapping");
        let mut storage = self.storage.borrow_mut();
        // A dead process stores nothing.
        if storage.life != mapping.life {
            return;
        }
        let dies = storage.stores_left == Some(0);
        storage.stores_left = storage.stores_left.and_then(|left| left.checked_sub(1));
        let Storage { host, random, .. } = &mut *storage;
        let operation = host.new_operation();
        let len = if dies { random.index(bytes.len() + 1) } else { bytes.len() };
        self.sim.note(format_args!("store {at}+{len} of {} {:08x}", bytes.len(), crc32c::crc32c(&bytes)));
        let content = host.file_mut(mapping.node).expect("a mapping is of a file");
        content.write(operation, at as u64, &bytes[..len], Extent::Whole, random);
        if dies {
            storage.crash_process();
        }
    }

    fn is_cached(&self, file: &SimFile, range: Range<u64>) -> bool {
        self.storage.borrow_mut().is_cached(file.node, &range)
    }

    async fn fill_cache(&self, file: &SimFile, range: Range<u64>) -> io::Result<()> {
        let node = file.node;
        self.operate(Kind::Read, self.label(file), Effect::Nothing, move |storage, result| {
            result?;
            storage.fill_cache(node, range);
            Ok(())
        })
        .await
    }
}

/// How many steps an operation takes: mostly few, now and then many, so that they overtake each other.
fn delay(kind: Kind, random: &mut Random) -> u64 {
    match kind {
        _ if random.one_in(20) => 100 + random.below(400),
        Kind::Sync | Kind::SyncDir | Kind::Small => 20 + random.below(100),
        _ => 1 + random.below(30),
    }
}
