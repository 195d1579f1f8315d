//! The real disk in a directory of its own.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::on_shard;
use crate::log::disk::{Access, Disk, Entry, Persist};
use crate::log::memory::{BLOCK_LEN, CHUNK_LEN, Chunk, ChunkPool, ChunkSlice, IoList, SLAB_LEN};
use crate::runtime::disk::RealDisk;
use crate::runtime::host;

/// Beside the build's output: a file system for temporary files may not offer direct I/O.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap()
}

/// A chunk whose blocks hold `first`, `first + 1` and so on.
fn filled(pool: &mut ChunkPool, first: u8) -> Arc<Chunk> {
    let chunk = pool.take().unwrap();
    for (index, at) in (0..CHUNK_LEN).step_by(BLOCK_LEN).enumerate() {
        #[expect(unsafe_code, reason = "fills a chunk")]
        // SAFETY: nobody else has the chunk.
        unsafe {
            chunk.fill(at, &[first.wrapping_add(index as u8); BLOCK_LEN]);
        }
    }
    chunk
}

fn bytes_of(chunk: &Arc<Chunk>, len: usize) -> Vec<u8> {
    #[expect(unsafe_code, reason = "reads a chunk")]
    // SAFETY: the reads into the chunk have ended.
    let slice = unsafe { ChunkSlice::new(chunk.clone(), 0..len) };
    slice.as_slice().to_vec()
}

fn list(chunks: &[&Arc<Chunk>]) -> IoList {
    let mut list = IoList::default();
    for chunk in chunks {
        list.push((*chunk).clone(), 0..CHUNK_LEN);
    }
    list
}

#[test]
fn written_chunks_are_read_back() {
    on_shard(|reactor| async move {
        let (directory, disk) = (directory(), RealDisk::new(&reactor));
        let mut pool = ChunkPool::new(4 << 20);
        let path = directory.path().join("log");
        let missing = disk.open(&path, Access::Direct).await.unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let file = disk.open(&path, Access::CreateDirect).await.unwrap();
        assert_eq!(disk.open(&path, Access::CreateDirect).await.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let (a, b) = (filled(&mut pool, 1), filled(&mut pool, 101));
        for persist in [Persist::Kernel, Persist::Stable] {
            let (result, list) = disk.write(&file, BLOCK_LEN as u64, list(&[&a, &b]), persist).await;
            result.unwrap();
            assert_eq!(list.len(), 2 * CHUNK_LEN);
        }
        disk.sync(&file).await.unwrap();
        assert_eq!(disk.len(&file).await.unwrap(), (BLOCK_LEN + 2 * CHUNK_LEN) as u64);
        let (c, d, e) = (pool.take().unwrap(), pool.take().unwrap(), pool.take().unwrap());
        let (read, _) = disk.read(&file, BLOCK_LEN as u64, list(&[&c, &d, &e])).await;
        assert_eq!(read.unwrap(), 2 * CHUNK_LEN);
        assert!(bytes_of(&c, CHUNK_LEN) == bytes_of(&a, CHUNK_LEN));
        assert!(bytes_of(&d, CHUNK_LEN) == bytes_of(&b, CHUNK_LEN));
        disk.set_len(&file, BLOCK_LEN as u64 + 5000).await.unwrap();
        let (read, _) = disk.read(&file, BLOCK_LEN as u64, list(&[&e])).await;
        assert_eq!(read.unwrap(), 5000);
        assert!(bytes_of(&e, 5000) == bytes_of(&a, 5000));
        let (read, _) = disk.read(&file, 1 << 20, list(&[&e])).await;
        assert_eq!(read.unwrap(), 0);
    });
}

#[test]
fn a_write_that_fails_says_so_at_either_level() {
    on_shard(|reactor| async move {
        let (directory, disk) = (directory(), RealDisk::new(&reactor));
        let mut pool = ChunkPool::new(SLAB_LEN);
        let path = directory.path().join("log");
        drop(disk.open(&path, Access::CreateDirect).await.unwrap());
        let (direct, cached) =
            (disk.open(&path, Access::Direct).await.unwrap(), disk.open(&path, Access::Cached).await.unwrap());
        let chunk = filled(&mut pool, 1);
        for persist in [Persist::Kernel, Persist::Stable] {
            let unaligned = disk.write(&direct, 100, list(&[&chunk]), persist).await.0.unwrap_err();
            assert_eq!(unaligned.raw_os_error(), Some(libc::EINVAL));
            let read_only = disk.write(&cached, 0, list(&[&chunk]), persist).await.0.unwrap_err();
            assert_eq!(read_only.raw_os_error(), Some(libc::EBADF));
            disk.write(&direct, 0, list(&[&chunk]), persist).await.0.unwrap();
        }
        // Only the test's own operations are left: nothing waits for a completion that never comes.
        assert_eq!(reactor.stats().operations, 1);
    });
}

#[test]
fn a_list_longer_than_one_call_takes_is_written_whole() {
    on_shard(|reactor| async move {
        let (directory, disk) = (directory(), RealDisk::new(&reactor));
        let mut pool = ChunkPool::new(SLAB_LEN);
        let file = disk.open(&directory.path().join("log"), Access::CreateDirect).await.unwrap();
        let chunk = filled(&mut pool, 1);
        let mut blocks = IoList::default();
        for index in 0..1500 {
            let start = index % (CHUNK_LEN / BLOCK_LEN) * BLOCK_LEN;
            blocks.push(chunk.clone(), start..start + BLOCK_LEN);
        }
        let (written, blocks) = disk.write(&file, 0, blocks, Persist::Stable).await;
        written.unwrap();
        assert_eq!(disk.len(&file).await.unwrap(), blocks.len() as u64);
        let last = pool.take().unwrap();
        let mut tail = IoList::default();
        tail.push(last.clone(), 0..BLOCK_LEN);
        disk.read(&file, 1499 * BLOCK_LEN as u64, tail).await.0.unwrap();
        assert_eq!(bytes_of(&last, BLOCK_LEN), [1 + (1499 % 16) as u8; BLOCK_LEN]);
    });
}

#[test]
fn zeroed_ranges_are_zero_and_grow_the_file() {
    on_shard(|reactor| async move {
        let (directory, disk) = (directory(), RealDisk::new(&reactor));
        let mut pool = ChunkPool::new(SLAB_LEN);
        let file = disk.open(&directory.path().join("log"), Access::CreateDirect).await.unwrap();
        let chunk = filled(&mut pool, 9);
        disk.write(&file, 0, list(&[&chunk]), Persist::Kernel).await.0.unwrap();
        disk.zero(&file, BLOCK_LEN as u64..(3 << 20) + BLOCK_LEN as u64).await.unwrap();
        assert_eq!(disk.len(&file).await.unwrap(), (3 << 20) + BLOCK_LEN as u64);
        let read = pool.take().unwrap();
        assert_eq!(disk.read(&file, 0, list(&[&read])).await.0.unwrap(), CHUNK_LEN);
        let bytes = bytes_of(&read, CHUNK_LEN);
        assert!(bytes[..BLOCK_LEN].iter().all(|byte| *byte == 9) && bytes[BLOCK_LEN..].iter().all(|byte| *byte == 0));
    });
}

#[test]
fn names_and_small_files() {
    on_shard(|reactor| async move {
        let (directory, disk) = (directory(), RealDisk::new(&reactor));
        let root = directory.path().join("a/b");
        disk.create_dir(&root).await.unwrap();
        disk.create_dir(&root).await.unwrap();
        let path = root.join("small");
        disk.write_small(&path, b"one".to_vec()).await.unwrap();
        disk.write_small(&path, b"three".to_vec()).await.unwrap();
        assert_eq!(disk.read_small(&path, 5).await.unwrap(), b"three");
        assert_eq!(disk.read_small(&path, 4).await.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        disk.rename(&path, &root.join("renamed")).await.unwrap();
        disk.create_dir(&root.join("dir")).await.unwrap();
        let entry = |name: &str, is_dir| Entry { name: name.into(), is_dir };
        assert_eq!(disk.list(&root).await.unwrap(), [entry("dir", true), entry("renamed", false)]);
        disk.remove(&root.join("renamed")).await.unwrap();
        disk.sync_dir(&root).await.unwrap();
        disk.remove_dir(&directory.path().join("a")).await.unwrap();
        assert_eq!(disk.list(directory.path()).await.unwrap(), []);
    });
}

#[test]
fn a_store_into_a_mapping_is_in_the_file() {
    on_shard(|reactor| async move {
        let (directory, disk) = (directory(), RealDisk::new(&reactor));
        let path: PathBuf = directory.path().join("ring");
        let mapping = disk.map(&path, 100_000).await.unwrap();
        disk.store(&mapping, 70_000, &[b"one", b"", b"two"]);
        let bytes = disk.read_small(&path, 100_000).await.unwrap();
        assert_eq!((bytes.len(), &bytes[70_000..70_006]), (100_000, &b"onetwo"[..]));
        drop(mapping);
        disk.map(&path, 200_000).await.unwrap();
        let bytes = disk.read_small(&path, 200_000).await.unwrap();
        assert_eq!((bytes.len(), &bytes[70_000..70_006], bytes[199_999]), (200_000, &b"onetwo"[..], 0));
    });
}

#[test]
fn the_cache_is_filled_on_demand() {
    on_shard(|reactor| async move {
        let (directory, disk) = (directory(), RealDisk::new(&reactor));
        let mut pool = ChunkPool::new(SLAB_LEN);
        let path = directory.path().join("log");
        let file = disk.open(&path, Access::CreateDirect).await.unwrap();
        let chunk = filled(&mut pool, 1);
        for at in 0..4 {
            disk.write(&file, at * CHUNK_LEN as u64, list(&[&chunk]), Persist::Kernel).await.0.unwrap();
        }
        let cached = disk.open(&path, Access::Cached).await.unwrap();
        let range = 5000..3 * CHUNK_LEN as u64;
        assert!(!disk.is_cached(&cached, range.clone()));
        disk.fill_cache(&cached, range.clone()).await.unwrap();
        if host::probe(directory.path()).unwrap().facts.cachestat {
            assert!(disk.is_cached(&cached, range));
        }
    });
}

#[test]
fn operations_outlive_their_futures() {
    on_shard(|reactor| async move {
        let (directory, disk) = (directory(), RealDisk::new(&reactor));
        let mut pool = ChunkPool::new(SLAB_LEN);
        let file = disk.open(&directory.path().join("log"), Access::CreateDirect).await.unwrap();
        let (written, read) = (filled(&mut pool, 7), pool.take().unwrap());
        for round in 0..300_u64 {
            let at = round % 4 * CHUNK_LEN as u64;
            let now = reactor.now();
            // Polled once, then dropped in flight.
            drop(reactor.timeout_at(now, disk.write(&file, at, list(&[&written]), Persist::Stable)).await);
            drop(reactor.timeout_at(now, disk.read(&file, at, list(&[&read]))).await);
            drop(reactor.timeout_at(now, disk.sync(&file)).await);
            drop(reactor.timeout_at(now, disk.list(directory.path())).await);
            if round % 10 == 0 {
                reactor.yield_now().await;
            }
        }
        while reactor.stats().operations > 1 {
            reactor.sleep(Duration::from_millis(1)).await;
        }
        // And once dropped after its end, which nobody saw.
        let mut unseen = Box::pin(disk.write(&file, 0, list(&[&written]), Persist::Kernel));
        assert!(reactor.timeout_at(reactor.now(), unseen.as_mut()).await.is_none());
        reactor.sleep(Duration::from_millis(20)).await;
        drop(unseen);
        // The bound on operations in flight is free again, and the chunks with it.
        while Arc::strong_count(&written) + Arc::strong_count(&read) > 2 {
            reactor.sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(reactor.stats().operations, 1);
        disk.write(&file, 0, list(&[&written]), Persist::Kernel).await.0.unwrap();
        assert_eq!(disk.read(&file, 0, list(&[&read])).await.0.unwrap(), CHUNK_LEN);
        assert!(bytes_of(&read, CHUNK_LEN) == bytes_of(&written, CHUNK_LEN));
    });
}
