use proptest::prelude::*;

use super::*;

/// `count` records of producer 7.
fn batch(epoch: i16, base_sequence: i32, count: i32) -> BatchSummary {
    let wrapped = (i64::from(base_sequence) + i64::from(count) - 1) % (i64::from(i32::MAX) + 1);
    BatchSummary {
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence,
        last_sequence: wrapped as i32,
        last_offset_delta: count - 1,
        max_timestamp: 1000 + i64::from(base_sequence),
    }
}

fn of(producer: i64) -> BatchSummary {
    BatchSummary { producer_id: ProducerId(producer), ..batch(0, 0, 1) }
}

/// What has happened after these batches, one after the other from offset 100 on, at time 50.
fn after(batches: &[BatchSummary]) -> Producers {
    let (mut producers, mut offset) = (Producers::default(), Offset(100));
    for batch in batches {
        assert_eq!(producers.check(batch), Ok(Verdict::Fresh));
        producers.record(batch, offset, 50);
        offset = offset.plus(i64::from(batch.last_offset_delta) + 1);
    }
    producers
}

fn out_of_order(last: i32, found: i32) -> Result<Verdict, Error> {
    Err(Error::OutOfOrderSequence { producer_id: ProducerId(7), last, found })
}

#[test]
fn a_duplicate_is_acknowledged_with_its_first_offset() {
    let producers = after(&[batch(0, 0, 3), batch(0, 3, 2)]);
    let first = Verdict::Duplicate { base_offset: Offset(100), last_offset: Offset(102), timestamp: 1000 };
    let second = Verdict::Duplicate { base_offset: Offset(103), last_offset: Offset(104), timestamp: 1003 };
    assert_eq!(producers.check(&batch(0, 0, 3)), Ok(first));
    assert_eq!(producers.check(&batch(0, 3, 2)), Ok(second));
}

#[test]
fn five_batches_are_remembered() {
    let batches: Vec<BatchSummary> = (0..6).map(|sequence| batch(0, sequence, 1)).collect();
    let producers = after(&batches);
    assert_eq!(producers.check(&batches[0]), out_of_order(5, 0), "the sixth last is not known any more");
    for known in &batches[1..] {
        assert!(matches!(producers.check(known), Ok(Verdict::Duplicate { .. })));
    }
}

#[test]
fn a_gap_is_refused() {
    let producers = after(&[batch(0, 0, 3)]);
    assert_eq!(producers.check(&batch(0, 4, 1)), out_of_order(2, 4));
    assert_eq!(producers.check(&batch(0, 3, 1)), Ok(Verdict::Fresh));
}

#[test]
fn a_batch_that_overlaps_a_known_one_is_refused() {
    let producers = after(&[batch(0, 0, 3)]);
    assert_eq!(producers.check(&batch(0, 0, 2)), out_of_order(2, 0));
    assert_eq!(producers.check(&batch(0, 1, 2)), out_of_order(2, 1));
    assert_eq!(producers.check(&batch(0, 2, 2)), out_of_order(2, 2));
}

#[test]
fn sequences_wrap_at_the_largest_integer() {
    let producers = after(&[batch(0, i32::MAX, 1)]);
    assert_eq!(producers.check(&batch(0, 0, 1)), Ok(Verdict::Fresh));
    assert_eq!(producers.check(&batch(0, 1, 1)), out_of_order(i32::MAX, 1));
    let within = after(&[batch(0, i32::MAX - 1, 4)]);
    assert_eq!(within.check(&batch(0, 2, 1)), Ok(Verdict::Fresh));
    assert!(matches!(within.check(&batch(0, i32::MAX - 1, 4)), Ok(Verdict::Duplicate { .. })));
}

#[test]
fn a_new_epoch_begins_at_zero() {
    let producers = after(&[batch(2, 0, 3)]);
    assert_eq!(producers.check(&batch(3, 3, 1)), out_of_order(-1, 3));
    assert_eq!(producers.check(&batch(3, 0, 3)), Ok(Verdict::Fresh), "not a duplicate: the epoch is another");
    let fenced = after(&[batch(2, 0, 3), batch(3, 0, 1)]);
    assert_eq!(fenced.check(&batch(3, 0, 3)), out_of_order(0, 0), "batches of older epochs are forgotten");
}

#[test]
fn an_older_epoch_is_fenced() {
    let producers = after(&[batch(2, 0, 3), batch(3, 0, 1)]);
    let fenced =
        Error::InvalidProducerEpoch { producer_id: ProducerId(7), current: ProducerEpoch(3), found: ProducerEpoch(2) };
    assert_eq!(producers.check(&batch(2, 3, 1)), Err(fenced));
    assert_eq!(producers.check(&batch(2, 0, 3)), Err(fenced), "even for what was appended");
}

#[test]
fn an_unknown_producer_may_begin_anywhere() {
    assert_eq!(Producers::default().check(&batch(9, 1234, 1)), Ok(Verdict::Fresh));
}

#[test]
fn batches_without_a_producer_are_not_remembered() {
    let mut producers = Producers::default();
    let anonymous = BatchSummary { base_sequence: -1, last_sequence: -1, ..of(-1) };
    producers.record(&anonymous, Offset(0), 1);
    assert_eq!((producers.check(&anonymous), producers.len()), (Ok(Verdict::Fresh), 0));
}

#[test]
fn silent_producers_expire() {
    let mut producers = Producers::default();
    producers.record(&of(1), Offset(0), 100);
    producers.record(&of(2), Offset(1), 101);
    producers.expire(1100, 1000);
    assert_eq!(producers.snapshot().iter().map(|state| state.producer_id).collect::<Vec<_>>(), [2]);
    producers.expire(1101, 1000);
    assert!(producers.is_empty());
}

#[test]
fn too_many_producers_push_out_the_silent_ones() {
    let mut producers = Producers::default();
    let most = PRODUCERS_MAX as i64;
    for id in 0..most {
        producers.record(&of(id), Offset(id), id);
    }
    producers.record(&BatchSummary { base_sequence: 1, last_sequence: 1, ..of(0) }, Offset(most), most);
    assert_eq!(producers.len(), PRODUCERS_MAX, "one that is known needs no room");
    producers.record(&of(most), Offset(most + 1), most);
    assert_eq!(producers.len(), PRODUCERS_MAX - FORGOTTEN_AT_ONCE + 1);
    let ids: Vec<i64> = producers.snapshot().iter().map(|state| state.producer_id).collect();
    assert_eq!((ids[0], ids[1]), (0, FORGOTTEN_AT_ONCE as i64 + 1));
}

#[test]
fn what_a_checkpoint_says_is_cut_to_the_bounds() {
    let kept = KeptBatch { base_sequence: 0, last_sequence: 0, base_offset: 0, last_offset: 0, timestamp: 0 };
    let state = |producer_id, batches| ProducerState { producer_id, epoch: 0, last_ms: 0, batches };
    let batches = (0..9).map(|sequence| KeptBatch { base_sequence: sequence, last_sequence: sequence, ..kept });
    let producers = Producers::restore(vec![state(7, batches.collect()), state(8, Vec::new())]);
    assert_eq!(producers.len(), 1);
    assert_eq!(producers.check(&batch(0, 3, 1)), out_of_order(8, 3));
    assert!(matches!(producers.check(&batch(0, 4, 1)), Ok(Verdict::Duplicate { .. })));
}

proptest! {
    /// However a producer repeats its last batches, everything is appended once, and a snapshot in between changes
    /// nothing.
    #[test]
    fn every_batch_is_appended_once(
        counts in prop::collection::vec(1..5i32, 1..40),
        repeats in prop::collection::vec(0..6usize, 40),
        start in prop::sample::select(vec![0, 17, i32::MAX - 20]),
    ) {
        let mut producers = Producers::default();
        let (mut sequence, mut offset) = (i64::from(start), 0);
        let mut appended: Vec<(BatchSummary, i64)> = Vec::new();
        for (count, repeat) in counts.into_iter().zip(repeats) {
            let next = batch(0, (sequence % (i64::from(i32::MAX) + 1)) as i32, count);
            prop_assert_eq!(producers.check(&next), Ok(Verdict::Fresh));
            producers.record(&next, Offset(offset), 0);
            appended.push((next, offset));
            (sequence, offset) = (sequence + i64::from(count), offset + i64::from(count));
            producers = Producers::restore(producers.snapshot());
            for (known, first) in appended.iter().rev().take(repeat.min(BATCHES_KEPT)) {
                let Ok(Verdict::Duplicate { base_offset, last_offset, .. }) = producers.check(known) else {
                    return Err(TestCaseError::fail("it is known"));
                };
                prop_assert_eq!((base_offset.0, last_offset.0), (*first, first + i64::from(known.last_offset_delta)));
            }
        }
    }
}
