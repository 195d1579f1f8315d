//! One thread: sockets, deadlines and parties, and what it counts each second.
