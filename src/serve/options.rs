//! What `duramen serve` can be told, and how it becomes settings.

use std::fs;
use std::path::PathBuf;

use clap::Args;

use crate::config::{self, Settings};

/// Start the broker.
///
/// No option is needed: it listens on localhost:9092 and keeps its data in ./duramen-data. Every Kafka broker setting
/// can be given by its own name, in a file or one by one.
#[derive(Args, Clone, Debug, Default)]
#[command(after_help = "Examples:\n  \
    duramen serve\n  \
    duramen serve --data-dir /var/lib/duramen --listen 0.0.0.0:9092 --set advertised.listeners=PLAINTEXT://db1:9092\n  \
    duramen serve --config server.properties --set num.partitions=4")]
pub struct Options {
    /// Where the data lies; made if it is missing [default: ./duramen-data, or log.dirs of --config]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The address of the listener PLAINTEXT [default: localhost:9092, or listeners of --config]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// A file of key=value lines with Kafka's names, such as a server.properties
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting, over the file's; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// How many shards to run; more than cores share them [default: one per core]
    #[arg(long, value_name = "N")]
    pub shards: Option<u16>,
    /// The cores to run on, such as 0,2-5 [default: all that this process may use]
    #[arg(long, value_name = "LIST")]
    pub cores: Option<String>,
    /// Memory for all shards together, such as 512M or 4G [default: a share of what the host allows]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub memory: Option<u64>,
    /// Where /metrics and /readyz are served, such as localhost:9644 [default: nowhere]
    #[arg(long, value_name = "HOST:PORT")]
    pub metrics_listen: Option<String>,
    /// How log lines are written
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Why the settings cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the configuration {} cannot be read: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Config(#[from] config::Error),
}

impl Options {
    /// Puts file, options and single settings together; the later win.
    pub fn settings(&self) -> Result<Settings, Error> {
        let read =
            |path: &PathBuf| fs::read_to_string(path).map_err(|source| Error::File { path: path.clone(), source });
        let file = self.config.as_ref().map(read).transpose()?;
        let mut sets = Vec::new();
        let mut set = |key: &str, value: Option<String>| sets.extend(value.map(|value| format!("{key}={value}")));
        let file_names = |key: &str| file.as_ref().is_some_and(|text| names(text, key));
        let data_dir = self.data_dir.as_ref().map(|path| path.display().to_string());
        let default_dir = (!file_names("log.dirs") && !file_names("log.dir")).then(|| "duramen-data".to_string());
        set("log.dirs", data_dir.or(default_dir));
        let listen = self.listen.as_ref().map(|address| format!("PLAINTEXT://{address}"));
        let default_listen = (!file_names("listeners")).then(|| "PLAINTEXT://localhost:9092".to_string());
        set("listeners", listen.or(default_listen));
        set("duramen.shards", self.shards.map(|count| count.to_string()));
        set("duramen.cores", self.cores.clone());
        set("duramen.memory.bytes", self.memory.map(|bytes| bytes.to_string()));
        set("duramen.metrics.listener", self.metrics_listen.clone());
        sets.extend(self.sets.iter().cloned());
        Ok(Settings::from_sources(file.as_deref(), &sets)?)
    }
}

/// Whether a properties text has a line for a key.
fn names(text: &str, key: &str) -> bool {
    text.lines()
        .any(|line| line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', ':'])))
}

/// A number of bytes with an optional K, M or G.
fn parse_bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|last: char| last.is_ascii_alphabetic());
    if digits.is_empty() {
        return Err(format!("{text:?} is not a number of bytes, such as 512M"));
    }
    let factor = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        unit => return Err(format!("{unit:?} is no unit of bytes: use K, M or G")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("{text:?} is not a number of bytes, such as 512M"))?;
    number.checked_mul(factor).ok_or_else(|| format!("{text:?} is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        assert_eq!(parse_bytes("512M"), Ok(512 << 20));
        assert_eq!(parse_bytes("4GiB"), Ok(4 << 30));
        assert_eq!(parse_bytes("17"), Ok(17));
        assert!(parse_bytes("lots").is_err_and(|error| error.contains("not a number")));
        assert!(parse_bytes("4X").is_err_and(|error| error.contains("no unit")));
        assert!(parse_bytes("99999999999G").is_err());
    }
}
