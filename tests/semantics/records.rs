//! Points 1, 2, 4, 5 and 35: what a batch must be to be taken.

use bytes::Bytes;
use duramen_wire::batch::BatchBuilder;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};

use crate::broker::{is_other, shared};
use crate::requests::*;

const EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const ATTRIBUTES_AT: usize = 21;
const RECORD_COUNT_AT: usize = 57;
const HOUR_MS: i64 = 3_600_000;

#[test]
fn base_offset_and_leader_epoch_lie_outside_the_crc() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    append(&mut client, &topic, batch(3));
    let mut records = batch(2);
    records[EPOCH_AT..][..4].copy_from_slice(&(-1_i32).to_be_bytes());
    assert_eq!(append(&mut client, &topic, records.clone()), 3);
    let fetched = fetch(&mut client, &topic, 3).records.unwrap();
    assert_eq!(&fetched[..8], &3_i64.to_be_bytes());
    assert_eq!(&fetched[EPOCH_AT..][..4], &0_i32.to_be_bytes());
    assert_eq!(fetched[MAGIC_AT..], records[MAGIC_AT..], "all else is as it came, the CRC too");
}

#[test]
fn a_batch_that_does_not_begin_at_offset_0_is_refused() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    for base in [1_i64, 77, -1, i64::MAX] {
        let mut records = batch(2);
        records[..8].copy_from_slice(&base.to_be_bytes());
        assert_eq!(refusal(&mut client, &topic, records), Some(ResponseError::InvalidRecord), "{base}");
    }
}

#[test]
fn every_flipped_bit_from_the_attributes_on_is_a_corrupt_message() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let whole = batch(1);
    for at in ATTRIBUTES_AT..whole.len() {
        let mut records = whole.clone();
        records[at] ^= 0x08;
        assert_eq!(refusal(&mut client, &topic, records), Some(ResponseError::CorruptMessage), "byte {at}");
    }
    assert_eq!(append(&mut client, &topic, whole), 0, "nothing of these was appended");
}

#[test]
fn older_magic_is_refused() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    for magic in [0, 1] {
        let mut records = batch(1);
        records[MAGIC_AT] = magic;
        seal(&mut records);
        assert_eq!(refusal(&mut client, &topic, records), Some(ResponseError::InvalidRecord), "magic {magic}");
    }
}

#[test]
fn two_batches_for_a_partition_are_refused() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let two = [batch(1), batch(1)].concat();
    assert_eq!(refusal(&mut client, &topic, two), Some(ResponseError::InvalidRecord));
}

#[test]
fn a_fragment_after_the_batch_is_refused() {
    if is_other() {
        return;
    }
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let with_fragment = [batch(1), batch(1)[..20].to_vec()].concat();
    assert_eq!(refusal(&mut client, &topic, with_fragment), Some(ResponseError::InvalidRecord));
}

#[test]
fn an_empty_partition_entry_is_an_error() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    // Kafka never answers null records.
    let empty = if is_other() { vec![Some(Vec::new())] } else { vec![Some(Vec::new()), None] };
    for records in empty {
        let response = client.call(PRODUCE, &produce_request(-1, &topic, 0, records));
        let code = response.responses[0].partition_responses[0].error_code;
        assert_eq!(error(code), Some(ResponseError::InvalidRecord));
    }
}

#[test]
fn one_bad_partition_does_not_spoil_the_other() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic_with(&mut client, 2, &[]);
    let mut request = produce_request(-1, &topic, 0, Some(batch(1)));
    let mut bad = batch(1);
    bad[RECORD_COUNT_AT] ^= 1;
    let second = PartitionProduceData::default().with_index(1).with_records(Some(Bytes::from(bad)));
    request.topic_data[0].partition_data.push(second);
    let answers = client.call(PRODUCE, &request).responses.remove(0).partition_responses;
    let mut codes = answers.iter().map(|answer| (answer.index, error(answer.error_code))).collect::<Vec<_>>();
    codes.sort_unstable_by_key(|(index, _)| *index);
    assert_eq!(codes, [(0, None), (1, Some(ResponseError::CorruptMessage))]);
}

#[test]
fn a_lying_record_count_is_refused() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    for count in [0_i32, 1, 2, 4, 1_000_000, -1, i32::MAX] {
        let mut records = batch(3);
        records[RECORD_COUNT_AT..][..4].copy_from_slice(&count.to_be_bytes());
        seal(&mut records);
        assert_eq!(refusal(&mut client, &topic, records), Some(ResponseError::InvalidRecord), "{count} of 3");
    }
}

#[test]
fn a_length_that_lies_is_refused() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    for length in [0_i32, 48, -1, i32::MAX] {
        let mut records = batch(1);
        records[8..12].copy_from_slice(&length.to_be_bytes());
        assert_ne!(refusal(&mut client, &topic, records), None, "length {length}");
    }
    assert_eq!(append(&mut client, &topic, batch(1)), 0);
}

#[test]
fn zstd_before_produce_7_is_an_error() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let records = compressed(Compression::Zstd);
    for version in 3..=PRODUCE {
        let response = client.call(version, &produce_request(-1, &topic, 0, Some(records.clone())));
        let expected = (version < 7).then_some(ResponseError::UnsupportedCompressionType);
        assert_eq!(error(response.responses[0].partition_responses[0].error_code), expected, "version {version}");
    }
}

#[test]
fn all_compressions_pass_through_untouched() {
    let broker = shared();
    let mut client = broker.connect();
    for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let topic = topic(&mut client);
        let records = compressed(compression);
        append(&mut client, &topic, records.clone());
        let fetched = fetch(&mut client, &topic, 0).records.unwrap();
        assert_eq!(fetched[MAGIC_AT..], records[MAGIC_AT..]);
    }
}

fn compressed(compression: Compression) -> Vec<u8> {
    let records = (0..10).map(|index| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset: index,
        sequence: index as i32 - 1,
        timestamp: now_ms(),
        key: None,
        value: Some(Bytes::from(vec![b'v'; 100])),
        headers: Default::default(),
    });
    let mut out = bytes::BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression };
    RecordBatchEncoder::encode(&mut out, &records.collect::<Vec<_>>(), &options).unwrap();
    out.to_vec()
}

#[test]
fn a_batch_above_max_message_bytes_is_too_large_and_the_connection_lives() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic_with(&mut client, 1, &[("max.message.bytes", "200")]);
    assert_eq!(refusal(&mut client, &topic, batch(20)), Some(ResponseError::MessageTooLarge));
    assert_eq!(append(&mut client, &topic, batch(1)), 0);
}

#[test]
fn max_message_bytes_counts_the_whole_batch() {
    let broker = shared();
    let mut client = broker.connect();
    let records = batch(3);
    let exact = topic_with(&mut client, 1, &[("max.message.bytes", &records.len().to_string())]);
    let short = topic_with(&mut client, 1, &[("max.message.bytes", &(records.len() - 1).to_string())]);
    assert_eq!(refusal(&mut client, &exact, records.clone()), None);
    assert_eq!(refusal(&mut client, &short, records), Some(ResponseError::MessageTooLarge));
}

#[test]
fn a_timestamp_more_than_an_hour_ahead_is_invalid() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let ahead = |ms: i64| batch_at(&[now_ms(), now_ms() + ms]);
    assert_eq!(refusal(&mut client, &topic, ahead(HOUR_MS + 60_000)), Some(ResponseError::InvalidTimestamp));
    assert_eq!(refusal(&mut client, &topic, ahead(HOUR_MS - 60_000)), None);
    assert_eq!(refusal(&mut client, &topic, batch_at(&[0])), None, "the past is unbounded by default");
}

#[test]
fn message_timestamp_before_max_ms_bounds_the_past() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic_with(&mut client, 1, &[("message.timestamp.before.max.ms", "60000")]);
    let past = batch_at(&[now_ms() - 120_000]);
    assert_eq!(refusal(&mut client, &topic, past), Some(ResponseError::InvalidTimestamp));
    assert_eq!(refusal(&mut client, &topic, batch(1)), None);
}

#[test]
fn a_clients_control_batch_is_an_invalid_record() {
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let records = fill(BatchBuilder::new().control(), 1);
    assert_eq!(refusal(&mut client, &topic, records), Some(ResponseError::InvalidRecord));
}
