//! How a record becomes a line.

use std::io::Write;
use std::str::FromStr;

use crate::record::Record;

/// What is written for each record.
#[derive(Debug, Clone)]
pub(super) enum Format {
    Value,
    Json,
    Template(Template),
}

impl Format {
    /// Appends the line with its newline.
    pub(super) fn append(&self, record: &Record, out: &mut Vec<u8>) {
        match self {
            Format::Value => out.extend_from_slice(record.value.as_deref().unwrap_or_default()),
            Format::Json => {
                serde_json::to_writer(&mut *out, record).expect("a record is plain data and memory takes all of it");
            }
            Format::Template(template) => template.append(record, out),
        }
        out.push(b'\n');
    }
}

/// Text with places for the parts of a record, such as `{partition}:{offset} {value}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Topic,
    Partition,
    Offset,
    Timestamp,
    Key,
    Value,
    Headers,
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '{' | '}' if letters.peek() == Some(&letter) => plain.extend(letters.next()),
                '{' => {
                    let name: String = letters.by_ref().take_while(|&letter| letter != '}').collect();
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(part(&name)?);
                }
                '\\' => plain.push(escaped(letters.next())?),
                _ => plain.push(letter),
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Template { parts })
    }
}

fn part(name: &str) -> Result<Part, String> {
    Ok(match name {
        "topic" => Part::Topic,
        "partition" => Part::Partition,
        "offset" => Part::Offset,
        "timestamp" => Part::Timestamp,
        "key" => Part::Key,
        "value" => Part::Value,
        "headers" => Part::Headers,
        _ => {
            let names = "topic, partition, offset, timestamp, key, value, headers";
            return Err(format!("{{{name}}} is none of {names}; for a brace itself write {{{{"));
        }
    })
}

fn escaped(letter: Option<char>) -> Result<char, String> {
    match letter {
        Some('t') => Ok('\t'),
        Some('n') => Ok('\n'),
        Some('0') => Ok('\0'),
        Some('\\') => Ok('\\'),
        Some(other) => Err(format!("\\{other} is none of \\t, \\n, \\0 and \\\\")),
        None => Err("it ends with a lone \\".to_owned()),
    }
}

impl Template {
    fn append(&self, record: &Record, out: &mut Vec<u8>) {
        const INFALLIBLE: &str = "memory takes all that is written";
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Topic => out.extend_from_slice(record.topic.as_deref().unwrap_or_default().as_bytes()),
                Part::Partition => write!(out, "{}", record.partition.unwrap_or(-1)).expect(INFALLIBLE),
                Part::Offset => write!(out, "{}", record.offset.unwrap_or(-1)).expect(INFALLIBLE),
                Part::Timestamp => write!(out, "{}", record.timestamp.unwrap_or(-1)).expect(INFALLIBLE),
                Part::Key => out.extend_from_slice(record.key.as_deref().unwrap_or_default()),
                Part::Value => out.extend_from_slice(record.value.as_deref().unwrap_or_default()),
                Part::Headers => append_headers(record, out),
            }
        }
    }
}

/// `a=1,b=2`
fn append_headers(record: &Record, out: &mut Vec<u8>) {
    for (index, header) in record.headers.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&header.key);
        out.push(b'=');
        out.extend_from_slice(header.value.as_deref().unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Header;
    use proptest::prelude::*;

    fn line(format: &Format) -> String {
        let record = Record {
            topic: Some("t".into()),
            partition: Some(2),
            offset: Some(40),
            timestamp: None,
            key: Some(b"k".as_slice().into()),
            value: None,
            headers: vec![
                Header { key: b"a".as_slice().into(), value: Some(b"1".as_slice().into()) },
                Header { key: b"b".as_slice().into(), value: None },
            ],
        };
        let mut out = Vec::new();
        format.append(&record, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_part_has_its_place() {
        let template: Template =
            "{{{topic}}}\\t{partition}:{offset}@{timestamp} {key}={value} [{headers}]".parse().unwrap();
        assert_eq!(line(&Format::Template(template)), "{t}\t2:40@-1 k= [a=1,b=]\n");
    }

    #[test]
    fn a_null_value_is_an_empty_line() {
        assert_eq!(line(&Format::Value), "\n");
    }

    #[test]
    fn json_ends_with_a_newline_and_keeps_null() {
        let line = line(&Format::Json);
        assert!(line.ends_with("}\n") && line.contains(r#""value":null"#), "{line}");
    }

    #[test]
    fn unknown_parts_and_escapes_are_refused() {
        for text in ["{valeu}", "{", "\\", "\\x"] {
            assert!(text.parse::<Template>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_without_braces_and_backslashes_stays(text in "[^{}\\\\]{0,40}") {
            let template: Template = text.parse().unwrap();
            prop_assert_eq!(line(&Format::Template(template)), text + "\n");
        }
    }
}
