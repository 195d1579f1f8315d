//! Prefixes of templates, and batches put together, are batches that the broker takes.

use super::*;
use crate::batch::read_stamp;
use crate::clock::Nanos;
use crate::plan::{Keys, Sizes};
use duramen_wire::batch::{Limits, Records, validate};
use duramen_wire::slices::Slices;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

const KEY: [u8; KEY_LEN] = *b"k00000000042";

fn shape(produce: &Produce) -> Shape {
    let sizes = SizeTable::new(&produce.sizes, &mut SmallRng::seed_from_u64(1)).unwrap();
    Shape::new(produce, Arc::new(sizes), 1).unwrap()
}

fn stamp(sequence: u64) -> Stamp {
    Stamp { run: 9, producer: 3, sequence, due: Nanos(sequence * 1_000) }
}

fn head(records: u32) -> Head {
    let (producer_id, producer_epoch, base_sequence) = (77, 1, 5);
    Head { compression: Compression::None, records, timestamp: 1_234, producer_id, producer_epoch, base_sequence }
}

/// Fills up to so many records into a buffer that held others before, and returns the whole batch.
fn batch(shape: &Shape, keyed: bool, first: u64, count: u32) -> (Vec<u8>, Buffer) {
    let mut buffer = shape.buffer(5);
    for _ in 0..2 {
        buffer.clear();
        while buffer.records < count && shape.fits(&buffer, 3, first + u64::from(buffer.records)) {
            let sequence = first + u64::from(buffer.records);
            shape.push(&mut buffer, stamp(sequence), keyed.then_some(KEY));
        }
    }
    let (header, _) = seal(&head(buffer.records), buffer.section());
    ([&header[..], buffer.section()].concat(), buffer)
}

proptest! {
    #[test]
    fn any_prefix_is_a_batch(
        sizes in prop_oneof![
            (0..3_000_u32).prop_map(Sizes::Fixed),
            (0..500_u32, 0..3_000_u32).prop_map(|(min, more)| Sizes::Uniform { min, max: min + more }),
        ],
        keyed in any::<bool>(),
        batch_bytes in 1..40_000_u32,
        batch_records in prop::option::of(1..300_u32),
        first in 0..1_000_000_u64,
        share in 0.0..1.0_f64,
    ) {
        let keys = keyed.then_some(Keys { count: 10, skew: 0.0 });
        let produce = Produce { sizes, keys, batch_bytes, batch_records, ..Produce::default() };
        let shape = shape(&produce);
        let full = shape.full_from(3, first);
        let count = ((f64::from(full) * share) as u32).max(1);
        for count in [count, full, full + 1] {
            let (bytes, buffer) = batch(&shape, keyed, first, count);
            prop_assert_eq!(buffer.records, count.min(full));
            prop_assert!(bytes.len() <= (batch_bytes as usize).max(bytes.len() * (buffer.records == 1) as usize));
            let header = validate(Slices::one(&bytes.as_slice()), &Limits { require_key: keyed, ..Limits::default() });
            prop_assert_eq!(header.unwrap().record_count as u32, buffer.records);
            let mut payload_bytes = 0;
            for (index, record) in Records::new(&bytes[HEADER_LEN..], buffer.records as i32).enumerate() {
                let (record, sequence) = (record.unwrap(), first + index as u64);
                let value = record.value.unwrap();
                prop_assert_eq!(record.key, keyed.then_some(&KEY[..]));
                prop_assert_eq!(value.len() as u32, shape.sizes.of(3, sequence));
                prop_assert_eq!(read_stamp(value), (value.len() >= STAMP_LEN).then(|| stamp(sequence)));
                payload_bytes += (value.len() + record.key.unwrap_or_default().len()) as u64;
            }
            prop_assert_eq!(payload_bytes, buffer.payload_bytes);
        }
    }
}

#[test]
fn a_full_batch_leaves_no_room_for_one_more() {
    for (batch_bytes, expected) in [(16_384, 148), (1_000_000, 9_000), (1, 1)] {
        let produce = Produce { batch_bytes, ..Produce::default() };
        let shape = shape(&produce);
        let (bytes, buffer) = batch(&shape, false, 0, u32::MAX);
        let next = record_len(buffer.records, None, 100);
        assert!(bytes.len() + next > batch_bytes as usize);
        assert!(buffer.records.abs_diff(expected) <= expected / 100, "{} records in {batch_bytes} B", buffer.records);
    }
}

#[test]
fn templates_differ_in_their_payload_only() {
    let shape = shape(&Produce::default());
    let full = shape.full_from(0, 0);
    assert_eq!((shape.templates(), shape.prefix_payload_bytes(full)), (TEMPLATES, u64::from(full) * 100));
    for records in [1, full / 2, full] {
        let sections: Vec<_> = (0..TEMPLATES).map(|template| shape.prefix(template, records)).collect();
        assert!(sections[0] != sections[1] && sections.iter().all(|section| section.len() == sections[0].len()));
        for section in sections {
            let bytes = [&seal(&head(records), section).0[..], section].concat();
            validate(Slices::one(&bytes.as_slice()), &Limits::default()).unwrap();
        }
    }
}
