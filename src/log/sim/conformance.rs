//! What every [`Disk`] does alike, as a suite that runs on the real and on the simulated one.
//!
//! It shows the contract as far as it can be seen without a crash. Each case has a directory of its own.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::transfer::{gather, list, list_of};
use crate::log::disk::{Access, Disk, Entry, Persist};
use crate::log::memory::{BLOCK_LEN, CHUNK_LEN, ChunkPool, IoList, SLAB_LEN};

const BLOCK: u64 = BLOCK_LEN as u64;
/// How often a reader looks for what a dropped write is to bring.
const LOOKS_MAX: usize = 100_000;

/// Runs every case below `dir`, which exists.
///
/// # Panics
/// With what the disk does otherwise.
pub async fn run<D: Disk>(disk: &D, dir: &Path) {
    small_files(disk, &dir.join("small")).await;
    directories(disk, &dir.join("directories")).await;
    renames(disk, &dir.join("renames")).await;
    opening(disk, &dir.join("opening")).await;
    writing_and_reading(disk, &dir.join("bytes")).await;
    ends_of_files(disk, &dir.join("ends")).await;
    zeroing(disk, &dir.join("zeroing")).await;
    lengths(disk, &dir.join("lengths")).await;
    many_at_once(disk, &dir.join("many")).await;
    dropped_futures(disk, &dir.join("dropped")).await;
    open_files_outlive_names(disk, &dir.join("names")).await;
    mappings(disk, &dir.join("mappings")).await;
    page_cache(disk, &dir.join("cache")).await;
}

async fn small_files<D: Disk>(disk: &D, dir: &Path) {
    disk.create_dir(dir).await.expect("a directory is made");
    let path = dir.join("file");
    assert_eq!(disk.read_small(&path, 10).await.map_err(|error| error.kind()), Err(ErrorKind::NotFound));
    disk.write_small(&path, b"old bytes".to_vec()).await.expect("a small file is made");
    assert_eq!(disk.read_small(&path, 9).await.expect("it is read"), b"old bytes");
    assert!(disk.read_small(&path, 8).await.is_err(), "a file longer than the bound is refused");
    disk.write_small(&path, b"new".to_vec()).await.expect("a small file is replaced");
    assert_eq!(disk.read_small(&path, 9).await.expect("it is read"), b"new");
    disk.write_small(&path, Vec::new()).await.expect("a small file is emptied");
    assert_eq!(disk.read_small(&path, 0).await.expect("it is read"), b"");
    assert_eq!(names(disk, dir).await, ["file"]);
    let nowhere = dir.join("missing").join("file");
    assert!(disk.write_small(&nowhere, Vec::new()).await.is_err(), "its directory is missing");
}

async fn directories<D: Disk>(disk: &D, dir: &Path) {
    let deep = dir.join("b").join("c");
    disk.create_dir(&deep).await.expect("with those above it");
    disk.create_dir(&deep).await.expect("once more is fine");
    for name in ["z", "a", "m"] {
        disk.write_small(&dir.join(name), Vec::new()).await.expect("a small file is made");
    }
    let entry = |name: &str, is_dir| Entry { name: name.to_owned(), is_dir };
    let expected = [entry("a", false), entry("b", true), entry("m", false), entry("z", false)];
    assert_eq!(disk.list(dir).await.expect("it is listed"), expected);
    disk.sync_dir(dir).await.expect("it is synced");
    disk.write_small(&deep.join("file"), Vec::new()).await.expect("a small file is made");
    disk.remove_dir(&dir.join("b")).await.expect("with all that is in it");
    disk.remove(&dir.join("m")).await.expect("a file is removed");
    assert_eq!(names(disk, dir).await, ["a", "z"]);
    let missing = dir.join("missing");
    assert_eq!(disk.list(&missing).await.map_err(|error| error.kind()), Err(ErrorKind::NotFound));
    assert_eq!(disk.remove(&missing).await.map_err(|error| error.kind()), Err(ErrorKind::NotFound));
    assert_eq!(disk.remove_dir(&missing).await.map_err(|error| error.kind()), Err(ErrorKind::NotFound));
    assert_eq!(disk.sync_dir(&missing).await.map_err(|error| error.kind()), Err(ErrorKind::NotFound));
}

async fn renames<D: Disk>(disk: &D, dir: &Path) {
    let (from, to) = (dir.join("from"), dir.join("to"));
    disk.create_dir(&from).await.expect("a directory is made");
    disk.create_dir(&to).await.expect("a directory is made");
    disk.write_small(&from.join("a"), b"a".to_vec()).await.expect("a small file is made");
    disk.write_small(&to.join("b"), b"b".to_vec()).await.expect("a small file is made");
    disk.rename(&from.join("a"), &to.join("b")).await.expect("over a file in another directory");
    assert_eq!(disk.read_small(&to.join("b"), 9).await.expect("it is read"), b"a");
    assert!(names(disk, &from).await.is_empty());
    disk.rename(&to, &dir.join("moved")).await.expect("a directory with what is in it");
    assert_eq!(disk.read_small(&dir.join("moved").join("b"), 9).await.expect("it is read"), b"a");
    assert_eq!(names(disk, dir).await, ["from", "moved"]);
    let missing = disk.rename(&dir.join("missing"), &dir.join("x")).await;
    assert_eq!(missing.map_err(|error| error.kind()), Err(ErrorKind::NotFound));
    assert!(disk.rename(&from, &dir.join("moved")).await.is_err(), "a directory that is not empty is not replaced");
}

async fn opening<D: Disk>(disk: &D, dir: &Path) {
    disk.create_dir(dir).await.expect("a directory is made");
    let path = dir.join("file");
    for access in [Access::Direct, Access::Cached] {
        assert_eq!(disk.open(&path, access).await.map(drop).map_err(|error| error.kind()), Err(ErrorKind::NotFound));
    }
    let file = disk.open(&path, Access::CreateDirect).await.expect("it is made");
    assert_eq!(disk.len(&file).await.expect("it has a length"), 0);
    let again = disk.open(&path, Access::CreateDirect).await.map(drop);
    assert_eq!(again.map_err(|error| error.kind()), Err(ErrorKind::AlreadyExists));
    let nowhere = disk.open(&dir.join("missing").join("file"), Access::CreateDirect).await.map(drop);
    assert_eq!(nowhere.map_err(|error| error.kind()), Err(ErrorKind::NotFound));
    let mut pool = ChunkPool::new(SLAB_LEN);
    let cached = disk.open(&path, Access::Cached).await.expect("it is opened");
    let (refused, _) = disk.write(&cached, 0, list_of(&mut pool, b"x"), Persist::Kernel).await;
    assert!(refused.is_err(), "a cached file is for reading");
}

async fn writing_and_reading<D: Disk>(disk: &D, dir: &Path) {
    let mut pool = ChunkPool::new(SLAB_LEN);
    let file = create(disk, dir).await;
    let first = pattern(1, 2 * CHUNK_LEN + BLOCK_LEN);
    write(disk, &file, 0, list_of(&mut pool, &first), Persist::Kernel).await;
    let second = pattern(2, BLOCK_LEN);
    write(disk, &file, BLOCK, list_of(&mut pool, &second), Persist::Stable).await;
    disk.sync(&file).await.expect("it is synced");
    let mut expected = first;
    expected[BLOCK_LEN..2 * BLOCK_LEN].copy_from_slice(&second);
    for part_max in [CHUNK_LEN, 3 * BLOCK_LEN] {
        let mut pool = ChunkPool::new(4 * SLAB_LEN);
        let (count, read) = disk.read(&file, 0, list(&mut pool, expected.len(), part_max)).await;
        assert_eq!(count.expect("it is read"), expected.len());
        assert!(gather(&read) == expected, "in whatever parts it is read");
    }
    let again = disk.open(&dir.join("file"), Access::Direct).await.expect("it is opened again");
    assert!(read(disk, &again, BLOCK, BLOCK_LEN).await == second, "by another handle");
}

async fn ends_of_files<D: Disk>(disk: &D, dir: &Path) {
    let mut pool = ChunkPool::new(SLAB_LEN);
    let file = create(disk, dir).await;
    let bytes = pattern(3, 2 * BLOCK_LEN);
    write(disk, &file, 3 * BLOCK, list_of(&mut pool, &bytes), Persist::Kernel).await;
    assert_eq!(disk.len(&file).await.expect("it has a length"), 5 * BLOCK);
    assert_eq!(read(disk, &file, 0, 3 * BLOCK_LEN).await, vec![0; 3 * BLOCK_LEN], "what was skipped is zeros");
    assert_eq!(read(disk, &file, 4 * BLOCK, 4 * BLOCK_LEN).await, &bytes[BLOCK_LEN..], "a read ends with the file");
    assert!(read(disk, &file, 5 * BLOCK, BLOCK_LEN).await.is_empty());
    assert!(read(disk, &file, 50 * BLOCK, BLOCK_LEN).await.is_empty());
    disk.set_len(&file, 4 * BLOCK + 700).await.expect("it is cut");
    assert_eq!(read(disk, &file, 4 * BLOCK, BLOCK_LEN).await, &bytes[BLOCK_LEN..BLOCK_LEN + 700]);
}

async fn zeroing<D: Disk>(disk: &D, dir: &Path) {
    let mut pool = ChunkPool::new(SLAB_LEN);
    let file = create(disk, dir).await;
    disk.zero(&file, 0..2 * BLOCK).await.expect("a new file is zeroed");
    assert_eq!(disk.len(&file).await.expect("it has a length"), 2 * BLOCK);
    let bytes = pattern(4, 4 * BLOCK_LEN);
    write(disk, &file, 0, list_of(&mut pool, &bytes), Persist::Kernel).await;
    disk.zero(&file, BLOCK..2 * BLOCK).await.expect("written blocks are zeroed");
    disk.zero(&file, 4 * BLOCK..600 * BLOCK).await.expect("many blocks are zeroed");
    assert_eq!(disk.len(&file).await.expect("it has a length"), 600 * BLOCK);
    let mut expected = bytes;
    expected[BLOCK_LEN..2 * BLOCK_LEN].fill(0);
    assert!(read(disk, &file, 0, 4 * BLOCK_LEN).await == expected);
    assert!(read(disk, &file, 590 * BLOCK, 10 * BLOCK_LEN).await == vec![0; 10 * BLOCK_LEN]);
    disk.zero(&file, 4 * BLOCK..4 * BLOCK).await.expect("nothing is zeroed");
}

async fn lengths<D: Disk>(disk: &D, dir: &Path) {
    let mut pool = ChunkPool::new(SLAB_LEN);
    let file = create(disk, dir).await;
    let bytes = pattern(5, 2 * BLOCK_LEN);
    write(disk, &file, 0, list_of(&mut pool, &bytes), Persist::Kernel).await;
    disk.set_len(&file, 100).await.expect("it is cut within a block");
    assert_eq!(disk.len(&file).await.expect("it has a length"), 100);
    disk.set_len(&file, 3 * BLOCK).await.expect("it is lengthened");
    let mut expected = bytes[..100].to_vec();
    expected.resize(3 * BLOCK_LEN, 0);
    assert!(read(disk, &file, 0, 4 * BLOCK_LEN).await == expected, "what was cut does not come back");
    disk.set_len(&file, 0).await.expect("it is emptied");
    assert!(read(disk, &file, 0, BLOCK_LEN).await.is_empty());
}

async fn many_at_once<D: Disk>(disk: &D, dir: &Path) {
    const COUNT: u64 = 16;
    let mut pool = ChunkPool::new(SLAB_LEN);
    let file = create(disk, dir).await;
    let lists: Vec<_> = (0..COUNT).map(|index| list_of(&mut pool, &pattern(index, BLOCK_LEN))).collect();
    let places = (0..COUNT).map(|index| (index * 7 % COUNT) * BLOCK);
    let writes = lists.into_iter().zip(places).map(|(list, at)| {
        let file = &file;
        Box::pin(async move { disk.write(file, at, list, Persist::Kernel).await.0 }) as Boxed<'_, io::Result<()>>
    });
    for result in join(writes.collect()).await {
        result.expect("each is written");
    }
    disk.sync(&file).await.expect("it is synced");
    for index in 0..COUNT {
        let found = read(disk, &file, (index * 7 % COUNT) * BLOCK, BLOCK_LEN).await;
        assert!(found == pattern(index, BLOCK_LEN), "block of write {index}");
    }
}

async fn dropped_futures<D: Disk>(disk: &D, dir: &Path) {
    let mut pool = ChunkPool::new(SLAB_LEN);
    let file = create(disk, dir).await;
    let bytes = pattern(6, 2 * CHUNK_LEN);
    {
        let mut write = Box::pin(disk.write(&file, 0, list_of(&mut pool, &bytes), Persist::Kernel));
        assert!(write.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "a write takes its time");
    }
    for _ in 0..LOOKS_MAX {
        if read(disk, &file, 0, bytes.len()).await == bytes {
            return;
        }
    }
    panic!("a write whose future was dropped never happened");
}

async fn open_files_outlive_names<D: Disk>(disk: &D, dir: &Path) {
    let mut pool = ChunkPool::new(SLAB_LEN);
    let file = create(disk, dir).await;
    let bytes = pattern(7, BLOCK_LEN);
    disk.rename(&dir.join("file"), &dir.join("other")).await.expect("it is renamed");
    write(disk, &file, 0, list_of(&mut pool, &bytes), Persist::Stable).await;
    assert!(disk.read_small(&dir.join("other"), BLOCK_LEN).await.expect("it is read") == bytes);
    disk.remove(&dir.join("other")).await.expect("it is removed");
    assert!(read(disk, &file, 0, BLOCK_LEN).await == bytes, "an open file is there until it is closed");
    assert!(names(disk, dir).await.is_empty());
}

async fn mappings<D: Disk>(disk: &D, dir: &Path) {
    disk.create_dir(dir).await.expect("a directory is made");
    let path = dir.join("mapped");
    let mapping = disk.map(&path, 3 * BLOCK_LEN).await.expect("it is made and mapped");
    assert!(disk.read_small(&path, 4 * BLOCK_LEN).await.expect("it is read") == vec![0; 3 * BLOCK_LEN]);
    disk.store(&mapping, BLOCK_LEN - 2, &[b"ab", b"", b"cde"]);
    disk.store(&mapping, 3 * BLOCK_LEN - 1, &[b"z"]);
    let mut expected = vec![0; 3 * BLOCK_LEN];
    expected[BLOCK_LEN - 2..BLOCK_LEN + 3].copy_from_slice(b"abcde");
    expected[3 * BLOCK_LEN - 1] = b'z';
    assert!(disk.read_small(&path, 4 * BLOCK_LEN).await.expect("it is read") == expected, "the kernel has it at once");
    drop(mapping);
    let longer = disk.map(&path, 5 * BLOCK_LEN).await.expect("it is lengthened and mapped");
    expected.resize(5 * BLOCK_LEN, 0);
    assert!(disk.read_small(&path, 5 * BLOCK_LEN).await.expect("it is read") == expected, "what it held stays");
    drop(longer);
    let _shorter = disk.map(&path, BLOCK_LEN).await.expect("a part of it is mapped");
    assert_eq!(disk.read_small(&path, 5 * BLOCK_LEN).await.expect("it is read").len(), 5 * BLOCK_LEN);
}

async fn page_cache<D: Disk>(disk: &D, dir: &Path) {
    let mut pool = ChunkPool::new(SLAB_LEN);
    let file = create(disk, dir).await;
    let bytes = pattern(8, 4 * BLOCK_LEN);
    write(disk, &file, 0, list_of(&mut pool, &bytes), Persist::Stable).await;
    drop(file);
    let cached = disk.open(&dir.join("file"), Access::Cached).await.expect("it is opened");
    assert!(disk.is_cached(&cached, 5..5), "nothing is always there");
    disk.fill_cache(&cached, 100..3 * BLOCK).await.expect("it is read into the cache");
    assert!(read(disk, &cached, 0, 4 * BLOCK_LEN).await == bytes);
}

async fn create<D: Disk>(disk: &D, dir: &Path) -> D::File {
    disk.create_dir(dir).await.expect("a directory is made");
    disk.open(&dir.join("file"), Access::CreateDirect).await.expect("a file is made")
}

async fn write<D: Disk>(disk: &D, file: &D::File, at: u64, list: IoList, persist: Persist) {
    disk.write(file, at, list, persist).await.0.expect("it is written");
}

/// The bytes from `at` on, at most `len`, whole blocks.
async fn read<D: Disk>(disk: &D, file: &D::File, at: u64, len: usize) -> Vec<u8> {
    let mut pool = ChunkPool::new(SLAB_LEN);
    let (count, list) = disk.read(file, at, list(&mut pool, len, CHUNK_LEN)).await;
    let mut bytes = gather(&list);
    bytes.truncate(count.expect("it is read"));
    bytes
}

async fn names<D: Disk>(disk: &D, dir: &Path) -> Vec<String> {
    disk.list(dir).await.expect("it is listed").into_iter().map(|entry| entry.name).collect()
}

/// Bytes that differ from those of another seed, and at each position.
fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut random = super::Random::new(seed);
    (0..len).map(|_| random.number() as u8).collect()
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Polls all until all are done.
async fn join<T>(mut futures: Vec<Boxed<'_, T>>) -> Vec<T> {
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *result = Some(value);
            }
        }
        if results.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    results.into_iter().flatten().collect()
}
