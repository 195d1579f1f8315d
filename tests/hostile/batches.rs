//! Batches that are torn, flipped or that lie: refused with the right error, on a connection that goes on.

use crate::bare::Client;
use crate::bare::client::batch;
use crate::rig::Rig;

const CORRUPT_MESSAGE: i16 = 2;
const INVALID_RECORD: i16 = 87;

/// Where the parts of a batch begin (format version 2).
const LENGTH_AT: usize = 8;
const LEADER_EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const LAST_OFFSET_DELTA_AT: usize = 23;
const RECORD_COUNT_AT: usize = 57;

fn three_records() -> Vec<u8> {
    batch([&b"one"[..], b"two", b"three"])
}

/// Makes the checksum true again.
fn sealed(mut batch: Vec<u8>) -> Vec<u8> {
    let crc = crc32c(&batch[ATTRIBUTES_AT..]);
    batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// CRC-32C bit by bit: slow, and independent of what it checks.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

fn topic(rig: &Rig) -> Client {
    let mut client = rig.broker.client();
    assert_eq!(client.create_topics(&["target"], 1), [0]);
    client
}

#[test]
fn a_flipped_bit_is_noticed() {
    let mut rig = Rig::start();
    let mut client = topic(&rig);
    let batch = three_records();
    // The broker itself writes the base offset and the leader epoch; what a client says there does not count.
    let counts = |at: &usize| *at >= LENGTH_AT && !(LEADER_EPOCH_AT..MAGIC_AT).contains(at);
    for at in (0..batch.len()).filter(counts) {
        let mut flipped = batch.clone();
        flipped[at] ^= 1 << (at % 8);
        let (code, _) = client.produce("target", 0, flipped);
        assert!(code != 0, "a flip in byte {at} was accepted");
        if at >= CRC_AT {
            assert_eq!(code, CORRUPT_MESSAGE, "byte {at}");
        }
    }
    assert_eq!(client.end_offset("target", 0), 0);
    assert_eq!(client.produce("target", 0, batch), (0, 0));
    rig.is_unharmed();
}

#[test]
fn a_truncated_batch_is_refused() {
    let mut rig = Rig::start();
    let mut client = topic(&rig);
    let batch = three_records();
    for length in 0..batch.len() {
        let (code, _) = client.produce("target", 0, batch[..length].to_vec());
        assert!(code != 0, "{length} bytes of {} were accepted", batch.len());
    }
    assert_eq!(client.end_offset("target", 0), 0);
    rig.is_unharmed();
}

#[test]
fn a_lying_record_count_is_refused() {
    let mut rig = Rig::start();
    let mut client = topic(&rig);
    for count in [i32::MIN, -1, 0, 1, 2, 4, 1_000_000_000, i32::MAX] {
        for (says_count, says_offsets) in [(true, false), (false, true), (true, true)] {
            let mut lying = three_records();
            if says_count {
                lying[RECORD_COUNT_AT..RECORD_COUNT_AT + 4].copy_from_slice(&count.to_be_bytes());
            }
            if says_offsets {
                let delta = count.wrapping_sub(1);
                lying[LAST_OFFSET_DELTA_AT..LAST_OFFSET_DELTA_AT + 4].copy_from_slice(&delta.to_be_bytes());
            }
            let (code, _) = client.produce("target", 0, sealed(lying));
            assert!([INVALID_RECORD, CORRUPT_MESSAGE].contains(&code), "{count} records were answered by {code}");
        }
    }
    assert_eq!(client.end_offset("target", 0), 0);
    // The same way of sealing leaves a true batch acceptable.
    assert_eq!(client.produce("target", 0, sealed(three_records())), (0, 0));
    rig.is_unharmed();
}
