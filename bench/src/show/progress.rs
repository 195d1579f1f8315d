//! A status line on a terminal while a run goes on.

use std::io::{self, IsTerminal, Write};

use super::figures::{count, ms};
use crate::drive::Tally;
use crate::outcome::Second;
use crate::plan::Plan;
use crate::run::Watch;

/// One line on stderr, drawn over once a second. A terminal that can't be written to ends nothing.
pub struct Terminal {
    warm_up: u64,
    seconds: Option<u64>,
    drawn: bool,
}

impl Terminal {
    /// `None` if stderr is not a terminal.
    pub fn new() -> Option<Terminal> {
        io::stderr().is_terminal().then_some(Terminal { warm_up: 0, seconds: None, drawn: false })
    }

    /// Clears the line, for the summary.
    pub fn finish(self) {
        if self.drawn {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn line(&self, second: &Second) -> String {
        let at = u64::from(second.second) + 1;
        let end = self.seconds.map(|seconds| self.warm_up + seconds);
        let mut line = format!("{} s", count(end.map_or(at, |end| end.min(at))));
        line += &end.map(|end| format!(" of {} s", count(end))).unwrap_or_default();
        line += match end {
            _ if at <= self.warm_up => " (warming up)",
            Some(end) if at > end => " (waiting for what is under way)",
            _ => "",
        };
        for (records, what) in [(second.produced, "acknowledged"), (second.consumed, "consumed")] {
            if records > 0 {
                line += &format!(", {} {what}", count(records));
            }
        }
        if second.max_ns > 0 {
            let told = [("p50", second.p50_ns), ("p99", second.p99_ns), ("max", Some(second.max_ns))];
            let told = told.into_iter().filter_map(|(name, ns)| Some(format!("{name} {}", ms(ns?))));
            line += &format!(", {} ms", told.collect::<Vec<_>>().join(" "));
        }
        if second.in_flight > 0 {
            line += &format!(", {} in flight", count(second.in_flight.into()));
        }
        line
    }
}

impl Watch for Terminal {
    fn begins(&mut self, plan: &Plan, _wall_ms: i64) {
        self.warm_up = plan.warm_up.as_secs();
        self.seconds = plan.duration.map(|duration| duration.as_secs());
    }

    fn second(&mut self, second: &Second, _tally: &Tally) {
        self.drawn |= write!(io::stderr(), "\r\x1b[K{}", self.line(second)).is_ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_where_the_run_is() {
        let mut terminal = Terminal { warm_up: 0, seconds: None, drawn: false };
        terminal.begins(&Plan::new("produce", "h:1"), 0);
        let mut second = Second { second: 4, produced: 50_000, max_ns: 9_000_000, in_flight: 3, ..Second::default() };
        second.p50_ns = Some(2_000_000);
        assert_eq!(
            terminal.line(&second),
            "5 s of 35 s (warming up), 50,000 acknowledged, p50 2.00 max 9.00 ms, 3 in flight"
        );
        second = Second { second: 5, consumed: 7, ..Second::default() };
        assert_eq!(terminal.line(&second), "6 s of 35 s, 7 consumed");
        second = Second { second: 35, ..second };
        assert_eq!(terminal.line(&second), "35 s of 35 s (waiting for what is under way), 7 consumed");
    }
}
