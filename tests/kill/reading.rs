//! What must be read: the numbers without a gap, each once with idempotence, at offsets without a gap.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::flow::{Acknowledged, Lane, value};
use crate::support::Broker;
use crate::support::kafka::{self, PATIENCE};

/// What is known of one partition so far.
pub struct Seen {
    lane: Arc<Lane>,
    /// The number after the highest that was seen.
    pub below: u64,
    offset: i64,
    repeated: u64,
}

impl Seen {
    fn see(&mut self, message: &impl Message) {
        let place = format!("{}-{} at offset {}", message.topic(), message.partition(), message.offset());
        assert_eq!(message.offset(), self.offset, "{place}: offsets have no gap and never go back");
        let bytes = message.payload().expect("every record has a value");
        let number = u64::from_be_bytes(bytes[..8].try_into().expect("a value begins with its number"));
        assert!(number <= self.below, "{place}: {number} follows {}: records are missing", self.below.wrapping_sub(1));
        assert!(number == self.below || !self.lane.flow.idempotent, "{place}: {number} came already");
        assert!(bytes == value(number), "{place}: {number} has another value than was sent");
        self.repeated += u64::from(number < self.below);
        self.below = self.below.max(number + 1);
        self.offset += 1;
    }
}

/// A consumer of some partitions that follows them.
pub struct Reading {
    consumer: BaseConsumer,
    seen: BTreeMap<(String, i32), Seen>,
}

impl Reading {
    /// Begins at the first records of the lanes, whose offset 0 retention must not have taken.
    pub fn start(broker: &Broker, lanes: &[Arc<Lane>]) -> Reading {
        Self::start_at(broker, lanes, |_| 0)
    }

    /// Begins at the given offsets. Above 0, the lane's producer must be idempotent: there offsets are numbers.
    pub fn start_at(broker: &Broker, lanes: &[Arc<Lane>], begin: impl Fn(&Lane) -> i64) -> Reading {
        let consumer = kafka::reader(broker, &[]);
        let mut list = TopicPartitionList::new();
        let mut seen = BTreeMap::new();
        for lane in lanes {
            let offset = begin(lane);
            list.add_partition_offset(lane.flow.topic, lane.partition, Offset::Offset(offset)).expect("an offset");
            let below = u64::try_from(offset).expect("is not negative");
            let new = Seen { lane: lane.clone(), below, offset, repeated: 0 };
            seen.insert((lane.flow.topic.to_string(), lane.partition), new);
        }
        consumer.assign(&list).expect("assigns");
        Reading { consumer, seen }
    }

    /// Reads for a while.
    pub fn follow(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.poll(left);
        }
    }

    /// Reads until all that is promised was seen.
    pub fn reach(&mut self, promised: &BTreeMap<(String, i32), Acknowledged>) {
        let deadline = Instant::now() + PATIENCE;
        let missing = |seen: &BTreeMap<(String, i32), Seen>| {
            let late = seen.iter().find(|(key, seen)| seen.below < promised[*key].below);
            late.map(|((topic, partition), seen)| format!("{topic}-{partition}: only {} came", seen.below))
        };
        while let Some(missing) = missing(&self.seen) {
            assert!(Instant::now() < deadline, "acknowledged records do not come: {missing} of {promised:?}");
            self.poll(Duration::from_millis(100));
        }
    }

    /// How many records were seen, and how many of them again.
    pub fn counts(&self) -> (u64, u64) {
        (self.seen.values().map(|seen| seen.below).sum(), self.seen.values().map(|seen| seen.repeated).sum())
    }

    fn poll(&mut self, time: Duration) {
        match self.consumer.poll(time) {
            Some(Ok(message)) => {
                let key = (message.topic().to_string(), message.partition());
                self.seen.get_mut(&key).expect("only what was assigned comes").see(&message);
            }
            Some(Err(error)) => assert!(kafka::error_passes(&error), "the consumer fails: {error}"),
            None => {}
        }
    }
}
