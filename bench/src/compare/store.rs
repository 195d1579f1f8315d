//! The file of results: rewritten whole after every run, so that a comparison which ends early goes on where it was. A row
//! that is finished is kept if its parameters are the same, of which the programs are a part; one that is half done goes on if its
//! commit is the same, too, and names what was built.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::results::{Results, RowResult, SCHEMA};
use crate::error::Error;
use crate::outcome::Machine;

/// A file that only this repository has: a commit is told of no other.
const LANDMARK: &str = "bench/rdkafka_performance";
/// Where a full comparison's results go, from the root of the repository.
const DIRECTORY: &str = "bench/results";
/// What git appends to a commit when files were changed.
const DIRTY: &str = "-dirty";

/// The file, or none where nothing is to be kept.
pub struct Store {
    path: Option<PathBuf>,
}

impl Store {
    pub fn new(path: Option<PathBuf>) -> Store {
        Store { path }
    }

    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What an earlier comparison has left, or nothing.
    pub fn load(&self) -> Result<Option<Results>, Error> {
        let Some(path) = &self.path else { return Ok(None) };
        let io = |source| Error::Io { what: format!("read {}", path.display()), source };
        match fs::read_to_string(path) {
            Ok(text) => parse(&text).map(Some).map_err(|source| io(io::Error::other(source))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io(error)),
        }
    }

    /// Writes what there is; the file is at any time the old one or the new one.
    pub fn save(&self, results: &Results) -> Result<(), Error> {
        let Some(path) = &self.path else { return Ok(()) };
        let text = serde_json::to_string_pretty(results).expect("results are numbers and text");
        replace(path, &(text + "\n"))
    }
}

/// Writes a file beside the old one, and puts it in its place.
pub fn replace(path: &Path, text: &str) -> Result<(), Error> {
    let io = |source| Error::Io { what: format!("write {}", path.display()), source };
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(io)?;
    }
    let new = path.with_extension("new");
    fs::write(&new, text).map_err(io)?;
    fs::rename(&new, path).map_err(io)
}

fn parse(text: &str) -> Result<Results, String> {
    let results: Results = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if results.schema != SCHEMA {
        return Err(format!("its schema is {}, not {SCHEMA}", results.schema));
    }
    Ok(results)
}

/// Whether a row of an earlier comparison is finished, and was measured as it would be now.
pub fn is_kept(old: &RowResult, new: &RowResult) -> bool {
    old.complete && old.parameters == new.parameters
}

/// Whether a row of an earlier comparison is to go on, or else is to be measured from its beginning.
pub fn goes_on(old: &RowResult, new: &RowResult) -> bool {
    let is_dirty = new.commit.ends_with(DIRTY);
    !old.complete && !is_dirty && old.commit == new.commit && old.parameters == new.parameters
}

/// `bench/results/DATE-MACHINE.json` of the repository at hand, if there is one.
pub fn standard_path(date: &str, machine: &Machine) -> Option<PathBuf> {
    let day = date.split(['T', ' ']).next().unwrap_or(date);
    let name = format!("{day}-{}-{}cpu.json", plain(&machine.cpu), machine.cpus);
    Some(repository()?.join(DIRECTORY).join(name))
}

/// Small letters, digits and single hyphens.
fn plain(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

/// The commit of the repository at hand, with `-dirty` where files were changed.
pub fn commit() -> String {
    let described = || git(&repository()?, &["describe", "--always", "--exclude=*", "--dirty"]);
    described().unwrap_or_else(|| "unknown".into())
}

/// What tells a program from another build of it, as the commit of the repository does not: what it says of itself, its
/// length and its CRC-32C.
pub fn program(path: &Path, version: &str) -> Result<String, Error> {
    let io = |source| Error::Io { what: format!("read {}", path.display()), source };
    let content = fs::read(path).map_err(io)?;
    Ok(format!("{version}, {} bytes, CRC-32C {:08x}", content.len(), crc32c::crc32c(&content)))
}

/// The repository around the working directory, or else around this program.
fn repository() -> Option<PathBuf> {
    let program = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.to_owned()));
    let places = [std::env::current_dir().ok(), program];
    places.into_iter().flatten().find_map(|place| {
        let root = PathBuf::from(git(&place, &["rev-parse", "--show-toplevel"])?);
        root.join(LANDMARK).exists().then_some(root)
    })
}

fn git(directory: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    let output = command.arg("-C").arg(directory).args(arguments).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(complete: bool, commit: &str, seconds: u32) -> RowResult {
        let parameters = serde_json::json!({ "seconds": seconds });
        RowResult { complete, commit: commit.into(), parameters, ..RowResult::default() }
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(Some(directory.path().join("results/one.json")));
        assert!(store.load().unwrap().is_none());
        let mut results =
            Results { schema: SCHEMA, warm_gib: 1.5, rows: vec![row(true, "c", 1)], ..Results::default() };
        store.save(&results).unwrap();
        results.rows.push(row(false, "c", 2));
        store.save(&results).unwrap();
        let loaded = store.load().unwrap().unwrap();
        assert_eq!((loaded.warm_gib, loaded.rows.len(), loaded.rows[1].complete), (1.5, 2, false));
        let files = fs::read_dir(directory.path().join("results")).unwrap().count();
        assert_eq!(files, 1);
    }

    #[test]
    fn a_file_of_another_kind_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("other.json");
        let newer = serde_json::to_string(&Results { schema: SCHEMA + 1, ..Results::default() }).unwrap();
        for text in ["{}", "[1]", &newer] {
            fs::write(&path, text).unwrap();
            assert!(Store::new(Some(path.clone())).load().is_err(), "{text}");
        }
    }

    #[test]
    fn only_the_same_row_goes_on() {
        let now = row(false, "abc", 5);
        assert!(goes_on(&row(false, "abc", 5), &now));
        assert!(!goes_on(&row(true, "abc", 5), &now));
        assert!(!goes_on(&row(false, "abd", 5), &now));
        assert!(!goes_on(&row(false, "abc", 6), &now));
        let dirty = row(false, "abc-dirty", 5);
        assert!(!goes_on(&dirty, &dirty));
    }

    #[test]
    fn builds_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("program");
        let told = |content: &str| {
            fs::write(&path, content).unwrap();
            program(&path, "v1").unwrap()
        };
        assert_eq!(told("123456789"), "v1, 9 bytes, CRC-32C e3069283");
        assert_ne!(told("123456780"), told("123456789"));
        assert!(program(&directory.path().join("none"), "v1").is_err());
    }

    #[test]
    fn a_finished_row_is_kept_only_as_it_was_asked_for() {
        let now = row(false, "abc", 5);
        assert!(is_kept(&row(true, "abd", 5), &now));
        assert!(!is_kept(&row(true, "abc", 6), &now));
        assert!(!is_kept(&row(false, "abc", 5), &now));
    }

    #[test]
    fn names_of_machines_are_plain() {
        assert_eq!(plain("Intel(R) Xeon(R) @ 2.10GHz"), "intel-r-xeon-r-2-10ghz");
    }
}
