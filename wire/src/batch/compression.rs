//! Opening compressed batches. Output is bounded; the input is whatever a client wrote.

use std::io::{self, Read};

use zstd::zstd_safe::{DCtx, ErrorCode, get_error_name};

use super::{BatchHeader, Error, HEADER_LEN};
use crate::slices::Slices;

/// What Java's snappy stream puts in front: a magic, a version and the oldest compatible version.
const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const XERIAL_HEADER_LEN: usize = 16;

/// The first guess at how much larger zstd's output is than its input.
const ZSTD_RATIO_FIRST: usize = 4;
const ZSTD_OUTPUT_MIN: usize = 64 * 1024;

/// The codecs of a batch's attributes, in their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

impl TryFrom<u8> for Compression {
    type Error = Error;

    fn try_from(id: u8) -> Result<Self, Error> {
        Ok(match id {
            0 => Self::None,
            1 => Self::Gzip,
            2 => Self::Snappy,
            3 => Self::Lz4,
            4 => Self::Zstd,
            _ => return Err(Error::UnknownCompression(id)),
        })
    }
}

/// The record section of a batch, decompressed, for `Records` to read. `batch` is the whole batch as it lies. Output
/// beyond `max_output` bytes is an error; no more than a few times as much is held on the way.
pub fn decompress(header: &BatchHeader, batch: Slices, max_output: usize) -> Result<Vec<u8>, Error> {
    if batch.len() < HEADER_LEN {
        return Err(Error::Truncated { length: batch.len() });
    }
    let mut scratch = Vec::new();
    let input = batch.contiguous(HEADER_LEN..batch.len(), &mut scratch);
    match header.compression()? {
        Compression::None if input.len() > max_output => Err(Error::TooLarge { limit: max_output }),
        Compression::None => Ok(input.to_vec()),
        Compression::Gzip => read_all(flate2::read::MultiGzDecoder::new(input), max_output),
        Compression::Snappy => snappy(input, max_output),
        Compression::Lz4 => read_all(lz4::Decoder::new(input).map_err(Error::Decompress)?, max_output),
        Compression::Zstd => zstd(input, max_output),
    }
}

fn read_all(decoder: impl Read, max_output: usize) -> Result<Vec<u8>, Error> {
    let mut output = Vec::new();
    decoder.take(max_output as u64 + 1).read_to_end(&mut output).map_err(Error::Decompress)?;
    match output.len() > max_output {
        true => Err(Error::TooLarge { limit: max_output }),
        false => Ok(output),
    }
}

/// Either one raw block, as librdkafka writes, or Java's stream: its header, then blocks with a 4-byte length each.
fn snappy(input: &[u8], max_output: usize) -> Result<Vec<u8>, Error> {
    let mut output = Vec::new();
    if !input.starts_with(XERIAL_MAGIC) {
        snappy_block(input, &mut output, max_output)?;
        return Ok(output);
    }
    let mut left = input.get(XERIAL_HEADER_LEN..).ok_or_else(|| invalid("a snappy stream ends in its header"))?;
    while !left.is_empty() {
        let (length, rest) =
            left.split_first_chunk::<4>().ok_or_else(|| invalid("a snappy block ends in its length"))?;
        let length = u32::from_be_bytes(*length) as usize;
        let (block, rest) = rest.split_at_checked(length).ok_or_else(|| invalid("a snappy block is truncated"))?;
        snappy_block(block, &mut output, max_output)?;
        left = rest;
    }
    Ok(output)
}

fn snappy_block(block: &[u8], output: &mut Vec<u8>, max_output: usize) -> Result<(), Error> {
    let length = snap::raw::decompress_len(block).map_err(|cause| Error::Decompress(io::Error::other(cause)))?;
    let from = output.len();
    if length > max_output - from {
        return Err(Error::TooLarge { limit: max_output });
    }
    output.resize(from + length, 0);
    let written = snap::raw::Decoder::new()
        .decompress(block, &mut output[from..])
        .map_err(|cause| Error::Decompress(io::Error::other(cause)))?;
    output.truncate(from + written);
    Ok(())
}

/// Decompresses straight into the output, doubled until it suffices. A streaming decoder would hold a window that the
/// frame chooses, 128 MiB and more.
fn zstd(input: &[u8], max_output: usize) -> Result<Vec<u8>, Error> {
    let mut capacity = input.len().saturating_mul(ZSTD_RATIO_FIRST).max(ZSTD_OUTPUT_MIN).min(max_output);
    let mut context = DCtx::create();
    loop {
        let mut output = Vec::with_capacity(capacity);
        match context.decompress(&mut output, input) {
            Ok(length) if length > max_output => return Err(Error::TooLarge { limit: max_output }),
            Ok(_) => return Ok(output),
            Err(code) if !is_destination_too_small(code) => return Err(invalid(get_error_name(code))),
            Err(_) if capacity == max_output => return Err(Error::TooLarge { limit: max_output }),
            Err(_) => capacity = capacity.saturating_mul(2).min(max_output),
        }
    }
}

fn is_destination_too_small(code: ErrorCode) -> bool {
    get_error_name(code) == "Destination buffer is too small"
}

fn invalid(what: &'static str) -> Error {
    Error::Decompress(io::Error::new(io::ErrorKind::InvalidData, what))
}
