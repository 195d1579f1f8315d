//! The topics in a consumer's subscription, the metadata of members of protocol type `consumer`.

use bytes::Bytes;

use super::codec::{Error, Reader};

/// `version: i16 | topics: [string]`, and more that later versions add behind it.
pub(in crate::group) fn subscribed_topics(metadata: Bytes) -> Result<Vec<String>, Error> {
    let mut reader = Reader::new(metadata);
    let version = reader.i16()?;
    if version < 0 {
        return Err(Error::Version { what: "a consumer's subscription", version });
    }
    let count = reader.array()?;
    (0..count).map(|_| reader.string().map(|topic| topic.to_string())).collect()
}
