//! What a Duramen counts itself, read from its metrics page.

use std::io::{Read, Write};
use std::time::Duration;

use crate::admin::{connect, plain};

const TIMEOUT: Duration = Duration::from_secs(5);
const PAGE_BYTES_MAX: u64 = 16 << 20;
const SYNCS: &str = "duramen_log_syncs_total";

/// The syncs that it has counted since its start, or why that is not known.
pub fn syncs(address: &str) -> Result<u64, String> {
    let page = page(address)?;
    sum(&page, SYNCS).ok_or_else(|| format!("the page at {address} has no {SYNCS}"))
}

fn page(address: &str) -> Result<String, String> {
    let mut stream = connect(address).map_err(|error| error.to_string())?;
    let mut read = || {
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(format!("GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
        let mut text = String::new();
        (&mut stream).take(PAGE_BYTES_MAX).read_to_string(&mut text)?;
        Ok(text)
    };
    read().map_err(|error: std::io::Error| format!("{address}: {}", plain(&error)))
}

/// The sum of a counter over its labels.
fn sum(page: &str, name: &str) -> Option<u64> {
    let values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            Some(labels) => labels.split_once('}')?.1,
            None => rest.strip_prefix(' ')?,
        };
        value.trim().parse::<f64>().ok()
    });
    values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value)).map(|sum| sum as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_summed_over_their_labels() {
        let page = "# HELP a b\na_total{shard=\"0\"} 5\na_total{shard=\"1\"} 7\na_total_of_else 9\nb_total 3\n";
        assert_eq!(sum(page, "a_total"), Some(12));
        assert_eq!(sum(page, "b_total"), Some(3));
        assert_eq!(sum(page, "c_total"), None);
    }
}
