//! The keeper of the metadata, on the controller's shard: it makes changes durable, one after the other, and then has
//! every shard apply them. What may change, and how, is decided by the pure `controller`.

mod moves;
mod store;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use duramen_wire::ids::{ShardId, TopicPartitionId};

pub use store::{Error as StoreError, Found, Store};

use crate::config::Settings;
use crate::controller::{self, Change, Image};
use crate::runtime::TaskClass;
use crate::runtime::disk::RealDisk;
use crate::shard::Shard;
use crate::shard::notify::Turns;

/// The shard that keeps the metadata.
pub const CONTROLLER_SHARD: ShardId = ShardId(0);

/// Why metadata cannot be read, or a change not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the metadata cannot be read: {0}")]
    Read(#[from] controller::Error),
    /// The change stands; a shard could not carry it out.
    #[error("shard {shard}: {reason}")]
    Shard { shard: ShardId, reason: String },
    #[error("partition {partition} cannot be moved: {reason}")]
    Move { partition: TopicPartitionId, reason: String },
}

/// Makes changes one at a time.
pub struct Keeper {
    shard: Rc<Shard>,
    settings: Arc<Settings>,
    node_id: i32,
    store: RefCell<Option<Store<RealDisk>>>,
    /// The right to change the metadata.
    turns: Turns,
}

/// Reads a store's content into an image.
pub fn read(found: &Found) -> Result<Image, Error> {
    let mut image = match &found.snapshot {
        Some(bytes) => controller::decode_snapshot(bytes)?,
        None => Image::new(),
    };
    for change in &found.changes {
        image.apply(&controller::decode(change)?)?;
    }
    Ok(image)
}

impl Keeper {
    pub fn new(shard: Rc<Shard>, settings: Arc<Settings>, node_id: i32, store: Store<RealDisk>) -> Rc<Self> {
        let store = RefCell::new(Some(store));
        Rc::new(Self { shard, settings, node_id, store, turns: Turns::default() })
    }

    /// Changes made so far.
    pub fn end(&self) -> u64 {
        self.shard.image.borrow().applied()
    }

    /// Decides on the image as it is now, makes the decision durable, and has all shards apply it. What `decide` refuses
    /// changes nothing. The result of `decide` comes back with what became of its changes.
    pub async fn commit<R>(&self, decide: impl FnOnce(&Image) -> (Vec<Change>, R)) -> (R, Result<(), Error>) {
        let _turn = self.turns.take().await;
        let (changes, decided) = decide(&self.shard.image.borrow());
        (decided, self.make(changes).await)
    }

    async fn make(&self, changes: Vec<Change>) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        self.write(&changes).await?;
        self.apply(changes).await
    }

    /// Has all shards apply changes that are durable, at the same time: what one shard shows, the others show too, long
    /// before each has made the partitions that it owns.
    async fn apply(&self, changes: Vec<Change>) -> Result<(), Error> {
        let changes: Arc<[Change]> = changes.into();
        let apply_on = |id: ShardId| {
            let (here, changes, settings, node_id) =
                (self.shard.clone(), changes.clone(), self.settings.clone(), self.node_id);
            self.shard.reactor.spawn(TaskClass::Serve, async move {
                let applied = here.call(id, move |shard| async move {
                    shard.apply(changes, settings, node_id).await.map_err(|error| crate::errors::chain(&error))
                });
                (id, applied.await)
            })
        };
        let applying: Vec<_> = (0..self.shard.shards()).map(ShardId).map(apply_on).collect();
        let mut outcome = Ok(());
        for task in applying {
            if let Ok((shard, Err(reason))) = task.await {
                tracing::error!(%shard, %reason, "a change of the metadata could not be carried out");
                outcome = Err(Error::Shard { shard, reason });
            }
        }
        outcome
    }

    /// Makes changes durable, and shortens the store when it has grown.
    async fn write(&self, changes: &[Change]) -> Result<(), Error> {
        let mut store = self.store.borrow_mut().take().expect("one change at a time uses the store");
        let written = write(&mut store, changes, &self.shard.image).await;
        *self.store.borrow_mut() = Some(store);
        written
    }
}

async fn write(store: &mut Store<RealDisk>, changes: &[Change], image: &RefCell<Image>) -> Result<(), Error> {
    if store.is_long() {
        let snapshot = controller::encode_snapshot(&image.borrow())?;
        store.snapshot(snapshot).await?;
    }
    for change in changes {
        store.append(&controller::encode(change)).await?;
    }
    Ok(())
}
