//! DeleteRecords again and again: a log start that was confirmed never goes back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rdkafka::admin::AdminOptions;
use rdkafka::{Offset, TopicPartitionList};

use crate::flow::Lane;
use crate::support::kafka;
use crate::support::{Broker, LOOK};

/// Records that are left at the end of each partition.
const KEPT: i64 = 300;
/// How long an answer may take; the broker is killed all the time.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Low watermarks, by topic and partition.
pub type LogStarts = BTreeMap<(String, i32), i64>;

/// Deletes ever more records of some partitions.
pub struct Trimmer {
    confirmed: Arc<Mutex<LogStarts>>,
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
}

impl Trimmer {
    pub fn start(broker: &Broker, lanes: &[Arc<Lane>]) -> Trimmer {
        let (confirmed, stop) = (Arc::new(Mutex::new(LogStarts::new())), Arc::new(AtomicBool::new(false)));
        let (admin, lanes) = (kafka::admin(broker), lanes.to_vec());
        let (told, stopped) = (confirmed.clone(), stop.clone());
        let worker = thread::spawn(move || {
            let options = AdminOptions::new().request_timeout(Some(ANSWER_MAX)).operation_timeout(Some(ANSWER_MAX));
            while !stopped.load(Ordering::Relaxed) {
                for lane in &lanes {
                    let mut list = TopicPartitionList::new();
                    let before = (lane.acknowledged().offset - KEPT).max(0);
                    list.add_partition_offset(lane.flow.topic, lane.partition, Offset::Offset(before))
                        .expect("an offset");
                    let Ok(deleted) = kafka::block_on(admin.delete_records(&list, &options)) else { continue };
                    for answer in deleted.elements().iter().filter(|answer| answer.error().is_ok()) {
                        let start = answer.offset().to_raw().unwrap_or(0);
                        let mut told = told.lock().expect("no holder panics");
                        let known = told.entry((answer.topic().to_string(), answer.partition())).or_default();
                        *known = start.max(*known);
                    }
                }
                thread::sleep(LOOK);
            }
        });
        Trimmer { confirmed, stop, worker: Some(worker) }
    }

    pub fn confirmed(&self) -> LogStarts {
        self.confirmed.lock().expect("no holder panics").clone()
    }

    /// Deletes no more; the result is what was confirmed.
    pub fn finish(mut self) -> LogStarts {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(worker) = self.worker.take() {
            worker.join().expect("the deletions work to the end");
        }
        self.confirmed()
    }
}

impl Drop for Trimmer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Sees that each log starts where it was confirmed to start, or later.
pub fn check(broker: &Broker, confirmed: &LogStarts) {
    for ((topic, partition), start) in confirmed {
        let (first, _) = kafka::watermarks(broker, topic, *partition);
        assert!(first >= *start, "{topic}-{partition} starts at {first}, confirmed was {start}");
    }
}
