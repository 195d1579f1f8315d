//! Warming a JVM: its first few million records cost twice what later ones do. A Kafka that has just started is given
//! large batches, one reading and requests of one record before anything is compared.

use std::time::Duration;

use super::results::Figures;
use super::rows::RowContext;
use super::rows::produce::large_unsynced;
use super::sides::{Environment, Side};
use crate::admin::Cluster;
use crate::error::Error;
use crate::plan::Topics;
use crate::stop::Stop;

const TOPIC: &str = "warm-up";
/// Records in large batches, and requests of one record; in a full and in a quick comparison.
const RECORDS: (u64, u64) = (5_000_000, 2_000_000);
const REQUESTS: (u64, u64) = (50_000, 5_000);
const RECORD_SIZE: u32 = 100;
const REQUEST_SIZE: u32 = 1_000;

/// Does so, on a topic that is deleted again.
pub fn warm(environment: &Environment, side: &Side, stop: &Stop, quick: bool) -> Result<(), Error> {
    let of = |(full, short): (u64, u64)| if quick { short } else { full };
    let context = RowContext { environment, stop, quick, row: TOPIC, kept: Figures::new(), outcome: None };
    let topics = Topics::Existing(vec![TOPIC.to_owned()]);
    context.make_topic(side, 1, &[])?;
    let mut large = context.closed(side, of(RECORDS), RECORD_SIZE);
    large_unsynced(&mut large);
    large.topics = topics.clone();
    context.prepare(&large, side)?;
    let mut reading = context.plan("consume", side);
    (reading.topics, reading.duration, reading.warm_up) = (topics.clone(), None, Duration::ZERO);
    context.prepare(&reading, side)?;
    let mut small = context.closed(side, of(REQUESTS), REQUEST_SIZE);
    small.produce.get_or_insert_default().batch_records = Some(1);
    small.topics = topics;
    context.prepare(&small, side)?;
    Cluster::connect(std::slice::from_ref(&side.server))?.delete_topic(TOPIC)
}
