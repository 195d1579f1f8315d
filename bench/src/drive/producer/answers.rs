//! Answers to produce requests: what was acknowledged, and how long that took.

use super::{Producer, Sent, Sequences};
use crate::Error;
use crate::admin::code_name;
use crate::client::Malformed;
use crate::client::produce::{Produced, answer as read};
use crate::clock::Nanos;
use crate::drive::schedule::Pacer;
use crate::drive::{Answer, Context};

const MESSAGE_TOO_LARGE: i16 = 10;
const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
const NOT_ENOUGH_REPLICAS: i16 = 19;

impl Producer {
    /// Takes the answer to one request, or that it was written where none comes.
    pub(super) fn take_answer(&mut self, answer: Answer, context: &mut Context) -> Result<(), Error> {
        let token = answer.token as usize;
        let mut request = std::mem::take(&mut self.requests[token]);
        let taken = match answer.frame {
            [] => {
                request.batches.iter().for_each(|sent| self.count(sent, answer.sent, context));
                Ok(())
            }
            frame => self.acknowledge(&request.batches, answer.sent, frame, context),
        };
        if taken.is_err() {
            // What was refused or garbled may still have been written.
            self.requests[token] = request;
            return taken;
        }
        context.interval.produced.requests += 1;
        if self.is_measured(answer.sent, context.now) {
            context.measured.produced.requests += 1;
        }
        for sent in request.batches.drain(..) {
            self.lists.extend(sent.sequences.distances);
        }
        self.requests[token] = request;
        self.free.push(token);
        Ok(())
    }

    fn acknowledge(
        &mut self,
        batches: &[Sent],
        sent_at: Nanos,
        frame: &[u8],
        context: &mut Context,
    ) -> Result<(), Error> {
        let setup = self.setup.clone();
        let mut outcome = Ok(());
        let mut answered = 0;
        let is_of = |sent: &&Sent, produced: &Produced| {
            let target = &setup.targets[self.routes[sent.route].target as usize];
            target.partition == produced.partition && target.topic.as_bytes() == produced.topic
        };
        let read = read(frame, setup.produce_version, |produced| {
            let Some(sent) = batches.iter().find(|sent| is_of(sent, &produced)) else { return };
            answered += 1;
            if produced.error == 0 {
                let target = self.routes[sent.route].target;
                context.ledger.acknowledged(target, self.number, produced.base_offset, sent.crc, sent.records);
                self.count(sent, sent_at, context);
            } else {
                context.interval.produced.failed += u64::from(sent.records);
                context.measured.produced.failed += u64::from(sent.records);
                outcome = Err(refused(&produced));
            }
        });
        let complete = if answered == batches.len() { Ok(()) } else { Err(Malformed::Unasked) };
        read.and(complete).map_err(|error| Error::NotKafka {
            server: batches.first().map_or_else(String::new, |sent| self.server_of(sent)),
            reason: format!("an answer to Produce cannot be read: {error}"),
        })?;
        outcome
    }

    fn server_of(&self, sent: &Sent) -> String {
        let target = &self.setup.targets[self.routes[sent.route].target as usize];
        self.setup.brokers.get(&target.leader).cloned().unwrap_or_default()
    }

    /// Counts a batch that was acknowledged now.
    fn count(&self, sent: &Sent, sent_at: Nanos, context: &mut Context) {
        let now = context.now;
        let records = u64::from(sent.records);
        let measured = match &self.pacer {
            Pacer::Open(schedule) => {
                let warm_up = self.setup.plan.warm_up.as_nanos() as u64;
                let mut measured = 0;
                for sequence in sent.sequences.iter(sent.records) {
                    let due = schedule.due(sequence).0;
                    let latency = now.0.saturating_sub(due);
                    context.interval.scheduled.record(latency);
                    if due >= warm_up {
                        context.measured.scheduled.record(latency);
                        measured += 1;
                    }
                }
                measured
            }
            Pacer::Closed { .. } if self.is_measured(sent_at, now) => records,
            Pacer::Closed { .. } => 0,
        };
        let from_sending = now.0.saturating_sub(sent_at.0);
        let late = (sent.timely && self.pacer.is_open()).then(|| sent_at.0.saturating_sub(sent.ready.0));
        for (tally, records) in [(&mut *context.interval, records), (&mut *context.measured, measured)] {
            if records > 0 {
                tally.produced.records += records;
                tally.produced.bytes += sent.payload_bytes * records / u64::from(sent.records);
                tally.produced.batches += 1;
                tally.sent.record_n(from_sending, records);
                if let Some(late) = late {
                    tally.late.record(late);
                }
            }
        }
    }

    /// Whether a request belongs to the measured part: by when it was sent in an open loop, answered in a closed one.
    fn is_measured(&self, sent: Nanos, now: Nanos) -> bool {
        let warm_up = self.setup.plan.warm_up.as_nanos() as u64;
        match &self.pacer {
            Pacer::Open(_) => sent.0 >= warm_up,
            Pacer::Closed { end, .. } => now.0 >= warm_up && now < *end,
        }
    }
}

impl Sequences {
    fn iter(&self, records: u32) -> impl Iterator<Item = u64> {
        let distances = self.distances.as_deref();
        (0..records)
            .map(move |at| self.first + distances.map_or(u64::from(at), |distances| u64::from(distances[at as usize])))
    }
}

fn refused(produced: &Produced) -> Error {
    let remedy = match produced.error {
        MESSAGE_TOO_LARGE => Some("lower --batch-size, or raise max.message.bytes"),
        TOPIC_AUTHORIZATION_FAILED => Some("allow writing to the topic"),
        NOT_ENOUGH_REPLICAS => Some("wait until enough replicas are in sync, or lower min.insync.replicas"),
        _ => None,
    };
    Error::Refused {
        what: format!("a batch for {}:{}", String::from_utf8_lossy(produced.topic), produced.partition),
        code: code_name(produced.error),
        remedy: remedy.map(str::to_owned),
    }
}
