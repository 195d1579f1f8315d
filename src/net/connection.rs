//! One client connection: two tasks of its shard, a reader that turns bytes into exchanges and a writer that sends the
//! answers in the order of the requests.
//!
//! Produce and Fetch overlap. Every other request is a barrier: it starts when all answers before it have been sent to
//! the writer, and nothing starts until it is answered. What one connection can have under way is bounded in number.

mod presence;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use duramen_wire::api::ApiKey;
use duramen_wire::header::RequestHeader;
use duramen_wire::ids::ShardId;

use super::follow::{Arrival, BUSY_MAX, Departure, Following};
use super::input::{Cells, Input, Leftover, Next};
use crate::api::exchange::{Exchange, Fate};
use crate::api::fetch::Phase;
use crate::api::{self, Context};
use crate::runtime::TaskClass;
use crate::runtime::net::{Detached, Socket};
use crate::shard::Client;
use crate::shard::message::{AppendBatch, ReadBatch, ReplyTo, Request};
use crate::shard::notify::Notify;

/// Requests of one connection that may be under way.
pub const EXCHANGES_MAX: usize = 64;
/// Answers that are sent together, at most.
const GATHERED_MAX: usize = 16;
/// Exchanges that a quiet connection keeps for later; a busy one keeps as many as it has had under way.
const SPARE_EXCHANGES_MAX: usize = 4;

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Input(#[from] super::input::Error),
    #[error("a request header cannot be read: {0}")]
    Header(#[from] duramen_wire::header::Error),
    #[error("a {api} request, version {version}, cannot be read: {reason}")]
    Unreadable { api: &'static str, version: i16, reason: String },
    #[error("{api} version {version} is not offered")]
    Version { api: &'static str, version: i16 },
    #[error("{0}")]
    Closed(String),
    #[error("sending: {0}")]
    Send(io::Error),
}

/// The boxes of one request, while they are sent.
#[derive(Default)]
struct Outbox {
    appends: Vec<Box<AppendBatch>>,
    reads: Vec<Box<ReadBatch>>,
}

/// A connection, shared by its two tasks and its shard.
pub struct Connection {
    context: Context,
    socket: Socket,
    pub peer: SocketAddr,
    key: Cell<usize>,
    exchanges: RefCell<VecDeque<Box<Exchange>>>,
    /// Answered ones that are being sent, no longer among `exchanges`.
    sending: Cell<usize>,
    spare: RefCell<Vec<Box<Exchange>>>,
    /// The most exchanges that were under way at a time since the connection was last found quiet.
    busiest: Cell<usize>,
    cells: Rc<Cells>,
    /// Lists of boxes on their way out; empty between two requests.
    outbox: RefCell<Outbox>,
    /// For the writer: the first exchange is answered, or messages are to be sent again.
    news: Notify,
    /// For the reader: an exchange is over.
    room: Notify,
    reader_done: Cell<bool>,
    draining: Cell<bool>,
    /// A request that is a barrier is being served.
    serving: Cell<bool>,
    last_active: Cell<Instant>,
    /// The wake-up of the shard that brought the last request.
    last_wakeup: Cell<u64>,
    failure: RefCell<Option<Error>>,
    /// The fetch session that the client used last; 0 if none.
    session: Cell<i32>,
    following: RefCell<Following>,
    /// Where the connection goes when its tasks are over, unless it ends.
    departure: RefCell<Option<Departure>>,
}

impl Connection {
    /// Starts to serve a connection, with what was received of it elsewhere. `ended` is called once both tasks are over.
    pub fn start(
        context: Context,
        socket: Socket,
        peer: SocketAddr,
        leftover: Leftover,
        ended: impl FnOnce(&Connection) + 'static,
    ) -> Rc<Self> {
        let shard = context.shard.clone();
        let connection = Rc::new(Self {
            context,
            socket,
            peer,
            key: Cell::new(usize::MAX),
            exchanges: RefCell::default(),
            sending: Cell::new(0),
            spare: RefCell::default(),
            busiest: Cell::new(SPARE_EXCHANGES_MAX),
            cells: Rc::default(),
            outbox: RefCell::default(),
            news: Notify::default(),
            room: Notify::default(),
            reader_done: Cell::new(false),
            draining: Cell::new(false),
            serving: Cell::new(false),
            last_active: Cell::new(Instant::now()),
            last_wakeup: Cell::new(0),
            failure: RefCell::default(),
            session: Cell::new(0),
            following: RefCell::new(Following::new(Instant::now())),
            departure: RefCell::default(),
        });
        connection.key.set(shard.add_client(connection.clone()));
        let reader = connection.clone();
        shard.reactor.spawn(TaskClass::Serve, async move {
            if let Err(error) = reader.read_requests(leftover).await {
                reader.fail(error);
            }
            reader.reader_done.set(true);
            reader.news.raise();
        });
        let writer = connection.clone();
        shard.clone().reactor.spawn(TaskClass::Serve, async move {
            if let Err(error) = writer.write_responses().await {
                writer.fail(error);
            }
            if writer.departure.borrow().is_none() {
                writer.socket.shutdown();
            }
            writer.cancel_reads().await;
            while !writer.reader_done.get() {
                writer.news.wait().await;
            }
            shard.remove_client(writer.key.get());
            ended(&writer);
        });
        connection
    }

    /// Where the connection goes, if it was not closed.
    pub fn departure(&self) -> Option<Departure> {
        self.departure.take()
    }

    /// Why the connection ended, if it was not by the client's own wish.
    pub fn failure(&self) -> Option<String> {
        self.failure.borrow().as_ref().filter(|error| !error.is_ordinary()).map(ToString::to_string)
    }

    fn fail(&self, error: Error) {
        let mut failure = self.failure.borrow_mut();
        if failure.is_none() {
            *failure = Some(error);
        }
        drop(failure);
        self.socket.shutdown();
        self.news.raise();
        self.room.raise();
    }

    fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    async fn read_requests(&self, leftover: Leftover) -> Result<(), Error> {
        let request_max = usize::try_from(self.context.config().socket_request_max_bytes).unwrap_or(0);
        let mut input = Input::new(self.context.gather_budget.clone(), self.cells.clone(), request_max);
        input.resume(leftover);
        loop {
            if self.under_way() >= EXCHANGES_MAX {
                self.unless_gone(self.wait_until(|exchanges| exchanges < EXCHANGES_MAX)).await?;
            }
            if self.has_failed() || (self.draining.get() && input.is_empty()) {
                return Ok(());
            }
            if let Some((to, moved)) = self.leave().await? {
                let leftover = input.into_leftover(moved.unread);
                let session = self.context.sessions.borrow_mut().depart(self.session.get());
                let session = session.map(|session| (self.session.get(), session));
                let arrival =
                    Arrival { fd: moved.fd, peer: self.peer, listener: self.context.listener, leftover, session };
                *self.departure.borrow_mut() = Some(Departure { to, arrival });
                return Ok(());
            }
            let mut exchange = self.spare.borrow_mut().pop().unwrap_or_else(Exchange::new);
            exchange.reset();
            self.own_request(&mut exchange);
            let reactor = &self.context.shard.reactor;
            let request = Arc::get_mut(&mut exchange.request).expect("the request was just made the exchange's own");
            match input.next(reactor, &self.socket, request).await? {
                Next::Request(reserved) => exchange.reserved = reserved,
                Next::End => return self.outlive_half_close().await,
            }
            reactor.request_came(&self.last_wakeup);
            exchange.started = Instant::now();
            self.last_active.set(exchange.started);
            self.take(exchange).await?;
        }
    }

    /// Leaves this shard, if all that the client asks for lies on another one that has time for it.
    async fn leave(&self) -> Result<Option<(ShardId, Detached)>, Error> {
        let Some(to) = self.following.borrow_mut().due(Instant::now()) else { return Ok(None) };
        let per_shard = self.context.endpoints.listeners[self.context.listener].per_shard;
        if per_shard || self.context.shard.call(to, |shard| async move { shard.utilisation() }).await > BUSY_MAX {
            return Ok(None);
        }
        self.unless_gone(self.wait_until(|exchanges| exchanges == 0)).await?;
        if self.has_failed() || self.draining.get() {
            return Ok(None);
        }
        let detached = self.socket.detach().await.map_err(super::input::Error::Io)?;
        Ok(detached.map(|detached| (to, detached)))
    }

    /// Notes which shards a Produce or Fetch request goes to.
    fn note_owners(&self, mut owners: impl ExactSizeIterator<Item = ShardId>) {
        let sole = if owners.len() == 1 { owners.next() } else { None };
        self.following.borrow_mut().note(sole.filter(|owner| *owner != self.context.shard.id));
    }

    /// Gives a used exchange an empty request; a new one if somebody still holds the old.
    fn own_request(&self, exchange: &mut Exchange) {
        match Arc::get_mut(&mut exchange.request) {
            Some(request) => self.cells.clear(request),
            None => exchange.request = Arc::default(),
        }
    }

    /// Exchanges whose answers have not been sent.
    fn under_way(&self) -> usize {
        self.exchanges.borrow().len() + self.sending.get()
    }

    async fn wait_until(&self, enough: impl Fn(usize) -> bool) {
        while !enough(self.under_way()) && !self.has_failed() {
            self.room.wait().await;
        }
    }

    async fn take(&self, mut exchange: Box<Exchange>) -> Result<(), Error> {
        let header = exchange.request.with(RequestHeader::parse)?;
        exchange.id = self.context.shard.next_exchange();
        exchange.api = header.api;
        exchange.version = header.version;
        exchange.correlation_id = header.correlation_id;
        exchange.body = header.body;
        if !header.is_supported() && header.api != ApiKey::ApiVersions {
            return Err(Error::Version { api: header.api.name(), version: header.version });
        }
        let reply_to = self.reply_to(&exchange);
        match header.api {
            ApiKey::Produce => {
                api::produce::begin(&self.context, &mut exchange, reply_to, header.client_id.as_ref())
                    .map_err(|error| unreadable(&exchange, error))?;
                self.send_appends(exchange).await;
            }
            ApiKey::Fetch => {
                api::fetch::begin(&self.context, &mut exchange, reply_to)
                    .map_err(|error| unreadable(&exchange, error))?;
                // It may wait for long, and nobody reads the request again.
                self.own_request(&mut exchange);
                exchange.reserved = None;
                self.send_reads(exchange).await;
            }
            _ => {
                self.unless_gone(self.wait_until(|exchanges| exchanges == 0)).await?;
                self.serving.set(true);
                let served = self.unless_gone(api::serve(&self.context, &mut exchange, &header, self.peer)).await;
                self.serving.set(false);
                let served = served?;
                served.map_err(|error| unreadable(&exchange, error))?;
                self.push(exchange);
            }
        }
        Ok(())
    }

    fn reply_to(&self, exchange: &Exchange) -> ReplyTo {
        ReplyTo { shard: self.context.shard.id, connection: self.key.get(), exchange: exchange.id }
    }

    async fn send_appends(&self, mut exchange: Box<Exchange>) {
        self.note_owners(exchange.appends.iter().map(|batch| batch.owner));
        exchange.away = exchange.appends.len();
        if exchange.away == 0 {
            api::produce::finish(&self.context, &mut exchange);
            return self.push(exchange);
        }
        let mut boxes = std::mem::take(&mut self.outbox.borrow_mut().appends);
        boxes.append(&mut exchange.appends);
        self.push(exchange);
        for batch in boxes.drain(..) {
            self.context.shard.send(batch.owner, Request::Append(batch)).await;
        }
        self.outbox.borrow_mut().appends = boxes;
    }

    async fn send_reads(&self, mut exchange: Box<Exchange>) {
        self.note_owners(exchange.reads.iter().map(|batch| batch.owner));
        exchange.away = exchange.reads.len();
        if exchange.away == 0 {
            api::fetch::finish(&self.context, &mut exchange);
            return self.push(exchange);
        }
        let mut boxes = std::mem::take(&mut self.outbox.borrow_mut().reads);
        boxes.append(&mut exchange.reads);
        self.push(exchange);
        for batch in boxes.drain(..) {
            self.context.shard.send(batch.owner, Request::Read(batch)).await;
        }
        self.outbox.borrow_mut().reads = boxes;
    }

    fn push(&self, exchange: Box<Exchange>) {
        let mut exchanges = self.exchanges.borrow_mut();
        exchanges.push_back(exchange);
        self.busiest.set(self.busiest.get().max(exchanges.len()));
        if exchanges.len() == 1 {
            self.news.raise();
        }
    }

    async fn write_responses(&self) -> Result<(), Error> {
        let mut answered = Vec::with_capacity(GATHERED_MAX);
        loop {
            self.resend_reads().await;
            let closing = self.take_answered(&mut answered);
            if answered.is_empty() && closing.is_none() {
                if self.has_failed() || (self.reader_done.get() && self.exchanges.borrow().is_empty()) {
                    return Ok(());
                }
                self.news.wait().await;
                continue;
            }
            self.sending.set(answered.len());
            let sent = super::output::send(&self.context, &self.socket, &answered).await;
            self.sending.set(0);
            sent.map_err(Error::Send)?;
            if let Some(reason) = closing {
                return Err(Error::Closed(reason));
            }
            let now = Instant::now();
            self.last_active.set(now);
            for exchange in answered.drain(..) {
                self.context.metrics.answered(exchange.api, now.saturating_duration_since(exchange.started));
                self.remember_session(&exchange);
                self.keep(exchange);
            }
            self.room.raise();
            self.end_if_drained();
        }
    }

    /// Asked to end, and everything is answered.
    fn end_if_drained(&self) {
        if self.draining.get() && self.under_way() == 0 && !self.serving.get() {
            self.socket.shutdown();
        }
    }

    /// Takes out the answered exchanges that are next, to be sent together. One whose answer is to close the connection
    /// is the last: then its reason is returned.
    fn take_answered(&self, answered: &mut Vec<Box<Exchange>>) -> Option<String> {
        let mut exchanges = self.exchanges.borrow_mut();
        while answered.len() < GATHERED_MAX
            && exchanges.front().is_some_and(|front| front.answered)
            && let Some(exchange) = exchanges.pop_front()
        {
            if let Fate::Close(reason) = &exchange.response.fate {
                return Some(reason.clone());
            }
            answered.push(exchange);
        }
        None
    }

    fn remember_session(&self, exchange: &Exchange) {
        if exchange.api == ApiKey::Fetch {
            self.session.set(exchange.fetch.session_id());
        }
    }

    fn keep(&self, mut exchange: Box<Exchange>) {
        let mut spare = self.spare.borrow_mut();
        exchange.reset();
        // A quiet connection holds no receive buffer.
        self.own_request(&mut exchange);
        // One more than are under way is in the reader's hands.
        if spare.len() <= self.busiest.get() {
            spare.push(exchange);
        }
    }

    /// Sends what fetches have to say to their shards in the middle of their wait.
    async fn resend_reads(&self) {
        while let Some(request) = self.next_resend() {
            let (owner, request) = request;
            self.context.shard.send(owner, request).await;
        }
    }

    fn next_resend(&self) -> Option<(ShardId, Request)> {
        let mut exchanges = self.exchanges.borrow_mut();
        let exchange = exchanges.iter_mut().find(|one| matches!(one.fetch.phase, Phase::ToWait | Phase::ToCancel))?;
        let reply_to = self.reply_to(exchange);
        exchange.next_message(reply_to)
    }

    /// Finds an exchange that is under way; a late answer to one that is over finds nothing.
    fn with_exchange(&self, id: u64, act: impl FnOnce(&mut Exchange)) {
        let mut exchanges = self.exchanges.borrow_mut();
        let Some(at) = exchanges.iter().position(|exchange| exchange.id == id) else { return };
        let exchange = &mut exchanges[at];
        exchange.away -= 1;
        act(exchange);
        let resend = matches!(exchange.fetch.phase, Phase::ToWait | Phase::ToCancel);
        if resend || (at == 0 && exchange.answered) {
            self.news.raise();
        }
    }
}

impl Client for Connection {
    fn appended(&self, batch: Box<AppendBatch>) {
        self.with_exchange(batch.reply_to.exchange, |exchange| {
            exchange.appends.push(batch);
            if exchange.away == 0 {
                api::produce::finish(&self.context, exchange);
            }
        });
    }

    fn read(&self, batch: Box<ReadBatch>) {
        self.with_exchange(batch.reply_to.exchange, |exchange| {
            exchange.reads.push(batch);
            api::fetch::advance(&self.context, exchange);
        });
    }

    fn drain(&self) {
        self.draining.set(true);
        self.end_if_drained();
        self.room.raise();
    }

    fn trim_if_quiet_since(&self, since: Instant) {
        if self.under_way() == 0 && self.last_active.get() < since {
            self.busiest.set(SPARE_EXCHANGES_MAX);
            let mut spare = self.spare.borrow_mut();
            spare.truncate(SPARE_EXCHANGES_MAX);
            spare.shrink_to_fit();
            self.cells.trim();
        }
    }

    fn close_if_idle_since(&self, since: Instant) {
        if self.under_way() == 0 && self.last_active.get() < since {
            self.fail(Error::Closed("idle for longer than connections.max.idle.ms".into()));
        }
    }
}

impl Error {
    /// Whether this is how connections usually end, of which nobody needs to be told.
    fn is_ordinary(&self) -> bool {
        let (Self::Input(super::input::Error::Io(error)) | Self::Send(error)) = self else { return false };
        matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
    }
}

fn unreadable(exchange: &Exchange, error: impl std::fmt::Display) -> Error {
    Error::Unreadable { api: exchange.api.name(), version: exchange.version, reason: error.to_string() }
}
