//! A strict reader of Prometheus' text format: a line that it does not understand fails the test.

use std::collections::{BTreeMap, BTreeSet};

/// All samples of a scrape.
#[derive(Debug)]
pub struct Page {
    samples: Vec<Sample>,
    families: BTreeSet<String>,
}

#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Page {
    /// Reads a page. Each family has its help and its type before its samples, comes once, and no sample comes twice.
    pub fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has its end");
        let (mut samples, mut families, mut seen) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        let mut current = String::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, text) = help.split_once(' ').expect("a help has a text");
                assert!(!families.contains_key(name) && !text.is_empty(), "{line}");
                current = name.to_string();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a type has a name and a kind");
                assert_eq!(name, current);
                assert!(["counter", "gauge", "summary"].contains(&kind), "{line}");
                families.insert(name.to_string(), kind.to_string());
            } else {
                let sample = sample(line);
                let kind = &families[&current];
                let suffix = sample.name.strip_prefix(&current).unwrap_or_else(|| panic!("{line} is out of place"));
                assert!(suffix.is_empty() || (kind == "summary" && ["_sum", "_count"].contains(&suffix)), "{line}");
                assert!(kind != "counter" || (current.ends_with("_total") && sample.value >= 0.0), "{line}");
                assert!(seen.insert((sample.name.clone(), sample.labels.clone())), "{line} comes twice");
                samples.push(sample);
            }
        }
        Self { samples, families: families.into_keys().collect() }
    }

    /// The names of all families, also of those without a sample.
    pub fn families(&self) -> &BTreeSet<String> {
        &self.families
    }

    /// The sum of all samples of a name that have these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |sample: &&Sample| {
            let of_label = |(key, value): &(&str, &str)| sample.labels.get(*key).is_some_and(|has| has == value);
            sample.name == name && labels.iter().all(of_label)
        };
        self.samples.iter().filter(has).map(|sample| sample.value).sum()
    }
}

/// Reads `name{label="value",...} number`.
fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').expect("labels have an end")),
        None => (series, ""),
    };
    let valid = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !name.is_empty();
    assert!(valid(name), "{line}");
    let mut parsed = BTreeMap::new();
    for label in labels.split_terminator("\",").map(|label| label.trim_end_matches('"')) {
        let (key, value) = label.split_once("=\"").unwrap_or_else(|| panic!("no label: {line}"));
        assert!(valid(key), "{line}");
        parsed.insert(key.to_string(), value.to_string());
    }
    Sample {
        name: name.to_string(),
        labels: parsed,
        value: value.parse().unwrap_or_else(|_| panic!("no number: {line}")),
    }
}
