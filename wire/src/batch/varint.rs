//! Varints of contiguous records. Most take one or two bytes, and those are read without a loop.

/// A zigzag varint of at most 32 bits.
#[inline(always)]
pub(super) fn varint(bytes: &mut &[u8]) -> Option<i32> {
    let value = u32::try_from(base128(bytes, 5)?).ok()?;
    Some((value >> 1) as i32 ^ -((value & 1) as i32))
}

/// A zigzag varint of at most 64 bits.
#[inline(always)]
pub(super) fn varlong(bytes: &mut &[u8]) -> Option<i64> {
    let value = base128(bytes, 10)?;
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

/// A length and as many bytes; the inner `None` is null.
#[inline(always)]
pub(super) fn field<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match varint(bytes)? {
        -1 => Some(None),
        length => take(bytes, length).map(Some),
    }
}

#[inline(always)]
pub(super) fn take<'a>(bytes: &mut &'a [u8], count: i32) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(usize::try_from(count).ok()?)?;
    *bytes = rest;
    Some(taken)
}

#[inline(always)]
fn base128(bytes: &mut &[u8], groups: u32) -> Option<u64> {
    match **bytes {
        [first, ref rest @ ..] if first < 0x80 => {
            *bytes = rest;
            Some(u64::from(first))
        }
        [first, second, ref rest @ ..] if second < 0x80 => {
            *bytes = rest;
            Some(u64::from(first & 0x7f) | u64::from(second) << 7)
        }
        _ => long(bytes, groups),
    }
}

#[inline(never)]
fn long(bytes: &mut &[u8], groups: u32) -> Option<u64> {
    let mut value = 0;
    for group in 0..groups {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        value |= bits << (7 * group);
        if byte < 0x80 {
            return (group < 9 || bits <= 1).then_some(value);
        }
    }
    None
}
