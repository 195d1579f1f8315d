//! The loop from librdkafka to stdout.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::Command;
use super::format::Format;
use super::group::{Context, State, list, reason};
use super::plan::Plan;
use super::sink::Sink;
use crate::client::native::{self, Complaint, creation_error};
use crate::client::{Cluster, Server};
use crate::output::Progress;
use crate::position::Position;
use crate::record::{Record, read_headers};
use crate::signals::Stop;
use crate::{Error, Exit, Outcome};

/// How long it waits for a record before it looks around.
const POLL: Duration = Duration::from_millis(100);
/// How often the offsets of what stdout took are committed.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// How often a reader that follows without a group looks for partitions that were added.
const PARTITIONS_INTERVAL: Duration = Duration::from_secs(30);
/// How long that look may take.
const PARTITIONS_TIMEOUT: Duration = Duration::from_millis(500);
/// How long `--until-end` waits for the next record.
const STALL_TIMEOUT: Duration = Duration::from_secs(120);
/// How often the last commit is tried, while a rebalance may stand in its way.
const COMMIT_ATTEMPTS: u32 = 3;
/// What librdkafka may have fetched ahead.
const QUEUE_KBYTES: u32 = 16 << 10;
/// A reader without a group joins none, but librdkafka wants a name.
const NO_GROUP: &str = "duramen-consume";

/// The reading of one topic.
pub(super) struct Stream<W: Write + Send> {
    consumer: BaseConsumer<Context<W>>,
    server: Server,
    format: Format,
    /// Records that may still be written.
    left: u64,
    stop: Stop,
    progress: Progress,
    /// Whether partitions that are added belong to what is read.
    grows: bool,
    last_look: Instant,
    last_commit: Instant,
    last_record: Instant,
}

impl<W: Write + Send> Stream<W> {
    pub(super) fn open(
        command: &Command,
        plan: Plan,
        output: W,
        stop: Stop,
        progress: Progress,
    ) -> Result<Stream<W>, Error> {
        let state = State { plan, sink: Sink::new(output), output_error: None, commit_error: None };
        let context = Context {
            topic: command.topic.clone(),
            grouped: command.group.is_some(),
            state: Mutex::new(state),
            complaint: Complaint::default(),
        };
        let consumer: BaseConsumer<Context<W>> = config(command)
            .create_with_context(context)
            .map_err(|error| creation_error("start the consumer", error))?;
        let format = match &command.format {
            _ if command.json => Format::Json,
            Some(template) => Format::Template(template.clone()),
            None => Format::Value,
        };
        Ok(Stream {
            consumer,
            server: command.server.clone(),
            format,
            left: command.count.unwrap_or(u64::MAX),
            stop,
            progress,
            grows: command.group.is_none() && command.partition.is_none() && !command.until_end,
            last_look: Instant::now(),
            last_commit: Instant::now(),
            last_record: Instant::now(),
        })
    }

    /// Reads until the plan is complete, the count is reached, a signal comes, or the output goes away.
    pub(super) fn run(mut self) -> Outcome {
        self.begin().map_err(|source| Error::Client { what: "begin to read".to_owned(), source })?;
        let streamed = self.stream();
        let flushed = self.flush();
        let committed = self.commit_finally();
        let (records, bytes) = self.taken();
        self.progress.finish(records, bytes);
        streamed?;
        flushed?;
        committed?;
        Ok(self.stop.signal().map_or(Exit::Success, Exit::Signalled))
    }

    fn begin(&self) -> Result<(), KafkaError> {
        let context = self.consumer.context();
        if context.grouped {
            return self.consumer.subscribe(&[&context.topic]);
        }
        let starts = context.state().plan.starts().collect();
        self.consumer.assign(&list(&context.topic, &starts))
    }

    fn stream(&mut self) -> Result<(), Error> {
        while self.left > 0 && self.stop.signal().is_none() && !self.consumer.context().state().plan.is_complete() {
            let buffered = self.consumer.context().state().sink.buffered() > 0;
            // With something in the buffer, only what is there already is fetched before it is flushed.
            let wait = if buffered { Duration::ZERO } else { POLL };
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    let completed = self.take(&message);
                    let partition = message.partition();
                    drop(message);
                    self.last_record = Instant::now();
                    self.left -= u64::from(completed.written);
                    if completed.partition {
                        self.pause(partition);
                    }
                    if self.consumer.context().state().sink.is_full() {
                        self.flush()?;
                    }
                }
                Some(Err(error)) => self.judge(error)?,
                None => self.flush()?,
            }
            self.look_around()?;
        }
        Ok(())
    }

    /// Writes a record into the buffer, if it is one that was there at the start.
    fn take(&self, message: &BorrowedMessage) -> Taken {
        let context = self.consumer.context();
        let (partition, offset) = (message.partition(), message.offset());
        let mut state = context.state();
        let written = state.plan.wants(partition, offset);
        if written {
            let record = record(message, &context.topic);
            state.sink.add(partition, offset, |out| self.format.append(&record, out));
        }
        Taken { written, partition: state.plan.finish_at(partition, offset + 1) }
    }

    /// A partition that was read to its end needs no further fetches. Not pausing it would cost traffic, no more.
    fn pause(&self, partition: i32) {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.consumer.context().topic, partition);
        if let Err(error) = self.consumer.pause(&list) {
            self.consumer.context().complaint.note(&reason(&error));
        }
    }

    /// What an error event means: an end of a partition, something that passes, or the end of it all.
    fn judge(&mut self, error: KafkaError) -> Result<(), Error> {
        use RDKafkaErrorCode as Code;
        let context = self.consumer.context();
        if let KafkaError::PartitionEOF(partition) = error {
            context.state().plan.finish(partition);
            return Ok(());
        }
        match error.rdkafka_error_code() {
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
                // A broker that has just started may not know its topics yet; the metadata has the last word.
                Cluster::connect(&self.server).and_then(|mut cluster| cluster.topic_settled(&context.topic)).map(drop)
            }
            Some(
                Code::AllBrokersDown
                | Code::BrokerTransportFailure
                | Code::OperationTimedOut
                | Code::Resolve
                | Code::NodeUpdate
                | Code::PollExceeded
                | Code::CoordinatorNotAvailable
                | Code::CoordinatorLoadInProgress
                | Code::NotCoordinator
                | Code::RebalanceInProgress
                | Code::AutoOffsetReset
                | Code::UnknownMemberId
                | Code::IllegalGeneration,
            ) => {
                if error.rdkafka_error_code() != Some(Code::AllBrokersDown) {
                    context.complaint.note(&reason(&error));
                }
                Ok(())
            }
            _ => Err(Error::Client { what: format!("read topic {}", context.topic), source: error }),
        }
    }

    fn look_around(&mut self) -> Result<(), Error> {
        let (records, bytes) = self.taken();
        self.progress.update(records, bytes);
        let context = self.consumer.context();
        if let Some(error) = context.state().output_error.take() {
            return Err(error.into());
        }
        if context.grouped && self.last_commit.elapsed() >= COMMIT_INTERVAL {
            self.last_commit = Instant::now();
            if let Err(error) = context.commit(&self.consumer, CommitMode::Async) {
                context.state().commit_error = Some(reason(&error));
            }
        }
        if self.grows && self.last_look.elapsed() >= PARTITIONS_INTERVAL {
            self.last_look = Instant::now();
            if let Err(error) = self.add_partitions() {
                context.complaint.note(&reason(&error));
            }
        }
        if context.state().plan.ends() && self.last_record.elapsed() >= STALL_TIMEOUT {
            let reason =
                context.complaint.or("the broker is silent, or other members of the group hold the partitions");
            return Err(Error::Stalled { seconds: STALL_TIMEOUT.as_secs(), reason });
        }
        Ok(())
    }

    /// Reads partitions that the topic got since the start, from their beginning. A group does so by itself.
    fn add_partitions(&self) -> Result<(), KafkaError> {
        let context = self.consumer.context();
        let metadata = self.consumer.fetch_metadata(Some(&context.topic), PARTITIONS_TIMEOUT)?;
        let present = metadata.topics().iter().flat_map(|topic| topic.partitions()).map(|partition| partition.id());
        let added = context.state().plan.missing(present);
        if added.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(added.len());
        for &partition in &added {
            list.add_partition_offset(&context.topic, partition, Offset::Beginning)?;
        }
        self.consumer.incremental_assign(&list)?;
        context.state().plan.assign(added);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.consumer.context().state().sink.flush()
    }

    /// The commit that must succeed. It waits for the broker.
    fn commit_finally(&self) -> Result<(), Error> {
        let context = self.consumer.context();
        if !context.grouped {
            return Ok(());
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            let failed = match context.commit(&self.consumer, CommitMode::Sync) {
                Ok(()) => return Ok(()),
                Err(error) => reason(&error),
            };
            if attempt >= COMMIT_ATTEMPTS {
                return Err(Error::NotCommitted { records: context.state().sink.records(), reason: failed });
            }
            std::thread::sleep(POLL);
        }
    }

    fn taken(&self) -> (u64, u64) {
        let state = self.consumer.context().state();
        (state.sink.records(), state.sink.bytes())
    }
}

/// What became of a message.
struct Taken {
    written: bool,
    /// Whether its partition is now complete.
    partition: bool,
}

fn record<'a>(message: &'a BorrowedMessage, topic: &'a str) -> Record<'a> {
    Record {
        topic: Some(Cow::Borrowed(topic)),
        partition: Some(message.partition()),
        offset: Some(message.offset()),
        timestamp: message.timestamp().to_millis(),
        key: message.key().map(Cow::Borrowed),
        value: message.payload().map(Cow::Borrowed),
        headers: message.headers().map(read_headers).unwrap_or_default(),
    }
}

fn config(command: &Command) -> ClientConfig {
    let mut config = native::config(&command.server);
    let reset = if command.from == Position::End && command.group.is_some() { "latest" } else { "earliest" };
    config
        .set("group.id", command.group.as_deref().unwrap_or(NO_GROUP))
        .set("auto.offset.reset", reset)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", command.until_end.to_string())
        .set("queued.max.messages.kbytes", QUEUE_KBYTES.to_string())
        // A full queue empties within milliseconds; the default pause of a second would starve the reader.
        .set("fetch.queue.backoff.ms", "10");
    native::apply(&mut config, &command.properties);
    config
}
