//! Listeners: where the broker accepts connections and what it tells clients, parsed from `listeners`,
//! `advertised.listeners` and `listener.security.protocol.map`. Names are not resolved here.

use std::collections::BTreeMap;

use super::Error;
use super::layers::Layers;

/// One named listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// In upper case, as Kafka keeps it.
    pub name: String,
    /// A name or an address, without brackets; empty for every address of the host.
    pub host: String,
    /// 0 lets the system choose.
    pub port: u16,
    pub protocol: Protocol,
    /// `listener.name.NAME.max.connections`.
    pub connections_max: Option<i32>,
    /// Whether each shard has a node id and a port of its own on it.
    pub per_shard: bool,
}

/// How clients talk on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Plaintext,
}

/// The address that clients are told for a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    pub name: String,
    pub host: String,
    pub port: u16,
}

/// All listeners, and what is advertised for those that say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// At least one.
    pub all: Vec<Listener>,
    /// By listener name; a listener without an entry advertises its own address.
    pub advertised: BTreeMap<String, Advertised>,
    /// Names of Kafka controller listeners that were left out.
    pub dropped: Vec<String>,
}

impl Listeners {
    /// # Errors
    /// An address that cannot be read, a name that is not unique, a protocol that is not offered, an advertised
    /// address without a listener or with a wildcard.
    pub fn from_layers(layers: &Layers<'_>) -> Result<Self, Error> {
        let protocols = protocol_map(&layers.text("listener.security.protocol.map").unwrap_or_default())?;
        let controllers: Vec<String> =
            layers.list("controller.listener.names").iter().map(|name| name.to_ascii_uppercase()).collect();
        let per_shard = names(layers, "duramen.cores.listeners");
        let (mut all, mut dropped): (Vec<Listener>, Vec<String>) = (Vec::new(), Vec::new());
        for text in layers.list("listeners") {
            let Advertised { name, host, port } = parse_address("listeners", &text)?;
            if controllers.contains(&name) {
                dropped.push(name);
                continue;
            }
            if all.iter().any(|listener| listener.name == name) {
                return Err(Error::address("listeners", &text, "each listener needs a name of its own"));
            }
            if port != 0 && all.iter().any(|other| other.port == port && other.host == host) {
                return Err(Error::address("listeners", &text, "another listener has this address"));
            }
            let protocol = protocol_of(&name, &protocols)?;
            let per_shard = per_shard.contains(&name);
            all.push(Listener {
                connections_max: connections_max(layers, &name),
                name,
                host,
                port,
                protocol,
                per_shard,
            });
        }
        if all.is_empty() {
            return Err(Error::address("listeners", "", "at least one listener is needed, such as PLAINTEXT://:9092"));
        }
        if let Some(name) = per_shard.iter().find(|name| !all.iter().any(|listener| listener.name == **name)) {
            return Err(Error::address("duramen.cores.listeners", name, "no listener has this name"));
        }
        let advertised = advertised(layers, &all, &controllers)?;
        Ok(Self { all, advertised, dropped })
    }

    /// The same listeners with the limits that stand now; nothing else of them changes while running.
    pub fn with_limits(&self, layers: &Layers<'_>) -> Self {
        let mut listeners = self.clone();
        for listener in &mut listeners.all {
            listener.connections_max = connections_max(layers, &listener.name);
        }
        listeners
    }
}

fn names(layers: &Layers<'_>, setting: &str) -> Vec<String> {
    layers.list(setting).iter().map(|name| name.to_ascii_uppercase()).collect()
}

fn connections_max(layers: &Layers<'_>, name: &str) -> Option<i32> {
    let key = format!("listener.name.{}.max.connections", name.to_ascii_lowercase());
    layers.in_order().into_iter().find_map(|(_, layer)| layer.get(&key)?.trim().parse().ok())
}

fn advertised(
    layers: &Layers<'_>,
    all: &[Listener],
    controllers: &[String],
) -> Result<BTreeMap<String, Advertised>, Error> {
    const SETTING: &str = "advertised.listeners";
    let mut found = BTreeMap::new();
    for text in layers.list(SETTING) {
        let address = parse_address(SETTING, &text)?;
        if controllers.contains(&address.name) {
            continue;
        }
        if !all.iter().any(|listener| listener.name == address.name) {
            return Err(Error::address(SETTING, &text, "no listener has this name"));
        }
        if is_wildcard(&address.host) {
            return Err(Error::address(SETTING, &text, "clients cannot connect to a wildcard; name the host"));
        }
        if found.insert(address.name.clone(), address).is_some() {
            return Err(Error::address(SETTING, &text, "a listener is advertised once"));
        }
    }
    Ok(found)
}

/// Whether a host stands for every address: it can be bound and not be advertised.
pub fn is_wildcard(host: &str) -> bool {
    matches!(host, "" | "0.0.0.0" | "::")
}

/// `NAME://HOST:PORT`; an IPv6 address stands in brackets.
fn parse_address(setting: &'static str, text: &str) -> Result<Advertised, Error> {
    let refuse = |why| Error::address(setting, text, why);
    let (name, address) = text.split_once("://").ok_or_else(|| refuse("it must read NAME://HOST:PORT"))?;
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) {
        return Err(refuse("a listener's name is of letters, digits, '_', '-' and '.'"));
    }
    let (host, port) =
        split_host_port(address).ok_or_else(|| refuse("it must end in HOST:PORT, the port below 65536"))?;
    Ok(Advertised { name: name.to_ascii_uppercase(), host: host.to_string(), port })
}

/// Splits `HOST:PORT`, `[IPv6]:PORT` or `:PORT`.
pub fn split_host_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| port.parse().ok()).flatten().map(|port| (bare, port))
}

fn protocol_map(text: &str) -> Result<BTreeMap<String, String>, Error> {
    const SETTING: &str = "listener.security.protocol.map";
    let mut map = BTreeMap::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (name, protocol) =
            entry.split_once(':').ok_or_else(|| Error::address(SETTING, entry, "it must read NAME:PROTOCOL"))?;
        map.insert(name.trim().to_ascii_uppercase(), protocol.trim().to_ascii_uppercase());
    }
    Ok(map)
}

fn protocol_of(name: &str, map: &BTreeMap<String, String>) -> Result<Protocol, Error> {
    let protocol =
        map.get(name).map(String::as_str).ok_or_else(|| Error::UnmappedListener { name: name.to_string() })?;
    match protocol {
        "PLAINTEXT" => Ok(Protocol::Plaintext),
        "SSL" | "SASL_PLAINTEXT" | "SASL_SSL" => {
            Err(Error::ProtocolNotOffered { name: name.to_string(), protocol: protocol.to_string() })
        }
        _ => Err(Error::address("listener.security.protocol.map", protocol, "no such protocol")),
    }
}
