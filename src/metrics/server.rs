//! The HTTP server of /metrics and /readyz, on shard 0. One request per connection, a few connections at once, and each
//! within a bound of time and bytes; it shares nothing with clients of the broker.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::http::{self, Head, Status};
use super::{gather, page, text};
use crate::runtime::TaskClass;
use crate::runtime::net::{Bound, Listener, Socket};
use crate::shard::Shard;

/// Connections that are served at the same time; further ones are closed at once.
const CONNECTIONS_MAX: usize = 16;
/// How long a connection may take, from its first byte to its last.
const EXCHANGE_MAX: Duration = Duration::from_secs(10);
/// How long a listener waits after an error, such as too many open files.
const RETRY: Duration = Duration::from_millis(100);
const PLAIN: &str = "text/plain; charset=utf-8";

/// How far the broker is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    Starting,
    Ready,
    Stopping,
}

/// Begins to serve; it goes on until the shard ends.
pub fn serve(shard: &Rc<Shard>, listeners: Vec<Bound>, phase: &Rc<Cell<Phase>>) {
    let open = Rc::new(Cell::new(0));
    for bound in listeners {
        let listener = Listener::new(&shard.reactor, bound);
        let task = accept(shard.clone(), listener, phase.clone(), open.clone());
        shard.reactor.spawn(TaskClass::Serve, task).detach();
    }
}

async fn accept(shard: Rc<Shard>, listener: Listener, phase: Rc<Cell<Phase>>, open: Rc<Cell<usize>>) {
    loop {
        let Ok((fd, _peer)) = listener.accept().await else {
            shard.reactor.sleep(RETRY).await;
            continue;
        };
        if open.get() >= CONNECTIONS_MAX {
            continue;
        }
        let place = Place::take(&open);
        let (here, phase) = (shard.clone(), phase.clone());
        let served = async move {
            let deadline = Instant::now() + EXCHANGE_MAX;
            // Who asks and does not listen, or is too slow, gets no answer; nobody else needs to know.
            let _ended = here.reactor.timeout_at(deadline, exchange(&here, fd, &phase)).await;
            drop(place);
        };
        shard.reactor.spawn(TaskClass::Serve, served).detach();
    }
}

/// One of the bounded number of connections.
struct Place(Rc<Cell<usize>>);

impl Place {
    fn take(open: &Rc<Cell<usize>>) -> Self {
        open.set(open.get() + 1);
        Self(open.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

async fn exchange(shard: &Rc<Shard>, fd: OwnedFd, phase: &Cell<Phase>) -> io::Result<()> {
    let socket = Socket::new(&shard.reactor, fd)?;
    let mut received = Vec::new();
    let head = loop {
        let more = socket.recv().await?;
        if more.is_empty() {
            return Ok(());
        }
        received.extend_from_slice(&more);
        match http::parse(&received) {
            Head::Partial => {}
            whole => break whole,
        }
    };
    let (status, content_type, body) = answer(shard, head, phase.get()).await;
    let head = http::response_head(status, content_type, body.len());
    socket.send(&[IoSlice::new(head.as_bytes()), IoSlice::new(body.as_bytes())]).await?;
    socket.shutdown();
    Ok(())
}

async fn answer(shard: &Rc<Shard>, head: Head, phase: Phase) -> (Status, &'static str, String) {
    let path = match head {
        Head::Get(path) => path,
        Head::Refused(status) => return (status, PLAIN, "GET /metrics or /readyz\n".into()),
        Head::Partial => return (Status::BadRequest, PLAIN, String::new()),
    };
    match (path.as_str(), phase) {
        ("/readyz", Phase::Ready) => (Status::Ok, PLAIN, "ready\n".into()),
        ("/readyz" | "/metrics", Phase::Starting) => (Status::Unavailable, PLAIN, "starting\n".into()),
        ("/readyz" | "/metrics", Phase::Stopping) => (Status::Unavailable, PLAIN, "stopping\n".into()),
        ("/metrics", Phase::Ready) => {
            let report = gather::all(shard).await;
            (Status::Ok, text::CONTENT_TYPE, page::write(&report, &shard.reactor).await)
        }
        _ => (Status::NotFound, PLAIN, "there is /metrics and /readyz\n".into()),
    }
}
