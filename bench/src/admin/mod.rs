//! Blocking calls before and after a load: metadata, topics, offsets, producer ids.

pub mod connection;
pub mod topics;

use std::collections::BTreeMap;

use crate::Error;

/// Blocking connections to the brokers of a cluster.
pub struct Cluster {}

impl Cluster {
    pub fn connect(_servers: &[String]) -> Result<Cluster, Error> {
        todo!()
    }

    /// Waits for leaders and offsets too.
    pub fn create_topic(
        &mut self,
        _name: &str,
        _partitions: i32,
        _replicas: i16,
        _configs: &[(String, String)],
    ) -> Result<(), Error> {
        todo!()
    }

    pub fn delete_topic(&mut self, _name: &str) -> Result<(), Error> {
        todo!()
    }

    /// Log end offsets by partition.
    pub fn ends(&mut self, _topic: &str) -> Result<BTreeMap<i32, i64>, Error> {
        todo!()
    }
}
