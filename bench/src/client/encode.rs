//! Requests as bytes: a small writer of the protocol's primitives, flexible or not by API and version.

use duramen_wire::api::ApiKey;

/// A request from its length on. Its correlation id is 0: the connection numbers frames when it writes them.
pub struct RequestWriter<'o> {
    pub out: &'o mut Vec<u8>,
    pub flexible: bool,
    pub start: usize,
}

impl<'o> RequestWriter<'o> {
    /// Writes the header; whether it and what follows are flexible is known from API and version.
    pub fn begin(_out: &'o mut Vec<u8>, _api: ApiKey, _version: i16, _correlation_id: i32) -> Self {
        todo!()
    }

    /// Fills in the length.
    pub fn finish(self) {
        todo!()
    }

    pub fn i8(&mut self, _value: i8) {
        todo!()
    }

    pub fn i16(&mut self, _value: i16) {
        todo!()
    }

    pub fn i32(&mut self, _value: i32) {
        todo!()
    }

    pub fn i64(&mut self, _value: i64) {
        todo!()
    }

    pub fn string(&mut self, _value: Option<&str>) {
        todo!()
    }

    /// The length of an array; its elements follow.
    pub fn array(&mut self, _count: usize) {
        todo!()
    }

    pub fn no_tags(&mut self) {
        todo!()
    }
}
