//! Bytes in JSON: a string where they are UTF-8, else `{"base64": "..."}`; null where there are none.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserializer, Serializer};

const BASE64: &str = "base64";

/// For a field that may be null.
pub(super) mod optional {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(data: &Option<Cow<[u8]>>, to: S) -> Result<S::Ok, S::Error> {
        match data {
            Some(data) => required::serialize(data, to),
            None => to.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, 'a, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Cow<'a, [u8]>>, D::Error> {
        from.deserialize_any(DataVisitor { null: true })
    }
}

/// For a field that may not.
pub(super) mod required {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(data: &[u8], to: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = std::str::from_utf8(data) {
            return to.serialize_str(text);
        }
        let mut map = to.serialize_map(Some(1))?;
        map.serialize_entry(BASE64, &STANDARD.encode(data))?;
        map.end()
    }

    pub(in super::super) fn deserialize<'de, 'a, D: Deserializer<'de>>(from: D) -> Result<Cow<'a, [u8]>, D::Error> {
        let data = from.deserialize_any(DataVisitor { null: false })?;
        data.ok_or_else(|| D::Error::custom("null is not allowed here"))
    }
}

struct DataVisitor {
    null: bool,
}

impl<'de> Visitor<'de> for DataVisitor {
    type Value = Option<Cow<'static, [u8]>>;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(r#"a string or {"base64": "..."}"#)?;
        if self.null { out.write_str(" or null") } else { Ok(()) }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.as_bytes().to_vec())))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.into_bytes())))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let refused = || M::Error::custom(r#"expected a string or {"base64": "..."}; quote JSON to send it as text"#);
        let name: Option<String> = map.next_key()?;
        if name.as_deref() != Some(BASE64) {
            return Err(refused());
        }
        let text: String = map.next_value()?;
        if map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            return Err(refused());
        }
        let bytes = STANDARD.decode(text).map_err(|error| M::Error::custom(format_args!("base64: {error}")))?;
        Ok(Some(Cow::Owned(bytes)))
    }
}
