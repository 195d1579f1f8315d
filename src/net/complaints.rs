//! Log lines about clients, bounded in rate: a client can cause as many errors as it likes, but not fill a disk.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Lines in one period.
const LINES_MAX: u32 = 20;
const PERIOD: Duration = Duration::from_secs(10);

/// The lines of one shard.
pub struct Complaints {
    since: Cell<Instant>,
    said: Cell<u32>,
    left_out: Cell<u64>,
}

impl Default for Complaints {
    fn default() -> Self {
        Self { since: Cell::new(Instant::now()), said: Cell::new(0), left_out: Cell::new(0) }
    }
}

impl Complaints {
    /// Writes a line by `say`, unless there were too many lately.
    pub fn say(&self, say: impl FnOnce()) {
        if self.since.get().elapsed() >= PERIOD {
            self.since.set(Instant::now());
            self.said.set(0);
            let left_out = self.left_out.replace(0);
            if left_out > 0 {
                tracing::warn!(left_out, "lines about clients were left out");
            }
        }
        match self.said.get() {
            said if said < LINES_MAX => {
                self.said.set(said + 1);
                say();
            }
            _ => self.left_out.set(self.left_out.get() + 1),
        }
    }
}
