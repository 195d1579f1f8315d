//! Why a run could not be measured, said as: what and why, what to do. Owns the exit codes of failures.

use std::io;

/// `Display` is what and why in one line; [`Error::remedy`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot reach a broker at {server}: {reason}")]
    Unreachable { server: String, reason: String },
    #[error("{server} does not speak the Kafka protocol: {reason}")]
    NotKafka { server: String, reason: String },
    #[error("{server} does not offer {api} in a version known here")]
    NotOffered { server: String, api: String },
    #[error("{server} closed the connection after {seconds:.1} s of the run: {reason}")]
    Lost { server: String, seconds: f64, reason: String },
    #[error("{server} did not answer {api} within {seconds} s")]
    NoAnswer { server: String, api: String, seconds: u64 },
    #[error("topic {topic} does not exist")]
    NoTopic { topic: String },
    #[error("topic {topic} holds no records")]
    Empty { topic: String },
    #[error("{what} was refused: {code}")]
    Refused { what: String, code: String, remedy: Option<String> },
    /// A broker that is started, or a program that is needed.
    #[error("{what}: {reason}")]
    Process { what: String, reason: String },
    /// Of descriptors, memory, space on the disk.
    #[error("{what}")]
    Limit { what: String, remedy: String },
    #[error("cannot {what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// What the user can do about it, in one line.
    pub fn remedy(&self) -> Option<String> {
        let text = match self {
            Error::Unreachable { .. } => "is it running? name another with --bootstrap-server HOST:PORT",
            Error::NotKafka { .. } => "check the port",
            Error::Lost { .. } => {
                "what was measured until then is above, marked incomplete; look at the broker's log for why"
            }
            Error::NoAnswer { .. } => "the broker is overloaded or stopped; look at its log, or try again",
            Error::NoTopic { topic } => {
                return Some(format!("leave --topic away to have one made, or: duramen topic create {topic}"));
            }
            Error::Empty { .. } => "produce some, or --fill 1000000",
            Error::Refused { remedy, .. } => return remedy.clone(),
            Error::Limit { remedy, .. } => return Some(remedy.clone()),
            Error::NotOffered { .. } | Error::Process { .. } | Error::Io { .. } | Error::Usage(_) => return None,
        };
        Some(text.to_owned())
    }

    /// 2 for a wrong command line, else 1.
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Error::Usage(_)) { 2 } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_why_and_what_to_do() {
        let error = Error::NoTopic { topic: "orders".to_owned() };
        assert_eq!(error.to_string(), "topic orders does not exist");
        assert!(error.remedy().unwrap().contains("duramen topic create orders"));
        assert_eq!((error.exit_code(), Error::Usage("no".to_owned()).exit_code()), (1, 2));
        let lost = Error::Lost { server: "h:1".to_owned(), seconds: 12.44, reason: "reset".to_owned() };
        assert_eq!(lost.to_string(), "h:1 closed the connection after 12.4 s of the run: reset");
    }
}
