//! TCP on a shard's ring. A connection is accepted on one shard, may be handed to another as a plain descriptor, and
//! becomes a [`Socket`] where it is served.

mod bind;
mod listener;
mod socket;

pub use bind::{Bound, SocketOptions, bind, is_not_offered};
pub use listener::Listener;
pub(super) use listener::ListenerCore;
pub(super) use socket::SocketCore;
pub use socket::{Detached, Socket};
