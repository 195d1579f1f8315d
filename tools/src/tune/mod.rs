//! `duramen tune`: what the host should be set to, what it is, and a script that sets what is missing. It changes nothing.

pub mod checks;
pub mod entry;
pub mod host;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::output::json_line;
use crate::{Exit, Outcome};
use entry::{Entry, Finding, Need};
use host::Host;

/// Check what the host should be set to for a broker; changes nothing
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  duramen tune --data-dir /var/lib/duramen
  duramen tune --script > tune.sh; less tune.sh; sudo sh tune.sh set; sudo sh tune.sh undo

Exit codes: 0 all that must be so is, 1 something that must be so is not.")]
pub struct Command {
    /// Where the broker's data lies, or will lie
    #[arg(long, value_name = "DIR", default_value = "duramen-data")]
    data_dir: PathBuf,
    /// The network interface that clients come through [default: that of the default route]
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
    /// Print a script: with the argument `set` it sets what is missing, with `undo` it restores what was found
    #[arg(long)]
    script: bool,
    /// One JSON object a line
    #[arg(long, conflicts_with = "script")]
    json: bool,
}

pub fn run(command: Command) -> Outcome {
    let host = Host::new(PathBuf::from("/"), &command.data_dir, command.interface);
    let found: Vec<Found> =
        checks::all().into_iter().map(|entry| Found { entry, finding: (entry.check)(&host) }).collect();
    let mut out = io::stdout().lock();
    if command.script {
        out.write_all(script(&found).as_bytes())?;
    } else if command.json {
        found.iter().try_for_each(|found| json_line(&mut out, &Line::of(found)))?;
    } else {
        out.write_all(text(&found).as_bytes())?;
    }
    out.flush()?;
    Ok(exit(&found))
}

fn exit(all: &[Found]) -> Exit {
    let is_lacking = |found: &Found| found.entry.need == Need::Must && found.finding.is_lacking();
    if all.iter().any(is_lacking) { Exit::Lacking } else { Exit::Success }
}

struct Found {
    entry: &'static Entry,
    finding: Finding,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    must: bool,
    state: &'a str,
    found: &'a str,
    why: &'a str,
    effect: &'a str,
    effect_is: &'a str,
    set: &'a [String],
    undo: &'a [String],
    by_hand: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn of(found: &'a Found) -> Line<'a> {
        let (effect_is, effect) = found.entry.effect.words();
        let (set, undo): (&[String], &[String]) = match &found.finding {
            Finding::Missing { set, undo, .. } => (set, undo),
            _ => (&[], &[]),
        };
        let by_hand = match &found.finding {
            Finding::ByHand { what_to_do, .. } => Some(what_to_do.as_str()),
            _ => None,
        };
        Line {
            name: found.entry.name,
            must: found.entry.need == Need::Must,
            state: found.finding.state(),
            found: found.finding.found(),
            why: found.entry.why,
            effect,
            effect_is,
            set,
            undo,
            by_hand,
        }
    }
}

/// A line each; why, and what to do, where something is to be done.
fn text(all: &[Found]) -> String {
    let mut out = String::new();
    for Found { entry, finding } in all {
        let must = if entry.need == Need::Must && finding.is_lacking() { " (MUST)" } else { "" };
        out += &format!("{:<8}  {:<25}  {}{must}\n", finding.state(), entry.name, finding.found());
        if finding.is_lacking() {
            let (known, effect) = entry.effect.words();
            out += &format!("{:10}why: {}\n{:10}{known}: {effect}\n", "", entry.why, "");
        }
        match finding {
            Finding::Missing { set, .. } => {
                let first = set[0].lines().next().unwrap_or_default();
                let more = if set.len() > 1 || set[0].contains('\n') { " ..." } else { "" };
                out += &format!("{:10}set: {first}{more}\n", "");
            }
            Finding::ByHand { what_to_do, .. } => out += &format!("{:10}by hand: {what_to_do}\n", ""),
            Finding::Good { .. } | Finding::NotHere { .. } => {}
        }
    }
    let missing = all.iter().filter(|found| matches!(found.finding, Finding::Missing { .. })).count();
    if missing > 0 {
        out += &format!("\n{missing} can be set by a script: duramen tune --script\n");
    }
    out
}

/// A POSIX script; what it undoes it undoes from the last to the first.
fn script(all: &[Found]) -> String {
    let (mut set, mut undo) = (String::new(), Vec::new());
    for Found { entry, finding } in all {
        if let Finding::Missing { found, set: lines, undo: back } = finding {
            let head = format!("# {}: {}; found: {found}\n", entry.name, entry.why);
            set += &format!("{head}{}\n", lines.join("\n"));
            let back: Vec<_> = back.iter().rev().map(String::as_str).collect();
            undo.push(format!("# {}\n{}\n", entry.name, back.join("\n")));
        }
    }
    undo.reverse();
    let nothing = |text: String| if text.is_empty() { "echo 'nothing is missing'\n".to_owned() } else { text };
    format!(
        "#!/bin/sh\n# Made by duramen tune on what it found. `sh FILE set` sets what is missing, until the next start of the\n\
         # host where it is no file; `sh FILE undo` restores what was found.\nset -eu\ncase \"${{1:-}}\" in\nset)\n{};;\n\
         undo)\n{};;\n*)\necho \"usage: $0 set|undo\" >&2\nexit 2\n;;\nesac\n",
        nothing(set),
        nothing(undo.concat())
    )
}

#[cfg(test)]
mod tests;
