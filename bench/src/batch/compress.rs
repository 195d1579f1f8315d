//! Compresses record sections, in the forms that Kafka reads, and keeps those that will be sent again.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::sync::Arc;

use crate::plan::Compression;

/// What one thread keeps of compressed sections; after that, the one that was used longest ago goes.
pub(crate) const CACHE_BYTES_MAX: usize = 256 << 20;
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

/// A codec with its context, which is made once.
pub(crate) struct Compressor {
    codec: Codec,
}

enum Codec {
    Gzip,
    Snappy(Box<snap::raw::Encoder>),
    Lz4,
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Compressor {
    /// `None` where nothing is to be compressed.
    pub(crate) fn new(compression: Compression) -> io::Result<Option<Self>> {
        let codec = match compression {
            Compression::None => return Ok(None),
            Compression::Gzip => Codec::Gzip,
            Compression::Snappy => Codec::Snappy(Box::new(snap::raw::Encoder::new())),
            Compression::Lz4 => Codec::Lz4,
            Compression::Zstd => Codec::Zstd(zstd::bulk::Compressor::new(ZSTD_LEVEL)?),
        };
        Ok(Some(Self { codec }))
    }

    pub(crate) fn compress(&mut self, section: &[u8]) -> io::Result<Vec<u8>> {
        match &mut self.codec {
            Codec::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(section.len() / 2), level);
                encoder.write_all(section)?;
                encoder.finish()
            }
            // One raw block, as librdkafka writes.
            Codec::Snappy(encoder) => encoder.compress_vec(section).map_err(io::Error::other),
            Codec::Lz4 => lz4(section),
            Codec::Zstd(compressor) => compressor.compress(section),
        }
    }
}

/// A frame with independent blocks: Kafka reads no others.
fn lz4(section: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = lz4::EncoderBuilder::new()
        .block_mode(lz4::BlockMode::Independent)
        .block_size(lz4::BlockSize::Max64KB)
        .checksum(lz4::ContentChecksum::NoChecksum)
        .build(Vec::with_capacity(section.len() / 2))?;
    encoder.write_all(section)?;
    let (compressed, ended) = encoder.finish();
    ended.map(|()| compressed)
}

/// Compressed sections by template and number of records.
#[derive(Default)]
pub(crate) struct Cache {
    kept: HashMap<Key, Kept>,
    /// By when they were last used.
    order: BTreeMap<u64, Key>,
    uses: u64,
    bytes: usize,
}

type Key = (usize, usize);

struct Kept {
    section: Arc<[u8]>,
    last_use: u64,
}

impl Cache {
    /// The section that was kept for so many records of a template.
    pub(crate) fn get(&mut self, key: Key) -> Option<Arc<[u8]>> {
        let kept = self.kept.get_mut(&key)?;
        self.uses += 1;
        self.order.remove(&kept.last_use);
        self.order.insert(self.uses, key);
        kept.last_use = self.uses;
        Some(kept.section.clone())
    }

    /// Keeps one that `get` did not find.
    pub(crate) fn keep(&mut self, key: Key, section: Arc<[u8]>, bytes_max: usize) {
        self.uses += 1;
        self.bytes += section.len();
        self.order.insert(self.uses, key);
        self.kept.insert(key, Kept { section, last_use: self.uses });
        while self.bytes > bytes_max
            && let Some((_, oldest)) = self.order.pop_first()
        {
            let gone = self.kept.remove(&oldest).expect("both maps hold the same keys");
            self.bytes -= gone.section.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duramen_wire::batch::{BatchBuilder, BatchHeader, HEADER_LEN, decompress};
    use duramen_wire::slices::Slices;

    const ALL: [Compression; 4] = [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    #[test]
    fn what_is_compressed_is_opened_by_the_broker() {
        let section: Vec<u8> = (0..300_000_u32).flat_map(|number| (number / 7).to_le_bytes()).collect();
        let mut builder = BatchBuilder::new();
        builder.push(None, None, &[], 0);
        let plain = builder.finish();
        for compression in ALL {
            let compressed = Compressor::new(compression).unwrap().unwrap().compress(&section).unwrap();
            assert!(compressed.len() < section.len(), "{compression:?}");
            let batch = [&plain[..HEADER_LEN], &compressed].concat();
            let mut header = BatchHeader::parse(&batch).unwrap();
            header.attributes = duramen_wire::batch::Compression::from(compression) as i16;
            let opened = decompress(&header, Slices::one(&batch.as_slice()), 4 << 20).unwrap();
            assert!(opened == section, "{compression:?}");
        }
        assert!(Compressor::new(Compression::None).unwrap().is_none());
    }

    #[test]
    fn blocks_of_lz4_are_independent() {
        let frame = lz4(&[7; 200_000]).unwrap();
        assert_eq!(frame[..4], [0x04, 0x22, 0x4d, 0x18]);
        assert_ne!(frame[4] & 0x20, 0, "the bit for independent blocks");
    }

    #[test]
    fn the_one_that_was_used_longest_ago_goes() {
        let section = |byte: u8| Arc::from(vec![byte; 100]);
        let mut cache = Cache::default();
        cache.keep((0, 1), section(1), 250);
        cache.keep((0, 2), section(2), 250);
        assert_eq!(cache.get((0, 1)).unwrap()[0], 1);
        cache.keep((0, 3), section(3), 250);
        assert!(cache.get((0, 2)).is_none() && cache.get((0, 1)).is_some() && cache.get((0, 3)).is_some());
        assert_eq!((cache.bytes, cache.kept.len(), cache.order.len()), (200, 2, 2));
    }
}
