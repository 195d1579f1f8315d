//! Memory and the JVM, warmed before each run for every side alike.
