//! Each record has a partition of its own, by its key or in turn: one open batch a partition, closed when it is full or
//! its linger over, and sent when its connection has room.

use std::collections::VecDeque;

use super::{Filled, Producer, Route, Sequences, plan_of};
use crate::Error;
use crate::batch::keys::{KEY_LEN, Keys, partition_of};
use crate::batch::pool::{Buffer, Section};
use crate::batch::stamp::Stamp;
use crate::clock::Nanos;
use crate::drive::{ConnectionId, Context, Setup};

/// How often records that have become due are dealt, at most: a batch may be noticed to be full so much late.
const DEAL_INTERVAL_NS: u64 = 100_000;

/// The open batches of a producer.
pub(super) struct Spread {
    keys: Option<Keys>,
    /// The routes of each topic, by partition.
    topics: Vec<Vec<usize>>,
    /// By route.
    open: Vec<Option<Open>>,
    open_count: usize,
    /// When lingers are over: time, route, and the number of the batch, which may have been closed since.
    lingers: VecDeque<(Nanos, usize, u64)>,
    opened: u64,
    links: Vec<Link>,
    /// By route: its place in `links`.
    link_of: Vec<usize>,
    /// Closed batches of a link that wait for room, at most.
    ready_max: usize,
    /// The next record's key and route, where there is no room for it yet.
    pending: Option<(Option<[u8; KEY_LEN]>, usize)>,
}

struct Open {
    number: u64,
    buffer: Buffer,
    first: u64,
    distances: Vec<u32>,
    first_due: Nanos,
    timely: bool,
}

/// Closed batches for one connection.
struct Link {
    connection: ConnectionId,
    ready: VecDeque<Filled>,
}

impl Spread {
    pub(super) fn new(setup: &Setup, routes: &[Route], keys: Option<Keys>) -> Self {
        let produce = plan_of(setup);
        let target = |route: &Route| &setup.targets[route.target as usize];
        let mut order: Vec<usize> = (0..routes.len()).collect();
        order.sort_by_key(|&at| (&target(&routes[at]).topic, target(&routes[at]).partition));
        let topics = order.chunk_by(|&one, &next| target(&routes[one]).topic == target(&routes[next]).topic);
        let topics = topics.map(<[usize]>::to_vec).collect();
        let mut connections: Vec<_> = routes.iter().map(|route| route.connection).collect();
        connections.sort_unstable();
        connections.dedup();
        let link_of = |route: &Route| connections.partition_point(|&connection| connection < route.connection);
        Self {
            keys,
            topics,
            open: routes.iter().map(|_| None).collect(),
            open_count: 0,
            lingers: VecDeque::new(),
            opened: 0,
            link_of: routes.iter().map(link_of).collect(),
            links: connections.iter().map(|&connection| Link { connection, ready: VecDeque::new() }).collect(),
            ready_max: (produce.in_flight * produce.batches_per_request.max(1)) as usize,
            pending: None,
        }
    }

    /// Whether no record waits in a batch.
    pub(super) fn is_empty(&self) -> bool {
        self.open_count == 0 && !self.is_ready()
    }

    /// Whether a batch is closed.
    fn is_ready(&self) -> bool {
        self.links.iter().any(|link| !link.ready.is_empty())
    }

    /// The records in batches that have not been sent.
    pub(super) fn unsent(&self) -> impl Iterator<Item = u64> {
        let of_open = |open: &Open| {
            let first = open.first;
            open.distances.iter().map(move |distance| first + u64::from(*distance)).collect::<Vec<_>>()
        };
        let ready = self.links.iter().flat_map(|link| &link.ready);
        let ready = ready.flat_map(|filled| filled.sequences.iter(filled.records));
        self.open.iter().flatten().flat_map(of_open).chain(ready)
    }

    /// The next record's key and route.
    fn choose(&mut self, sequence: u64) -> (Option<[u8; KEY_LEN]>, usize) {
        if let Some(pending) = self.pending.take() {
            return pending;
        }
        let topics = self.topics.len() as u64;
        let topic = &self.topics[(sequence % topics) as usize];
        match &mut self.keys {
            Some(keys) => {
                let key = keys.draw();
                (Some(key), topic[partition_of(&key, topic.len())])
            }
            None => (None, topic[(sequence / topics % topic.len() as u64) as usize]),
        }
    }

    fn close(&mut self, route: usize, ready: Nanos) {
        let Some(open) = self.open[route].take() else { return };
        self.open_count -= 1;
        let Open { buffer, first, distances, first_due, timely, .. } = open;
        let (records, payload_bytes) = (buffer.records(), buffer.payload_bytes());
        let sequences = Sequences { first, distances: Some(distances) };
        let section = Section::Filled(buffer);
        let filled = Filled { route, section, records, payload_bytes, sequences, first_due, ready, timely };
        self.links[self.link_of[route]].ready.push_back(filled);
    }

    /// Closes the batches whose linger is over.
    fn close_lingered(&mut self, now: Nanos) {
        while let Some(&(over, route, number)) = self.lingers.front()
            && over <= now
        {
            self.lingers.pop_front();
            if self.open[route].as_ref().is_some_and(|open| open.number == number) {
                self.close(route, over);
            }
        }
    }

    fn close_all(&mut self, now: Nanos) {
        (0..self.open.len()).for_each(|route| self.close(route, now));
    }

    /// Closes the batch with the most records.
    fn close_fullest(&mut self, now: Nanos) {
        let records = |open: &Open| open.buffer.records();
        let fullest = (0..self.open.len()).max_by_key(|&route| self.open[route].as_ref().map(records));
        fullest.into_iter().for_each(|route| self.close(route, now));
    }
}

impl Producer {
    /// Deals what is due, and sends the batches that are ready and have room. Says when to deal again.
    pub(super) fn send_spread(&mut self, context: &mut Context) -> Result<Option<Nanos>, Error> {
        let mut spread = self.spread.take().expect("only such producers come here");
        let next = self.deal_and_send(&mut spread, context);
        self.spread = Some(spread);
        next
    }

    fn deal_and_send(&mut self, spread: &mut Spread, context: &mut Context) -> Result<Option<Nanos>, Error> {
        let now = context.now;
        loop {
            let stuck = !self.deal(spread, context);
            match self.pacer.is_open() {
                true => spread.close_lingered(now),
                false if self.pacer.is_over(self.sequence, now) => spread.close_all(now),
                // There are more partitions than buffers, and all are in open batches.
                false if stuck && self.under_way() == 0 && !spread.is_ready() => spread.close_fullest(now),
                false => {}
            }
            let sent = self.send_ready(spread, context)?;
            if stuck && sent == 0 {
                // An answer, or a buffer that has been written, goes on from here.
                self.block(now);
                return Ok(spread.lingers.front().map(|(over, ..)| *over));
            }
            if !stuck {
                self.unblock(context);
                break;
            }
        }
        let lingered = spread.lingers.front().map(|(over, ..)| *over);
        if self.pacer.is_over(self.sequence, now) {
            return Ok(lingered);
        }
        let interval = DEAL_INTERVAL_NS.min(self.plan().linger.as_nanos() as u64);
        let dealt = self.pacer.due(self.sequence, now).0.max(now.0 + interval);
        Ok(Some(lingered.map_or(Nanos(dealt), |lingered| lingered.min(Nanos(dealt)))))
    }

    /// Puts what is due into the open batches; false if there is no room for all of it.
    fn deal(&mut self, spread: &mut Spread, context: &mut Context) -> bool {
        let linger = self.plan().linger.as_nanos() as u64;
        let available = self.pacer.available(self.sequence, context.now);
        for sequence in self.sequence..self.sequence.saturating_add(available) {
            let (key, route) = spread.choose(sequence);
            let due = self.pacer.due(sequence, context.now);
            let shape = &self.workshop.shape;
            if spread.open[route].as_ref().is_some_and(|open| !shape.fits(&open.buffer, self.number, sequence)) {
                // Full since the record before came; where sizes differ, that is known only now.
                spread.close(route, due);
            }
            if spread.open[route].is_none() && !self.open(spread, route, sequence, due, linger, context) {
                spread.pending = Some((key, route));
                self.sequence = sequence;
                return false;
            }
            let open = spread.open[route].as_mut().expect("it has just been opened");
            let stamp = Stamp { run: self.setup.run, producer: self.number, sequence, due };
            self.workshop.shape.push(&mut open.buffer, stamp, key);
            open.distances.push((sequence - open.first) as u32);
            if !self.workshop.shape.fits(&open.buffer, self.number, sequence + 1) && self.workshop.shape.templates() > 0
            {
                spread.close(route, due);
            }
        }
        self.sequence = self.sequence.saturating_add(available);
        true
    }

    /// Opens a route's next batch; false if too many wait already, or no buffer is free.
    fn open(
        &mut self,
        spread: &mut Spread,
        route: usize,
        first: u64,
        first_due: Nanos,
        linger: u64,
        context: &mut Context,
    ) -> bool {
        let link = &spread.links[spread.link_of[route]];
        if link.ready.len() >= spread.ready_max {
            context.out.windows.wait(link.connection, context.me);
            return false;
        }
        let Some(buffer) = context.out.section_buffer(&self.workshop.shape) else {
            context.out.short_of_buffers.add(context.me);
            return false;
        };
        let mut distances = self.lists.pop().unwrap_or_default();
        distances.clear();
        let timely = self.blocked_since.is_none() && self.blocked_until <= first_due;
        let number = spread.opened;
        spread.opened += 1;
        spread.open_count += 1;
        if self.pacer.is_open() {
            spread.lingers.push_back((Nanos(first_due.0.saturating_add(linger)), route, number));
        }
        spread.open[route] = Some(Open { number, buffer, first, distances, first_due, timely });
        true
    }

    /// Sends closed batches as far as there is room; returns how many.
    fn send_ready(&mut self, spread: &mut Spread, context: &mut Context) -> Result<usize, Error> {
        let batches_max = self.plan().batches_per_request.max(1) as usize;
        let mut sent = 0;
        for link in &mut spread.links {
            while !link.ready.is_empty() {
                if !context.out.windows.has_room(link.connection) {
                    context.out.windows.wait(link.connection, context.me);
                    break;
                }
                let mut batches = std::mem::take(&mut self.batches);
                while batches.len() < batches_max
                    && let Some(next) = link.ready.front()
                    && batches.iter().all(|filled: &Filled| filled.route != next.route)
                {
                    let mut filled = link.ready.pop_front().expect("it is the front");
                    filled.timely &= context.out.windows.open_since(link.connection) <= filled.ready;
                    batches.push(filled);
                }
                sent += batches.len();
                batches.sort_unstable_by_key(|filled| self.routes[filled.route].target);
                self.dispatch(link.connection, &mut batches, context)?;
                self.batches = batches;
            }
        }
        Ok(sent)
    }
}
