//! What commands print: tables for people, one JSON object a line for programs, and progress on a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use serde::Serialize;

/// Columns aligned by their widest cell; numbers to the right.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Table {
        Table { rows: vec![head.iter().map(|&name| name.to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let columns = self.rows[0].len();
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let number = |column: usize| self.rows[1..].iter().all(|row| is_number(&row[column]));
        let shape: Vec<(usize, bool)> = (0..columns).map(|column| (width(column), number(column))).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, &(width, right)) in row.iter().zip(&shape) {
                line += &if right { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") };
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn is_number(cell: &str) -> bool {
    cell == "-" || cell.parse::<i64>().is_ok()
}

/// One object as a line of JSON.
pub(crate) fn json_line(out: &mut impl Write, object: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, object)?;
    out.write_all(b"\n")
}

/// A status line on stderr, redrawn twice a second; silent when stderr is no terminal.
pub(crate) struct Progress {
    shown: bool,
    started: Instant,
    last: Option<Instant>,
}

impl Progress {
    const INTERVAL: Duration = Duration::from_millis(500);

    /// `wanted` is false where the terminal shows the records themselves.
    pub(crate) fn new(wanted: bool) -> Progress {
        Progress { shown: wanted && io::stderr().is_terminal(), started: Instant::now(), last: None }
    }

    pub(crate) fn update(&mut self, records: u64, bytes: u64) {
        if self.shown && self.last.is_none_or(|last| last.elapsed() >= Self::INTERVAL) {
            self.last = Some(Instant::now());
            eprint!("\r\x1b[K{}", status(records, bytes, self.started.elapsed()));
        }
    }

    /// Draws the final figures and leaves the line.
    pub(crate) fn finish(&mut self, records: u64, bytes: u64) {
        if self.shown {
            self.shown = false;
            eprintln!("\r\x1b[K{}", status(records, bytes, self.started.elapsed()));
        }
    }
}

fn status(records: u64, bytes: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let megabytes = bytes as f64 / 1e6;
    format!("{records} records, {megabytes:.1} MB, {:.1} s, {:.0} records/s", seconds, records as f64 / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_numbers_stand_right() {
        let mut table = Table::new(&["TOPIC", "PARTITIONS"]);
        table.row(vec!["a-long-name".to_owned(), "3".to_owned()]);
        table.row(vec!["b".to_owned(), "120".to_owned()]);
        let mut text = Vec::new();
        table.print(&mut text).unwrap();
        let expected = "TOPIC        PARTITIONS\na-long-name           3\nb                   120\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn the_status_has_count_size_and_rate() {
        assert_eq!(status(1_000, 2_500_000, Duration::from_secs(2)), "1000 records, 2.5 MB, 2.0 s, 500 records/s");
    }
}
