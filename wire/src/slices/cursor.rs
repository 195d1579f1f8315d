//! Checked reads of Kafka's primitives from a `Slices`. Every claim in the bytes is bounded before anybody acts on it,
//! and no read allocates.

use std::ops::Range;

use uuid::Uuid;

use super::{Error, Slices};

/// No array may claim more elements.
pub const ARRAY_LENGTH_MAX: u64 = 1_000_000;

/// No structure may carry more tagged fields (KIP-482).
pub const TAGGED_FIELDS_MAX: u64 = 10_000;

type Result<T> = std::result::Result<T, Error>;

/// A position in a `Slices`, moved by reading. After an error the position is unspecified, but within the bytes.
///
/// Where a method takes `flexible`, true means the compact form of KIP-482 (lengths as unsigned varint plus one).
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    /// What is left of the current piece; not empty while anything is left.
    current: &'a [u8],
    /// The pieces after the current one.
    rest: &'a [&'a [u8]],
    /// Bytes left beyond the current piece.
    beyond: usize,
    position: usize,
}

macro_rules! integers {
    ($($name:ident: $type:ty),*) => {$(
        #[inline]
        pub fn $name(&mut self) -> Result<$type> {
            self.array_of().map(<$type>::from_be_bytes)
        }
    )*};
}

impl<'a> Cursor<'a> {
    pub fn new(slices: Slices<'a>) -> Self {
        let mut cursor = Self { current: &[], rest: slices.pieces, beyond: 0, position: 0 };
        let Some((first, rest)) = slices.pieces.split_first() else { return cursor };
        let first = &first[slices.skip.min(first.len())..];
        cursor.current = &first[..first.len().min(slices.len)];
        cursor.rest = rest;
        cursor.beyond = slices.len - cursor.current.len();
        cursor.next_piece();
        cursor
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.position
    }

    pub fn remaining(&self) -> usize {
        self.current.len() + self.beyond
    }

    /// The bytes ahead that lie together; empty only at the end.
    pub fn piece(&self) -> &'a [u8] {
        self.current
    }

    integers!(i8: i8, i16: i16, u16: u16, i32: i32, u32: u32, i64: i64, f64: f64);

    #[inline]
    pub fn u8(&mut self) -> Result<u8> {
        let Some((&byte, current)) = self.current.split_first() else { return Err(self.truncated(1)) };
        self.current = current;
        self.position += 1;
        if current.is_empty() {
            self.next_piece();
        }
        Ok(byte)
    }

    /// Any byte but 0 is true, as Kafka reads it.
    pub fn bool(&mut self) -> Result<bool> {
        Ok(self.u8()? != 0)
    }

    pub fn uuid(&mut self) -> Result<Uuid> {
        self.array_of().map(Uuid::from_bytes)
    }

    /// An unsigned varint of at most 32 bits.
    #[inline]
    pub fn uvarint(&mut self) -> Result<u32> {
        let value = self.base128(5)?;
        u32::try_from(value).map_err(|_| Error::Varint { position: self.position })
    }

    /// A zigzag varint of at most 32 bits, as records use it.
    #[inline]
    pub fn varint(&mut self) -> Result<i32> {
        let value = self.uvarint()?;
        Ok((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    /// A zigzag varint of at most 64 bits.
    #[inline]
    pub fn varlong(&mut self) -> Result<i64> {
        let value = self.base128(10)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Moves over `count` bytes.
    #[inline]
    pub fn skip(&mut self, count: usize) -> Result<Range<usize>> {
        if count > self.remaining() {
            return Err(self.truncated(count));
        }
        let from = self.position;
        self.position += count;
        let mut left = count;
        while left >= self.current.len() && left > 0 {
            left -= self.current.len();
            self.current = &[];
            self.next_piece();
        }
        self.current = &self.current[left..];
        Ok(from..self.position)
    }

    /// Where a string lies. Its bytes are not checked to be UTF-8.
    pub fn string(&mut self, flexible: bool) -> Result<Range<usize>> {
        self.nullable_string(flexible)?.ok_or(Error::Null { position: self.position })
    }

    pub fn nullable_string(&mut self, flexible: bool) -> Result<Option<Range<usize>>> {
        let length = if flexible { self.compact_length()? } else { i64::from(self.i16()?) };
        self.range(length)
    }

    /// Where a byte string lies: records, for example.
    pub fn bytes(&mut self, flexible: bool) -> Result<Range<usize>> {
        self.nullable_bytes(flexible)?.ok_or(Error::Null { position: self.position })
    }

    pub fn nullable_bytes(&mut self, flexible: bool) -> Result<Option<Range<usize>>> {
        let length = if flexible { self.compact_length()? } else { i64::from(self.i32()?) };
        self.range(length)
    }

    /// The number of elements of an array: bounded, and no more than there are bytes left.
    pub fn array(&mut self, flexible: bool) -> Result<usize> {
        self.nullable_array(flexible)?.ok_or(Error::Null { position: self.position })
    }

    pub fn nullable_array(&mut self, flexible: bool) -> Result<Option<usize>> {
        let length = if flexible { self.compact_length()? } else { i64::from(self.i32()?) };
        if length == -1 {
            return Ok(None);
        }
        let position = self.position;
        let claimed = u64::try_from(length).map_err(|_| Error::NegativeLength { position, length })?;
        if claimed > ARRAY_LENGTH_MAX {
            return Err(Error::ArrayTooLong { position, claimed });
        }
        match claimed as usize {
            count if count <= self.remaining() => Ok(Some(count)),
            _ => Err(Error::ArrayBeyondEnd { position, claimed, left: self.remaining() }),
        }
    }

    /// Reads the tagged fields that end a flexible structure, and none where it is not flexible. `field` gets each tag
    /// with a cursor over its value alone; what it does not read is skipped.
    pub fn tagged(&mut self, flexible: bool, mut field: impl FnMut(u32, &mut Cursor<'a>) -> Result<()>) -> Result<()> {
        if !flexible {
            return Ok(());
        }
        let claimed = u64::from(self.uvarint()?);
        if claimed > TAGGED_FIELDS_MAX {
            return Err(Error::TooManyTags { position: self.position, claimed });
        }
        for _ in 0..claimed {
            let tag = self.uvarint()?;
            let length = self.uvarint()? as usize;
            let mut value = self.clone();
            let range = self.skip(length)?;
            value.truncate(range.len());
            field(tag, &mut value)?;
        }
        Ok(())
    }

    /// Moves over tagged fields.
    pub fn skip_tagged(&mut self, flexible: bool) -> Result<()> {
        self.tagged(flexible, |_, _| Ok(()))
    }

    /// Leaves the next `count` bytes only, of which there are as many.
    fn truncate(&mut self, count: usize) {
        self.current = &self.current[..self.current.len().min(count)];
        self.beyond = count - self.current.len();
    }

    #[inline]
    fn array_of<const N: usize>(&mut self) -> Result<[u8; N]> {
        if let Some((bytes, rest)) = self.current.split_first_chunk::<N>()
            && !rest.is_empty()
        {
            self.current = rest;
            self.position += N;
            return Ok(*bytes);
        }
        if self.remaining() < N {
            return Err(self.truncated(N));
        }
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.u8()?;
        }
        Ok(bytes)
    }

    /// Little-endian groups of seven bits, at most `groups` of them. What does not fit into 64 bits is an error.
    #[inline]
    fn base128(&mut self, groups: u32) -> Result<u64> {
        let mut value = 0;
        for group in 0..groups {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            value |= bits << (7 * group);
            if byte < 0x80 {
                let fits = group < 9 || bits <= 1;
                return if fits { Ok(value) } else { Err(Error::Varint { position: self.position }) };
            }
        }
        Err(Error::Varint { position: self.position })
    }

    /// A compact length; -1 is null.
    fn compact_length(&mut self) -> Result<i64> {
        Ok(i64::from(self.uvarint()?) - 1)
    }

    fn range(&mut self, length: i64) -> Result<Option<Range<usize>>> {
        match length {
            -1 => Ok(None),
            0.. => self.skip(length as usize).map(Some),
            _ => Err(Error::NegativeLength { position: self.position, length }),
        }
    }

    /// Restores the invariant that the current piece is not empty while anything is left.
    fn next_piece(&mut self) {
        while self.current.is_empty() && self.beyond > 0 {
            let (next, rest) = self.rest.split_first().expect("the pieces hold as many bytes as the length says");
            self.current = &next[..next.len().min(self.beyond)];
            self.beyond -= self.current.len();
            self.rest = rest;
        }
    }

    #[cold]
    fn truncated(&self, needed: usize) -> Error {
        Error::Truncated { position: self.position, needed, left: self.remaining() }
    }
}

#[cfg(test)]
mod tests;
