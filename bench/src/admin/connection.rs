//! A blocking connection: one request, its answer, within a time.
