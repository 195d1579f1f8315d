//! A partition's way from one shard to another, as those two see it.

use duramen_wire::ids::TopicPartitionId;

use super::Shard;
use super::metadata::partition_config;
use crate::config::Settings;
use crate::errors::chain;
use crate::log::PartitionState;

impl Shard {
    /// Gives a partition up, with everything synced. Producers whose records were committed on the way are told so;
    /// all other clients that wait are told that the partition is not here.
    ///
    /// # Errors
    /// It is not here, or could not be synced; in words for people. The partition stays, and takes no more writes.
    pub async fn release(&self, id: TopicPartitionId) -> Result<PartitionState, String> {
        let state = self.log().release(id).await.map_err(|error| chain(&error))?;
        let mut done = Vec::new();
        if let Some(hosted) = self.partitions.borrow_mut().get_mut(id) {
            self.appends.borrow_mut().committed(hosted, &mut done);
        }
        done.into_iter().for_each(|batch| self.answer_append(batch));
        self.unhost(id);
        Ok(state)
    }

    /// Takes a partition over that another shard has released.
    ///
    /// # Errors
    /// The metadata does not know it, or the log cannot be written; in words for people.
    pub async fn adopt(&self, state: PartitionState, settings: &Settings, node_id: i32) -> Result<(), String> {
        let id = state.id;
        let (config, epoch) = {
            let image = self.image.borrow();
            let topic = image.topic(id.topic).ok_or("the metadata has no such topic")?;
            let partition = image.partition(id.topic, id.partition).ok_or("the metadata has no such partition")?;
            (partition_config(&image, settings, node_id, topic), partition.leader_epoch)
        };
        let log = self.log().adopt(state, config, epoch, self.now_ms()).await.map_err(|error| chain(&error))?;
        self.partitions.borrow_mut().insert(id, log);
        Ok(())
    }
}
