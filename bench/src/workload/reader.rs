//! A YAML file of named values: which are known, and what they are.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use serde_json::Value;

use crate::Error;

/// Files are written by people; a larger one is something else.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// A key is a slip of a known one if it is as near as this.
const SLIPS_MAX: usize = 4;

pub struct Fields {
    file: String,
    values: BTreeMap<String, Value>,
    not_applied: Vec<String>,
}

impl Fields {
    /// A key that is neither known nor starts with one of `not_applied` is an error that names the nearest.
    pub fn of(file: &Path, known: &[&str], not_applied: &[&str]) -> Result<Fields, Error> {
        let shown = file.display().to_string();
        let wrong = |why: String| Error::Usage(format!("{shown}: {why}"));
        let length = fs::metadata(file).map_err(|error| wrong(error.to_string()))?.len();
        if length > FILE_BYTES_MAX {
            return Err(wrong(format!("{length} bytes are too many for a workload or driver file")));
        }
        let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
        let text = without_variables(&text);
        let mut values: BTreeMap<String, Value> =
            serde_saphyr::from_str(&text).map_err(|error| wrong(format!("it is not YAML of named values: {error}")))?;
        let is_skipped = |key: &str| not_applied.iter().any(|skipped| key.starts_with(skipped));
        if let Some(key) = values.keys().find(|key| !known.contains(&key.as_str()) && !is_skipped(key)) {
            let near = known.iter().map(|name| (strsim::damerau_levenshtein(key, name), name)).min();
            let near = near.filter(|(slips, _)| *slips <= SLIPS_MAX);
            let remedy = near.map_or_else(String::new, |(_, name)| format!("; did you mean {name}?"));
            return Err(wrong(format!("nobody knows {key}{remedy}")));
        }
        let not_applied = values.keys().filter(|key| is_skipped(key)).cloned().collect();
        values.retain(|_, value| !value.is_null());
        Ok(Fields { file: shown, values, not_applied })
    }

    pub fn not_applied(&self) -> impl Iterator<Item = &str> {
        self.not_applied.iter().map(String::as_str)
    }

    pub fn wrong(&self, key: &str, why: &str) -> Error {
        Error::Usage(format!("{}: {key} {why}", self.file))
    }

    fn value<T>(&self, key: &str, expected: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, Error> {
        let Some(value) = self.values.get(key) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.wrong(key, &format!("is {value}, and must be {expected}")))
    }

    pub fn text(&self, key: &str) -> Result<Option<String>, Error> {
        self.value(key, "text", |value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        })
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>, Error> {
        self.value(key, "true or false", Value::as_bool)
    }

    pub fn number(&self, key: &str, range: RangeInclusive<f64>) -> Result<Option<f64>, Error> {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        self.value(key, &expected, |value| value.as_f64().filter(|number| range.contains(number)))
    }

    pub fn whole(&self, key: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Error> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.value(key, &expected, |value| value.as_u64().filter(|number| range.contains(number)))
    }
}

/// `${NAME:-VALUE}`, which scripts fill in before a benchmark runs, is VALUE.
fn without_variables(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let after = &rest[at + 2..];
        let Some(end) = after.find('}') else { break };
        out += &rest[..at];
        match after[..end].split_once(":-") {
            Some((_, value)) => out += value,
            None => out += &rest[at..at + 2 + end + 1],
        }
        rest = &after[end + 1..];
    }
    out + rest
}
