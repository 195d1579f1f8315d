//! Makes the section that is sent from one that was filled: as it is, compressed, or kept from an earlier time.

use std::io;
use std::sync::Arc;

use super::compress::{CACHE_BYTES_MAX, Cache, Compressor};
use super::template::Shape;
use crate::plan::Compression;

/// The compression of one thread.
pub(crate) struct Press {
    compression: Compression,
    compressor: Option<Compressor>,
    /// There if sections of templates are compressed once and sent again and again.
    cache: Option<Cache>,
    cache_bytes_max: usize,
    next_template: usize,
}

impl Press {
    /// `keeps`: nobody reads stamps or keys, so that sections may be sent again.
    pub(crate) fn new(compression: Compression, keeps: bool, threads: usize) -> io::Result<Self> {
        let compressor = Compressor::new(compression)?;
        let cache = (keeps && compressor.is_some()).then(Cache::default);
        let cache_bytes_max = CACHE_BYTES_MAX / threads.max(1);
        Ok(Self { compression, compressor, cache, cache_bytes_max, next_template: 0 })
    }

    pub(crate) fn compression(&self) -> Compression {
        self.compression
    }

    pub(crate) fn keeps(&self) -> bool {
        self.cache.is_some()
    }

    /// A section of so many records of the next template, and whether it had to be compressed for this.
    pub(crate) fn kept(&mut self, shape: &Shape, records: u32) -> io::Result<(Arc<[u8]>, bool)> {
        let template = self.next_template % shape.templates();
        self.next_template = template + 1;
        let cache = self.cache.as_mut().expect("asked for where sections are kept only");
        if let Some(section) = cache.get((template, records as usize)) {
            return Ok((section, false));
        }
        let compressor = self.compressor.as_mut().expect("sections are kept where there is compression only");
        let section: Arc<[u8]> = compressor.compress(shape.prefix(template, records))?.into();
        cache.keep((template, records as usize), section.clone(), self.cache_bytes_max);
        Ok((section, true))
    }

    /// Compresses full batches of all templates ahead.
    pub(crate) fn prepare(&mut self, shape: &Shape) -> io::Result<()> {
        if self.keeps() {
            let full = shape.full_from(0, 0);
            (0..shape.templates()).try_for_each(|_| self.kept(shape, full).map(drop))?;
        }
        Ok(())
    }

    /// The section compressed; `None` where nothing is compressed.
    pub(crate) fn compress(&mut self, section: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.compressor.as_mut().map(|compressor| compressor.compress(section)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::sizes::SizeTable;
    use crate::plan::Produce;

    #[test]
    fn templates_are_compressed_once_and_sent_in_turn() {
        let shape = Shape::new(&Produce::default(), Arc::new(SizeTable::Fixed(100)), 1).unwrap();
        let mut press = Press::new(Compression::Lz4, true, 1).unwrap();
        press.prepare(&shape).unwrap();
        let full = shape.full_from(0, 0);
        let (first, made) = press.kept(&shape, full).unwrap();
        let (second, _) = press.kept(&shape, full).unwrap();
        assert!(!made && first != second);
        assert!(press.kept(&shape, full - 1).unwrap().1);
        (0..shape.templates() - 3).for_each(|_| drop(press.kept(&shape, full).unwrap()));
        assert!(Arc::ptr_eq(&press.kept(&shape, full).unwrap().0, &first));
    }

    #[test]
    fn without_compression_nothing_is_made() {
        let mut press = Press::new(Compression::None, true, 1).unwrap();
        assert!(!press.keeps() && press.compress(b"abc").unwrap().is_none());
    }
}
