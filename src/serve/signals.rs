//! SIGTERM and SIGINT: the first asks for a clean end, the second ends at once.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use crate::runtime::net::Socket;
use crate::shard::Shard;

/// What a shell sees of a process that was ended by a signal: 128 and the signal's number.
const SIGNALLED: i32 = 128;

/// Ends the watch when dropped.
pub struct Watch(Handle);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Starts a thread that turns the first signal into a byte on the stream.
pub fn watch() -> io::Result<(Watch, UnixStream)> {
    let (mut here, there) = UnixStream::pair()?;
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let handle = signals.handle();
    thread::Builder::new().name("signals".into()).spawn(move || {
        let mut asked = false;
        for signal in signals.forever() {
            if asked {
                tracing::warn!("asked again to stop: ending at once");
                std::process::exit(SIGNALLED + signal);
            }
            asked = true;
            // If nobody reads, the broker is ending already.
            let _ = here.write_all(b"s");
        }
    })?;
    Ok((Watch(handle), there))
}

/// Waits for the first signal.
pub async fn wait(shard: &Rc<Shard>, requests: UnixStream) {
    match Socket::new(&shard.reactor, OwnedFd::from(requests)) {
        Ok(socket) => drop(socket.recv().await),
        Err(error) => tracing::error!(%error, "signals cannot be awaited: stopping"),
    }
}
