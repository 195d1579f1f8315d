//! One thread: sockets, deadlines and parties, and what it counts each second.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity, set_current_timer_slack};

use super::connection::{Broken, Connection};
use super::outbox::Frame;
use super::poll::Poll;
use super::tally::{CpuClock, CpuTime};
use super::{Answer, ConnectionId, Context, Interval, Outbox, Party, PartyId, Setup, Shared, Tally, ThreadEnd};
use crate::Error;
use crate::admin::plain;
use crate::clock::Nanos;
use crate::stop::Stop;
use crate::verify::{Ledger, Received};

const SECOND_NS: u64 = 1_000_000_000;
/// A thread looks whether it is asked to end at least so often.
const LOOK_INTERVAL_NS: u64 = 20_000_000;
/// A deadline so near is awaited without sleeping.
const NEAR_NS: u64 = 10_000;
/// Receives from one connection before the others have their turn.
const RECEIVES_MAX: usize = 8;

/// A party with its deadline.
pub(super) struct Seat {
    pub party: Box<dyn Party>,
    /// Producers wait for the epoch; consumers begin at once.
    pub produces: bool,
    pub next: Option<Nanos>,
    pub done: bool,
}

/// What is counted.
pub(super) struct Books {
    pub interval: Tally,
    pub measured: Tally,
    pub ledger: Ledger,
    pub received: Received,
}

/// All that one thread works with.
pub(super) struct Worker {
    pub number: usize,
    pub setup: Arc<Setup>,
    pub shared: Arc<Shared>,
    pub stop: Stop,
    pub poll: Poll,
    pub connections: Vec<Connection>,
    pub seats: Vec<Seat>,
    pub out: Outbox,
    pub books: Books,
    pub sender: SyncSender<Interval>,
    pub returned: Receiver<Tally>,
    /// Parties that are not done.
    pub producing: usize,
    pub consuming: usize,
    /// One at most for each seat: its `next`.
    pub deadlines: BTreeSet<(Nanos, PartyId)>,
    pub queued: Vec<(ConnectionId, Frame)>,
    /// Connections with something to write.
    pub unwritten: Vec<ConnectionId>,
    pub spares: Vec<Vec<u8>>,
    pub report: Report,
}

/// What has been told of this thread so far.
pub(super) struct Report {
    pub clock: CpuClock,
    pub told: CpuTime,
    pub full_ns: u64,
    pub next_second: u64,
    /// An empty tally for the next interval.
    pub spare: Option<Tally>,
}

/// Prepares the thread itself: wake-ups on time, and on the CPUs that it is to use.
pub(super) fn settle(cores: &[usize]) -> Result<(), Error> {
    let failed = |what: &str, error: rustix::io::Errno| Error::Io { what: what.to_owned(), source: error.into() };
    set_current_timer_slack(NonZeroU64::new(1)).map_err(|error| failed("set the timer slack", error))?;
    if !cores.is_empty() {
        let mut set = CpuSet::new();
        cores.iter().filter(|core| **core < CpuSet::MAX_CPU).for_each(|core| set.set(*core));
        sched_setaffinity(None, &set).map_err(|error| failed("run on the CPUs of --cores", error))?;
    }
    Ok(())
}

impl Worker {
    /// Runs until producers are done, and consumers too or asked to be.
    pub(super) fn run(mut self) -> ThreadEnd {
        let failure = self.work().err();
        if failure.is_some() {
            self.shared.abort();
        }
        let ended = self.setup.epoch().now();
        self.out.now = ended;
        for at in 0..self.seats.len() {
            let seat = &self.seats[at];
            // Consumers end while a fetch is under way; that is no loss.
            if !seat.done && (seat.produces || failure.is_some()) {
                let (party, mut context) = self.call(at as PartyId, ended);
                party.lost(&mut context);
            }
        }
        self.tell_last(ended);
        let Books { measured, ledger, received, .. } = self.books;
        ThreadEnd { measured, ledger, received, failure, ended }
    }

    fn work(&mut self) -> Result<(), Error> {
        for at in 0..self.seats.len() as PartyId {
            match self.seats[at as usize].produces {
                true => self.schedule(at, Some(Nanos(0))),
                false => self.due(at, Nanos(0))?,
            }
        }
        self.write()?;
        let mut stop_seen = false;
        loop {
            if self.shared.is_aborted() || self.is_over() {
                return Ok(());
            }
            self.poll.wait(self.patience()).map_err(|source| io_error("wait for the broker", source))?;
            let now = self.setup.epoch().now();
            self.out.now = now;
            for at in 0..self.poll.count() {
                let ready = self.poll.ready(at);
                if ready.readable {
                    self.receive(ready.connection)?;
                }
                if ready.writable {
                    self.unwritten.push(ready.connection);
                }
            }
            let now = self.setup.epoch().now();
            self.call_due(now)?;
            if !stop_seen && self.stop.signal().is_some() {
                stop_seen = true;
                (0..self.seats.len() as PartyId).try_for_each(|party| self.due(party, now))?;
            }
            self.write()?;
            if now.0 >= self.report.next_second * SECOND_NS {
                self.check_answers(now)?;
                self.tell(now);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.producing == 0 && (self.consuming == 0 || self.shared.consumers_end())
    }

    /// How long to wait for sockets at most.
    fn patience(&self) -> Duration {
        let now = self.setup.epoch().now();
        let look = Nanos(now.0 + LOOK_INTERVAL_NS);
        let second = Nanos(self.report.next_second * SECOND_NS);
        let deadline = self.deadlines.first().map_or(look, |(deadline, _)| *deadline);
        let has_buffer_for_one = !self.out.short_of_buffers.is_empty() && self.out.buffers.has_more();
        if has_buffer_for_one || self.out.has_queued() {
            return Duration::ZERO;
        }
        // Before the epoch the clock stands at 0, so its deadlines are asked for by their distance.
        let until = self.setup.epoch().until(deadline.min(look).min(second));
        if now.0 > 0 && until.as_nanos() < u128::from(NEAR_NS) { Duration::ZERO } else { until }
    }

    /// The party, and what it is called with.
    fn call(&mut self, party: PartyId, now: Nanos) -> (&mut dyn Party, Context<'_>) {
        let Books { interval, measured, ledger, received } = &mut self.books;
        let context = Context { now, me: party, out: &mut self.out, interval, measured, ledger, received };
        (&mut *self.seats[party as usize].party, context)
    }

    fn schedule(&mut self, party: PartyId, next: Option<Nanos>) {
        let seat = &mut self.seats[party as usize];
        if !seat.done && seat.party.is_done() {
            seat.done = true;
            match seat.produces {
                true => self.producing -= 1,
                false => self.consuming -= 1,
            }
            if seat.produces && self.producing == 0 {
                self.shared.producers_done();
            }
        }
        if seat.next != next {
            if let Some(before) = std::mem::replace(&mut seat.next, next) {
                self.deadlines.remove(&(before, party));
            }
            self.deadlines.extend(next.map(|next| (next, party)));
        }
    }

    fn due(&mut self, party: PartyId, now: Nanos) -> Result<(), Error> {
        if self.seats[party as usize].done {
            return Ok(());
        }
        let (called, mut context) = self.call(party, now);
        let next = called.due(&mut context)?;
        self.schedule(party, next);
        Ok(())
    }

    /// Calls the parties whose deadline has passed, and those that waited for a buffer which is free now.
    fn call_due(&mut self, now: Nanos) -> Result<(), Error> {
        self.out.now = now;
        // Sockets have their turn even if a party always asks for more.
        for _ in 0..self.seats.len() {
            let Some(&(deadline, party)) = self.deadlines.first() else { break };
            if deadline > now || (now.0 == 0 && self.setup.epoch().is_ahead()) {
                break;
            }
            self.deadlines.pop_first();
            self.seats[party as usize].next = None;
            self.due(party, now)?;
        }
        while self.out.buffers.has_more()
            && let Some(party) = self.out.short_of_buffers.next()
        {
            self.due(party, now)?;
        }
        Ok(())
    }

    /// Takes what has arrived on a connection to the parties that asked for it.
    fn receive(&mut self, connection: ConnectionId) -> Result<(), Error> {
        for _ in 0..RECEIVES_MAX {
            let link = &mut self.connections[connection as usize];
            let more = link.receive(&mut self.spares);
            let more = more.map_err(|error| broken(&self.setup, &self.connections[connection as usize], error))?;
            let now = self.setup.epoch().now();
            loop {
                let next = self.connections[connection as usize].next_answer();
                let next = next.map_err(|error| broken(&self.setup, &self.connections[connection as usize], error))?;
                let Some((request, range)) = next else { break };
                self.out.now = now;
                self.out.windows.leave(connection, now);
                let Books { interval, measured, ledger, received } = &mut self.books;
                let me = request.party;
                let mut context = Context { now, me, out: &mut self.out, interval, measured, ledger, received };
                let frame = self.connections[connection as usize].bytes(range);
                let answer = Answer { token: request.token, sent: request.sent, frame };
                let next = self.seats[me as usize].party.answered(answer, &mut context)?;
                self.schedule(me, next);
                self.call_waiting(connection, now)?;
            }
            if !more {
                break;
            }
        }
        Ok(())
    }

    /// Calls the parties that wait for room on a connection, while it has any.
    fn call_waiting(&mut self, connection: ConnectionId, now: Nanos) -> Result<(), Error> {
        while let Some(party) = self.out.windows.room_for(connection) {
            self.due(party, now)?;
        }
        Ok(())
    }

    /// Gives what was queued to the connections, and writes.
    fn write(&mut self) -> Result<(), Error> {
        self.out.take_queued(&mut self.queued);
        for (connection, frame) in self.queued.drain(..) {
            self.connections[connection as usize].push(frame);
            if self.unwritten.last() != Some(&connection) {
                self.unwritten.push(connection);
            }
        }
        let mut written = std::mem::take(&mut self.unwritten);
        for connection in written.drain(..) {
            self.flush(connection)?;
        }
        written.append(&mut self.unwritten);
        self.unwritten = written;
        Ok(())
    }

    fn flush(&mut self, connection: ConnectionId) -> Result<(), Error> {
        let link = &mut self.connections[connection as usize];
        if !link.has_unwritten() && !link.waits_for_room {
            return Ok(());
        }
        let epoch = self.setup.epoch();
        let flushed = link.flush(&mut self.out, || epoch.now());
        flushed.map_err(|error| broken(&self.setup, &self.connections[connection as usize], error.into()))?;
        let link = &mut self.connections[connection as usize];
        if link.has_unwritten() != link.waits_for_room {
            link.waits_for_room = link.has_unwritten();
            let watched = self.poll.watch_room(connection, &link.stream, link.waits_for_room);
            watched.map_err(|source| io_error("watch a connection", source))?;
        }
        if self.connections[connection as usize].unanswered.is_empty() {
            return Ok(());
        }
        // Where no answer comes, a request is over when it has been written.
        let now = epoch.now();
        for request in std::mem::take(&mut self.connections[connection as usize].unanswered) {
            self.out.now = now;
            self.out.windows.leave(connection, now);
            let (party, mut context) = self.call(request.party, now);
            let answer = Answer { token: request.token, sent: request.sent, frame: &[] };
            let next = party.answered(answer, &mut context)?;
            self.schedule(request.party, next);
            self.call_waiting(connection, now)?;
        }
        Ok(())
    }

    /// Fails if a broker has owed something for too long.
    fn check_answers(&self, now: Nanos) -> Result<(), Error> {
        for link in &self.connections {
            let owed_ns = link.owed_since().map_or(0, |since| now.0.saturating_sub(since.0));
            if u128::from(owed_ns) > link.patience.as_nanos() {
                let (server, seconds) = (link.server.clone(), link.patience.as_secs());
                return Err(Error::NoAnswer { server, api: link.api.to_owned(), seconds });
            }
        }
        Ok(())
    }

    /// Hands over what was counted, unless the collector is behind: then counting goes on in the same interval.
    fn tell(&mut self, now: Nanos) {
        let second = self.report.next_second;
        self.report.next_second = now.0 / SECOND_NS + 1;
        self.report.full_ns += self.out.windows.take_full_ns(now);
        let spare = self.report.spare.take().or_else(|| self.returned.try_recv().ok());
        let Some(spare) = spare else { return };
        let interval = self.interval(second - 1, spare);
        match self.sender.try_send(interval) {
            Ok(()) => {
                self.report.told = self.report.clock.read();
                self.report.full_ns = 0;
            }
            Err(TrySendError::Full(interval) | TrySendError::Disconnected(interval)) => {
                self.report.spare = Some(std::mem::replace(&mut self.books.interval, interval.tally));
            }
        }
    }

    /// Hands over the last interval, even if the collector has to be waited for.
    fn tell_last(&mut self, now: Nanos) {
        self.report.full_ns += self.out.windows.take_full_ns(now);
        let interval = self.interval((now.0 / SECOND_NS).max(self.report.next_second - 1), Tally::default());
        // The collector may be gone: then nobody wants to know.
        let _ = self.sender.send(interval);
    }

    fn interval(&mut self, second: u64, next: Tally) -> Interval {
        self.books.interval.in_flight = self.out.windows.under_way();
        let cpu = self.report.clock.read();
        Interval {
            thread: self.number,
            second: second as u32,
            tally: std::mem::replace(&mut self.books.interval, next),
            busy_ns: cpu.busy_ns - self.report.told.busy_ns,
            waited_ns: cpu.waited_ns - self.report.told.waited_ns,
            full_ns: self.report.full_ns,
        }
    }
}

fn io_error(what: &str, source: std::io::Error) -> Error {
    Error::Io { what: what.to_owned(), source }
}

fn broken(setup: &Setup, connection: &Connection, error: Broken) -> Error {
    let server = connection.server.clone();
    match error {
        Broken::Io(error) => {
            let seconds = setup.epoch().now().0 as f64 / SECOND_NS as f64;
            Error::Lost { server, seconds, reason: plain(&error) }
        }
        error => Error::NotKafka { server, reason: error.to_string() },
    }
}
