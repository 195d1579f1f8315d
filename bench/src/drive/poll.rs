//! Readiness of sockets by epoll, with timeouts in nanoseconds.
