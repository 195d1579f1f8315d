//! Start on an empty directory, restart after a kill, and idle consumers.
