//! What settings belong to, as requests name it: by the protocol's number and a name.

use super::Context;

pub const TOPIC: i8 = 2;
pub const BROKER: i8 = 4;
pub const BROKER_LOGGER: i8 = 8;
pub const CLIENT_METRICS: i8 = 16;
pub const GROUP: i8 = 32;

/// The name by which a resource is known here. Clients of a listener on which each shard is a node know this broker by
/// several ids; they all mean the same one.
pub fn known_name(context: &Context, resource_type: i8, name: &str) -> String {
    let is_broker = matches!(resource_type, BROKER | BROKER_LOGGER);
    let ours = || name.parse().is_ok_and(|id: i32| context.nodes().iter().any(|node| node.id == id));
    match is_broker && ours() {
        true => context.config().node_id.to_string(),
        false => name.to_string(),
    }
}
