//! Hands records to librdkafka and sees to it that each is acknowledged.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig};

use super::input::{Chunk, lines};
use super::pace::Pacer;
use super::parse::Parser;
use crate::client::native::{Complaint, creation_error};
use crate::output::Progress;
use crate::record::{Record, write_headers};
use crate::signals::Stop;
use crate::{Error, Exit, Outcome};

/// How long the sender waits before it looks around: for signals, failures and lost progress.
const LOOK_AROUND: Duration = Duration::from_millis(50);
/// The same while the queue is full, where space comes soon.
const QUEUE_WAIT: Duration = Duration::from_millis(5);
/// After how many records the acknowledgements are collected in between.
const POLL_RECORDS: u64 = 256;
/// How long a signal lets the records that were read already be acknowledged.
const SIGNAL_GRACE: Duration = Duration::from_secs(5);

/// The sending of one input.
pub(super) struct Delivery {
    producer: BaseProducer<Context>,
    topic: Arc<str>,
    sent: u64,
    bytes: u64,
    lines: u64,
    watchdog: Watchdog,
    stop: Stop,
    progress: Progress,
}

impl Delivery {
    /// `timeout`: how long it may take without any acknowledgement while some are awaited.
    pub(super) fn start(
        config: &ClientConfig,
        topic: &str,
        timeout: Duration,
        stop: Stop,
        progress: Progress,
    ) -> Result<Delivery, Error> {
        let producer = config
            .create_with_context(Context::default())
            .map_err(|error| creation_error("start the producer", error))?;
        let watchdog = Watchdog { timeout, seen: 0, since: None };
        Ok(Delivery { producer, topic: topic.into(), sent: 0, bytes: 0, lines: 0, watchdog, stop, progress })
    }

    /// Sends the whole input and waits for the last acknowledgement.
    pub(super) fn all(
        mut self,
        chunks: &Receiver<Chunk>,
        parser: &Parser,
        mut pacer: Option<Pacer>,
        line_bytes_max: usize,
    ) -> Outcome {
        let read = self.read_all(chunks, parser, &mut pacer, line_bytes_max);
        let drained = self.drain();
        self.progress.finish(self.context().acknowledged.load(Ordering::Relaxed), self.bytes);
        // What was not acknowledged weighs more than why the reading ended.
        drained?;
        read?;
        Ok(self.stop.signal().map_or(Exit::Success, Exit::Signalled))
    }

    fn read_all(
        &mut self,
        chunks: &Receiver<Chunk>,
        parser: &Parser,
        pacer: &mut Option<Pacer>,
        line_bytes_max: usize,
    ) -> Result<(), Error> {
        while self.goes_on() {
            match chunks.recv_timeout(LOOK_AROUND) {
                Ok(Chunk::Lines(chunk)) => self.send_lines(&chunk, parser, pacer)?,
                Ok(Chunk::TooLong) => {
                    let reason = format!("it is longer than {line_bytes_max} bytes; see -X message.max.bytes=N");
                    return Err(Error::Input { line: self.lines + 1, reason });
                }
                Ok(Chunk::Failed(error)) => return Err(Error::Read(error)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.collect(Duration::ZERO);
        }
        Ok(())
    }

    fn send_lines(&mut self, chunk: &[u8], parser: &Parser, pacer: &mut Option<Pacer>) -> Result<(), Error> {
        for line in lines(chunk) {
            if let Some(pacer) = pacer {
                self.wait(pacer.next(Instant::now()));
            }
            if !self.goes_on() {
                return Ok(());
            }
            self.lines += 1;
            let record = parser.parse(line).map_err(|reason| Error::Input { line: self.lines, reason })?;
            self.send(&record)?;
            if self.sent.is_multiple_of(POLL_RECORDS) {
                self.collect(Duration::ZERO);
            }
        }
        Ok(())
    }

    /// Queues a record; waits while the queue is full.
    fn send(&mut self, record: &Record) -> Result<(), Error> {
        let topic = Arc::clone(&self.topic);
        let mut message = BaseRecord::<[u8], [u8]>::to(&topic);
        message.key = record.key.as_deref();
        message.payload = record.value.as_deref();
        message.partition = record.partition;
        message.timestamp = record.timestamp;
        message.headers = (!record.headers.is_empty()).then(|| write_headers(&record.headers));
        loop {
            match self.producer.send(message) {
                Ok(()) => {
                    self.sent += 1;
                    self.bytes += record.size() as u64;
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), returned)) => message = returned,
                Err((error, _)) => return Err(self.refusal(error)),
            }
            self.collect(QUEUE_WAIT);
            if !self.goes_on() {
                // The line was read and not sent; `drain` reports it among those that are missing.
                self.sent += 1;
                return Ok(());
            }
        }
    }

    /// Why librdkafka did not take a record.
    fn refusal(&self, error: KafkaError) -> Error {
        match error {
            KafkaError::MessageProduction(RDKafkaErrorCode::Fatal) => {
                let reason = self.producer.client().fatal_error().map_or_else(|| error.to_string(), |(_, text)| text);
                Error::Input { line: self.lines, reason }
            }
            KafkaError::MessageProduction(code) => Error::Input { line: self.lines, reason: code.to_string() },
            source => Error::Client { what: format!("send line {}", self.lines), source },
        }
    }

    /// Waits for the acknowledgements that are still out, and accounts for those that do not come.
    fn drain(&mut self) -> Result<(), Error> {
        let mut grace: Option<Instant> = None;
        let mut stalled = false;
        while self.producer.in_flight_count() > 0 && !stalled {
            self.collect(LOOK_AROUND.min(Duration::from_millis(5)));
            let deadline = *grace.get_or_insert(Instant::now() + SIGNAL_GRACE);
            stalled = self.stalled() || (self.stop.signal().is_some() && Instant::now() >= deadline);
            if self.stop.signal().is_none() {
                grace = None;
            }
        }
        if stalled {
            self.producer.purge(PurgeConfig::default().queue().inflight());
            self.collect(LOOK_AROUND);
        }
        let missing = self.sent - self.context().acknowledged.load(Ordering::Relaxed).min(self.sent);
        if missing == 0 {
            return Ok(());
        }
        let reason = self.context().failure().filter(|_| !stalled).unwrap_or_else(|| {
            let why = self.context().complaint.or("the broker is silent");
            format!("no acknowledgement came in time ({why})")
        });
        Err(Error::NotAcknowledged { missing, total: self.sent, reason })
    }

    /// False once a record failed, progress was lost, or a signal came: what follows is not sent, so that no record
    /// stands in the topic behind a gap.
    fn goes_on(&mut self) -> bool {
        self.stop.signal().is_none() && self.context().failed.load(Ordering::Relaxed) == 0 && !self.stalled()
    }

    fn stalled(&mut self) -> bool {
        let settled = self.context().settled();
        self.watchdog.stalled(Instant::now(), settled, self.sent > settled)
    }

    /// Lets time pass.
    fn wait(&mut self, mut left: Duration) {
        while !left.is_zero() && self.goes_on() {
            let step = left.min(LOOK_AROUND);
            // Not in librdkafka's poll, which spins through the last part of a millisecond.
            sleep(step);
            self.collect(Duration::ZERO);
            left -= step;
        }
    }

    fn collect(&mut self, timeout: Duration) {
        self.producer.poll(timeout);
        let acknowledged = self.context().acknowledged.load(Ordering::Relaxed);
        self.progress.update(acknowledged, self.bytes);
    }

    fn context(&self) -> &Context {
        self.producer.context()
    }
}

/// Notices when nothing more is acknowledged. Pure.
#[derive(Debug)]
struct Watchdog {
    timeout: Duration,
    seen: u64,
    /// Since when something is awaited and nothing came.
    since: Option<Instant>,
}

impl Watchdog {
    fn stalled(&mut self, now: Instant, settled: u64, awaiting: bool) -> bool {
        if settled != self.seen || !awaiting {
            self.seen = settled;
            self.since = None;
        }
        let since = *self.since.get_or_insert(now);
        awaiting && now.saturating_duration_since(since) >= self.timeout
    }
}

/// Counts what librdkafka reports.
#[derive(Default)]
struct Context {
    acknowledged: AtomicU64,
    failed: AtomicU64,
    first_failure: Mutex<Option<String>>,
    complaint: Complaint,
}

impl Context {
    fn settled(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed) + self.failed.load(Ordering::Relaxed)
    }

    fn failure(&self) -> Option<String> {
        self.first_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, _facility: &str, message: &str) {
        self.complaint.note_log(level, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            self.complaint.note(reason);
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                let mut first = self.first_failure.lock().unwrap_or_else(PoisonError::into_inner);
                let reason = || error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string());
                first.get_or_insert_with(reason);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_silence_while_something_is_awaited_is_a_stall() {
        let mut watchdog = Watchdog { timeout: Duration::from_secs(10), seen: 0, since: None };
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!watchdog.stalled(at(0), 0, false));
        assert!(!watchdog.stalled(at(100), 0, false), "nothing is awaited");
        assert!(!watchdog.stalled(at(105), 0, true));
        assert!(!watchdog.stalled(at(109), 0, true));
        assert!(!watchdog.stalled(at(114), 1, true), "progress");
        assert!(!watchdog.stalled(at(123), 1, true));
        assert!(watchdog.stalled(at(124), 1, true));
    }
}
