//! Requests under way on a connection, and the time in which no more could be.
