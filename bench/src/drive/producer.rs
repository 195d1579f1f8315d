//! A producer: due records become batches, batches requests, and answers acknowledgements.
//!
//! Nothing is done when a record becomes due: a batch is filled when it is sent, with what is due by then (`sticky`); or
//! records are dealt to the open batches of their partitions each time the producer is called (`spread`). Whatever the
//! broker does, each record's latency runs from its own time.

mod answers;
mod dispatch;
mod given_up;
mod spread;
mod sticky;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::schedule::{Pacer, Schedule, share};
use super::{Answer, ConnectionId, Context, Party, Setup, TargetId};
use crate::Error;
use crate::batch::keys::Keys;
use crate::batch::pool::Section;
use crate::batch::press::Press;
use crate::batch::template::Shape;
use crate::clock::Nanos;
use crate::plan::{Pace, Partitioner, Produce};
use crate::stop::Stop;

use spread::Spread;

/// After the end of the load, what is due is still sent for so long; in shorter runs, for as long as they were.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// What the producers of one thread share.
#[derive(Clone)]
pub(crate) struct Workshop {
    pub shape: Rc<Shape>,
    pub press: Rc<RefCell<Press>>,
    pub stop: Stop,
}

pub(crate) struct Producer {
    setup: Arc<Setup>,
    workshop: Workshop,
    number: u32,
    pacer: Pacer,
    /// When the last record of all producers is due, or may be made.
    end: Nanos,
    /// The next record to send.
    sequence: u64,
    routes: Vec<Route>,
    /// The route of the next batch, or record, that may go anywhere.
    turn: usize,
    /// There if each record has a partition of its own.
    spread: Option<Spread>,
    /// By token; those that are free hold no batches.
    requests: Vec<Request>,
    free: Vec<usize>,
    /// The list that batches are gathered in for a request.
    batches: Vec<Filled>,
    /// Vectors of sequences, to be used again.
    lists: Vec<Vec<u32>>,
    /// Since when nothing can be sent or filled, though records are due; and until when that was so last.
    blocked_since: Option<Nanos>,
    blocked_until: Nanos,
    stopped: bool,
    /// Nothing will be sent any more.
    is_over: bool,
}

/// The way to one partition.
pub(crate) struct Route {
    target: TargetId,
    connection: ConnectionId,
    /// Of the next batch.
    base_sequence: i32,
}

/// A batch that is to be sent.
struct Filled {
    route: usize,
    section: Section,
    records: u32,
    /// Bytes of keys and values.
    payload_bytes: u64,
    sequences: Sequences,
    /// When its first record was due.
    first_due: Nanos,
    /// When it was full, or its linger over.
    ready: Nanos,
    /// Whether it could have been sent then.
    timely: bool,
}

/// Which records a batch holds: a run of them, or those at these distances from the first.
#[derive(Debug)]
struct Sequences {
    first: u64,
    distances: Option<Vec<u32>>,
}

/// What waits for the answer to one request.
#[derive(Default)]
struct Request {
    batches: Vec<Sent>,
}

struct Sent {
    route: usize,
    crc: u32,
    records: u32,
    payload_bytes: u64,
    sequences: Sequences,
    ready: Nanos,
    timely: bool,
    /// The answer has named it. Until it has named all batches of a request, the request is kept.
    acknowledged: bool,
}

impl Producer {
    /// `routes` holds target and connection of each partition that it writes to.
    pub(crate) fn new(
        setup: &Arc<Setup>,
        workshop: Workshop,
        number: u32,
        routes: &[(TargetId, ConnectionId)],
    ) -> Result<Self, Error> {
        let produce = plan_of(setup);
        let keys = produce
            .keys
            .as_ref()
            .map(|keys| Keys::new(keys, setup.plan.seed.wrapping_mul(0x9e37_79b9).wrapping_add(u64::from(number))));
        let spreads = keys.is_some() || produce.partitioner == Partitioner::RoundRobin;
        let route = |&(target, connection)| Route { target, connection, base_sequence: 0 };
        let routes: Vec<_> = routes.iter().map(route).collect();
        let spread = match spreads {
            true => Some(Spread::new(setup, &routes, keys.transpose()?)),
            false => None,
        };
        Ok(Self {
            pacer: pacer(setup, number),
            end: end(setup),
            number,
            sequence: 0,
            turn: number as usize % routes.len().max(1),
            is_over: routes.is_empty(),
            routes,
            spread,
            requests: Vec::new(),
            free: Vec::new(),
            batches: Vec::new(),
            lists: Vec::new(),
            blocked_until: Nanos(0),
            blocked_since: None,
            stopped: false,
            setup: setup.clone(),
            workshop,
        })
    }

    fn plan(&self) -> &Produce {
        plan_of(&self.setup)
    }

    fn under_way(&self) -> usize {
        self.requests.len() - self.free.len()
    }

    /// When what is still due is given up.
    fn drained_by(&self) -> Nanos {
        let end = self.end.0;
        Nanos(end.saturating_add(end.min(DRAIN_MAX.as_nanos() as u64)))
    }

    /// Records are due and cannot go on.
    fn block(&mut self, now: Nanos) {
        self.blocked_since.get_or_insert(now);
    }

    /// They go on.
    fn unblock(&mut self, context: &mut Context) {
        let Some(since) = self.blocked_since.take() else { return };
        self.blocked_until = context.now;
        // In a closed loop all wait for room all the time.
        if self.pacer.is_open() {
            let stalled = context.now.0.saturating_sub(since.0);
            context.interval.stalled_ns += stalled;
            if context.now.0 >= self.setup.plan.warm_up.as_nanos() as u64 {
                context.measured.stalled_ns += stalled;
            }
        }
    }

    /// Notices that the load ends; true if nothing is to be sent any more.
    fn ends(&mut self, context: &mut Context) -> bool {
        if !self.stopped && self.workshop.stop.signal().is_some() {
            self.stopped = true;
            self.pacer.end_now(context.now);
            self.end = context.now.min(self.end);
        }
        let nothing_open = self.spread.as_ref().is_none_or(Spread::is_empty);
        if self.pacer.is_over(self.sequence, context.now) && nothing_open {
            self.is_over = true;
        } else if self.pacer.is_open() && context.now >= self.drained_by() {
            self.give_up_unsent(context);
            self.is_over = true;
        }
        self.is_over
    }
}

fn plan_of(setup: &Setup) -> &Produce {
    setup.plan.produce.as_ref().expect("producers are made where the plan produces")
}

/// Records in all end a run, or else its duration.
fn end(setup: &Setup) -> Nanos {
    let plan = &setup.plan;
    let end = match (plan_of(setup).pace, plan.records) {
        (Pace::Open { records_per_second }, Some(records)) => {
            Duration::try_from_secs_f64(records as f64 / records_per_second).ok()
        }
        (Pace::Closed, Some(_)) => None,
        (_, None) => plan.duration.map(|duration| duration.saturating_add(plan.warm_up)),
    };
    Nanos(end.map_or(u64::MAX, |end| u64::try_from(end.as_nanos()).unwrap_or(u64::MAX)))
}

fn pacer(setup: &Setup, number: u32) -> Pacer {
    let (produce, records) = (plan_of(setup), setup.plan.records);
    match produce.pace {
        Pace::Open { records_per_second } => {
            let end = records.is_none().then(|| end(setup));
            Pacer::Open(Schedule::new(records_per_second, number, produce.producers, end, records))
        }
        Pace::Closed => {
            let total = records.map_or(u64::MAX, |records| share(records, number, produce.producers));
            Pacer::Closed { end: end(setup), total }
        }
    }
}

impl Party for Producer {
    fn due(&mut self, context: &mut Context) -> Result<Option<Nanos>, Error> {
        if self.is_over || self.ends(context) {
            return Ok(None);
        }
        let next = match self.spread {
            Some(_) => self.send_spread(context)?,
            None => self.send_sticky(context)?,
        };
        if self.ends(context) {
            return Ok(None);
        }
        // The end is noticed even if nothing else happens; after it, answers alone matter.
        let end = if self.pacer.is_open() { self.drained_by() } else { self.end };
        let end = Some(end).filter(|end| *end > context.now);
        Ok(next.into_iter().chain(end).min())
    }

    fn answered(&mut self, answer: Answer, context: &mut Context) -> Result<Option<Nanos>, Error> {
        self.take_answer(answer, context)?;
        self.due(context)
    }

    fn lost(&mut self, context: &mut Context) {
        for sent in self.requests.iter().flat_map(|request| &request.batches).filter(|sent| !sent.acknowledged) {
            context.ledger.in_doubt(self.routes[sent.route].target, sent.crc, sent.records);
            self.give_up(sent.sequences.iter(sent.records), context);
        }
        if !self.is_over {
            self.give_up_unsent(context);
            self.is_over = true;
        }
    }

    fn is_done(&self) -> bool {
        self.is_over && self.under_way() == 0
    }
}

#[cfg(test)]
mod tests;
