//! Finding the frames in the image of a journal or ring.

use super::layout::{ENTRY_LEN, EntryFields, HEADER_LEN, HeaderFields};
use super::{Entry, head_len};

/// A frame that was found.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    pub generation: u64,
    pub sequence: u64,
    /// Where in the image it begins.
    pub position: usize,
    table: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Each entry with its part of the payload.
    pub fn entries(&self) -> impl Iterator<Item = (Entry, &'a [u8])> + use<'a> {
        let mut payload = self.payload;
        self.table.chunks_exact(ENTRY_LEN).map_while(move |bytes| {
            let entry = EntryFields::read(bytes)?;
            let (own, rest) = payload.split_at_checked(entry.len as usize)?;
            payload = rest;
            Some((entry, own))
        })
    }
}

/// Finds the whole frames of `generation`, where frames begin at multiples of `align`, and returns them in the order in
/// which they were written.
///
/// Frames that were overwritten are missing, mostly but not only at the front; a frame that a crash has torn is missing,
/// and the ones before and behind it are there. What no longer counts because it is in the segments already is for the
/// caller to say.
///
/// # Panics
/// If `align` is 0.
pub fn scan(bytes: &[u8], align: usize, generation: u64) -> Vec<Frame<'_>> {
    let (mut frames, mut at) = (Vec::new(), 0);
    while at + HEADER_LEN <= bytes.len() {
        at += match parse(bytes, at, generation) {
            Some((frame, len)) => {
                frames.push(frame);
                len.next_multiple_of(align)
            }
            None => align,
        };
    }
    frames.sort_by_key(|frame: &Frame<'_>| frame.sequence);
    frames
}

fn parse(image: &[u8], position: usize, generation: u64) -> Option<(Frame<'_>, usize)> {
    let bytes = &image[position..];
    let header = HeaderFields::read(bytes, generation)?;
    let (head, rest) = bytes.split_at_checked(head_len(header.entries as usize))?;
    let payload = rest.get(..header.payload_len as usize)?;
    if crc32c::crc32c(payload) != header.payload_crc {
        return None;
    }
    let table = &head[HEADER_LEN..];
    let lens = table.chunks_exact(ENTRY_LEN).filter_map(EntryFields::read).map(|entry| u64::from(entry.len));
    if lens.sum::<u64>() != payload.len() as u64 {
        return None;
    }
    let frame = Frame { generation, sequence: header.sequence, position, table, payload };
    Some((frame, head.len() + payload.len()))
}
