//! A line of tasks that wait for their turn, in the order of asking. It wakes nobody by itself: whoever owns it knows when
//! a turn has come, and wakes outside of its borrow or lock.

use std::collections::VecDeque;
use std::task::Waker;

/// Those who wait.
#[derive(Default)]
pub(super) struct Line {
    /// By ascending ticket.
    waiting: VecDeque<(u64, Waker)>,
    next_ticket: u64,
}

/// A task's place in a line, or none yet.
#[derive(Default)]
pub(super) struct Ticket(Option<u64>);

impl Ticket {
    pub fn has_place(&self) -> bool {
        self.0.is_some()
    }
}

impl Line {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether nobody comes before the holder of this ticket.
    pub fn is_first(&self, ticket: &Ticket) -> bool {
        self.waiting.front().map(|(first, _)| *first) == ticket.0
    }

    /// Takes the first out, whose turn it is; a ticket without a place changes nothing.
    pub fn take_turn(&mut self, ticket: &mut Ticket) {
        if ticket.0.take().is_some() {
            self.waiting.pop_front();
        }
    }

    /// Waits at the end of the line, or on where it is.
    pub fn wait(&mut self, ticket: &mut Ticket, waker: &Waker) {
        match ticket.0 {
            None => {
                ticket.0 = Some(self.next_ticket);
                self.waiting.push_back((self.next_ticket, waker.clone()));
                self.next_ticket += 1;
            }
            Some(number) => {
                let index = self.index_of(number);
                self.waiting[index].1.clone_from(waker);
            }
        }
    }

    /// Leaves the line; what has to be dropped outside of it, if there was a place.
    pub fn leave(&mut self, ticket: &mut Ticket) -> Option<Waker> {
        let index = self.index_of(ticket.0.take()?);
        self.waiting.remove(index).map(|(_, waker)| waker)
    }

    /// Who is to be woken when there is a turn.
    pub fn first(&self) -> Option<Waker> {
        self.waiting.front().map(|(_, waker)| waker.clone())
    }

    fn index_of(&self, number: u64) -> usize {
        self.waiting.partition_point(|(waiting, _)| *waiting < number)
    }
}
