//! Whether the client of a connection is still there, while the connection waits for something else.

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use duramen_wire::api::ApiKey;
use duramen_wire::ids::ShardId;

use super::{Connection, Error};
use crate::net::input;
use crate::shard::message::{ReplyTo, Request};

/// How often a connection whose client sends no more is looked at, whether the client is still there.
const HALF_CLOSED_LOOK: Duration = Duration::from_millis(500);

impl Connection {
    /// The output of `work`, unless the client goes away altogether meanwhile.
    pub(super) async fn unless_gone<F: Future>(&self, work: F) -> Result<F::Output, Error> {
        let (mut work, mut gone) = (pin!(work), pin!(self.gone()));
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => gone.as_mut().poll(context).map(|()| Err(connection_reset())),
        })
        .await
    }

    /// Ends when the client is gone. That it sends no more does not tell: it may still read, and is owed its answers.
    async fn gone(&self) {
        self.socket.ended().await;
        self.socket.keep_alive();
        while !self.socket.is_gone() {
            self.context.shard.reactor.sleep(HALF_CLOSED_LOOK).await;
        }
    }

    /// Waits until a client that sends no more has got its answers, or is gone too.
    pub(super) async fn outlive_half_close(&self) -> Result<(), Error> {
        self.unless_gone(self.wait_until(|exchanges| exchanges == 0)).await
    }

    /// Ends the waits of fetches that nobody is there for any more.
    pub(super) async fn cancel_reads(&self) {
        let waits: Vec<(ShardId, ReplyTo)> = {
            let exchanges = self.exchanges.borrow();
            let fetches = exchanges.iter().filter(|exchange| exchange.api == ApiKey::Fetch && !exchange.answered);
            fetches.flat_map(|fetch| fetch.fetch.owners().map(|owner| (owner, self.reply_to(fetch)))).collect()
        };
        for (owner, read) in waits {
            self.context.shard.send(owner, Request::CancelRead(read)).await;
        }
    }
}

fn connection_reset() -> Error {
    input::Error::from(io::Error::from(ErrorKind::ConnectionReset)).into()
}
