//! A segment file from its first byte to its last, batch by batch.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use duramen_wire::batch::{self, BatchHeader, HEADER_LEN, Limits};
use duramen_wire::ids::Offset;
use duramen_wire::slices::Slices;

use super::{Error, Result};

/// Bytes read at a time.
const STEP: usize = 1 << 20;

/// What lies at a position.
pub(super) enum Found {
    Batch(BatchHeader),
    /// Nothing but zeros, or nothing: the bytes of zeros.
    End {
        zeros: u64,
    },
    Bad {
        why: String,
    },
}

pub(super) struct Walk {
    pub path: PathBuf,
    file: BufReader<File>,
    len: u64,
    pub position: u64,
    /// The batch that was found last.
    pub batch: Vec<u8>,
}

impl Walk {
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let len = file.metadata().map_err(Error::io("examine", path))?.len();
        let file = BufReader::with_capacity(STEP, file);
        Ok(Self { path: path.to_owned(), file, len, position: 0, batch: Vec::new() })
    }

    /// The file's length.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The next batch, which must have the offset `expected` if one is given. After anything but a batch this ends.
    pub fn next(&mut self, expected: Option<Offset>) -> Result<Found> {
        let left = self.len - self.position;
        let head_len = left.min(HEADER_LEN as u64) as usize;
        self.read(0, head_len)?;
        if self.batch.iter().all(|byte| *byte == 0) {
            return self.zeros();
        }
        let bad = |why: &str| Ok(Found::Bad { why: why.to_owned() });
        if head_len < HEADER_LEN {
            return bad("the file ends within a header");
        }
        let header = match BatchHeader::parse(&self.batch) {
            Ok(header) => header,
            Err(cause) => return Ok(Found::Bad { why: cause.to_string() }),
        };
        if header.total_len() as u64 > left {
            return bad("the file ends within a batch");
        }
        if let Some(expected) = expected.filter(|expected| *expected != header.base_offset) {
            return Ok(Found::Bad {
                why: format!("the batch has offset {}, expected is {expected}", header.base_offset),
            });
        }
        self.read(HEADER_LEN, header.total_len())?;
        let bytes = &self.batch[..];
        if let Err(cause) = batch::validate(Slices::one(&bytes), &Limits::default()) {
            return Ok(Found::Bad { why: cause.to_string() });
        }
        self.position += header.total_len() as u64;
        Ok(Found::Batch(header))
    }

    /// Reads on until the batch has `len` bytes, of which `have` are there.
    fn read(&mut self, have: usize, len: usize) -> Result<()> {
        self.batch.resize(len, 0);
        self.file.read_exact(&mut self.batch[have..]).map_err(Error::io("read", &self.path))
    }

    fn zeros(&mut self) -> Result<Found> {
        let mut step = vec![0; STEP];
        loop {
            match self.file.read(&mut step).map_err(Error::io("read", &self.path))? {
                0 => return Ok(Found::End { zeros: self.len - self.position }),
                count if step[..count].iter().any(|byte| *byte != 0) => {
                    return Ok(Found::Bad { why: "bytes lie behind zeros".to_owned() });
                }
                _ => {}
            }
        }
    }
}
