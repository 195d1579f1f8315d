//! The cursor against known bytes, the crate's encoders' idea of them, and hostile claims.

use proptest::prelude::*;

use super::*;

fn with<T>(bytes: &[u8], read: impl Fn(&mut Cursor) -> T) -> T {
    let whole = [bytes];
    let result = read(&mut Slices::new(&whole).cursor());
    let bits: Vec<&[u8]> = bytes.chunks(1).collect();
    let _ = read(&mut Slices::new(&bits).cursor());
    result
}

fn uvarint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

proptest! {
    #[test]
    fn integers_are_big_endian_in_any_cut(a: i8, b: i16, c: i32, d: i64, e: u16, f: u32, size in 1_usize..12) {
        let mut bytes = Vec::new();
        bytes.extend(a.to_be_bytes());
        bytes.extend(b.to_be_bytes());
        bytes.extend(c.to_be_bytes());
        bytes.extend(d.to_be_bytes());
        bytes.extend(e.to_be_bytes());
        bytes.extend(f.to_be_bytes());
        let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        let mut cursor = Slices::new(&pieces).cursor();
        prop_assert_eq!(cursor.i8(), Ok(a));
        prop_assert_eq!(cursor.i16(), Ok(b));
        prop_assert_eq!(cursor.i32(), Ok(c));
        prop_assert_eq!(cursor.i64(), Ok(d));
        prop_assert_eq!(cursor.u16(), Ok(e));
        prop_assert_eq!(cursor.u32(), Ok(f));
        prop_assert_eq!((cursor.position(), cursor.remaining()), (21, 0));
        let truncated = matches!(cursor.u8(), Err(Error::Truncated { needed: 1, left: 0, .. }));
        prop_assert!(truncated);
    }

    #[test]
    fn varints_round_trip(short: i32, long: i64, plain: u32) {
        let zigzag_short = ((short << 1) ^ (short >> 31)) as u32;
        let zigzag_long = ((long << 1) ^ (long >> 63)) as u64;
        prop_assert_eq!(with(&uvarint(zigzag_short.into()), |c| c.varint()), Ok(short));
        prop_assert_eq!(with(&uvarint(zigzag_long), |c| c.varlong()), Ok(long));
        prop_assert_eq!(with(&uvarint(plain.into()), |c| c.uvarint()), Ok(plain));
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        reads in prop::collection::vec(0..12_u8, 0..20),
        size in 1_usize..9,
    ) {
        let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        let mut cursor = Slices::new(&pieces).cursor();
        for read in reads {
            let _ = match read {
                0 => cursor.string(true).map(drop),
                1 => cursor.string(false).map(drop),
                2 => cursor.bytes(true).map(drop),
                3 => cursor.bytes(false).map(drop),
                4 => cursor.array(true).map(drop),
                5 => cursor.array(false).map(drop),
                6 => cursor.skip_tagged(true),
                7 => cursor.varlong().map(drop),
                8 => cursor.varint().map(drop),
                9 => cursor.uuid().map(drop),
                10 => cursor.skip(usize::MAX).map(drop),
                _ => cursor.i64().map(drop),
            };
            prop_assert_eq!(cursor.position() + cursor.remaining(), bytes.len());
        }
    }
}

#[test]
fn strings_and_bytes_are_ranges() {
    assert_eq!(with(&[0, 3, b'a', b'b', b'c'], |c| c.string(false)), Ok(2..5));
    assert_eq!(with(&[4, b'a', b'b', b'c'], |c| c.string(true)), Ok(1..4));
    assert_eq!(with(&[0xff, 0xff], |c| c.nullable_string(false)), Ok(None));
    assert_eq!(with(&[0], |c| c.nullable_bytes(true)), Ok(None));
    assert_eq!(with(&[0, 0, 0, 1, 9], |c| c.bytes(false)), Ok(4..5));
    assert!(matches!(with(&[0], |c| c.string(true)), Err(Error::Null { .. })));
    assert!(matches!(with(&[0xff, 0xfe], |c| c.string(false)), Err(Error::NegativeLength { length: -2, .. })));
    assert!(matches!(with(&[0, 3, b'a', b'b'], |c| c.string(false)), Err(Error::Truncated { needed: 3, .. })));
}

#[test]
fn an_array_may_not_claim_more_than_the_bound_or_the_bytes() {
    assert_eq!(with(&[0, 0, 0, 2, 1, 2], |c| c.array(false)), Ok(2));
    assert!(matches!(with(&[0, 0, 0, 3, 1, 2], |c| c.array(false)), Err(Error::ArrayBeyondEnd { claimed: 3, .. })));
    assert!(matches!(with(&[0x3b, 0x9a, 0xca, 0], |c| c.array(false)), Err(Error::ArrayTooLong { .. })));
    assert!(matches!(with(&[0xff, 0xff, 0xff, 0xff, 0xf], |c| c.array(true)), Err(Error::ArrayTooLong { .. })));
    assert!(matches!(with(&[0x80, 0, 0, 0], |c| c.array(false)), Err(Error::NegativeLength { .. })));
    let mut at_the_bound = (ARRAY_LENGTH_MAX as i32).to_be_bytes().to_vec();
    at_the_bound.resize(4 + ARRAY_LENGTH_MAX as usize, 0);
    let pieces = [at_the_bound.as_slice()];
    assert_eq!(Slices::new(&pieces).cursor().array(false), Ok(ARRAY_LENGTH_MAX as usize));
}

#[test]
fn tagged_fields_are_bounded_and_their_cursors_end_with_them() {
    let bytes = [2, 0, 2, 7, 8, 5, 0, 99];
    let seen = with(&bytes, |c| {
        let mut seen = Vec::new();
        c.tagged(true, |tag, value| {
            let first = value.u8().ok();
            seen.push((tag, first, value.remaining()));
            assert!(value.i64().is_err());
            Ok(())
        })?;
        c.u8().map(|next| (seen, next))
    });
    assert_eq!(seen, Ok((vec![(0, Some(7), 1), (5, None, 0)], 99)));
    assert!(matches!(with(&uvarint(10_001), |c| c.skip_tagged(true)), Err(Error::TooManyTags { claimed: 10_001, .. })));
    assert!(matches!(with(&[1, 0, 9, 1], |c| c.skip_tagged(true)), Err(Error::Truncated { needed: 9, .. })));
    assert_eq!(with(&[7], |c| c.skip_tagged(false).and_then(|()| c.u8())), Ok(7));
}

#[test]
fn overlong_varints_are_refused() {
    assert!(matches!(with(&[0xff; 6], |c| c.uvarint()), Err(Error::Varint { .. })));
    assert!(matches!(with(&[0xff, 0xff, 0xff, 0xff, 0x1f], |c| c.uvarint()), Err(Error::Varint { .. })));
    assert!(matches!(with(&[0xff; 11], |c| c.varlong()), Err(Error::Varint { .. })));
    let mut too_wide = [0xff; 10];
    too_wide[9] = 2;
    assert!(matches!(with(&too_wide, |c| c.varlong()), Err(Error::Varint { .. })));
}
