//! A file that a ring holds.

use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use super::{PATIENCE, on_shard_of, spec};

/// Whether somebody has a lock on the file at `path`.
fn is_locked(path: &std::path::Path) -> bool {
    File::open(path).unwrap().try_lock().is_err()
}

#[test]
fn a_held_file_is_open_for_as_long_as_its_ring_works() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let file = Arc::new(File::create(&path).unwrap());
    file.lock().unwrap();
    let mut spec = spec();
    spec.held = Some(file.clone());
    let inside = path.clone();
    // The only descriptor that the process knows of is closed while the shard runs, as a kill would do.
    on_shard_of(spec, move |_| async move {
        let deadline = Instant::now() + PATIENCE;
        while Arc::strong_count(&file) > 1 && Instant::now() < deadline {
            std::thread::yield_now();
        }
        drop(file);
        assert!(is_locked(&inside), "the ring holds it");
    });
    assert!(!is_locked(&path), "a ring that has ended in order holds nothing");
}
