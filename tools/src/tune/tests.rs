//! Text and script of what was found.

use std::fs;
use std::process::Command as Process;

use super::*;
use entry::Effect;

const ENTRY: Entry = Entry {
    name: "a setting",
    need: Need::Must,
    why: "it is needed",
    effect: Effect::Measured("twice as fast"),
    check: |_| Finding::good("so"),
};

fn missing(set: &[String], undo: &[String]) -> Found {
    Found {
        entry: &ENTRY,
        finding: Finding::Missing { found: "old".to_owned(), set: set.to_vec(), undo: undo.to_vec() },
    }
}

#[test]
fn the_script_sets_and_restores() {
    let scratch = tempfile::tempdir().unwrap();
    let (value, log) = (scratch.path().join("value"), scratch.path().join("log"));
    fs::write(&value, "old").unwrap();
    let write = |text: &str| format!("printf {text} > {}", value.display());
    let note = |text: &str| format!("echo {text} >> {}", log.display());
    let all = [missing(&[write("new"), note("1")], &[note("a"), write("old")]), missing(&[note("2")], &[note("b")])];
    let file = scratch.path().join("tune.sh");
    fs::write(&file, script(&all)).unwrap();
    let run = |argument: &str| Process::new("sh").arg(&file).arg(argument).status().unwrap().code();
    assert_eq!(run("set"), Some(0));
    assert_eq!(
        (fs::read_to_string(&value).unwrap(), fs::read_to_string(&log).unwrap()),
        ("new".into(), "1\n2\n".into())
    );
    assert_eq!(run("undo"), Some(0));
    assert_eq!(
        (fs::read_to_string(&value).unwrap(), fs::read_to_string(&log).unwrap()),
        ("old".into(), "1\n2\nb\na\n".into())
    );
    assert_eq!(run("other"), Some(2));
    let nothing = [Found { entry: &ENTRY, finding: Finding::good("so") }];
    fs::write(&file, script(&nothing)).unwrap();
    assert_eq!((run("set"), run("undo")), (Some(0), Some(0)));
}

#[test]
fn what_is_lacking_is_explained_and_the_rest_is_short() {
    let good = Found { entry: &ENTRY, finding: Finding::good("so") };
    assert_eq!(text(&[good]), "ok        a setting                  so\n");
    let lacking = text(&[missing(&["do it".to_owned()], &[])]);
    for words in [
        "set       a setting                  old (MUST)",
        "why: it is needed",
        "measured: twice as fast",
        "set: do it",
    ] {
        assert!(lacking.contains(words), "{words}\nis not in\n{lacking}");
    }
}

#[test]
fn only_what_must_be_so_decides_the_end() {
    const SHOULD: Entry = Entry { need: Need::Should, ..ENTRY };
    let by_hand = || Finding::by_hand("old", "mend it");
    assert_eq!(exit(&[Found { entry: &SHOULD, finding: by_hand() }]), Exit::Success);
    assert_eq!(exit(&[Found { entry: &ENTRY, finding: Finding::good("so") }]), Exit::Success);
    assert_eq!(exit(&[Found { entry: &ENTRY, finding: by_hand() }]), Exit::Lacking);
}

/// `tuning/README.md` lists the same entries with the same effects.
#[test]
fn the_page_lists_the_entries() {
    let page = include_str!("../../../tuning/README.md");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| entry"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let entries = checks::all();
    assert_eq!(rows.len(), entries.len(), "the page has {rows:?}");
    for (row, entry) in rows.iter().zip(entries) {
        let (known, effect) = entry.effect.words();
        let need = if entry.need == Need::Must { "must" } else { "should" };
        assert_eq!(row[..], [entry.name, need, entry.why, &format!("{known}: {effect}")], "of {}", entry.name);
    }
}
