//! What the APIs of one shard work with: its shard, its services, and the listener that a connection came in by.

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use duramen_wire::ids::ShardId;

use super::groups::Groups;
use super::init_producer_id::ProducerIds;
use super::sessions::Sessions;
use crate::config::{self, Settings};
use crate::controller::Owner;
use crate::metadata::Keeper;
use crate::metrics::Metrics;
use crate::net::complaints::Complaints;
use crate::net::endpoints::{Endpoint, Endpoints};
use crate::net::gather::GatherBudget;
use crate::shard::Shard;

/// The parts of one shard that stand above its partitions. They live as long as the shard.
pub struct Services {
    pub settings: Arc<Settings>,
    /// The typed settings as of now; replaced when they change.
    pub config: RefCell<Rc<config::Broker>>,
    pub endpoints: Arc<Endpoints>,
    pub sessions: RefCell<Sessions>,
    pub gather_budget: Rc<GatherBudget>,
    /// For requests that are decoded whole. Who has got some of it waits for nothing of `gather_budget`.
    pub decode_budget: Rc<GatherBudget>,
    pub metrics: Rc<Metrics>,
    /// Log lines about clients.
    pub complaints: Rc<Complaints>,
    pub groups: Groups,
    pub producer_ids: RefCell<ProducerIds>,
    /// On the controller's shard, the keeper of the metadata.
    pub keeper: Option<Rc<Keeper>>,
}

impl Services {
    /// Those of a shard, from within a call to it.
    pub fn of(shard: &Shard) -> Rc<Services> {
        let Ok(services) = shard.services().downcast::<Services>() else {
            unreachable!("a shard's services are of this type")
        };
        services
    }

    pub fn config(&self) -> Rc<config::Broker> {
        self.config.borrow().clone()
    }

    /// Computes the typed settings anew, from the metadata as the shard knows it now.
    pub fn refresh(&self, shard: &Shard) {
        let image = shard.image.borrow();
        let node = Owner::Broker(self.config.borrow().node_id);
        let config = config::Broker::new(&self.settings, image.configs(&node), image.configs(&Owner::Cluster));
        *self.config.borrow_mut() = Rc::new(config);
    }
}

/// What a connection's requests are answered with.
#[derive(Clone)]
pub struct Context {
    pub shard: Rc<Shard>,
    pub services: Rc<Services>,
    /// The listener, by its place among the broker's.
    pub listener: usize,
}

impl Deref for Context {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.services
    }
}

impl Context {
    /// The nodes that clients of this listener see: one for the host, or one for each shard.
    pub fn nodes(&self) -> &[Endpoint] {
        &self.endpoints.listeners[self.listener].nodes
    }

    /// The node that a partition of `shard` is led by, as clients of this listener see it.
    pub fn node_of(&self, shard: ShardId) -> &Endpoint {
        let nodes = self.nodes();
        nodes.get(usize::from(shard.0)).unwrap_or(&nodes[0])
    }

    /// The node that this connection was made to.
    pub fn own_node(&self) -> &Endpoint {
        self.node_of(self.shard.id)
    }

    pub fn listener_name(&self) -> &str {
        &self.endpoints.listeners[self.listener].name
    }

    pub fn cluster_id(&self) -> String {
        self.shard.image.borrow().cluster_id().unwrap_or_default().to_string()
    }
}
