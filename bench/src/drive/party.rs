//! What a thread runs: something that sends requests when its time has come, and takes their answers.

use super::{Outbox, PartyId, Tally};
use crate::Error;
use crate::clock::Nanos;
use crate::verify::{Ledger, Received};

pub(crate) trait Party {
    /// Its time has come, or the run begins. Says when it wants to be called next; `None`: only by an answer.
    fn due(&mut self, context: &mut Context) -> Result<Option<Nanos>, Error>;
    /// A whole answer, from its correlation id on; an empty one for a request that gets no answer and has been written.
    /// Says the same.
    fn answered(&mut self, answer: Answer, context: &mut Context) -> Result<Option<Nanos>, Error>;
    /// The connection is gone; what it had under way is in doubt.
    fn lost(&mut self, context: &mut Context);
    fn is_done(&self) -> bool;
}

pub(crate) struct Answer<'a> {
    /// Of the request.
    pub token: u64,
    /// When the request's first byte was handed to the kernel.
    pub sent: Nanos,
    pub frame: &'a [u8],
}

/// What is counted goes to `interval`, and after the warm-up to `measured` too.
pub(crate) struct Context<'a> {
    pub now: Nanos,
    pub me: PartyId,
    pub out: &'a mut Outbox,
    pub interval: &'a mut Tally,
    pub measured: &'a mut Tally,
    pub ledger: &'a mut Ledger,
    pub received: &'a mut Received,
}
