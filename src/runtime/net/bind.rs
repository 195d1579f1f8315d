//! Binding one address for many shards.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

/// How long an address that is in use is waited for. The kernel takes the rings of a killed process apart after its end,
/// and they hold its listening sockets until then: some milliseconds.
const RELEASE_MAX: Duration = Duration::from_secs(1);
const RELEASE_LOOK: Duration = Duration::from_millis(5);

/// What the sockets of a listener are given; those that it accepts inherit it.
#[derive(Clone, Copy, Debug)]
pub struct SocketOptions {
    /// Connections that the kernel completes ahead of being accepted, per shard.
    pub backlog: i32,
    /// Bytes of the send buffer; `None` leaves it to the kernel, which lets it grow with the connection.
    pub send_buffer: Option<usize>,
    /// Bytes of the receive buffer; `None` as above.
    pub receive_buffer: Option<usize>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self { backlog: 1024, send_buffer: None, receive_buffer: None }
    }
}

/// A bound listening socket, not yet on a shard.
#[derive(Debug)]
pub struct Bound(pub(super) TcpListener);

impl Bound {
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// `count` listeners on one address, among which the kernel spreads connections (SO_REUSEPORT). Port 0 is one free port
/// for all.
///
/// An address that anybody else listens on is an error (`AddrInUse`), even if that is a process of the same user which
/// shares it as well: the kernel would split the connections between the two without a word. So the address is first
/// bound without sharing. SO_REUSEADDR on all of them keeps connections of a killed process from being in the way.
///
/// Blocks the thread, for at most a second.
pub fn bind(address: SocketAddr, count: usize, options: &SocketOptions) -> io::Result<Vec<Bound>> {
    let deadline = Instant::now() + RELEASE_MAX;
    let address = loop {
        match bind_alone(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                thread::sleep(RELEASE_LOOK);
            }
            bound => break bound?,
        }
    };
    (0..count).map(|_| listen(address, options)).collect()
}

/// Whether this host does not have such addresses, as one without IPv6 has no ::1.
pub fn is_not_offered(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

/// Binds an address without sharing it, for a moment; returns it with its port.
fn bind_alone(address: SocketAddr) -> io::Result<SocketAddr> {
    let probe = open(address)?;
    probe.bind(&address.into())?;
    probe.local_addr()?.as_socket().ok_or_else(|| io::Error::other("bound to no IP address"))
}

fn listen(address: SocketAddr, options: &SocketOptions) -> io::Result<Bound> {
    let socket = open(address)?;
    socket.set_reuse_port(true)?;
    // Before it listens, since the window that a connection may grow to is agreed upon as it is made.
    options.send_buffer.map_or(Ok(()), |bytes| socket.set_send_buffer_size(bytes))?;
    options.receive_buffer.map_or(Ok(()), |bytes| socket.set_recv_buffer_size(bytes))?;
    socket.bind(&address.into())?;
    socket.listen(options.backlog)?;
    Ok(Bound(socket.into()))
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_an_error_even_if_it_is_shared() {
        let options = SocketOptions::default();
        let first = bind("127.0.0.1:0".parse().unwrap(), 2, &options).unwrap();
        let address = first[0].local_addr().unwrap();
        assert_eq!(first[1].local_addr().unwrap(), address);
        assert_eq!(bind(address, 2, &options).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert_eq!(bind(address, 1, &options).unwrap().len(), 1);
    }

    #[test]
    fn accepted_connections_inherit_their_buffers() {
        const BYTES: usize = 32 << 10;
        let options = SocketOptions { send_buffer: Some(BYTES), receive_buffer: Some(BYTES), ..Default::default() };
        let bound = bind("127.0.0.1:0".parse().unwrap(), 1, &options).unwrap().remove(0);
        let _client = std::net::TcpStream::connect(bound.local_addr().unwrap()).unwrap();
        let accepted = Socket::from(bound.0.accept().unwrap().0);
        // The kernel counts its own book-keeping too, as much again.
        assert_eq!(accepted.send_buffer_size().unwrap(), 2 * BYTES);
        assert_eq!(accepted.recv_buffer_size().unwrap(), 2 * BYTES);
    }
}
