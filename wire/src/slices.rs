//! One logical byte string over many borrowed pieces. A large request lies in several receive buffers; everything that
//! reads it goes through here, so that nothing has to be joined first.
//!
//! Nothing in this module allocates, with the one exception that is asked for by name: `contiguous` with its scratch.

mod cursor;

pub use cursor::{ARRAY_LENGTH_MAX, Cursor, TAGGED_FIELDS_MAX};

use std::ops::Range;

/// Why bytes could not be read as the primitive that was asked for. Positions are bytes from the cursor's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{needed} bytes are needed at position {position}, {left} are left")]
    Truncated { position: usize, needed: usize, left: usize },
    #[error("length {length} at position {position} is neither a length nor null")]
    NegativeLength { position: usize, length: i64 },
    #[error("null at position {position}, where a value is required")]
    Null { position: usize },
    #[error("an array at position {position} claims {claimed} elements, more than {ARRAY_LENGTH_MAX}")]
    ArrayTooLong { position: usize, claimed: u64 },
    #[error("an array at position {position} claims {claimed} elements in {left} bytes")]
    ArrayBeyondEnd { position: usize, claimed: u64, left: usize },
    #[error("{claimed} tagged fields at position {position}, more than {TAGGED_FIELDS_MAX}")]
    TooManyTags { position: usize, claimed: u64 },
    #[error("a varint at position {position} does not end or overflows")]
    Varint { position: usize },
}

/// A byte string over a list of borrowed pieces. Copying it copies a reference and two integers.
///
/// Ranges are relative to the start of this value. A range that does not lie within it is a broken invariant of the
/// caller (ranges come from a `Cursor`, which checks) and panics, as slicing does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slices<'a> {
    pieces: &'a [&'a [u8]],
    /// Bytes of the first piece that come before this value.
    skip: usize,
    len: usize,
}

impl<'a> Slices<'a> {
    /// All bytes of all pieces.
    pub fn new(pieces: &'a [&'a [u8]]) -> Self {
        Self { pieces, skip: 0, len: pieces.iter().map(|piece| piece.len()).sum() }
    }

    /// One contiguous piece.
    pub fn one(piece: &'a &'a [u8]) -> Self {
        Self { pieces: std::slice::from_ref(piece), skip: 0, len: piece.len() }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The part that `range` names, without copying.
    pub fn sub(&self, range: Range<usize>) -> Slices<'a> {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} lies outside {} bytes", self.len);
        let mut pieces = self.pieces;
        let mut skip = self.skip + range.start;
        while let [first, rest @ ..] = pieces
            && skip >= first.len()
        {
            skip -= first.len();
            pieces = rest;
        }
        Slices { pieces, skip, len: range.end - range.start }
    }

    /// The contiguous pieces in order, none of them empty.
    pub fn iter(&self) -> Pieces<'a> {
        Pieces { pieces: self.pieces, skip: self.skip, left: self.len }
    }

    /// The contiguous pieces of a range.
    pub fn pieces(&self, range: Range<usize>) -> Pieces<'a> {
        self.sub(range).iter()
    }

    /// Copies a range into `to`, which must be as long.
    pub fn copy_to(&self, range: Range<usize>, to: &mut [u8]) {
        assert_eq!(range.len(), to.len(), "the target is as long as the range");
        let mut at = 0;
        for piece in self.pieces(range) {
            to[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        }
    }

    /// The first `N` bytes of a range that is at least as long.
    pub fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        self.copy_to(at..at + N, &mut bytes);
        bytes
    }

    /// The bytes of a range as one slice: borrowed where they lie together, else copied into `scratch`.
    pub fn contiguous<'s>(&self, range: Range<usize>, scratch: &'s mut Vec<u8>) -> &'s [u8]
    where
        'a: 's,
    {
        let mut pieces = self.pieces(range.clone());
        match pieces.next() {
            None => &[],
            Some(piece) if piece.len() == range.len() => piece,
            Some(piece) => {
                scratch.clear();
                scratch.reserve(range.len());
                scratch.extend_from_slice(piece);
                pieces.for_each(|piece| scratch.extend_from_slice(piece));
                scratch
            }
        }
    }

    /// A copy of all bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len);
        self.iter().for_each(|piece| bytes.extend_from_slice(piece));
        bytes
    }

    /// Whether the bytes are those of `other`.
    pub fn equals(&self, other: &[u8]) -> bool {
        let mut at = 0;
        self.len == other.len()
            && self.iter().all(|piece| {
                at += piece.len();
                piece == &other[at - piece.len()..at]
            })
    }

    /// Reads from the start.
    pub fn cursor(&self) -> Cursor<'a> {
        Cursor::new(*self)
    }
}

/// The contiguous pieces of a `Slices`.
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    pieces: &'a [&'a [u8]],
    skip: usize,
    left: usize,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while self.left > 0 {
            let (first, rest) = self.pieces.split_first().expect("the pieces hold as many bytes as the length says");
            let from = self.skip.min(first.len());
            let piece = &first[from..first.len().min(from + self.left)];
            self.skip -= from;
            self.pieces = rest;
            if !piece.is_empty() {
                self.left -= piece.len();
                return Some(piece);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(bytes: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort();
        at.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect()
    }

    proptest! {
        #[test]
        fn any_cut_reads_like_the_whole(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            cuts in prop::collection::vec(any::<usize>(), 0..12),
            a in any::<usize>(),
            b in any::<usize>(),
        ) {
            let pieces = cut(&bytes, &cuts);
            let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_slice()).collect();
            let slices = Slices::new(&pieces);
            let (a, b) = (a % (bytes.len() + 1), b % (bytes.len() + 1));
            let range = a.min(b)..a.max(b);
            let part = slices.sub(range.clone());
            prop_assert_eq!(part.to_vec(), &bytes[range.clone()]);
            prop_assert!(part.equals(&bytes[range.clone()]));
            prop_assert!(part.iter().all(|piece| !piece.is_empty()));
            let mut scratch = Vec::new();
            prop_assert_eq!(slices.contiguous(range.clone(), &mut scratch), &bytes[range.clone()]);
            let half = part.len() / 2;
            prop_assert_eq!(part.sub(half..part.len()).to_vec(), &bytes[range][half..]);
        }
    }

    #[test]
    fn contiguous_borrows_where_it_can() {
        let pieces: [&[u8]; 3] = [b"abc", b"", b"defg"];
        let slices = Slices::new(&pieces);
        let mut scratch = Vec::new();
        assert_eq!(slices.contiguous(3..7, &mut scratch), b"defg");
        assert_eq!(scratch.capacity(), 0);
        assert_eq!(slices.contiguous(2..5, &mut scratch), b"cde");
        assert!(!slices.sub(0..3).equals(b"abd"));
    }

    #[test]
    #[should_panic(expected = "lies outside")]
    fn a_range_beyond_the_end_is_a_broken_invariant() {
        let pieces: [&[u8]; 1] = [b"abc"];
        Slices::new(&pieces).sub(2..4);
    }
}
