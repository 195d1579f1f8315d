//! A line of the input to a record.

use std::borrow::Cow;

use super::Separator;
use crate::record::{Header, Record};

/// What a line means.
#[derive(Debug, Clone)]
pub(super) struct Parser {
    pub(super) json: bool,
    pub(super) separator: Option<Separator>,
    /// Added to every record.
    pub(super) headers: Vec<Header<'static>>,
    pub(super) partition: Option<i32>,
    /// Whether the partition that a JSON record names counts.
    pub(super) keep_partitions: bool,
    /// How many partitions the topic has.
    pub(super) partitions: usize,
}

impl Parser {
    /// The record, with its `partition` the one to send to. An error says what is wrong with the line.
    pub(super) fn parse<'a>(&self, line: &'a [u8]) -> Result<Record<'a>, String> {
        let mut record = if self.json { parse_json(line)? } else { self.parse_text(line)? };
        record.partition = if self.keep_partitions { self.known(record.partition)? } else { self.partition };
        Ok(record)
    }

    fn parse_text<'a>(&self, line: &'a [u8]) -> Result<Record<'a>, String> {
        let (key, value) = match &self.separator {
            None => (None, line),
            Some(Separator(separator)) => {
                let at = line.windows(separator.len()).position(|window| window == separator);
                let at = at.ok_or("it has no key separator")?;
                (Some(Cow::Borrowed(&line[..at])), &line[at + separator.len()..])
            }
        };
        let headers = self.headers.clone();
        Ok(Record { key, value: Some(Cow::Borrowed(value)), headers, ..Record::default() })
    }

    fn known(&self, partition: Option<i32>) -> Result<Option<i32>, String> {
        let partition = partition.ok_or("it names no partition, as --keep-partitions wants it")?;
        match usize::try_from(partition) {
            Ok(number) if number < self.partitions => Ok(Some(partition)),
            _ => Err(format!("the topic has no partition {partition}; it has {}", self.partitions)),
        }
    }
}

fn parse_json(line: &[u8]) -> Result<Record<'static>, String> {
    let record: Record<'static> = serde_json::from_slice(line).map_err(|error| {
        // The parser's own "at line 1 column 7" counts within this one line.
        let text = error.to_string();
        let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
        format!("{what} (column {})", error.column())
    })?;
    match record.timestamp {
        Some(0) => Err("timestamp 0 cannot be sent: librdkafka takes it for the current time".to_owned()),
        Some(timestamp) if timestamp < 0 => Err(format!("timestamp {timestamp} is before 1970")),
        _ => Ok(record),
    }
}

/// Parses `--key-separator`.
pub(super) fn separator(text: &str) -> Result<Separator, String> {
    let text = text.replace("\\t", "\t").replace("\\0", "\0");
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(Separator(text.into_bytes())) }
}

/// Parses `--rate`.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    const RATES: std::ops::RangeInclusive<f64> = 0.001..=1e9;
    let rate: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if RATES.contains(&rate) { Ok(rate) } else { Err("it is not between 0.001 and 1,000,000,000".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Parser = Parser {
        json: false,
        separator: None,
        headers: Vec::new(),
        partition: None,
        keep_partitions: false,
        partitions: 2,
    };

    fn bytes(text: &str) -> Option<Cow<'_, [u8]>> {
        Some(Cow::Borrowed(text.as_bytes()))
    }

    #[test]
    fn a_line_is_a_value() {
        let record = PLAIN.parse(b"a\tb\r").unwrap();
        assert_eq!((record.key, record.value), (None, bytes("a\tb\r")));
        assert_eq!(PLAIN.parse(b"").unwrap().value, bytes(""), "an empty line is an empty value, not null");
    }

    #[test]
    fn the_first_separator_splits() {
        let parser = Parser { separator: Some(separator("\\t").unwrap()), ..PLAIN };
        let record = parser.parse(b"k\tv\tw").unwrap();
        assert_eq!((record.key, record.value), (bytes("k"), bytes("v\tw")));
        assert!(parser.parse(b"kv").is_err());
        assert!(separator("").is_err());
    }

    #[test]
    fn headers_are_added_to_each_record() {
        let header = Header { key: b"a".as_slice().into(), value: bytes("1") };
        let parser = Parser { headers: vec![header.clone()], ..PLAIN };
        assert_eq!(parser.parse(b"v").unwrap().headers, [header]);
    }

    #[test]
    fn json_names_a_partition_only_where_it_is_to_be_kept() {
        let line = br#"{"partition":1,"value":"v"}"#;
        let parser = Parser { json: true, ..PLAIN };
        assert_eq!(parser.parse(line).unwrap().partition, None);
        let parser = Parser { json: true, keep_partitions: true, ..PLAIN };
        assert_eq!(parser.parse(line).unwrap().partition, Some(1));
        for line in [r#"{"partition":2,"value":"v"}"#, r#"{"partition":-1,"value":"v"}"#, r#"{"value":"v"}"#] {
            assert!(parser.parse(line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn what_librdkafka_would_change_is_refused() {
        let parser = Parser { json: true, ..PLAIN };
        for line in [r#"{"timestamp":0,"value":"v"}"#, r#"{"timestamp":-5,"value":"v"}"#, "{", "", "[]"] {
            assert!(parser.parse(line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn rates_are_above_zero() {
        assert_eq!(rate("2000"), Ok(2000.0));
        for text in ["0", "-1", "x", "inf", "NaN"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
