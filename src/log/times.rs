//! Finding records by their time. Batches are opened one after the other, from where the index says.

use duramen_wire::batch::{self, BatchHeader, Compression, HEADER_LEN, Records};
use duramen_wire::ids::{LeaderEpoch, Offset};
use duramen_wire::slices::Slices;

use super::disk::Disk;
use super::index::{IndexBuilder, SealedIndex};
use super::partition::{Health, Partition};
use super::read::{Error, ReadKind, ReadOut};

/// Bytes looked through at a time.
const STEP: usize = 64 << 10;
/// Most bytes that one batch may decompress to.
const DECOMPRESSED_MAX: usize = 256 << 20;

/// A record that was found: its offset, timestamp, and leader epoch.
pub type FoundRecord = (Offset, i64, LeaderEpoch);

impl<D: Disk> Partition<D> {
    /// The first record whose timestamp is not before `timestamp`.
    pub async fn offset_for_time(&self, timestamp: i64) -> Result<Option<FoundRecord>, Error> {
        let Some(segment) = self.segment_for_time(|max| max >= timestamp) else { return Ok(None) };
        self.find_record(segment, timestamp).await
    }

    /// The first record with the largest timestamp of all.
    pub async fn max_timestamp(&self) -> Result<Option<FoundRecord>, Error> {
        let (cut, whole) = {
            let state = self.0.state.borrow();
            if state.health == Health::Closed {
                return Err(Error::Closed);
            }
            let first = state.segment_of(state.log_start);
            let is_cut = state.segments[first].base < state.log_start;
            let end = state.segments.get(first + 1).map_or(state.appended.offset, |next| next.base);
            let whole = state.segments.iter().skip(first + usize::from(is_cut)).map(|segment| segment.max_timestamp);
            (is_cut.then_some((state.segments[first].base, state.log_start, end)), whole.max())
        };
        // Of a segment that the log start has cut, the largest timestamp may be gone.
        let cut = match cut {
            None => None,
            Some((segment, from, end)) => {
                match self.ask_index(segment, SealedIndex::max_timestamp, IndexBuilder::max_timestamp).await {
                    Some((largest, last)) if last >= from => Some(largest),
                    _ => self.largest_between(from, end).await?,
                }
            }
        };
        match cut.max(whole).filter(|largest| *largest >= 0) {
            Some(largest) => self.offset_for_time(largest).await,
            None => Ok(None),
        }
    }

    /// The largest timestamp of the batches from `from` to `end`.
    async fn largest_between(&self, mut from: Offset, end: Offset) -> Result<Option<i64>, Error> {
        let mut out = ReadOut::default();
        let mut largest = None;
        while from < end {
            if matches!(self.read(from, STEP, end, true, &mut out)?, ReadKind::Cold) {
                self.read_bytes(from, STEP, end, &mut out).await?;
            }
            let pieces: Vec<&[u8]> = out.slices.iter().map(|slice| slice.as_slice()).collect();
            let mut bytes = Slices::new(&pieces);
            while bytes.len() >= HEADER_LEN {
                let corrupt = |_| Error::Corrupt { segment: from, position: 0 };
                let header = BatchHeader::parse(&bytes.array::<HEADER_LEN>(0)).map_err(corrupt)?;
                largest = largest.max(Some(header.max_timestamp));
                from = header.last_offset().plus(1);
                bytes = bytes.sub(header.total_len().min(bytes.len())..bytes.len());
            }
            if out.bytes == 0 {
                break;
            }
        }
        Ok(largest)
    }

    /// The first segment whose largest timestamp is as asked for.
    fn segment_for_time(&self, fits: impl Fn(i64) -> bool) -> Option<Offset> {
        let state = self.0.state.borrow();
        let below = |next: Option<&Offset>| next.is_some_and(|next| *next <= state.log_start);
        let bases: Vec<Offset> = state.segments.iter().map(|segment| segment.base).collect();
        let mut candidates = state.segments.iter().enumerate();
        let found = candidates.find(|(index, segment)| fits(segment.max_timestamp) && !below(bases.get(index + 1)))?;
        Some(found.1.base)
    }

    /// The first record from `segment` on whose timestamp is not before `timestamp`.
    async fn find_record(&self, segment: Offset, timestamp: i64) -> Result<Option<FoundRecord>, Error> {
        let mut from = self.time_lookup(segment, timestamp).await.max(self.log_start());
        let mut out = ReadOut::default();
        loop {
            let end = self.log_end();
            if from >= end {
                return Ok(None);
            }
            match self.read(from, STEP, end, true, &mut out)? {
                ReadKind::Cold => self.read_bytes(from, STEP, end, &mut out).await?,
                ReadKind::Hot | ReadKind::File { .. } => {}
            }
            let pieces: Vec<&[u8]> = out.slices.iter().map(|slice| slice.as_slice()).collect();
            let mut bytes = Slices::new(&pieces);
            let corrupt = |_| Error::Corrupt { segment, position: 0 };
            while bytes.len() >= HEADER_LEN {
                let header = BatchHeader::parse(&bytes.array::<HEADER_LEN>(0)).map_err(corrupt)?;
                let len = header.total_len().min(bytes.len());
                if header.max_timestamp >= timestamp {
                    let found = first_record(&header, bytes.sub(0..len), from, timestamp).map_err(corrupt)?;
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                from = header.last_offset().plus(1);
                bytes = bytes.sub(len..bytes.len());
            }
            if out.bytes == 0 {
                return Ok(None);
            }
        }
    }

    /// The offset from which to look, by the segment's index. Without one, the whole segment is looked through.
    async fn time_lookup(&self, segment: Offset, timestamp: i64) -> Offset {
        let sealed = |index: &SealedIndex| index.lookup_time(timestamp);
        let growing = |index: &IndexBuilder| index.lookup_time(timestamp);
        self.ask_index(segment, sealed, growing).await.unwrap_or(segment)
    }

    /// Asks the index of a segment, in memory or from its files; `None` if it cannot be had.
    async fn ask_index<T>(
        &self,
        segment: Offset,
        sealed: impl Fn(&SealedIndex) -> T,
        growing: impl Fn(&IndexBuilder) -> T,
    ) -> Option<T> {
        self.0.complete_index(segment).await.ok()?;
        {
            let state = self.0.state.borrow();
            let found = state.segments.iter().find(|found| found.base == segment)?;
            if let Some(index) = &found.index {
                return Some(growing(index));
            }
        }
        self.0.sealed_index(segment).await.ok().map(|index| sealed(&index))
    }
}

/// The first record of a batch, from offset `from` on, whose timestamp is not before `timestamp`.
fn first_record(
    header: &BatchHeader,
    batch: Slices<'_>,
    from: Offset,
    timestamp: i64,
) -> Result<Option<FoundRecord>, batch::Error> {
    let records = match header.compression()? {
        Compression::None => batch.sub(HEADER_LEN..batch.len()).to_vec(),
        _ => batch::decompress(header, batch, DECOMPRESSED_MAX)?,
    };
    for record in Records::new(&records, header.record_count) {
        let record = record?;
        let offset = header.base_offset.plus(i64::from(record.offset_delta));
        let time = header.base_timestamp.saturating_add(record.timestamp_delta);
        if offset >= from && time >= timestamp {
            return Ok(Some((offset, time, header.leader_epoch)));
        }
    }
    Ok(None)
}
