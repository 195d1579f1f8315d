//! Kafka's primitive types, classic and flexible, for the records of this topic.
//!
//! Reading never panics and never allocates more than the record holds.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// A record that is not what its version promises.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the record ends before its fields do")]
    Truncated,
    #[error("{0} bytes follow the last field")]
    Trailing(usize),
    #[error("version {version} of {what} is not known")]
    Version { what: &'static str, version: i16 },
    #[error("a length is negative or does not fit: {0}")]
    Length(i64),
    #[error("a field that must be set is null")]
    Null,
    #[error("a string is not UTF-8")]
    Utf8,
}

pub(super) struct Reader {
    bytes: Bytes,
    /// Lengths are compact and structs end in tagged fields.
    flexible: bool,
}

impl Reader {
    pub(super) fn new(bytes: Bytes) -> Self {
        Reader { bytes, flexible: false }
    }

    pub(super) fn set_flexible(&mut self) {
        self.flexible = true;
    }

    pub(super) fn i16(&mut self) -> Result<i16, Error> {
        self.bytes.try_get_i16().map_err(|_| Error::Truncated)
    }

    pub(super) fn i32(&mut self) -> Result<i32, Error> {
        self.bytes.try_get_i32().map_err(|_| Error::Truncated)
    }

    pub(super) fn i64(&mut self) -> Result<i64, Error> {
        self.bytes.try_get_i64().map_err(|_| Error::Truncated)
    }

    pub(super) fn string(&mut self) -> Result<Arc<str>, Error> {
        self.nullable_string()?.ok_or(Error::Null)
    }

    pub(super) fn nullable_string(&mut self) -> Result<Option<Arc<str>>, Error> {
        let length = if self.flexible { self.compact_length()? } else { i64::from(self.i16()?) };
        let Some(bytes) = self.take(length)? else { return Ok(None) };
        let text = std::str::from_utf8(&bytes).map_err(|_| Error::Utf8)?;
        Ok(Some(text.into()))
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, Error> {
        let length = if self.flexible { self.compact_length()? } else { i64::from(self.i32()?) };
        self.take(length)?.ok_or(Error::Null)
    }

    /// The number of elements of an array, each of which takes at least a byte.
    pub(super) fn array(&mut self) -> Result<usize, Error> {
        let length = if self.flexible { self.compact_length()? } else { i64::from(self.i32()?) };
        let count = usize::try_from(length).map_err(|_| Error::Length(length))?;
        if count > self.bytes.len() { Err(Error::Truncated) } else { Ok(count) }
    }

    /// Tagged fields: each is shown to `field`; the unknown ones are skipped. Nothing before the flexible versions.
    pub(super) fn tags(&mut self, mut field: impl FnMut(u32, Bytes) -> Result<(), Error>) -> Result<(), Error> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            let length = i64::from(self.uvarint()?);
            field(tag, self.take(length)?.ok_or(Error::Null)?)?;
        }
        Ok(())
    }

    pub(super) fn end(self) -> Result<(), Error> {
        if self.bytes.is_empty() { Ok(()) } else { Err(Error::Trailing(self.bytes.len())) }
    }

    fn compact_length(&mut self) -> Result<i64, Error> {
        Ok(i64::from(self.uvarint()?) - 1)
    }

    /// `length` bytes, or `None` for -1.
    fn take(&mut self, length: i64) -> Result<Option<Bytes>, Error> {
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| Error::Length(length))?;
        if length > self.bytes.len() {
            return Err(Error::Truncated);
        }
        Ok(Some(self.bytes.split_to(length)))
    }

    fn uvarint(&mut self) -> Result<u32, Error> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = self.bytes.try_get_u8().map_err(|_| Error::Truncated)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| Error::Length(value as i64));
            }
        }
        Err(Error::Length(value as i64))
    }
}

#[derive(Default)]
pub(super) struct Writer {
    bytes: BytesMut,
    flexible: bool,
}

impl Writer {
    pub(super) fn set_flexible(&mut self) {
        self.flexible = true;
    }

    pub(super) fn i16(&mut self, value: i16) {
        self.bytes.put_i16(value);
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.bytes.put_i32(value);
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.bytes.put_i64(value);
    }

    pub(super) fn string(&mut self, value: &str) -> Result<(), Error> {
        if self.flexible {
            self.compact_length(value.len())?;
        } else {
            self.i16(i16::try_from(value.len()).map_err(|_| Error::Length(value.len() as i64))?);
        }
        self.bytes.put_slice(value.as_bytes());
        Ok(())
    }

    pub(super) fn nullable_string(&mut self, value: Option<&str>) -> Result<(), Error> {
        match value {
            Some(value) => self.string(value),
            None if self.flexible => {
                self.uvarint(0);
                Ok(())
            }
            None => {
                self.i16(-1);
                Ok(())
            }
        }
    }

    pub(super) fn bytes(&mut self, value: &[u8]) -> Result<(), Error> {
        if self.flexible {
            self.compact_length(value.len())?;
        } else {
            self.i32(i32::try_from(value.len()).map_err(|_| Error::Length(value.len() as i64))?);
        }
        self.bytes.put_slice(value);
        Ok(())
    }

    pub(super) fn array(&mut self, count: usize) -> Result<(), Error> {
        if self.flexible {
            return self.compact_length(count);
        }
        self.i32(i32::try_from(count).map_err(|_| Error::Length(count as i64))?);
        Ok(())
    }

    /// The tagged fields of a struct, in ascending order of tags; to be called where `flexible`.
    pub(super) fn tags(&mut self, fields: &[(u32, &[u8])]) -> Result<(), Error> {
        self.uvarint(u32::try_from(fields.len()).map_err(|_| Error::Length(fields.len() as i64))?);
        for (tag, value) in fields {
            self.uvarint(*tag);
            self.uvarint(u32::try_from(value.len()).map_err(|_| Error::Length(value.len() as i64))?);
            self.bytes.put_slice(value);
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Bytes {
        self.bytes.freeze()
    }

    fn compact_length(&mut self, length: usize) -> Result<(), Error> {
        let plus_one = u32::try_from(length + 1).map_err(|_| Error::Length(length as i64))?;
        self.uvarint(plus_one);
        Ok(())
    }

    fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.put_u8(value as u8);
    }
}
