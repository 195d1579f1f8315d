//! What can go wrong in a command, said as: what, why, what to do. Owns the exit codes.

use std::io;
use std::process::ExitCode;

use kafka_protocol::ResponseError;
use rdkafka::error::KafkaError;

/// How a command ended when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All was done: exit code 0.
    Success,
    /// A signal asked for the end; what had been started was finished: exit code 128 plus the signal's number.
    Signalled(u8),
    /// What was asked about is not as it must be, and that was said: exit code 1.
    Lacking,
    /// The reader of stdout went away: exit code 141, without a word, as a program killed by SIGPIPE has it.
    BrokenPipe,
}

/// Why a command failed. `Display` is what and why in one line; [`Error::remedy`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot reach a broker at {server}: {reason}")]
    Unreachable { server: String, reason: String },
    #[error("{server} did not answer {api} within {seconds} s")]
    NoAnswer { server: String, api: String, seconds: u64 },
    #[error("{server} closed the connection or failed during {api}: {reason}")]
    Disconnected { server: String, api: String, reason: String },
    #[error("{server} does not speak the Kafka protocol: {reason}")]
    NotKafka { server: String, reason: String },
    #[error("{server} does not offer {api} in a version this program knows")]
    NotOffered { server: String, api: String },
    #[error("cannot {what}: {}", broker_words(*code, message.as_deref()))]
    Refused { what: String, code: ResponseError, message: Option<String> },
    #[error("topic {topic} does not exist")]
    NoTopic { topic: String, nearest: Option<String> },
    #[error("topic {topic} has no partition {partition}; its partitions are 0 to {}", count - 1)]
    NoPartition { topic: String, partition: i32, count: usize },
    #[error("partition {partition} of topic {topic} has no leader")]
    NoLeader { topic: String, partition: i32 },
    #[error("group {group} does not exist")]
    NoGroup { group: String, nearest: Option<String> },
    #[error("group {group} has {members} active members ({state}), and only an empty group can be changed")]
    GroupInUse { group: String, members: usize, state: String },
    #[error("{server} is not Duramen: it knows no shards ({reason})")]
    NotDuramen { server: String, reason: String },
    #[error("{0}")]
    Usage(String),
    #[error("line {line} of the input: {reason}")]
    Input { line: u64, reason: String },
    #[error("cannot read the input: {0}")]
    Read(io::Error),
    #[error("{missing} of {total} records were not acknowledged: {reason}")]
    NotAcknowledged { missing: u64, total: u64, reason: String },
    #[error("nothing arrived for {seconds} s: {reason}")]
    Stalled { seconds: u64, reason: String },
    #[error("{records} records were written, but their offsets could not be committed: {reason}")]
    NotCommitted { records: u64, reason: String },
    #[error("cannot {what}: {source}")]
    Client { what: String, source: KafkaError },
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    /// What the user can do about it, in one line.
    pub fn remedy(&self) -> Option<String> {
        let text = match self {
            Error::Unreachable { .. } => "is it running? name another with --bootstrap-server HOST:PORT".to_owned(),
            Error::NoAnswer { .. } => "the broker is overloaded or stopped; look at its log, or try again".to_owned(),
            Error::Disconnected { .. } => "try again; if it stays, look at the broker's log".to_owned(),
            Error::NotKafka { .. } => "check the port given to --bootstrap-server".to_owned(),
            Error::NoTopic { topic, nearest: None } => {
                format!("make it with: duramen topic create {topic}; see all with: duramen topic list")
            }
            Error::NoTopic { nearest: Some(near), .. } => {
                format!("did you mean {near}? See all with: duramen topic list")
            }
            Error::NoGroup { nearest: Some(near), .. } => format!("did you mean {near}?"),
            Error::NoGroup { .. } => "see them with: duramen group list".to_owned(),
            Error::GroupInUse { group, .. } => {
                format!("stop its consumers first; they are shown by: duramen group describe {group}")
            }
            Error::NotAcknowledged { .. } => {
                "records without an acknowledgement may or may not be in the topic".to_owned()
            }
            Error::NotCommitted { .. } => "the group will read them again".to_owned(),
            Error::Refused { code: ResponseError::TopicAlreadyExists, .. } => {
                "see it with: duramen topic describe; change it with: duramen topic alter".to_owned()
            }
            Error::Refused { code: ResponseError::InvalidReplicationFactor, .. } => {
                "the factor cannot exceed the number of brokers".to_owned()
            }
            _ => return None,
        };
        Some(text)
    }

    /// 2 for a wrong command line, else 1.
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Error::Usage(_)) { 2 } else { 1 }
    }
}

/// The broker's explanation with its code, or what there is of them.
fn broker_words(code: ResponseError, message: Option<&str>) -> String {
    match message {
        Some(message) => format!("{} ({code:?})", message.trim_end_matches('.')),
        None => format!("the broker answered {code:?}"),
    }
}

/// Prints what failed to stderr, if anything did, and gives the process's exit code.
pub fn report(outcome: Result<Exit, Error>) -> ExitCode {
    match outcome {
        Ok(Exit::Success) => ExitCode::SUCCESS,
        Ok(Exit::Signalled(signal)) => ExitCode::from(128u8.saturating_add(signal)),
        Ok(Exit::Lacking) => ExitCode::FAILURE,
        Ok(Exit::BrokenPipe) => ExitCode::from(141),
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(141),
        Err(error) => {
            eprintln!("duramen: {error}");
            if let Some(remedy) = error.remedy() {
                eprintln!("  {remedy}");
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// The one of `known` that looks most like `wanted`, if it is near enough to be a slip of the finger.
pub(crate) fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    const SLIPS_MAX: usize = 3;
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(wanted, name), name))
        .filter(|&(slips, name)| slips <= SLIPS_MAX.min(name.len() / 2))
        .min()
        .map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_is_the_closest_name_and_none_when_all_are_far() {
        assert_eq!(nearest("acess-log", ["access-log", "orders", "access-logs"]), Some("access-log".to_owned()));
        assert_eq!(nearest("acess-log", ["orders", "t"]), None);
        assert_eq!(nearest("ab", ["cd"]), None);
    }

    #[test]
    fn a_missing_topic_names_the_near_one_or_the_way_to_make_it() {
        let error = Error::NoTopic { topic: "acess".to_owned(), nearest: Some("access".to_owned()) };
        let remedy = error.remedy().expect("has a remedy");
        assert!(remedy.contains("did you mean access?"), "{remedy}");
        let remedy = Error::NoTopic { topic: "orders".to_owned(), nearest: None }.remedy().expect("has a remedy");
        assert!(remedy.contains("duramen topic create orders"), "{remedy}");
        assert_eq!(error.exit_code(), 1);
        assert_eq!(Error::Usage("no".to_owned()).exit_code(), 2);
    }
}
