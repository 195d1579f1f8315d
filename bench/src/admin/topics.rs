//! Topics: found or made, their leaders awaited, deleted at the end.
