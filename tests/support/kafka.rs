//! librdkafka's clients, and a few things that many tests do with them.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::Broker;

/// How long an answer may take on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A record as it was sent or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub partition: i32,
    /// -1 until it is known.
    pub offset: i64,
    /// Milliseconds.
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    pub fn of(message: &impl Message) -> Record {
        let owned = |header: Header<'_, &[u8]>| (header.key.to_string(), header.value.map(<[u8]>::to_vec));
        Record {
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis().expect("every record has a time"),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: message.headers().map(|headers| headers.iter().map(owned).collect()).unwrap_or_default(),
        }
    }

    fn owned_headers(&self) -> OwnedHeaders {
        self.headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: value.as_ref() }))
    }
}

/// A configuration for this broker that reconnects quickly; `settings` are librdkafka's.
pub fn config(broker: &Broker, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", broker.address())
        .set("reconnect.backoff.ms", "10")
        .set("reconnect.backoff.max.ms", "100")
        .set("topic.metadata.refresh.interval.ms", "-1")
        .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
    settings.iter().for_each(|(key, value)| {
        config.set(*key, *value);
    });
    config
}

/// Makes a topic and waits until the broker names it.
pub fn create_topic(broker: &Broker, name: &str, partitions: i32, settings: &[(&str, &str)]) {
    let admin = admin(broker);
    let topic = settings
        .iter()
        .fold(NewTopic::new(name, partitions, TopicReplication::Fixed(1)), |topic, (key, value)| topic.set(key, value));
    let made = block_on(admin.create_topics([&topic], &admin_options())).expect("the admin client works");
    made.into_iter().for_each(|topic| drop(topic.expect("the topic is made")));
    let count = partition_count(broker, name);
    assert_eq!(count, usize::try_from(partitions).expect("is positive"), "the partitions that metadata names");
}

/// Deletes a topic that exists.
pub fn delete_topic(broker: &Broker, name: &str) {
    let deleted = block_on(admin(broker).delete_topics(&[name], &admin_options())).expect("the admin client works");
    deleted.into_iter().for_each(|topic| drop(topic.expect("the topic is deleted")));
}

pub fn admin(broker: &Broker) -> AdminClient<DefaultClientContext> {
    config(broker, &[]).create().expect("an admin client")
}

pub fn admin_options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

/// The partitions of a topic by Metadata, which does not make it; 0 if there is none.
pub fn partition_count(broker: &Broker, topic: &str) -> usize {
    let consumer: BaseConsumer = config(broker, &[]).create().expect("a consumer");
    let metadata = consumer.fetch_metadata(None, PATIENCE).expect("metadata");
    metadata.topics().iter().find(|found| found.name() == topic).map_or(0, |found| found.partitions().len())
}

/// Produces all records to a topic, each to its own partition, waits until they are acknowledged, and gives them with
/// their offsets.
pub fn produce(broker: &Broker, topic: &str, records: &[Record], settings: &[(&str, &str)]) -> Vec<Record> {
    let (acknowledged, reports) = std::sync::mpsc::channel();
    let mut config = config(broker, &[("acks", "all"), ("linger.ms", "2")]);
    settings.iter().for_each(|(key, value)| {
        config.set(*key, *value);
    });
    let producer: ThreadedProducer<Reports> = config.create_with_context(Reports(acknowledged)).expect("a producer");
    for (index, record) in records.iter().enumerate() {
        let mut sent: BaseRecord<'_, Vec<u8>, Vec<u8>, Box<usize>> =
            BaseRecord::with_opaque_to(topic, Box::new(index)).partition(record.partition).timestamp(record.timestamp);
        sent.key = record.key.as_ref();
        sent.payload = record.value.as_ref();
        sent.headers = (!record.headers.is_empty()).then(|| record.owned_headers());
        producer.send(sent).map_err(|(error, _)| error).expect("the queue has room");
    }
    producer.flush(PATIENCE).expect("all is acknowledged in time");
    let mut records = records.to_vec();
    for _ in 0..records.len() {
        let (index, outcome) = reports.recv_timeout(PATIENCE).expect("a report for every record");
        records[index].offset = outcome.expect("every record is acknowledged");
    }
    records
}

struct Reports(std::sync::mpsc::Sender<(usize, Result<i64, rdkafka::error::KafkaError>)>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, index: Box<usize>) {
        let outcome = result.as_ref().map(|message| message.offset()).map_err(|(error, _)| error.clone());
        // Who does not listen any more has seen enough.
        let _ = self.0.send((*index, outcome));
    }
}

/// The first offset of a partition, and the one after its last.
pub fn watermarks(broker: &Broker, topic: &str, partition: i32) -> (i64, i64) {
    let consumer: BaseConsumer = config(broker, &[]).create().expect("a consumer");
    consumer.fetch_watermarks(topic, partition, PATIENCE).expect("the watermarks")
}

/// Reads a partition from an offset to what is its end now.
pub fn read_partition(broker: &Broker, topic: &str, partition: i32, from: i64) -> Vec<Record> {
    let consumer: BaseConsumer = reader(broker, &[]);
    let (_, end) = consumer.fetch_watermarks(topic, partition, PATIENCE).expect("the watermarks");
    read_to(&consumer, topic, partition, from, end)
}

/// A consumer without a group of its own accord, which fails where its offset does not exist.
pub fn reader(broker: &Broker, settings: &[(&str, &str)]) -> BaseConsumer {
    let mut config = config(broker, &[("group.id", "reader"), ("enable.auto.commit", "false")]);
    config.set("auto.offset.reset", "error").set("fetch.wait.max.ms", "10").set("check.crcs", "true");
    settings.iter().for_each(|(key, value)| {
        config.set(*key, *value);
    });
    config.create().expect("a consumer")
}

/// Reads a partition up to an offset that exists or will exist soon.
pub fn read_to(consumer: &BaseConsumer, topic: &str, partition: i32, from: i64, end: i64) -> Vec<Record> {
    let mut records = Vec::new();
    if from >= end {
        return records;
    }
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(from)).expect("an offset");
    consumer.assign(&list).expect("assigns");
    poll_until(consumer, PATIENCE, |message| {
        records.push(Record::of(message));
        message.offset() + 1 >= end
    });
    consumer.unassign().expect("unassigns");
    records
}

/// Hands over messages until told that it is enough; fails if none comes for `patience`.
pub fn poll_until(consumer: &BaseConsumer, patience: Duration, mut enough: impl FnMut(&BorrowedMessage<'_>) -> bool) {
    let mut last = Instant::now();
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) if enough(&message) => return,
            Some(Ok(_)) => last = Instant::now(),
            Some(Err(error)) if error_passes(&error) => {}
            Some(Err(error)) => panic!("the consumer fails: {error}"),
            None => {}
        }
        assert!(last.elapsed() < patience, "no message came for {patience:?}");
    }
}

/// Whether librdkafka goes on by itself after this error, as when a broker is down for a moment.
pub fn error_passes(error: &rdkafka::error::KafkaError) -> bool {
    use rdkafka::types::RDKafkaErrorCode::*;
    matches!(error.rdkafka_error_code(), Some(AllBrokersDown | BrokerTransportFailure | Resolve | OperationTimedOut))
}

/// Runs a future to its end on this thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return answer;
        }
        thread::park();
    }
}

/// The time, in milliseconds: records that are much older than that are soon removed.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("fits for ages")
}
