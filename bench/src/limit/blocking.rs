//! One thread over blocking sockets and files.
