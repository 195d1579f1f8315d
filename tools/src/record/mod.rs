//! A record as the pipes see it, and its form as one line of JSON.
//!
//! The JSON form loses nothing: keys, values and header values may be null, and bytes that are not UTF-8 stand as
//! `{"base64": "..."}`. Reading what was written gives the same record; a property test holds it to that.

mod data;
mod headers;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use headers::{read as read_headers, write as write_headers};

/// One record. What a reader of JSON needs not give has a default; the value must be given, if only as null.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// Milliseconds since 1970; `None` where the record has none, or is to get the current time.
    #[serde(default)]
    pub timestamp: Option<i64>,
    #[serde(default, with = "data::optional")]
    pub key: Option<Cow<'a, [u8]>>,
    #[serde(with = "data::optional")]
    pub value: Option<Cow<'a, [u8]>>,
    #[serde(default)]
    pub headers: Vec<Header<'a>>,
}

/// One header. Order and repeated keys are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header<'a> {
    #[serde(with = "data::required")]
    pub key: Cow<'a, [u8]>,
    #[serde(with = "data::optional")]
    pub value: Option<Cow<'a, [u8]>>,
}

impl Record<'_> {
    /// Bytes of key, value and headers.
    pub fn size(&self) -> usize {
        let length = |data: &Option<Cow<[u8]>>| data.as_ref().map_or(0, |data| data.len());
        let headers: usize = self.headers.iter().map(|header| header.key.len() + length(&header.value)).sum();
        length(&self.key) + length(&self.value) + headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = Cow<'static, [u8]>> {
        prop_oneof![any::<String>().prop_map(String::into_bytes), proptest::collection::vec(any::<u8>(), 0..64),]
            .prop_map(Cow::Owned)
    }

    fn maybe_bytes() -> impl Strategy<Value = Option<Cow<'static, [u8]>>> {
        proptest::option::of(bytes())
    }

    fn header() -> impl Strategy<Value = Header<'static>> {
        (bytes(), maybe_bytes()).prop_map(|(key, value)| Header { key, value })
    }

    prop_compose! {
        fn record()(
            topic in proptest::option::of("[a-z.]{1,20}"),
            partition in proptest::option::of(any::<i32>()),
            offset in proptest::option::of(any::<i64>()),
            timestamp in proptest::option::of(any::<i64>()),
            key in maybe_bytes(),
            value in maybe_bytes(),
            headers in proptest::collection::vec(header(), 0..4),
        ) -> Record<'static> {
            Record { topic: topic.map(Cow::Owned), partition, offset, timestamp, key, value, headers }
        }
    }

    proptest! {
        #[test]
        fn json_is_one_line_and_gives_the_record_back(record in record()) {
            let line = serde_json::to_string(&record).unwrap();
            prop_assert!(!line.contains('\n'), "{}", line);
            prop_assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
        }

        #[test]
        fn any_line_is_read_or_refused(line in "\\PC{0,80}") {
            let _ = serde_json::from_str::<Record>(&line);
        }
    }

    #[test]
    fn text_stays_readable_and_bytes_are_base64() {
        let record = Record {
            topic: Some("t".into()),
            partition: Some(1),
            offset: Some(7),
            timestamp: Some(1_740_830_400_000),
            key: None,
            value: Some(b"\xff\x00".as_slice().into()),
            headers: vec![Header { key: b"trace".as_slice().into(), value: None }],
        };
        let expected = r#"{"topic":"t","partition":1,"offset":7,"timestamp":1740830400000,"key":null,"value":{"base64":"/wA="},"headers":[{"key":"trace","value":null}]}"#;
        assert_eq!(serde_json::to_string(&record).unwrap(), expected);
    }

    #[test]
    fn only_the_value_must_be_given() {
        let record: Record = serde_json::from_str(r#"{"value":"v"}"#).unwrap();
        assert_eq!(record, Record { value: Some(b"v".as_slice().into()), ..Record::default() });
        let missing = serde_json::from_str::<Record>(r#"{"key":"k"}"#).unwrap_err().to_string();
        assert!(missing.contains("missing field `value`"), "{missing}");
        let unknown = serde_json::from_str::<Record>(r#"{"vaule":"v","value":"v"}"#).unwrap_err().to_string();
        assert!(unknown.contains("unknown field `vaule`"), "{unknown}");
    }

    #[test]
    fn what_is_no_data_is_refused_with_what_was_expected() {
        for line in [r#"{"value":5}"#, r#"{"value":{"a":1}}"#, r#"{"value":{"base64":"!"}}"#, r#"{"value":["a"]}"#] {
            let refusal = serde_json::from_str::<Record>(line).unwrap_err().to_string();
            assert!(refusal.contains("base64"), "{line}: {refusal}");
        }
    }
}
