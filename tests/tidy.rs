//! House rules that a program can check. Each failure says why the rule is there.

use std::fs;
use std::path::{Path, PathBuf};

/// The parts of the repository that hold Rust.
const PARTS: [&str; 6] = ["src", "wire", "tools", "bench", "tests", "benches"];
const LINES_MAX: usize = 500;

/// A source file, with its path from the root of the repository.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Whether it is compiled for tests only.
    fn is_test(&self) -> bool {
        let file = Path::new(&self.path);
        let in_directory = file.components().any(|part| part.as_os_str() == "tests");
        in_directory || file.file_stem().is_some_and(|stem| stem == "tests")
    }

    /// Lines of code with their numbers, without comments; up to the unit tests, which end a file.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        let lines = self.text[..tests].lines().enumerate();
        lines.map(|(index, line)| (index + 1, line.split("//").next().unwrap_or(line)))
    }

    fn is_below(&self, directories: &[&str]) -> bool {
        directories.iter().any(|directory| self.path.starts_with(&format!("{directory}/")))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    PARTS.iter().for_each(|part| collect(&root.join(part), &mut files));
    files.sort();
    let read = |file: PathBuf| Source {
        path: file.strip_prefix(root).unwrap().to_str().unwrap().to_owned(),
        text: fs::read_to_string(&file).unwrap(),
    };
    let sources: Vec<_> = files.into_iter().map(read).collect();
    assert!(sources.len() > 200, "only {} source files were found", sources.len());
    sources
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Fails with the reason if anything was found.
#[track_caller]
fn none(found: &[String], reason: &str) {
    assert!(found.is_empty(), "{reason}\n{}", found.join("\n"));
}

/// The lines of code that contain one of the words, in the files that are chosen.
fn lines_with(words: &[&str], chosen: impl Fn(&Source) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| chosen(source)) {
        for (number, line) in source.code() {
            let word = words.iter().find(|word| contains_word(line, word));
            found.extend(word.map(|word| format!("{}:{number}: {word}", source.path)));
        }
    }
    found
}

/// Whether a text contains a word that is not part of a longer one.
fn contains_word(text: &str, word: &str) -> bool {
    let is_part = |character: Option<char>| character.is_some_and(|one| one.is_alphanumeric() || one == '_');
    text.match_indices(word).any(|(at, _)| {
        let starts_part = word.starts_with(|first: char| first.is_alphanumeric());
        let ends_part = word.ends_with(|last: char| last.is_alphanumeric());
        let is_end = starts_part && is_part(text[..at].chars().next_back());
        let is_front = ends_part && is_part(text[at + word.len()..].chars().next());
        !is_end && !is_front
    })
}

#[test]
fn files_have_one_idea() {
    let long = sources().into_iter().map(|source| (source.text.lines().count(), source.path));
    let long: Vec<_> =
        long.filter(|(lines, _)| *lines > LINES_MAX).map(|(lines, path)| format!("{path}: {lines}")).collect();
    none(&long, "a file of more than 500 lines holds several ideas: split it by them");
}

#[test]
fn modules_say_what_they_are() {
    let silent: Vec<_> =
        sources().into_iter().filter(|source| !source.text.starts_with("//!")).map(|source| source.path).collect();
    none(&silent, "a reader must learn from a module's first line (`//!`) what it owns and what it must never do");
}

#[test]
fn the_runtime_alone_names_its_crates() {
    let named = lines_with(&["glommio", "io_uring"], |source| {
        !source.is_below(&["src/runtime"]) && source.path != "tests/tidy.rs" && !source.is_below(&["bench"])
    });
    let in_code: Vec<_> = named.into_iter().filter(|line| !is_prose(line)).collect();
    none(
        &in_code,
        "the executor can be exchanged, and the log run on a simulated one, only while src/runtime alone names it",
    );
}

/// Whether a hit is in the text that tells people what runs, not in code.
fn is_prose(hit: &str) -> bool {
    let tells = ["src/serve/start.rs:", "tools/src/tune/"].iter().any(|path| hit.starts_with(path));
    tells && hit.ends_with("io_uring")
}

#[test]
fn the_generator_knows_brokers_by_their_protocol_alone() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/Cargo.toml")).unwrap();
    let keys = manifest.lines().filter_map(|line| line.split(['.', '=', ' ']).next());
    let own: Vec<_> = keys.filter(|key| key.starts_with("duramen")).collect();
    assert_eq!(own, ["duramen-wire"], "what measures a broker must share nothing with it but the protocol's bytes");
}

#[test]
fn pure_cores_take_time_and_chance_as_arguments() {
    let words = ["Instant", "SystemTime", "std::thread", "thread::spawn", "rand", "glommio", "tracing"];
    let pure = ["src/group", "src/controller", "src/config", "wire/src"];
    let found = lines_with(&words, |source| source.is_below(&pure) && !source.is_test());
    none(
        &found,
        "a pure core is replayed from a seed: what it reads of clocks, threads or chance would not be replayed",
    );
}

#[test]
fn pure_cores_have_an_order() {
    let found = lines_with(&["HashMap", "HashSet"], |source| {
        source.is_below(&["src/group", "src/controller", "src/config"]) && !source.is_test()
    });
    none(&found, "the order of a hash map differs from run to run, and a replay must not: use BTreeMap and BTreeSet");
}

#[test]
fn the_log_names_no_executor_and_no_clock() {
    let words = ["Instant", "SystemTime", "std::thread", "thread::spawn", "rand", "glommio", "crate::runtime", "tokio"];
    let found = lines_with(&words, |source| {
        source.is_below(&["src/log"]) && !source.is_below(&["src/log/sim"]) && !source.is_test()
    });
    none(
        &found,
        "every order of the log's completions comes from a seed in its tests: Disk and arguments are all it has",
    );
}

#[test]
fn nothing_is_unwrapped() {
    let found = lines_with(&[".unwrap()"], |source| {
        source.is_below(&["src", "wire/src", "tools/src", "bench/src"]) && !source.is_test()
    });
    none(&found, "name the invariant (`expect`) or return the error: an unwrap tells nothing when it fails");
}

#[test]
fn unsafe_blocks_say_why_they_are_sound() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.path != "tests/tidy.rs") {
        let lines: Vec<&str> = source.text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or(line);
            if ["unsafe {", "unsafe impl"].iter().any(|word| code.contains(word)) && !is_explained(&lines[..index]) {
                found.push(format!("{}:{}", source.path, index + 1));
            }
        }
    }
    none(&found, "each unsafe block has a SAFETY comment above it, so that a change can be checked against it");
}

/// Whether the lines end in a comment with `SAFETY:`, perhaps with the front of a statement after it.
fn is_explained(above: &[&str]) -> bool {
    const STATEMENT_MAX: usize = 3;
    let is_comment = |line: &str| line.trim_start().starts_with("//");
    let statement = above.iter().rev().take(STATEMENT_MAX).take_while(|line| !is_comment(line)).count();
    let comment = above[..above.len() - statement].iter().rev().take_while(|line| is_comment(line));
    comment.into_iter().any(|line| line.contains("SAFETY:"))
}

#[test]
fn nothing_is_left_for_later() {
    let words = ["todo!", "unimplemented!", "FIXME", "TODO", "XXX", "HACK"];
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.path != "tests/tidy.rs") {
        for (index, line) in source.text.lines().enumerate() {
            let word = words.iter().find(|word| contains_word(line, word));
            found.extend(word.map(|word| format!("{}:{}: {word}", source.path, index + 1)));
        }
    }
    none(
        &found,
        "what is not done is not offered: refuse it with an error, and write it down in docs/COMPATIBILITY.md",
    );
}

/// The fields of a struct of settings: its public ones.
fn fields(source: &str) -> impl Iterator<Item = &str> {
    let names = source.lines().filter_map(|line| line.strip_prefix("    pub ")?.split_once(": ").map(|(name, _)| name));
    names.filter(|name| !name.contains(['(', ' ']))
}

#[test]
fn settings_that_are_computed_are_used() {
    let all = sources();
    let used = |field: &str| {
        let outside = all.iter().filter(|source| source.is_below(&["src"]) && !source.is_below(&["src/config"]));
        outside.into_iter().any(|source| source.code().any(|(_, line)| contains_word(line, &format!(".{field}"))))
    };
    let mut unused = Vec::new();
    for path in ["src/config/broker.rs", "src/config/topic.rs"] {
        let source = all.iter().find(|source| source.path == path).expect("the typed settings stand there");
        let (of_file, mut names) = (fields(&source.text), 0);
        for field in of_file {
            names += 1;
            unused.extend((!used(field)).then(|| format!("{path}: {field}")));
        }
        assert!(names > 10, "only {names} settings were found in {path}");
    }
    none(&unused, "a setting that is described as acting must act: use it, or mark it `without` effect and why");
}

#[test]
fn words_are_found_whole() {
    assert!(contains_word("use rand::Rng;", "rand") && contains_word("rand", "rand"));
    assert!(!contains_word("let operand = brand;", "rand"));
    assert!(contains_word("value.unwrap();", ".unwrap()") && !contains_word("value.unwrap_or(0)", ".unwrap()"));
    assert!(is_explained(&["// SAFETY: it is.", "let x ="]) && !is_explained(&["// It is.", "let x ="]));
}
