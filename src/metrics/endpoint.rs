//! The address of /metrics and /readyz. Nobody who asks is authenticated, so it must be one of this host's own.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use crate::runtime::net::{Bound, SocketOptions, bind, is_not_offered};

/// Why nothing can be served at an address.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{text:?} is no address for metrics: write --metrics-listen HOST:PORT, such as localhost:9644")]
    Malformed { text: String },
    #[error("metrics are served on loopback only, and {address} can be reached from other hosts: use localhost:{port}, \
        and a proxy that authenticates in front of it", port = address.port())]
    NotLoopback { address: SocketAddr },
    #[error("{host} of --metrics-listen has no address: {reason}")]
    Resolve { host: String, reason: String },
    #[error("the address {address} for metrics cannot be bound: {source}. Choose another with --metrics-listen")]
    Bind { address: SocketAddr, source: io::Error },
}

/// Binds `HOST:PORT`. `localhost` is 127.0.0.1 and, where there is one, ::1.
///
/// # Errors
/// It is no address, one that others can reach, or one that cannot be had.
pub fn bind_all(text: &str) -> Result<Vec<Bound>, Error> {
    let addresses = resolve(text)?;
    if let Some(&address) = addresses.iter().find(|address| !address.ip().is_loopback()) {
        return Err(Error::NotLoopback { address });
    }
    let mut bound: Vec<Bound> = Vec::new();
    for mut address in addresses {
        // A port of 0 becomes what the system chose for the first.
        if let Some(first) = bound.first().and_then(|first| first.local_addr().ok()) {
            address.set_port(first.port());
        }
        match bind(address, 1, &SocketOptions::default()) {
            Ok(sockets) => bound.extend(sockets),
            // A host without IPv6 has no ::1.
            Err(error) if !bound.is_empty() && address.is_ipv6() && is_not_offered(&error) => {}
            Err(source) => return Err(Error::Bind { address, source }),
        }
    }
    Ok(bound)
}

fn resolve(text: &str) -> Result<Vec<SocketAddr>, Error> {
    let malformed = || Error::Malformed { text: text.to_string() };
    let (host, port) = text.rsplit_once(':').ok_or_else(malformed)?;
    let port: u16 = port.parse().map_err(|_| malformed())?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() {
        return Err(malformed());
    }
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    let failed = |reason: String| Error::Resolve { host: host.to_string(), reason };
    let found = (host, port).to_socket_addrs().map_err(|error| failed(error.to_string()))?;
    let mut addresses: Vec<_> = found.collect();
    addresses.sort();
    addresses.dedup();
    if addresses.is_empty() { Err(failed("none was found".into())) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_bound() {
        assert!(matches!(bind_all("0.0.0.0:0"), Err(Error::NotLoopback { .. })));
        assert!(matches!(bind_all("[::]:0"), Err(Error::NotLoopback { .. })));
        assert!(matches!(bind_all("192.0.2.1:0"), Err(Error::NotLoopback { .. })));
        let bound = bind_all("127.0.0.1:0").unwrap();
        assert!(bound[0].local_addr().unwrap().ip().is_loopback());
    }

    #[test]
    fn localhost_has_one_port() {
        let ports: Vec<_> = bind_all("localhost:0").unwrap().iter().map(|b| b.local_addr().unwrap().port()).collect();
        assert!(ports.iter().all(|port| *port == ports[0] && *port != 0), "{ports:?}");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "9644", ":9644", "localhost", "localhost:x", "localhost:70000"] {
            assert!(matches!(bind_all(text), Err(Error::Malformed { .. })), "{text}");
        }
    }
}
