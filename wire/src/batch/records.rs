//! The records of an uncompressed (or decompressed) record section, one after another, borrowed.

use super::Error;
use super::varint::{field, take, varint, varlong};

/// One record. Key, value and header values may be null, which is not the same as empty.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Distance from the batch's base offset.
    pub offset_delta: i32,
    /// Distance from the batch's base timestamp, in ms.
    pub timestamp_delta: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    headers: &'a [u8],
    header_count: i32,
}

/// One header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
}

/// Reads records until their number is reached. After an error it ends.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    index: i32,
    count: i32,
}

impl<'a> Records<'a> {
    /// `section` is what follows the header of an uncompressed batch, or the result of `decompress`; `record_count` is
    /// the header's.
    pub fn new(section: &'a [u8], record_count: i32) -> Self {
        Self { bytes: section, index: 0, count: record_count }
    }

    fn read(&mut self) -> Result<Record<'a>, Error> {
        let malformed = |what| Error::Record { index: self.index, what };
        let length = varint(&mut self.bytes).ok_or_else(|| malformed("length"))?;
        let mut body = take(&mut self.bytes, length).ok_or_else(|| malformed("length beyond the section"))?;
        let record = Record::read(&mut body).ok_or_else(|| malformed("truncated or overlong field"))?;
        let mut headers = record.headers();
        let read = headers.by_ref().count();
        match read == record.header_count as usize && headers.bytes.is_empty() {
            true => Ok(record),
            false => Err(malformed("fields and length disagree")),
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.count {
            return match std::mem::take(&mut self.bytes).len() {
                0 => None,
                count => Some(Err(Error::BytesAfterRecords { count })),
            };
        }
        let record = self.read();
        self.index += 1;
        if record.is_err() {
            self.bytes = &[];
            self.count = self.index;
        }
        Some(record)
    }
}

impl<'a> Record<'a> {
    fn read(body: &mut &'a [u8]) -> Option<Self> {
        take(body, 1)?;
        let timestamp_delta = varlong(body)?;
        let offset_delta = varint(body)?;
        let key = field(body)?;
        let value = field(body)?;
        let header_count = varint(body).filter(|count| *count >= 0)?;
        Some(Self { offset_delta, timestamp_delta, key, value, headers: body, header_count })
    }

    /// The headers in order. `Records` has read over them once, so all of them are there.
    pub fn headers(&self) -> Headers<'a> {
        Headers { bytes: self.headers, left: self.header_count }
    }
}

/// The headers of one record; it ends early where the bytes are malformed.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    left: i32,
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        if self.left == 0 {
            return None;
        }
        let mut read = || Some(Header { key: field(&mut self.bytes)??, value: field(&mut self.bytes)? });
        let header = read();
        self.left = if header.is_some() { self.left - 1 } else { 0 };
        header
    }
}
