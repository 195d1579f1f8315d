//! Requests under way on connections that have a window, who waits for room in one, and the time in which none had room.

use std::collections::{HashSet, VecDeque};

use super::{ConnectionId, PartyId};
use crate::clock::Nanos;

/// Those who wait for something, each once, in the order of their asking.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    queue: VecDeque<PartyId>,
    listed: HashSet<PartyId>,
}

impl Waiting {
    pub(crate) fn add(&mut self, party: PartyId) {
        if self.listed.insert(party) {
            self.queue.push_back(party);
        }
    }

    pub(crate) fn next(&mut self) -> Option<PartyId> {
        let party = self.queue.pop_front()?;
        self.listed.remove(&party);
        Some(party)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// One connection's.
#[derive(Debug)]
struct Window {
    limit: u32,
    under_way: u32,
    waiting: Waiting,
    /// Since when there has been room.
    open_since: Nanos,
}

/// The windows of one thread.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    /// By connection; `None` where there is no window.
    windows: Vec<Option<Window>>,
    count: usize,
    full: usize,
    /// Since when all of them have been full.
    all_full_since: Option<Nanos>,
    all_full_ns: u64,
    under_way: u32,
}

impl Windows {
    /// Adds the window of the next connection.
    pub(crate) fn push(&mut self, limit: Option<u32>) {
        let window = |limit| Window { limit, under_way: 0, waiting: Waiting::default(), open_since: Nanos(0) };
        self.count += usize::from(limit.is_some());
        self.windows.push(limit.map(window));
    }

    pub(crate) fn has_room(&self, connection: ConnectionId) -> bool {
        self.windows[connection as usize].as_ref().is_none_or(|window| window.under_way < window.limit)
    }

    /// Since when the connection has had room, if it has.
    pub(crate) fn open_since(&self, connection: ConnectionId) -> Nanos {
        self.windows[connection as usize].as_ref().map_or(Nanos(0), |window| window.open_since)
    }

    /// A request was handed over.
    pub(crate) fn enter(&mut self, connection: ConnectionId, now: Nanos) {
        self.under_way += 1;
        let Some(window) = &mut self.windows[connection as usize] else { return };
        window.under_way += 1;
        assert!(window.under_way <= window.limit, "a party asks for room before it sends");
        if window.under_way == window.limit {
            self.full += 1;
            if self.full == self.count {
                self.all_full_since = Some(now);
            }
        }
    }

    /// A request was answered.
    pub(crate) fn leave(&mut self, connection: ConnectionId, now: Nanos) {
        self.under_way -= 1;
        let Some(window) = &mut self.windows[connection as usize] else { return };
        if window.under_way == window.limit {
            window.open_since = now;
            self.full -= 1;
            if let Some(since) = self.all_full_since.take() {
                self.all_full_ns += now.0.saturating_sub(since.0);
            }
        }
        window.under_way -= 1;
    }

    /// Lets a party wait until `room_for` names it.
    pub(crate) fn wait(&mut self, connection: ConnectionId, party: PartyId) {
        if let Some(window) = &mut self.windows[connection as usize] {
            window.waiting.add(party);
        }
    }

    /// Who waits for the connection longest, if it has room.
    pub(crate) fn room_for(&mut self, connection: ConnectionId) -> Option<PartyId> {
        if !self.has_room(connection) {
            return None;
        }
        self.windows[connection as usize].as_mut()?.waiting.next()
    }

    /// Requests under way on all connections.
    pub(crate) fn under_way(&self) -> u32 {
        self.under_way
    }

    /// For how long all windows were full, since the last call.
    pub(crate) fn take_full_ns(&mut self, now: Nanos) -> u64 {
        if let Some(since) = &mut self.all_full_since {
            self.all_full_ns += now.0.saturating_sub(since.0);
            *since = now;
        }
        std::mem::take(&mut self.all_full_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_only_while_all_are_full() {
        let mut windows = Windows::default();
        [Some(1), None, Some(2)].into_iter().for_each(|limit| windows.push(limit));
        windows.enter(0, Nanos(10));
        windows.enter(2, Nanos(20));
        windows.enter(1, Nanos(25));
        assert!(!windows.has_room(0) && windows.has_room(1) && windows.has_room(2));
        windows.enter(2, Nanos(30));
        assert_eq!((windows.under_way(), windows.take_full_ns(Nanos(50))), (4, 20));
        windows.leave(2, Nanos(70));
        windows.leave(0, Nanos(90));
        assert_eq!((windows.take_full_ns(Nanos(100)), windows.take_full_ns(Nanos(200))), (20, 0));
        assert_eq!((windows.open_since(2), windows.open_since(0)), (Nanos(70), Nanos(90)));
    }

    #[test]
    fn who_waits_longest_is_first_and_waits_once() {
        let mut windows = Windows::default();
        windows.push(Some(1));
        windows.enter(0, Nanos(0));
        [7, 8, 7].into_iter().for_each(|party| windows.wait(0, party));
        assert_eq!(windows.room_for(0), None);
        windows.leave(0, Nanos(1));
        assert_eq!((windows.room_for(0), windows.room_for(0), windows.room_for(0)), (Some(7), Some(8), None));
    }

    #[test]
    #[should_panic(expected = "asks for room")]
    fn nobody_sends_without_room() {
        let mut windows = Windows::default();
        windows.push(Some(1));
        windows.enter(0, Nanos(0));
        windows.enter(0, Nanos(0));
    }
}
