//! What can be wrong with settings: at start, an `Error` for the operator; in a request, a `Refusal` for the client.

use std::fmt;

/// Why the broker does not start. Each text names the place, the reason and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{place}: no setting is called '{name}'{}", suggestion(*nearest))]
    Unknown { place: Place, name: String, nearest: Option<&'static str> },
    #[error("{place}: {why}")]
    Malformed { place: Place, why: String },
    #[error("--set {text}: it must read KEY=VALUE")]
    NotKeyValue { text: String },
    #[error("{place}: {name}={value} is not offered: {why}")]
    NotOffered { place: Place, name: String, value: String, why: &'static str },
    #[error("{setting}: '{value}': {why}")]
    Address { setting: &'static str, value: String, why: &'static str },
    #[error("listener {name} has no protocol: add {name}:PLAINTEXT to listener.security.protocol.map")]
    UnmappedListener { name: String },
    #[error("listener {name} asks for {protocol}, which is not offered yet: use PLAINTEXT")]
    ProtocolNotOffered { name: String, protocol: String },
    #[error("log.dirs names {count} directories; one is offered: name the one that holds the data")]
    SeveralDirectories { count: usize },
}

impl Error {
    pub(super) fn address(setting: &'static str, value: &str, why: &'static str) -> Self {
        Self::Address { setting, value: value.to_string(), why }
    }
}

fn suggestion(nearest: Option<&'static str>) -> String {
    nearest.map(|name| format!("; did you mean '{name}'?")).unwrap_or_default()
}

/// Where a setting was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of the settings file, from 1.
    Line(usize),
    /// The command line.
    CommandLine,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(number) => write!(out, "settings file, line {number}"),
            Place::CommandLine => out.write_str("--set"),
        }
    }
}

/// Why a request to change settings is refused, in Kafka's words where it has them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// INVALID_CONFIG.
    #[error("{0}")]
    InvalidConfig(String),
    /// INVALID_REQUEST.
    #[error("{0}")]
    InvalidRequest(String),
}
