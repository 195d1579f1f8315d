//! What a directory holds, before and after.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// All files below a directory with their contents.
pub fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// Asserts that something leaves a directory as it was.
#[track_caller]
pub fn left_alone(directory: &Path, something: impl FnOnce()) {
    let before = contents(directory);
    something();
    assert!(contents(directory) == before, "{} was touched", directory.display());
}
