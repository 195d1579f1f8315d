//! Printing batches and records.

use std::io::Write;
use std::path::Path;

use duramen_wire::batch::{self, BatchHeader, Records};
use duramen_wire::slices::Slices;

use super::walk::{Found, Walk};
use super::{Error, Result, partitions};
use crate::log::paths;

/// Most bytes that one batch may decompress to.
const DECOMPRESSED_MAX: usize = 256 << 20;

/// Prints the batches of a segment file, a partition directory or a data directory, one line each, and with `records`
/// their records below them.
pub fn dump(path: &Path, records: bool, out: &mut dyn Write) -> Result<()> {
    if path.is_file() {
        // What recovery and repair have cut off one is named after it.
        let is_segment = path.file_name().is_some_and(|name| name.to_string_lossy().contains(".log"));
        if !is_segment {
            return Err(Error::NoSegment { path: path.to_owned() });
        }
        return dump_segment(path, records, out);
    }
    for partition in partitions(path)? {
        let id = partition.topic_id.map_or("unknown".to_owned(), |id| id.to_string());
        line(out, format_args!("partition {}-{}, topic id {id}", partition.topic, partition.partition))?;
        for base in &partition.segments {
            dump_segment(&paths::segment(&partition.path, *base, "log"), records, out)?;
        }
    }
    Ok(())
}

fn dump_segment(path: &Path, records: bool, out: &mut dyn Write) -> Result<()> {
    let mut walk = Walk::open(path)?;
    line(out, format_args!("segment {}, {} bytes", path.display(), walk.len()))?;
    loop {
        let position = walk.position;
        match walk.next(None)? {
            Found::Batch(header) => {
                dump_batch(&header, position, out)?;
                if records {
                    dump_records(&header, &walk.batch, out)?;
                }
            }
            Found::End { zeros: 0 } => return Ok(()),
            Found::End { zeros } => return line(out, format_args!("  {position}: {zeros} zeros")),
            Found::Bad { why } => return line(out, format_args!("  {position}: {why}")),
        }
    }
}

fn dump_batch(header: &BatchHeader, position: u64, out: &mut dyn Write) -> Result<()> {
    let compression = header.compression().map_or("unknown".to_owned(), |known| format!("{known:?}").to_lowercase());
    let kind = match (header.is_control(), header.is_transactional()) {
        (true, _) => ", control",
        (false, true) => ", transactional",
        (false, false) => "",
    };
    line(
        out,
        format_args!(
            "  {position}: offsets {} to {}, {} records, {} bytes, epoch {}, time {} to {}, compression {compression}, \
             producer {} epoch {} sequence {} to {}, crc {:#010x}{kind}",
            header.base_offset,
            header.last_offset(),
            header.record_count,
            header.total_len(),
            header.leader_epoch,
            header.base_timestamp,
            header.max_timestamp,
            header.producer_id,
            header.producer_epoch,
            header.base_sequence,
            header.last_sequence(),
            header.crc,
        ),
    )
}

fn dump_records(header: &BatchHeader, bytes: &[u8], out: &mut dyn Write) -> Result<()> {
    let records = match batch::decompress(header, Slices::one(&bytes), DECOMPRESSED_MAX) {
        Ok(records) => records,
        Err(cause) => return line(out, format_args!("    {cause}")),
    };
    for record in Records::new(&records, header.record_count) {
        let record = match record {
            Ok(record) => record,
            Err(cause) => return line(out, format_args!("    {cause}")),
        };
        let offset = header.base_offset.plus(i64::from(record.offset_delta));
        let time = header.base_timestamp.saturating_add(record.timestamp_delta);
        let headers: Vec<String> =
            record.headers().map(|header| format!("{}={}", header.key.escape_ascii(), text(header.value))).collect();
        let (key, value) = (text(record.key), text(record.value));
        line(out, format_args!("    {offset} time {time} key {key} value {value} headers [{}]", headers.join(", ")))?;
    }
    Ok(())
}

/// Bytes in quotes, with what is not printable escaped; null as such.
fn text(bytes: Option<&[u8]>) -> String {
    bytes.map_or("null".to_owned(), |bytes| format!("\"{}\"", bytes.escape_ascii()))
}

fn line(out: &mut dyn Write, line: std::fmt::Arguments<'_>) -> Result<()> {
    writeln!(out, "{line}").map_err(Error::Output)
}
