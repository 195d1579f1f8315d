//! Headers from and to librdkafka, by way of its C functions: the safe wrapper panics on a header key that is not
//! UTF-8, and any client may have written one.
//!
//! librdkafka gives keys as C strings, so a key that holds a NUL arrives cut at it.
#![expect(unsafe_code, reason = "librdkafka's header functions have no safe form that takes any bytes as a key")]

use std::borrow::Cow;
use std::ffi::CStr;
use std::ptr;

use rdkafka::bindings::{rd_kafka_header_add, rd_kafka_header_cnt, rd_kafka_header_get_all, rd_kafka_resp_err_t};
use rdkafka::message::{BorrowedHeaders, OwnedHeaders};
use rdkafka::types::RDKafkaHeaders;

use super::Header;

/// The headers of a received message, in their order, borrowed from it.
pub fn read(headers: &BorrowedHeaders) -> Vec<Header<'_>> {
    let native = native(headers);
    // SAFETY: `native` is the list that `headers` stands for and lives as long as it.
    let count = unsafe { rd_kafka_header_cnt(native) };
    (0..count).filter_map(|index| read_one(headers, index)).collect()
}

fn read_one(headers: &BorrowedHeaders, index: usize) -> Option<Header<'_>> {
    let (mut key, mut value, mut size) = (ptr::null(), ptr::null(), 0);
    // SAFETY: the list is alive, and the three out-pointers are to locals of the types the function writes.
    let code = unsafe { rd_kafka_header_get_all(native(headers), index, &mut key, &mut value, &mut size) };
    if code != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || key.is_null() {
        return None;
    }
    // SAFETY: librdkafka ends a key with NUL, and it lives as long as the list, which the result borrows.
    let key = unsafe { CStr::from_ptr(key) }.to_bytes();
    let value = (!value.is_null()).then(|| {
        // SAFETY: `value` is not null, points to `size` bytes, and lives as long as the list.
        unsafe { std::slice::from_raw_parts(value.cast::<u8>(), size) }
    });
    Some(Header { key: Cow::Borrowed(key), value: value.map(Cow::Borrowed) })
}

/// A list for a record that is to be sent.
pub fn write(headers: &[Header]) -> OwnedHeaders {
    let list = OwnedHeaders::new_with_capacity(headers.len());
    for header in headers {
        let (value, size) = header.value.as_ref().map_or((ptr::null(), 0), |value| (value.as_ptr(), value.len()));
        // SAFETY: the list is alive, owned by us alone and writable; the function copies key and value, whose pointers
        // are valid for the lengths given (a slice is never longer than isize::MAX).
        let code = unsafe {
            rd_kafka_header_add(
                native(list.as_borrowed()).cast_mut(),
                header.key.as_ptr().cast(),
                header.key.len() as isize,
                value.cast(),
                size as isize,
            )
        };
        assert!(code == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR, "adding to an own list of headers succeeds");
    }
    list
}

/// The wrapper's type is a stand-in whose address is that of librdkafka's list.
fn native(headers: &BorrowedHeaders) -> *const RDKafkaHeaders {
    ptr::from_ref(headers).cast()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_come_back_as_they_were(
            headers in proptest::collection::vec(
                (proptest::collection::vec(1u8.., 0..8), proptest::option::of(proptest::collection::vec(any::<u8>(), 0..8))),
                0..5,
            )
        ) {
            let headers: Vec<Header> = headers
                .into_iter()
                .map(|(key, value)| Header { key: Cow::Owned(key), value: value.map(Cow::Owned) })
                .collect();
            let list = write(&headers);
            prop_assert_eq!(read(list.as_borrowed()), headers);
        }
    }
}
