//! Produce: a request around batches that lie elsewhere, and error and base offset of each partition from the answer.

use duramen_wire::api::ApiKey;
use duramen_wire::slices::Slices;

use super::Malformed;
use super::encode::RequestWriter;

/// One batch of a request. Batches of one topic stand together, and no partition comes twice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    pub topic: &'a str,
    pub partition: i32,
    /// The front of the batch, which is copied into the request.
    pub header: &'a [u8],
    /// Bytes of the batch that follow the header and are sent from elsewhere.
    pub section_len: usize,
}

/// Writes the request but for its sections. `cuts` gets the position in `out` at which each of them belongs, in order.
pub(crate) fn write(
    out: &mut Vec<u8>,
    version: i16,
    acks: i16,
    timeout_ms: i32,
    parts: &[Part],
    mut cut: impl FnMut(usize),
) {
    let mut writer = RequestWriter::begin(out, ApiKey::Produce, version, 0);
    // No transactional id.
    writer.string(None);
    writer.i16(acks);
    writer.i32(timeout_ms);
    let topics = || parts.chunk_by(|one, next| one.topic == next.topic);
    writer.array(topics().count());
    for topic in topics() {
        writer.string(Some(topic[0].topic));
        writer.array(topic.len());
        for part in topic {
            writer.i32(part.partition);
            writer.length(part.header.len() + part.section_len);
            writer.raw(part.header);
            cut(writer.position());
            writer.no_tags();
        }
        writer.no_tags();
    }
    writer.no_tags();
    writer.finish_with(parts.iter().map(|part| part.section_len).sum());
}

/// The answer for one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Produced<'a> {
    pub topic: &'a [u8],
    pub partition: i32,
    pub error: i16,
    /// Of the first record; -1 on an error.
    pub base_offset: i64,
}

/// Reads an answer, from its correlation id on, and gives the answer for each partition to `each`.
pub(crate) fn answer(frame: &[u8], version: i16, mut each: impl FnMut(Produced)) -> Result<(), Malformed> {
    let flexible = ApiKey::Produce.is_flexible(version);
    let slices = Slices::one(&frame);
    let mut cursor = slices.cursor();
    cursor.i32()?;
    cursor.skip_tagged(flexible)?;
    for _ in 0..cursor.array(flexible)? {
        let topic = &frame[cursor.string(flexible)?];
        for _ in 0..cursor.array(flexible)? {
            let partition = cursor.i32()?;
            let error = cursor.i16()?;
            let base_offset = cursor.i64()?;
            cursor.i64()?;
            if version >= 5 {
                cursor.i64()?;
            }
            if version >= 8 {
                for _ in 0..cursor.array(flexible)? {
                    cursor.i32()?;
                    cursor.nullable_string(flexible)?;
                    cursor.skip_tagged(flexible)?;
                }
                cursor.nullable_string(flexible)?;
            }
            cursor.skip_tagged(flexible)?;
            each(Produced { topic, partition, error, base_offset });
        }
        cursor.skip_tagged(flexible)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::PRODUCE_VERSIONS;
    use duramen_wire::header::RequestHeader;
    use duramen_wire::ids::PartitionIndex;
    use duramen_wire::produce::{PartitionResponse, Request, ResponseEncoder};
    use duramen_wire::topic::{TopicName, TopicRef};

    const PARTS: [(&str, i32, &[u8], &[u8]); 3] =
        [("a", 0, b"head0", b"section 0"), ("a", 7, b"head1", b""), ("bb", 1, b"", b"section 2")];

    /// A request as it goes over the wire, with its sections in place.
    fn request(version: i16) -> Vec<u8> {
        let part = |(topic, partition, header, section): (&'static str, i32, &'static [u8], &[u8])| Part {
            topic,
            partition,
            header,
            section_len: section.len(),
        };
        let (mut out, mut cuts) = (Vec::new(), Vec::new());
        write(&mut out, version, -1, 1_500, &PARTS.map(part), |at| cuts.push(at));
        for (at, (.., section)) in cuts.into_iter().zip(PARTS).rev() {
            out.splice(at..at, section.iter().copied());
        }
        out
    }

    #[test]
    fn requests_of_every_version_are_read_by_the_broker() {
        for version in PRODUCE_VERSIONS {
            let frame = request(version);
            assert_eq!(frame[..4], (frame.len() as i32 - 4).to_be_bytes(), "{version}");
            let bytes = &frame[4..];
            let header = RequestHeader::parse(Slices::one(&bytes)).unwrap();
            let mut read = Request::default();
            read.parse(Slices::one(&bytes), header.body, version).unwrap();
            assert_eq!((read.acks, read.timeout_ms, read.is_transactional()), (-1, 1_500, false));
            let parts = read.partitions.iter().map(|partition| {
                let TopicRef::Name(name) = &read.topics[partition.topic].topic else { panic!("topics go by name") };
                let records = bytes[partition.records.clone().unwrap()].to_vec();
                (bytes[name.clone()].to_vec(), partition.index.0, records)
            });
            let sent = PARTS.map(|(topic, partition, header, section)| {
                (topic.as_bytes().to_vec(), partition, [header, section].concat())
            });
            assert_eq!((parts.collect::<Vec<_>>(), read.topics.len()), (sent.to_vec(), 2), "{version}");
        }
    }

    #[test]
    fn answers_of_every_version_are_read() {
        for version in PRODUCE_VERSIONS {
            let mut frame = Vec::new();
            let mut encoder = ResponseEncoder::begin(&mut frame, version, 5, 2);
            let good = PartitionResponse { base_offset: 99, ..PartitionResponse::error(PartitionIndex(3), 0) };
            encoder.topic(TopicName::Name(b"a"), 2);
            encoder.partition(&good);
            encoder.partition(&PartitionResponse {
                error_message: Some("why"),
                ..PartitionResponse::error(PartitionIndex(4), 10)
            });
            encoder.topic(TopicName::Name(b"bb"), 1);
            encoder.partition(&good);
            encoder.finish(0, &[]);
            let mut read = Vec::new();
            answer(&frame[4..], version, |part| {
                read.push((part.topic.to_vec(), part.partition, part.error, part.base_offset))
            })
            .unwrap();
            let expected = [(b"a".to_vec(), 3, 0, 99), (b"a".to_vec(), 4, 10, -1), (b"bb".to_vec(), 3, 0, 99)];
            assert_eq!(read, expected, "{version}");
            for length in 4..frame.len() - 5 {
                assert!(answer(&frame[4..length], version, |_| ()).is_err(), "{version}: {length}");
            }
        }
    }
}
