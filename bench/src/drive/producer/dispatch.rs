//! From filled batches to a request on its way: compression, headers, sequences, and what is kept until the answer.

use std::io;

use duramen_wire::batch::HEADER_LEN;

use super::{Filled, Producer, Request, Sent, plan_of};
use crate::Error;
use crate::batch::pool::Section;
use crate::batch::template::{Head, seal};
use crate::client::produce::{Part, write};
use crate::clock::Nanos;
use crate::drive::outbox::Frame;
use crate::drive::{ConnectionId, Context};

/// What follows i32::MAX in the sequence of a producer is 0.
const SEQUENCE_MASK: i64 = i32::MAX as i64;

/// A batch's header, and where it goes.
struct Headed {
    header: [u8; HEADER_LEN],
    route: usize,
}

impl Producer {
    /// Sends the batches, of different partitions, in one request over a connection that has room.
    pub(super) fn dispatch(
        &mut self,
        connection: ConnectionId,
        batches: &mut Vec<Filled>,
        context: &mut Context,
    ) -> Result<(), Error> {
        let token = self.free_request();
        let mut sections = context.out.list();
        let mut headed = Vec::with_capacity(batches.len());
        for filled in batches.drain(..) {
            let section = self.pressed(filled.section, context)?;
            let head = self.head(filled.route, filled.records, filled.first_due);
            let (header, crc) = seal(&head, section.bytes());
            sections.push((0, section));
            headed.push(Headed { header, route: filled.route });
            let Filled { route, records, payload_bytes, sequences, ready, timely, .. } = filled;
            let sent = Sent { route, crc, records, payload_bytes, sequences, ready, timely, acknowledged: false };
            self.requests[token].batches.push(sent);
        }
        let produce = plan_of(&self.setup);
        let timeout_ms = i32::try_from(produce.request_timeout.as_millis()).unwrap_or(i32::MAX);
        let part = |(headed, (_, section)): (&'_ Headed, &'_ (usize, Section))| {
            let target = &self.setup.targets[self.routes[headed.route].target as usize];
            (target, section.bytes().len())
        };
        let places: Vec<_> = headed.iter().zip(&sections).map(part).collect();
        let parts: Vec<_> = places
            .iter()
            .zip(&headed)
            .map(|((target, section_len), headed)| Part {
                topic: &target.topic,
                partition: target.partition,
                header: &headed.header,
                section_len: *section_len,
            })
            .collect();
        let mut head = context.out.buffer();
        let mut cuts = Vec::with_capacity(parts.len());
        write(&mut head, self.setup.produce_version, produce.acks, timeout_ms, &parts, |at| cuts.push(at));
        cuts.into_iter().zip(&mut sections).for_each(|(at, section)| section.0 = at);
        let frame = Frame { head, sections, party: context.me, token: token as u64, answered: produce.acks != 0 };
        context.out.queue(connection, frame);
        Ok(())
    }

    fn free_request(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.requests.push(Request::default());
            self.requests.len() - 1
        })
    }

    /// The header of a route's next batch. Each call takes the sequence on.
    fn head(&mut self, route: usize, records: u32, first_due: Nanos) -> Head {
        let identity = self.setup.producer_ids.get(self.number as usize);
        let base_sequence = &mut self.routes[route].base_sequence;
        let first = *base_sequence;
        *base_sequence = ((i64::from(first) + i64::from(records)) & SEQUENCE_MASK) as i32;
        let (producer_id, producer_epoch) = identity.copied().unwrap_or((-1, -1));
        Head {
            compression: self.workshop.press.borrow().compression(),
            records,
            timestamp: self.setup.epoch().wall_ms(first_due),
            producer_id,
            producer_epoch,
            base_sequence: if identity.is_some() { first } else { -1 },
        }
    }

    /// The section as it is sent.
    fn pressed(&self, section: Section, context: &mut Context) -> Result<Section, Error> {
        let Section::Filled(buffer) = section else { return Ok(section) };
        let compressed = self.workshop.press.borrow_mut().compress(buffer.section()).map_err(cannot_compress)?;
        let Some(compressed) = compressed else { return Ok(Section::Filled(buffer)) };
        context.out.buffers.give_back(buffer);
        count_compressed(context);
        Ok(Section::Compressed(compressed))
    }

    /// A section of the next template from the cache, or compressed now.
    pub(super) fn kept_section(&mut self, records: u32, context: &mut Context) -> Result<Section, Error> {
        let kept = self.workshop.press.borrow_mut().kept(&self.workshop.shape, records);
        let (section, made) = kept.map_err(cannot_compress)?;
        if made {
            count_compressed(context);
        }
        Ok(Section::Kept(section))
    }
}

fn count_compressed(context: &mut Context) {
    context.interval.compressed_in_line += 1;
    context.measured.compressed_in_line += 1;
}

fn cannot_compress(source: io::Error) -> Error {
    Error::Io { what: "compress a batch".to_owned(), source }
}
