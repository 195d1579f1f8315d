//! ^C, SIGTERM and SIGHUP: the first asks for an orderly end, the second ends the process and its children at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::children;

const SIGNALS: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// Tells whether a signal asked for the end. Clones share the answer.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicUsize>);

impl Stop {
    /// Takes over these signals for the rest of the process.
    pub fn on_signals() -> io::Result<Stop> {
        let stop = Stop::default();
        for signal in SIGNALS {
            let number = usize::try_from(signal).expect("signals have positive numbers");
            flag::register_usize(signal, Arc::clone(&stop.0), number)?;
        }
        let mut signals = Signals::new(SIGNALS)?;
        thread::Builder::new().name("bench-signals".to_owned()).spawn(move || {
            if let Some(second) = signals.forever().nth(1) {
                children::kill_all();
                low_level::exit(128 + second);
            }
        })?;
        Ok(stop)
    }

    /// Asks for an orderly end, as the signal of this number does.
    pub fn ask(&self, signal: u8) {
        self.0.store(usize::from(signal), Ordering::Relaxed);
    }

    /// The number of the signal that came, if one did.
    pub fn signal(&self) -> Option<u8> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(u8::try_from(signal).unwrap_or(u8::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_is_remembered_and_does_not_kill() {
        let stop = Stop::on_signals().unwrap();
        assert_eq!(stop.signal(), None);
        signal_hook::low_level::raise(SIGINT).unwrap();
        assert_eq!(stop.clone().signal(), Some(2));
    }
}
