//! A walk over a request's bytes before they are decoded: every length lies within the bytes, every count within its
//! bound ([`ARRAY_LENGTH_MAX`](crate::slices::ARRAY_LENGTH_MAX)). The decoder behind it reserves memory for a count
//! before it looks further, which is safe only for counts whose elements are known to be there. On the way it is added
//! up how much memory the decoded request may take.

use super::schema::{self, Field, Kind};
use super::{ApiKey, Error};
use crate::slices::{Cursor, Slices};

/// What a word, a list, a string and the tree of a structure's unknown fields take in memory, at most.
const WORD: usize = 8;
const LIST: usize = 4 * WORD;
const STRING: usize = 5 * WORD;
const NO_TAGS: usize = 3 * WORD;
/// What unknown fields take besides: nodes of eleven, which may be half empty.
const TAG_NODE: usize = 640;
const TAGS_PER_NODE: usize = 5;

/// Checks the body of an offered version, and returns the bytes that it may take when it is decoded, beside its own.
pub(super) fn check(api: ApiKey, version: i16, body: &[u8]) -> Result<usize, Error> {
    let mut walk = Walk {
        cursor: Slices::one(&body).cursor(),
        version,
        flexible: api.is_flexible(version),
        decoded: schema::request(api).iter().map(|field| size_of(&field.kind)).sum(),
    };
    walk.structure(schema::request(api))?;
    Ok(walk.decoded)
}

/// The bytes of a field in its structure, in whatever version.
fn size_of(kind: &Kind) -> usize {
    match kind {
        Kind::Fixed(length) => length.next_multiple_of(WORD),
        Kind::String | Kind::Bytes => STRING,
        Kind::List(_) | Kind::Structs(_) => LIST,
        Kind::OptionalStruct(fields) => WORD + size_of_structure(fields),
    }
}

fn size_of_structure(fields: &[Field]) -> usize {
    NO_TAGS + fields.iter().map(|field| size_of(&field.kind)).sum::<usize>()
}

struct Walk<'a> {
    cursor: Cursor<'a>,
    version: i16,
    flexible: bool,
    decoded: usize,
}

impl Walk<'_> {
    fn structure(&mut self, fields: &'static [Field]) -> Result<(), Error> {
        for field in fields {
            if (field.since..=field.until).contains(&self.version) {
                self.value(&field.kind)?;
            }
        }
        let mut tags = 0_usize;
        self.cursor.tagged(self.flexible, |_, _| {
            tags += 1;
            Ok(())
        })?;
        self.decoded = self.decoded.saturating_add(tags.div_ceil(TAGS_PER_NODE) * TAG_NODE);
        Ok(())
    }

    fn value(&mut self, kind: &'static Kind) -> Result<(), Error> {
        match kind {
            Kind::Fixed(length) => {
                self.cursor.skip(*length)?;
            }
            Kind::String => {
                self.cursor.nullable_string(self.flexible)?;
            }
            Kind::Bytes => {
                self.cursor.nullable_bytes(self.flexible)?;
            }
            Kind::List(item) => {
                for _ in 0..self.array(size_of(item))? {
                    self.value(item)?;
                }
            }
            Kind::Structs(fields) => {
                for _ in 0..self.array(size_of_structure(fields))? {
                    self.structure(fields)?;
                }
            }
            Kind::OptionalStruct(fields) => {
                if self.cursor.i8()? >= 0 {
                    self.structure(fields)?;
                }
            }
        }
        Ok(())
    }

    /// Reads how many elements of so many bytes each an array has.
    fn array(&mut self, size: usize) -> Result<usize, Error> {
        let count = self.cursor.nullable_array(self.flexible)?.unwrap_or(0);
        self.decoded = self.decoded.saturating_add(count * size);
        Ok(count)
    }
}
