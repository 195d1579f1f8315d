//! A walk over a request's bytes before they are decoded: every length lies within the bytes, every count within its
//! bound. The decoder behind it reserves memory for a count before it looks further, which is safe only for counts whose
//! elements are known to be there.

use super::schema::{self, Field, Kind};
use super::{ApiKey, Error};
use crate::slices::{Cursor, Slices};

/// No request may hold more array elements and tagged fields, all levels together. A structure takes at most some 200
/// bytes in memory, so this is what bounds a decoded request.
pub const ELEMENTS_MAX: usize = 200_000;

/// Checks the body of an offered version.
pub(super) fn check(api: ApiKey, version: i16, body: &[u8]) -> Result<(), Error> {
    let mut walk = Walk {
        cursor: Slices::one(&body).cursor(),
        version,
        flexible: api.is_flexible(version),
        elements_left: ELEMENTS_MAX,
    };
    walk.structure(schema::request(api))
}

struct Walk<'a> {
    cursor: Cursor<'a>,
    version: i16,
    flexible: bool,
    elements_left: usize,
}

impl Walk<'_> {
    fn structure(&mut self, fields: &'static [Field]) -> Result<(), Error> {
        for field in fields {
            if (field.since..=field.until).contains(&self.version) {
                self.value(&field.kind)?;
            }
        }
        let mut tags = 0;
        self.cursor.tagged(self.flexible, |_, _| {
            tags += 1;
            Ok(())
        })?;
        self.count(tags)
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
                for _ in 0..self.array()? {
                    self.value(item)?;
                }
            }
            Kind::Structs(fields) => {
                for _ in 0..self.array()? {
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

    fn array(&mut self) -> Result<usize, Error> {
        let count = self.cursor.nullable_array(self.flexible)?.unwrap_or(0);
        self.count(count)?;
        Ok(count)
    }

    fn count(&mut self, elements: usize) -> Result<(), Error> {
        self.elements_left = self.elements_left.checked_sub(elements).ok_or(Error::TooManyElements)?;
        Ok(())
    }
}
