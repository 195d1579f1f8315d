//! Records go where there is room: a batch is filled when it is sent, for the next partition in turn.

use super::{Filled, Producer, Sequences};
use crate::Error;
use crate::batch::pool::Section;
use crate::batch::stamp::Stamp;
use crate::clock::Nanos;
use crate::drive::Context;

/// What there is to send.
enum Offer {
    /// Nothing before then, if ever.
    Later(Option<Nanos>),
    /// So many records, which were ready then.
    Batch { records: u32, ready: Nanos },
}

impl Producer {
    /// Sends all batches that are ready and have room. Says when the next one will be ready.
    pub(super) fn send_sticky(&mut self, context: &mut Context) -> Result<Option<Nanos>, Error> {
        let batches_max = self.plan().batches_per_request.max(1) as usize;
        loop {
            let (mut records, mut ready) = match self.offer(context.now) {
                Offer::Later(next) => return Ok(next),
                Offer::Batch { records, ready } => (records, ready),
            };
            let Some(mut route) = self.route_with_room(context) else {
                self.block(context.now);
                return Ok(None);
            };
            if !self.has_section(context) {
                context.out.short_of_buffers.add(context.me);
                self.block(context.now);
                return Ok(None);
            }
            let connection = self.routes[route].connection;
            let mut batches = std::mem::take(&mut self.batches);
            while let Some(filled) = self.fill(route, records, ready, context)? {
                batches.push(filled);
                route += 1;
                let goes_on = self.routes.get(route).is_some_and(|next| next.connection == connection);
                match self.offer(context.now) {
                    Offer::Batch { records: more, ready: since } if goes_on && batches.len() < batches_max => {
                        (records, ready) = (more, since);
                    }
                    _ => break,
                }
            }
            self.turn = route % self.routes.len();
            self.unblock(context);
            self.dispatch(connection, &mut batches, context)?;
            self.batches = batches;
        }
    }

    fn offer(&self, now: Nanos) -> Offer {
        let available = self.pacer.available(self.sequence, now);
        let linger = self.plan().linger.as_nanos() as u64;
        if available == 0 {
            let next = self.pacer.due(self.sequence, now);
            let is_over = self.pacer.is_over(self.sequence, now);
            // The first record alone can be a full batch.
            let alone = || self.workshop.shape.full_from(self.number, self.sequence) == 1;
            return Offer::Later((!is_over).then(|| if alone() { next } else { self.full_or_lingered(next, linger) }));
        }
        let full = self.workshop.shape.full_from(self.number, self.sequence);
        let records = available.min(u64::from(full)) as u32;
        if !self.pacer.is_open() {
            return Offer::Batch { records, ready: now };
        }
        let ready = self.full_or_lingered(self.pacer.due(self.sequence, now), linger);
        if ready > now { Offer::Later(Some(ready)) } else { Offer::Batch { records, ready } }
    }

    /// When the batch that begins with the next record, due at `first`, is full or its linger over.
    fn full_or_lingered(&self, first: Nanos, linger: u64) -> Nanos {
        let full = self.workshop.shape.full_from(self.number, self.sequence);
        let last = self.sequence + u64::from(full) - 1;
        Nanos(self.pacer.due(last, first).0.min(first.0.saturating_add(linger)))
    }

    /// The next route in turn whose connection has room. If none has, all of them will call.
    fn route_with_room(&mut self, context: &mut Context) -> Option<usize> {
        let count = self.routes.len();
        let mut last_full = None;
        for step in 0..count {
            let route = (self.turn + step) % count;
            let connection = self.routes[route].connection;
            if last_full == Some(connection) {
                continue;
            }
            if context.out.windows.has_room(connection) {
                return Some(route);
            }
            last_full = Some(connection);
            context.out.windows.wait(connection, context.me);
        }
        None
    }

    fn has_section(&self, context: &Context) -> bool {
        self.workshop.press.borrow().keeps() || context.out.buffers.has_more()
    }

    /// Fills a batch with the next records; `None` if there is no buffer for it.
    fn fill(
        &mut self,
        route: usize,
        records: u32,
        ready: Nanos,
        context: &mut Context,
    ) -> Result<Option<Filled>, Error> {
        let (first, first_due) = (self.sequence, self.pacer.due(self.sequence, context.now));
        let connection = self.routes[route].connection;
        let timely = self.blocked_since.is_none()
            && self.blocked_until <= ready
            && context.out.windows.open_since(connection) <= ready;
        let (section, payload_bytes) = if self.workshop.press.borrow().keeps() {
            let section = self.kept_section(records, context)?;
            (section, self.workshop.shape.prefix_payload_bytes(records))
        } else {
            let Some(mut buffer) = context.out.section_buffer(&self.workshop.shape) else { return Ok(None) };
            for sequence in first..first + u64::from(records) {
                let due = self.pacer.due(sequence, context.now);
                let stamp = Stamp { run: self.setup.run, producer: self.number, sequence, due };
                self.workshop.shape.push(&mut buffer, stamp, None);
            }
            let payload_bytes = buffer.payload_bytes();
            (Section::Filled(buffer), payload_bytes)
        };
        self.sequence += u64::from(records);
        let sequences = Sequences { first, distances: None };
        Ok(Some(Filled { route, section, records, payload_bytes, sequences, first_due, ready, timely }))
    }
}
