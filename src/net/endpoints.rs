//! The broker's listeners: where each shard accepts connections, and what clients are told.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use crate::config::{self, Listener, is_wildcard};

/// A Kafka node, as the clients of one listener see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub id: i32,
    pub host: String,
    pub port: i32,
}

/// One named listener.
#[derive(Clone, Debug)]
pub struct ListenerEndpoints {
    pub name: String,
    /// One for the host, or one for each shard in their order.
    pub nodes: Vec<Endpoint>,
    /// Where each shard binds; on the host listener all bind the same.
    pub binds: Vec<Vec<SocketAddr>>,
    pub per_shard: bool,
}

/// All listeners, in the order of the configuration.
#[derive(Clone, Debug)]
pub struct Endpoints {
    pub listeners: Vec<ListenerEndpoints>,
}

/// Why a listener cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the address {host}:{port} of listener {name} cannot be resolved: {reason}")]
    Resolve { name: String, host: String, port: u16, reason: String },
    #[error(
        "listener {name} is bound to every address, and this host's name, {host:?}, does not resolve to this host: \
         set advertised.listeners={name}://ADDRESS:{port} to the address that clients shall use"
    )]
    Advertise { name: String, host: String, port: u16 },
    #[error(
        "listener {name} gives each of the {shards} shards a node id, and {max} are allowed (duramen.cores.nodes.max)"
    )]
    TooManyNodes { name: String, shards: u16, max: i32 },
    #[error("listener {name} gives each shard a port of its own from {port} on, which leaves the range of ports")]
    Ports { name: String, port: u16 },
}

impl Endpoints {
    /// Resolves names and decides what is advertised.
    pub fn new(config: &config::Broker, shards: u16) -> Result<Self, Error> {
        let listeners = &config.listeners;
        let resolved = listeners.all.iter().map(|listener| {
            let told = listeners.advertised.get(&listener.name);
            let told = told.map(|address| (address.host.clone(), address.port));
            let (host, port) = match told {
                Some(address) => address,
                None => (own_name(listener)?, listener.port),
            };
            match listener.per_shard {
                true => per_shard(config, listener, &host, port, shards),
                false => Ok(ListenerEndpoints {
                    name: listener.name.clone(),
                    nodes: vec![Endpoint { id: config.node_id, host, port: i32::from(port) }],
                    binds: vec![resolve(listener, listener.port)?; usize::from(shards)],
                    per_shard: false,
                }),
            }
        });
        Ok(Self { listeners: resolved.collect::<Result<_, _>>()? })
    }

    /// Whether a listener can be reached from other hosts.
    pub fn beyond_loopback(&self) -> Option<&str> {
        let beyond =
            |listener: &&ListenerEndpoints| listener.binds.iter().flatten().any(|bind| !bind.ip().is_loopback());
        self.listeners.iter().find(beyond).map(|listener| listener.name.as_str())
    }
}

fn per_shard(
    config: &config::Broker,
    listener: &Listener,
    host: &str,
    port: u16,
    shards: u16,
) -> Result<ListenerEndpoints, Error> {
    let name = listener.name.clone();
    if i32::from(shards) > config.cores_nodes_max {
        return Err(Error::TooManyNodes { name, shards, max: config.cores_nodes_max });
    }
    let (mut nodes, mut binds) = (Vec::new(), Vec::new());
    for shard in 0..shards {
        // Port 0 lets the system choose one for each.
        let nth = |first: u16| if first == 0 { Some(0) } else { first.checked_add(shard) };
        let out_of_range = || Error::Ports { name: name.clone(), port };
        let told = nth(port).ok_or_else(out_of_range)?;
        let bound = nth(listener.port).ok_or_else(out_of_range)?;
        let id = config.cores_node_id_first + i32::from(shard);
        nodes.push(Endpoint { id, host: host.to_string(), port: i32::from(told) });
        binds.push(resolve(listener, bound)?);
    }
    Ok(ListenerEndpoints { name, nodes, binds, per_shard: true })
}

/// The addresses to bind. `localhost` is both loopback addresses, and an empty host is every address.
fn resolve(listener: &Listener, port: u16) -> Result<Vec<SocketAddr>, Error> {
    if is_wildcard(&listener.host) {
        // One IPv6 socket takes IPv4 too; where the host has no IPv6, the caller falls back.
        let ip: IpAddr = if listener.host == "0.0.0.0" { [0; 4].into() } else { [0u16; 8].into() };
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    if listener.host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![SocketAddr::from(([127, 0, 0, 1], port)), SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port))]);
    }
    let failed =
        |reason: String| Error::Resolve { name: listener.name.clone(), host: listener.host.clone(), port, reason };
    let found = (listener.host.as_str(), port).to_socket_addrs().map_err(|error| failed(error.to_string()))?;
    let mut addresses: Vec<_> = found.collect();
    addresses.sort();
    addresses.dedup();
    if addresses.is_empty() { Err(failed("no address".into())) } else { Ok(addresses) }
}

/// What to advertise for a listener that does not say: its own host, or for a wildcard the name of this host.
fn own_name(listener: &Listener) -> Result<String, Error> {
    if !is_wildcard(&listener.host) {
        return Ok(listener.host.clone());
    }
    let host = host_name();
    let addresses = (host.as_str(), listener.port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
    // An address can be bound only if it is one of this host.
    let ours = |address: &SocketAddr| std::net::TcpListener::bind((address.ip(), 0)).is_ok();
    match addresses {
        Ok(addresses) if addresses.iter().any(ours) => Ok(host),
        _ => Err(Error::Advertise { name: listener.name.clone(), host, port: listener.port }),
    }
}

/// The name of this host, as the kernel has it.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_string()
}
