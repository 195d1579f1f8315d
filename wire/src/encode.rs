//! Writes Kafka's primitives into a byte vector, compact or not.

use crate::ids::TopicId;

/// Appends to a vector; `flexible` chooses compact lengths and tagged fields (KIP-482).
pub(crate) struct Writer<'o> {
    pub(crate) out: &'o mut Vec<u8>,
    pub(crate) flexible: bool,
}

macro_rules! integers {
    ($($name:ident: $type:ty),*) => {$(
        #[inline]
        pub(crate) fn $name(&mut self, value: $type) {
            self.out.extend_from_slice(&value.to_be_bytes());
        }
    )*};
}

impl<'o> Writer<'o> {
    pub(crate) fn new(out: &'o mut Vec<u8>, flexible: bool) -> Self {
        Self { out, flexible }
    }

    integers!(i16: i16, i32: i32, i64: i64);

    pub(crate) fn uuid(&mut self, id: TopicId) {
        self.out.extend_from_slice(id.0.as_bytes());
    }

    pub(crate) fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    /// An array's number of elements, which follow.
    pub(crate) fn array(&mut self, count: usize) {
        self.length(Some(count));
    }

    /// The length of an array or a byte string; `None` is null.
    pub(crate) fn length(&mut self, length: Option<usize>) {
        let length = length.map_or(-1, |length| i32::try_from(length).expect("a length in a response is an i32"));
        match self.flexible {
            true => self.uvarint(length.wrapping_add(1) as u32),
            false => self.i32(length),
        }
    }

    /// A string of at most 32,767 bytes.
    pub(crate) fn string(&mut self, value: Option<&[u8]>) {
        match (self.flexible, value) {
            (true, value) => self.uvarint(value.map_or(0, |value| value.len() as u32 + 1)),
            (false, None) => self.i16(-1),
            (false, Some(value)) => self.i16(i16::try_from(value.len()).expect("a string's length is an i16")),
        }
        self.out.extend_from_slice(value.unwrap_or_default());
    }

    /// The end of a structure without tagged fields.
    pub(crate) fn no_tags(&mut self) {
        self.tags(0);
    }

    /// The number of tagged fields that follow; there is none where it is not flexible.
    pub(crate) fn tags(&mut self, count: u32) {
        if self.flexible {
            self.uvarint(count);
        }
    }

    /// The head of one tagged field, whose `length` bytes follow.
    pub(crate) fn tag(&mut self, tag: u32, length: usize) {
        self.uvarint(tag);
        self.uvarint(length as u32);
    }
}

/// Bytes that an unsigned varint takes.
pub(crate) fn uvarint_len(value: u32) -> usize {
    (32 - value.leading_zeros()).div_ceil(7).max(1) as usize
}

/// Bytes that a compact string takes.
pub(crate) fn compact_string_len(value: Option<&str>) -> usize {
    value.map_or(1, |value| uvarint_len(value.len() as u32 + 1) + value.len())
}
