//! Fetch: the request, written for versions 4 to 12, and its answer, walked where it lies.

use duramen_wire::api::ApiKey;
use duramen_wire::batch::{self, BatchHeader, peek_len};
use duramen_wire::slices::{self, Slices};

use super::encode::RequestWriter;
use crate::drive::{Target, TargetId};

/// The versions that are written and read here.
pub const VERSIONS: (i16, i16) = (4, 12);

/// The version since which there are sessions (KIP-227).
pub const SESSIONS_SINCE: i16 = 7;

/// Where the bytes begin that a batch's CRC covers.
const CRC_START: usize = 21;
/// The bytes of a batch up to the end of its length.
const LENGTH_END: usize = 12;

/// A fetch session (KIP-227), as the one that asks sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// 0 while there is none.
    pub id: i32,
    /// 0 asks for a session, and names all partitions; -1 asks outside of any.
    pub epoch: i32,
}

impl Session {
    pub const NONE: Session = Session { id: 0, epoch: -1 };
    pub const OPEN: Session = Session { id: 0, epoch: 0 };

    /// Whether a request of it names all partitions.
    pub fn is_full(self) -> bool {
        self.epoch <= 0
    }

    /// What the next request says after an answer with this session's id.
    pub fn next(self, answered: i32) -> Session {
        match (self.epoch, answered) {
            (-1, _) => Session::NONE,
            (_, 0) => Session::OPEN,
            (i32::MAX, id) => Session { id, epoch: 1 },
            (epoch, id) => Session { id, epoch: epoch + 1 },
        }
    }
}

/// What stands before the partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    pub max_bytes: i32,
    /// Of each partition.
    pub partition_bytes: i32,
    pub session: Session,
}

/// A partition to read, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub target: TargetId,
    pub offset: i64,
}

/// Appends a request. Partitions of one topic should follow each other; `forgotten` leave the session.
pub fn request(
    out: &mut Vec<u8>,
    version: i16,
    head: &Head,
    targets: &[Target],
    wanted: &[Wanted],
    forgotten: &[TargetId],
) {
    let of_topic = |target: TargetId| targets[target as usize].topic.as_str();
    let mut writer = RequestWriter::begin(out, ApiKey::Fetch, version, 0);
    writer.i32(-1);
    writer.i32(head.max_wait_ms);
    writer.i32(head.min_bytes);
    writer.i32(head.max_bytes);
    writer.i8(0);
    if version >= SESSIONS_SINCE {
        writer.i32(head.session.id);
        writer.i32(head.session.epoch);
    }
    let by_topic = || wanted.chunk_by(|a, b| of_topic(a.target) == of_topic(b.target));
    writer.array(by_topic().count());
    for partitions in by_topic() {
        writer.string(Some(of_topic(partitions[0].target)));
        writer.array(partitions.len());
        for wanted in partitions {
            partition(&mut writer, version, targets[wanted.target as usize].partition, wanted.offset, head);
        }
        writer.no_tags();
    }
    if version >= SESSIONS_SINCE {
        let by_topic = || forgotten.chunk_by(|a, b| of_topic(*a) == of_topic(*b));
        writer.array(by_topic().count());
        for partitions in by_topic() {
            writer.string(Some(of_topic(partitions[0])));
            writer.array(partitions.len());
            partitions.iter().for_each(|target| writer.i32(targets[*target as usize].partition));
            writer.no_tags();
        }
    }
    if version >= 11 {
        writer.string(Some(""));
    }
    writer.no_tags();
    writer.finish();
}

fn partition(writer: &mut RequestWriter, version: i16, index: i32, offset: i64, head: &Head) {
    writer.i32(index);
    if version >= 9 {
        writer.i32(-1);
    }
    writer.i64(offset);
    if version >= 12 {
        writer.i32(-1);
    }
    if version >= 5 {
        writer.i64(-1);
    }
    writer.i32(head.partition_bytes);
    writer.no_tags();
}

/// What an answer says before its partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerHead {
    /// Of the whole request: that of the session, for example.
    pub error: i16,
    pub session: i32,
}

/// What an answer says of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerPartition<'a> {
    pub topic: &'a [u8],
    pub index: i32,
    pub error: i16,
    pub high_watermark: i64,
    /// -1 if it is not told.
    pub log_start: i64,
    /// Batches one after another; the last one may be cut off.
    pub records: &'a [u8],
}

/// Walks an answer, from its correlation id on. `each` gets the partitions in the answer's order.
pub fn answer<'a>(
    frame: &'a [u8],
    version: i16,
    mut each: impl FnMut(AnswerPartition<'a>),
) -> Result<AnswerHead, slices::Error> {
    let flexible = ApiKey::Fetch.is_flexible(version);
    let pieces = [frame];
    let mut cursor = Slices::new(&pieces).cursor();
    cursor.i32()?;
    cursor.skip_tagged(flexible)?;
    cursor.i32()?;
    let mut head = AnswerHead::default();
    if version >= SESSIONS_SINCE {
        head = AnswerHead { error: cursor.i16()?, session: cursor.i32()? };
    }
    for _ in 0..cursor.array(flexible)? {
        let topic = &frame[cursor.string(flexible)?];
        for _ in 0..cursor.array(flexible)? {
            let (index, error, high_watermark) = (cursor.i32()?, cursor.i16()?, cursor.i64()?);
            cursor.i64()?;
            let log_start = if version >= 5 { cursor.i64()? } else { -1 };
            for _ in 0..cursor.nullable_array(flexible)?.unwrap_or(0) {
                cursor.skip(16)?;
                cursor.skip_tagged(flexible)?;
            }
            if version >= 11 {
                cursor.i32()?;
            }
            let records = cursor.nullable_bytes(flexible)?.map_or(&[][..], |range| &frame[range]);
            cursor.skip_tagged(flexible)?;
            each(AnswerPartition { topic, index, error, high_watermark, log_start, records });
        }
        cursor.skip_tagged(flexible)?;
    }
    cursor.skip_tagged(flexible)?;
    Ok(head)
}

/// One batch of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    pub header: BatchHeader,
    /// All of it, header included.
    pub bytes: &'a [u8],
    /// CRC-32C of what the header's CRC covers, computed here.
    pub crc: u32,
}

impl Batch<'_> {
    /// Whether the bytes are those that the CRC was made of.
    pub fn is_whole(&self) -> bool {
        self.crc == self.header.crc
    }

    /// The offset after the last record.
    pub fn end(&self) -> i64 {
        self.header.last_offset().0 + 1
    }
}

/// Reads batches one after another, up to the end or to one that is cut off. After an error it ends.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    left: &'a [u8],
}

impl<'a> Batches<'a> {
    pub fn new(records: &'a [u8]) -> Self {
        Self { left: records }
    }

    fn read(&mut self) -> Result<Option<Batch<'a>>, batch::Error> {
        let Some(front) = self.left.first_chunk::<LENGTH_END>() else { return Ok(None) };
        let Some((bytes, rest)) = self.left.split_at_checked(peek_len(front)?) else { return Ok(None) };
        let header = BatchHeader::parse(bytes)?;
        self.left = rest;
        Ok(Some(Batch { header, bytes, crc: crc32c::crc32c(&bytes[CRC_START..]) }))
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<Batch<'a>, batch::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if !matches!(read, Ok(Some(_))) {
            self.left = &[];
        }
        read.transpose()
    }
}

#[cfg(test)]
mod tests {
    use duramen_wire::batch::BatchBuilder;
    use duramen_wire::fetch::{PartitionResponse, Request, ResponseEncoder, ResponseHead, TopicName, TopicRef};
    use duramen_wire::header::RequestHeader;
    use duramen_wire::ids::{Offset, PartitionIndex};

    use super::*;

    fn targets() -> Vec<Target> {
        let target = |(topic, partition): (&str, i32)| Target {
            topic: topic.to_owned(),
            partition,
            leader: 1,
            first_offset: 0,
            log_start: 0,
        };
        [("a", 0), ("a", 3), ("bb", 1)].into_iter().map(target).collect()
    }

    #[test]
    fn requests_are_what_brokers_read() {
        for version in VERSIONS.0..=VERSIONS.1 {
            let session = Session { id: 5, epoch: 7 };
            let head = Head { max_wait_ms: 500, min_bytes: 1, max_bytes: 2, partition_bytes: 3, session };
            let wanted = [(0, 10), (1, 11), (2, 12)].map(|(target, offset)| Wanted { target, offset });
            let mut frame = Vec::new();
            request(&mut frame, version, &head, &targets(), &wanted, &[2]);
            assert_eq!(frame[..4], (frame.len() as u32 - 4).to_be_bytes());
            let body = &frame[4..];
            let header = RequestHeader::parse(Slices::one(&body)).unwrap();
            assert_eq!((header.api, header.version), (ApiKey::Fetch, version));
            let mut read = Request::default();
            read.parse(Slices::one(&body), header.body, version).unwrap();
            assert_eq!((read.replica_id, read.max_wait_ms, read.min_bytes, read.max_bytes), (-1, 500, 1, 2));
            let expected = if version >= SESSIONS_SINCE { (5, 7) } else { (0, -1) };
            assert_eq!((read.session_id, read.session_epoch), expected);
            let names: Vec<&[u8]> = read.topics.iter().map(|topic| name(body, &topic.topic)).collect();
            assert_eq!(names, [&b"a"[..], b"bb"]);
            let partitions =
                read.partitions.iter().map(|one| (one.topic, one.index.0, one.fetch_offset, one.max_bytes));
            assert_eq!(partitions.collect::<Vec<_>>(), [(0, 0, 10, 3), (0, 3, 11, 3), (1, 1, 12, 3)]);
            let forgotten: Vec<_> = read.forgotten.iter().map(|one| (name(body, &one.topic), one.index.0)).collect();
            assert_eq!(forgotten, if version >= SESSIONS_SINCE { vec![(&b"bb"[..], 1)] } else { vec![] });
        }
    }

    fn name<'a>(body: &'a [u8], topic: &TopicRef) -> &'a [u8] {
        match topic {
            TopicRef::Name(range) => &body[range.clone()],
            TopicRef::Id(_) => panic!("these versions name topics"),
        }
    }

    #[test]
    fn what_brokers_write_is_read() {
        let records = [batch(4, 3), batch(7, 1)].concat();
        for version in VERSIONS.0..=VERSIONS.1 {
            let frame = encoded(version, &records);
            let mut seen = Vec::new();
            let head = answer(&frame[4..], version, |partition| seen.push(partition)).unwrap();
            let session = if version >= SESSIONS_SINCE { 9 } else { 0 };
            assert_eq!(head, AnswerHead { error: 0, session });
            assert_eq!(seen.len(), 2);
            let log_start = if version >= 5 { 2 } else { -1 };
            let whole =
                AnswerPartition { topic: b"a", index: 3, error: 0, high_watermark: 8, log_start, records: &records };
            assert_eq!(seen[0], whole);
            assert_eq!((seen[1].index, seen[1].error, seen[1].records.len()), (4, 1, 0));
        }
    }

    #[test]
    fn batches_end_where_they_are_cut_off() {
        let records = [batch(4, 3), batch(7, 1)].concat();
        let read = |records: &[u8]| Batches::new(records).map(|one| one.map(|one| one.end())).collect::<Vec<_>>();
        let ends = |records: &[u8]| read(records).into_iter().map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(ends(&records), [7, 8]);
        assert_eq!(ends(&records[..records.len() - 1]), [7]);
        assert_eq!(ends(&[]), [0; 0]);
        let mut flipped = records.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let whole: Vec<bool> = Batches::new(&flipped).map(|one| one.unwrap().is_whole()).collect();
        assert_eq!(whole, [true, false]);
        flipped[16] = 1;
        assert!(read(&flipped)[0].is_err());
        assert_eq!(read(&flipped).len(), 1);
    }

    #[test]
    fn sessions_go_on_by_one() {
        assert_eq!(Session::OPEN.next(3), Session { id: 3, epoch: 1 });
        assert_eq!(Session { id: 3, epoch: 1 }.next(3), Session { id: 3, epoch: 2 });
        assert_eq!(Session { id: 3, epoch: i32::MAX }.next(3), Session { id: 3, epoch: 1 });
        assert_eq!(Session::OPEN.next(0), Session::OPEN);
        assert_eq!(Session::NONE.next(3), Session::NONE);
        assert!(Session::NONE.is_full() && Session::OPEN.is_full() && !Session { id: 3, epoch: 1 }.is_full());
    }

    fn batch(base_offset: i64, records: usize) -> Vec<u8> {
        let mut builder = BatchBuilder::new().base_offset(Offset(base_offset));
        (0..records).for_each(|_| builder.push(None, Some(b"value"), &[], 1));
        builder.finish()
    }

    fn encoded(version: i16, records: &[u8]) -> Vec<u8> {
        let (mut out, mut splices) = (Vec::new(), Vec::new());
        let head = ResponseHead { session_id: 9, ..Default::default() };
        let mut encoder = ResponseEncoder::begin(&mut out, &mut splices, version, 77, &head, 1);
        encoder.topic(TopicName::Name(b"a"), 2);
        let good = PartitionResponse {
            error_code: 0,
            high_watermark: 8,
            last_stable_offset: 8,
            log_start_offset: 2,
            records_len: Some(records.len()),
            ..PartitionResponse::error(PartitionIndex(3), 0)
        };
        encoder.partition(&good);
        encoder.partition(&PartitionResponse::error(PartitionIndex(4), 1));
        encoder.finish(&[]);
        let at = splices[0].at;
        out.splice(at..at, records.iter().copied());
        out
    }
}
