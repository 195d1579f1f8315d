//! Producers that never stop: numbered records into every partition, through all kills.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rdkafka::ClientContext;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use crate::support::kafka::{self, PATIENCE};
use crate::support::{Broker, LOOK};

pub const PARTITIONS: i32 = 2;
/// Records of one partition that may wait for their acknowledgement.
const IN_FLIGHT_MAX: u64 = 40;
/// Of so many records, the last few are large, so that small batches and whole megabytes take turns.
const PERIOD: u64 = 400;
const LARGE_OF_PERIOD: u64 = 40;
const LARGE_LEN: usize = 20_000;
const SMALL_LEN_MAX: u64 = 200;

/// One topic with its producer.
pub struct Flow {
    pub topic: &'static str,
    pub idempotent: bool,
    /// Whether retention takes old segments away meanwhile.
    pub trimmed: bool,
    settings: &'static [(&'static str, &'static str)],
}

pub const FLOWS: [Flow; 5] = [
    Flow { topic: "fsync-once", idempotent: true, trimmed: false, settings: &[SMALL_SEGMENTS, FSYNC] },
    Flow { topic: "fsync-plain", idempotent: false, trimmed: false, settings: &[SMALL_SEGMENTS, FSYNC] },
    Flow { topic: "replicated-once", idempotent: true, trimmed: false, settings: &[SMALL_SEGMENTS, REPLICATED] },
    Flow { topic: "replicated-plain", idempotent: false, trimmed: false, settings: &[SMALL_SEGMENTS, REPLICATED] },
    Flow {
        topic: "trimmed-once",
        idempotent: true,
        trimmed: true,
        settings: &[SMALL_SEGMENTS, FSYNC, ("retention.bytes", "3000000"), ("file.delete.delay.ms", "0")],
    },
];
const SMALL_SEGMENTS: (&str, &str) = ("segment.bytes", "1048576");
const FSYNC: (&str, &str) = ("durability", "fsync");
const REPLICATED: (&str, &str) = ("durability", "replicated");

/// What was acknowledged: all records below a number, the last of them at an offset.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    pub below: u64,
    pub offset: i64,
}

/// One partition with what its producer knows.
pub struct Lane {
    pub flow: &'static Flow,
    pub partition: i32,
    acknowledged: Mutex<Acknowledged>,
    failure: Mutex<Option<String>>,
}

impl Lane {
    pub fn acknowledged(&self) -> Acknowledged {
        *self.acknowledged.lock().expect("no holder panics")
    }

    pub fn check(&self) {
        let failure = self.failure.lock().expect("no holder panics");
        assert_eq!(*failure, None, "{}-{}: a record is not acknowledged", self.flow.topic, self.partition);
    }
}

/// The value of a record: its number, and a filling that the number determines.
pub fn value(number: u64) -> Vec<u8> {
    let large = number % PERIOD >= PERIOD - LARGE_OF_PERIOD;
    let len = if large { LARGE_LEN } else { 8 + usize::try_from(number * 37 % SMALL_LEN_MAX).expect("is small") };
    let mut value = vec![number.to_le_bytes()[0]; len];
    value[..8].copy_from_slice(&number.to_be_bytes());
    value
}

/// All producers at work.
pub struct Traffic {
    pub lanes: Vec<Arc<Lane>>,
    stop: Arc<AtomicBool>,
    feeder: Option<JoinHandle<()>>,
}

impl Traffic {
    /// Makes the topics and starts to produce.
    pub fn start(broker: &Broker) -> Traffic {
        let mut lanes = Vec::new();
        let mut feeds = Vec::new();
        for flow in &FLOWS {
            kafka::create_topic(broker, flow.topic, PARTITIONS, flow.settings);
            let producer = producer(broker, flow);
            for partition in 0..PARTITIONS {
                let acknowledged = Mutex::new(Acknowledged { below: 0, offset: -1 });
                let lane = Arc::new(Lane { flow, partition, acknowledged, failure: Mutex::default() });
                feeds.push(Feed { producer: producer.clone(), lane: lane.clone(), sent: 0 });
                lanes.push(lane);
            }
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let feeder = thread::spawn(move || feed(feeds, &stopped));
        Traffic { lanes, stop, feeder: Some(feeder) }
    }

    /// Sends no more and waits until all that was sent is acknowledged.
    pub fn finish(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(feeder) = self.feeder.take() {
            feeder.join().expect("the producers work to the end");
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Feed {
    producer: Arc<ThreadedProducer<Reports>>,
    lane: Arc<Lane>,
    sent: u64,
}

fn feed(mut feeds: Vec<Feed>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let mut sent = false;
        for feed in &mut feeds {
            if feed.sent - feed.lane.acknowledged().below >= IN_FLIGHT_MAX {
                continue;
            }
            let value = value(feed.sent);
            let opaque = Box::new((feed.lane.clone(), feed.sent));
            let record: BaseRecord<'_, (), Vec<u8>, _> =
                BaseRecord::with_opaque_to(feed.lane.flow.topic, opaque).partition(feed.lane.partition).payload(&value);
            feed.producer.send(record).map_err(|(error, _)| error).expect("the queue has room");
            feed.sent += 1;
            sent = true;
        }
        if !sent {
            thread::sleep(LOOK);
        }
    }
    for feed in feeds {
        feed.producer.flush(PATIENCE).expect("all is acknowledged in time");
        assert_eq!(feed.lane.acknowledged().below, feed.sent, "every record is acknowledged");
    }
}

fn producer(broker: &Broker, flow: &Flow) -> Arc<ThreadedProducer<Reports>> {
    let mut config = kafka::config(broker, &[("linger.ms", "1"), ("message.timeout.ms", "300000")]);
    if flow.idempotent {
        config.set("enable.idempotence", "true");
    } else {
        // With one request at a time a repetition changes no order.
        config.set("acks", "1").set("max.in.flight.requests.per.connection", "1").set("retries", "1000000");
    }
    config.set("retry.backoff.ms", "10");
    config.set("retry.backoff.max.ms", "100");
    Arc::new(config.create_with_context(Reports).expect("a producer"))
}

struct Reports;

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<(Arc<Lane>, u64)>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Self::DeliveryOpaque) {
        use rdkafka::Message;
        let (lane, number) = *sent;
        match result {
            Ok(message) => {
                let mut acknowledged = lane.acknowledged.lock().expect("no holder panics");
                acknowledged.below = acknowledged.below.max(number + 1);
                acknowledged.offset = acknowledged.offset.max(message.offset());
            }
            Err((error, _)) => {
                lane.failure.lock().expect("no holder panics").get_or_insert(format!("record {number}: {error}"));
            }
        }
    }
}
