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
            frame => self.acknowledge(&mut request.batches, answer.sent, frame, context),
        };
        if taken.is_err() {
            // What was refused or garbled may still have been written.
            self.requests[token] = request;
            return taken;
        }
        context.interval.produced.requests += 1;
        if self.is_measured(context.now) {
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
        batches: &mut [Sent],
        sent_at: Nanos,
        frame: &[u8],
        context: &mut Context,
    ) -> Result<(), Error> {
        let setup = self.setup.clone();
        let mut outcome = Ok(());
        let (mut answered, mut strange) = (0, false);
        let is_of = |sent: &Sent, produced: &Produced| {
            let target = &setup.targets[self.routes[sent.route].target as usize];
            target.partition == produced.partition && target.topic.as_bytes() == produced.topic
        };
        let read = read(frame, setup.produce_version, |produced| {
            // A partition that is named twice is answered for once.
            let sent = batches.iter_mut().find(|sent| !sent.acknowledged && is_of(sent, &produced));
            let Some(sent) = sent else {
                strange = true;
                return;
            };
            answered += 1;
            if produced.error == 0 {
                sent.acknowledged = true;
                let target = self.routes[sent.route].target;
                context.ledger.acknowledged(target, self.number, produced.base_offset, sent.crc, sent.records);
                self.count(sent, sent_at, context);
            } else {
                context.interval.produced.failed += u64::from(sent.records);
                context.measured.produced.failed += u64::from(sent.records);
                outcome = Err(refused(&produced));
            }
        });
        let complete = if answered == batches.len() && !strange { Ok(()) } else { Err(Malformed::Unasked) };
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
        let is_measured = self.is_measured(now);
        for (tally, is_counted) in [(&mut *context.interval, true), (&mut *context.measured, is_measured)] {
            if is_counted {
                tally.produced.records += records;
                tally.produced.bytes += sent.payload_bytes;
                tally.produced.batches += 1;
            }
        }
        // Latencies are those of the records that were due in the measured part, however late their answer.
        let due_in_time = match &self.pacer {
            Pacer::Open(schedule) => {
                let warm_up = self.setup.plan.warm_up.as_nanos() as u64;
                let mut due_in_time = 0;
                for sequence in sent.sequences.iter(sent.records) {
                    let due = schedule.due(sequence).0;
                    let latency = now.0.saturating_sub(due);
                    context.interval.scheduled.record(latency);
                    if due >= warm_up {
                        context.measured.scheduled.record(latency);
                        due_in_time += 1;
                    }
                }
                due_in_time
            }
            Pacer::Closed { .. } if is_measured => records,
            Pacer::Closed { .. } => 0,
        };
        context.measured.brought += due_in_time;
        let from_sending = now.0.saturating_sub(sent_at.0);
        let late = (sent.timely && self.pacer.is_open()).then(|| sent_at.0.saturating_sub(sent.ready.0));
        for (tally, records) in [(&mut *context.interval, records), (&mut *context.measured, due_in_time)] {
            if records > 0 {
                tally.sent.record_n(from_sending, records);
                if let Some(late) = late {
                    tally.late.record(late);
                }
            }
        }
    }

    /// Whether what is answered now counts for the rate: the answers after the end are those of what had piled up.
    fn is_measured(&self, now: Nanos) -> bool {
        let plan = &self.setup.plan;
        let is_before_end = match &self.pacer {
            Pacer::Open(_) => {
                plan.duration.is_none_or(|duration| u128::from(now.0) < (plan.warm_up + duration).as_nanos())
            }
            Pacer::Closed { end, .. } => now < *end,
        };
        u128::from(now.0) >= plan.warm_up.as_nanos() && is_before_end
    }
}

impl Sequences {
    pub(super) fn iter(&self, records: u32) -> impl Iterator<Item = u64> {
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
