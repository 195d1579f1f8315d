//! Prometheus' text format, version 0.0.4: families with help and type, and one line per sample.
//!
//! A family is written whole before the next begins, which the format asks for.

use std::fmt::{Display, Write};

/// What `Content-Type` names this format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How the samples of a family are to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from 0 at the start.
    Counter,
    Gauge,
    /// Quantiles, with the sum and the count of what was observed.
    Summary,
}

/// A page being written.
#[derive(Debug, Default)]
pub struct Page(String);

/// The family that samples are being added to.
pub struct Family<'a> {
    page: &'a mut String,
    name: &'static str,
}

impl Page {
    /// Begins a family; each name is begun once.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Summary => "summary",
        };
        self.0.push_str("# HELP ");
        self.0.push_str(name);
        self.0.push(' ');
        escape(help, false, &mut self.0);
        self.0.push_str("\n# TYPE ");
        self.0.push_str(name);
        self.0.push(' ');
        self.0.push_str(kind);
        self.0.push('\n');
        Family { page: &mut self.0, name }
    }

    pub fn into_text(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// Adds a sample.
    pub fn sample(&mut self, labels: &[(&str, &dyn Display)], value: impl Display) {
        self.sample_of("", labels, value);
    }

    /// Adds a sample whose name has a suffix, such as the `_sum` of a summary.
    pub fn sample_of(&mut self, suffix: &str, labels: &[(&str, &dyn Display)], value: impl Display) {
        let page = &mut *self.page;
        page.push_str(self.name);
        page.push_str(suffix);
        for (index, (name, value)) in labels.iter().enumerate() {
            page.push(if index == 0 { '{' } else { ',' });
            page.push_str(name);
            page.push_str("=\"");
            escape(&value.to_string(), true, page);
            page.push('"');
        }
        if !labels.is_empty() {
            page.push('}');
        }
        writeln!(page, " {value}").expect("writing to a string does not fail");
    }
}

/// Backslashes and line ends are escaped everywhere, quotes only in the values of labels.
fn escape(text: &str, quoted: bool, out: &mut String) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quoted => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_help_type_and_samples() {
        let mut page = Page::default();
        let mut family = page.family("duramen_things", Kind::Summary, "Things, \"quoted\",\nin \\two lines.");
        family.sample(&[("shard", &0), ("api", &"Fetch")], 0.5);
        family.sample_of("_count", &[], 7);
        assert_eq!(
            page.into_text(),
            "# HELP duramen_things Things, \"quoted\",\\nin \\\\two lines.\n\
             # TYPE duramen_things summary\n\
             duramen_things{shard=\"0\",api=\"Fetch\"} 0.5\n\
             duramen_things_count 7\n"
        );
    }

    #[test]
    fn label_values_cannot_break_out() {
        let mut page = Page::default();
        page.family("g", Kind::Gauge, "").sample(&[("group", &"a\"} 1\nb\\")], 1);
        let text = page.into_text();
        assert_eq!(text.lines().last().unwrap(), "g{group=\"a\\\"} 1\\nb\\\\\"} 1");
        assert_eq!(text.lines().count(), 3);
    }
}
