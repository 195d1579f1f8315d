//! A partition's way from one shard to another, as those two see it.

use duramen_wire::ids::TopicPartitionId;

use super::Shard;
use super::metadata::partition_config;
use crate::config::Settings;
use crate::errors::chain;
use crate::log::{NotAdopted, PartitionState};

impl Shard {
    /// Gives a partition up, with everything synced. Producers whose records were committed on the way are told so;
    /// all other clients that wait are told that the partition is not here.
    ///
    /// # Errors
    /// It is not here, or could not be brought to rest; in words for people. The partition stays and is served as before,
    /// unless a write or sync of it has failed.
    pub async fn release(&self, id: TopicPartitionId) -> Result<Box<PartitionState>, String> {
        let state = self.log().release(id).await.map_err(|error| chain(&error))?;
        let mut done = Vec::new();
        if let Some(hosted) = self.partitions.borrow_mut().get_mut(id) {
            self.appends.borrow_mut().committed(hosted, &mut done);
        }
        done.into_iter().for_each(|batch| self.answer_append(batch));
        self.unhost(id);
        Ok(Box::new(state))
    }

    /// Takes a partition over that a shard has released.
    ///
    /// # Errors
    /// The metadata does not know it, or the log cannot be written. The partition comes back, with words for people.
    pub async fn adopt(
        &self,
        state: Box<PartitionState>,
        settings: &Settings,
        node_id: i32,
    ) -> Result<(), (Box<PartitionState>, String)> {
        let id = state.id;
        let placed = {
            let image = self.image.borrow();
            let topic = image.topic(id.topic).zip(image.partition(id.topic, id.partition));
            topic.map(|(topic, placed)| (partition_config(&image, settings, node_id, topic), placed.leader_epoch))
        };
        let Some((config, epoch)) = placed else {
            return Err((state, "the metadata has no such partition".to_string()));
        };
        match self.log().adopt(*state, config, epoch, self.now_ms()).await {
            Ok(log) => {
                self.partitions.borrow_mut().insert(id, log);
                Ok(())
            }
            Err(NotAdopted { state, error }) => Err((state, chain(&error))),
        }
    }
}
