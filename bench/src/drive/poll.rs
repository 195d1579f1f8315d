//! Readiness of sockets by epoll, with timeouts in nanoseconds.

use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use super::ConnectionId;

/// Sockets that are told of at once; the others are told of at the next call.
const EVENTS_MAX: usize = 256;

/// A level-triggered epoll over the connections of one thread.
pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<Event>,
}

/// What can be done with a connection. An error or an end can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub connection: ConnectionId,
    pub readable: bool,
    pub writable: bool,
}

impl Poll {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)?, events: Vec::with_capacity(EVENTS_MAX) })
    }

    /// Tells of what arrives on a connection.
    pub(crate) fn add(&self, connection: ConnectionId, stream: &TcpStream) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, stream, data(connection), EventFlags::IN)?)
    }

    /// Whether to tell of room for writing too.
    pub(crate) fn watch_room(&self, connection: ConnectionId, stream: &TcpStream, watch: bool) -> io::Result<()> {
        let flags = if watch { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        Ok(epoll::modify(&self.epoll, stream, data(connection), flags)?)
    }

    /// Waits until something is ready, but no longer than the timeout; at 0 it only looks.
    pub(crate) fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        self.events.clear();
        let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
        let timeout = Timespec { tv_sec: seconds, tv_nsec: timeout.subsec_nanos().into() };
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// How many connections the last wait told of.
    pub(crate) fn count(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn ready(&self, at: usize) -> Ready {
        let (flags, data) = (self.events[at].flags, self.events[at].data);
        Ready {
            connection: data.u64() as ConnectionId,
            readable: flags.intersects(EventFlags::IN | EventFlags::ERR | EventFlags::HUP),
            writable: flags.contains(EventFlags::OUT),
        }
    }
}

fn data(connection: ConnectionId) -> EventData {
    EventData::new_u64(u64::from(connection))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;
    use std::time::Instant;

    #[test]
    fn it_tells_of_what_arrives_and_of_room() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut theirs, _) = listener.accept().unwrap();
        let mut poll = Poll::new().unwrap();
        poll.add(7, &ours).unwrap();
        poll.wait(Duration::ZERO).unwrap();
        assert_eq!(poll.count(), 0);
        poll.watch_room(7, &ours, true).unwrap();
        poll.wait(Duration::from_secs(10)).unwrap();
        assert_eq!(poll.ready(0), Ready { connection: 7, readable: false, writable: true });
        poll.watch_room(7, &ours, false).unwrap();
        theirs.write_all(b"x").unwrap();
        poll.wait(Duration::from_secs(10)).unwrap();
        assert_eq!((poll.count(), poll.ready(0)), (1, Ready { connection: 7, readable: true, writable: false }));
    }

    #[test]
    fn timeouts_are_finer_than_milliseconds() {
        let mut poll = Poll::new().unwrap();
        let asked = Duration::from_micros(200);
        let waited = || {
            let began = Instant::now();
            poll.wait(asked).unwrap();
            began.elapsed()
        };
        let shortest = std::iter::repeat_with(waited).take(50).min().unwrap();
        assert!(shortest >= asked && shortest < Duration::from_millis(1), "{shortest:?}");
    }
}
