//! Writes requests: a small writer of the protocol's primitives, compact or not as the version wants.

use duramen_wire::api::ApiKey;
use duramen_wire::header::end_frame;

use super::CLIENT_ID;

/// Where the correlation id lies in a request's frame, its length included.
pub(crate) const CORRELATION_AT: usize = 8;

/// Appends one request to a vector, from its length on. The correlation id is left 0: the connection numbers frames when
/// it takes them.
pub struct RequestWriter<'o> {
    out: &'o mut Vec<u8>,
    flexible: bool,
    start: usize,
}

impl<'o> RequestWriter<'o> {
    /// Writes length and header; whether the rest is flexible follows from API and version.
    pub fn begin(out: &'o mut Vec<u8>, api: ApiKey, version: i16, correlation_id: i32) -> Self {
        let start = out.len();
        let mut writer = Self { out, flexible: false, start };
        writer.i32(0);
        writer.i16(api as i16);
        writer.i16(version);
        writer.i32(correlation_id);
        // The header keeps the client id's 16-bit length in all versions.
        writer.string(Some(CLIENT_ID));
        writer.flexible = api.is_flexible(version);
        writer.no_tags();
        writer
    }

    /// Ends the request.
    pub fn finish(self) {
        self.finish_with(0);
    }

    /// Ends a request of which so many bytes are sent from elsewhere.
    pub(crate) fn finish_with(self, bytes_elsewhere: usize) {
        end_frame(self.out, self.start, bytes_elsewhere);
    }

    /// Bytes written so far, from the vector's beginning.
    pub(crate) fn position(&self) -> usize {
        self.out.len()
    }

    pub fn i8(&mut self, v: i8) {
        self.out.extend_from_slice(&v.to_be_bytes());
    }

    pub fn i16(&mut self, v: i16) {
        self.out.extend_from_slice(&v.to_be_bytes());
    }

    pub fn i32(&mut self, v: i32) {
        self.out.extend_from_slice(&v.to_be_bytes());
    }

    pub fn i64(&mut self, v: i64) {
        self.out.extend_from_slice(&v.to_be_bytes());
    }

    /// A string of at most 32,767 bytes, or null.
    pub fn string(&mut self, v: Option<&str>) {
        match (self.flexible, v) {
            (true, v) => self.uvarint(v.map_or(0, |v| v.len() as u32 + 1)),
            (false, None) => self.i16(-1),
            (false, Some(v)) => self.i16(i16::try_from(v.len()).expect("a string's length is an i16")),
        }
        self.raw(v.unwrap_or_default().as_bytes());
    }

    /// An array's number of elements, which follow.
    pub fn array(&mut self, count: usize) {
        self.length(count);
    }

    /// The length of bytes that follow.
    pub(crate) fn length(&mut self, count: usize) {
        let count = i32::try_from(count).expect("a length in a request is an i32");
        match self.flexible {
            true => self.uvarint(count as u32 + 1),
            false => self.i32(count),
        }
    }

    /// Bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// The end of a structure without tagged fields.
    pub fn no_tags(&mut self) {
        if self.flexible {
            self.uvarint(0);
        }
    }

    fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duramen_wire::header::RequestHeader;
    use duramen_wire::slices::Slices;

    #[test]
    fn headers_are_read_by_the_broker() {
        for api in [ApiKey::Produce, ApiKey::Fetch, ApiKey::ListOffsets] {
            for version in api.versions() {
                let mut out = vec![9, 9];
                let mut writer = RequestWriter::begin(&mut out, api, version, 77);
                writer.i32(5);
                writer.finish_with(100);
                let frame = &out[2..];
                assert_eq!(frame[..4], (frame.len() as i32 - 4 + 100).to_be_bytes());
                assert_eq!(frame[CORRELATION_AT..CORRELATION_AT + 4], 77_i32.to_be_bytes());
                let request = &frame[4..];
                let header = RequestHeader::parse(Slices::one(&request)).unwrap();
                assert_eq!((header.api, header.version, header.correlation_id), (api, version, 77));
                assert_eq!(&request[header.client_id.clone().unwrap()], CLIENT_ID.as_bytes());
                assert_eq!(request[header.body..], 5_i32.to_be_bytes());
            }
        }
    }

    #[test]
    fn primitives_are_read_by_the_broker() {
        for version in [8, 9] {
            let mut out = Vec::new();
            let mut writer = RequestWriter::begin(&mut out, ApiKey::Produce, version, 1);
            let body = writer.position();
            let long = "x".repeat(300);
            writer.string(None);
            writer.string(Some(&long));
            writer.array(3);
            writer.i8(-1);
            writer.i64(i64::MIN);
            writer.no_tags();
            writer.finish();
            let body = &out[body..];
            let slices = Slices::one(&body);
            let mut cursor = slices.cursor();
            let flexible = version >= 9;
            assert_eq!(cursor.nullable_string(flexible).unwrap(), None);
            assert_eq!(&body[cursor.string(flexible).unwrap()], long.as_bytes());
            assert_eq!(cursor.array(flexible).unwrap(), 3);
            assert_eq!((cursor.i8().unwrap(), cursor.i64().unwrap()), (-1, i64::MIN));
            cursor.skip_tagged(flexible).unwrap();
            assert_eq!(cursor.remaining(), 0);
        }
    }
}
