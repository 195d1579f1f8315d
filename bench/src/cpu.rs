//! CPU time as the kernel accounts it, read from `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

/// Of `/proc/PID/stat`: Linux shows ticks of 10 ms on every architecture, whatever its timer does.
const TICK: Duration = Duration::from_millis(10);
/// Fields 14 and 15 of `/proc/PID/stat`, counted from the one after the command's closing parenthesis.
const USER_FIELD: usize = 11;
const SYSTEM_FIELD: usize = 12;

/// User and system time of this process, all its threads, in steps of 10 ms.
pub fn of_process() -> io::Result<Duration> {
    ticks(&fs::read_to_string("/proc/self/stat")?).map(|ticks| TICK * ticks).ok_or_else(|| malformed("stat"))
}

/// Time of the calling thread, to the nanosecond.
pub fn of_thread() -> io::Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split_whitespace().next().and_then(|field| field.parse().ok());
    nanoseconds.map(Duration::from_nanos).ok_or_else(|| malformed("schedstat"))
}

/// The command may contain spaces and parentheses, so fields are counted from the last parenthesis.
fn ticks(stat: &str) -> Option<u32> {
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_whitespace().collect();
    let field = |at: usize| fields.get(at)?.parse::<u32>().ok();
    field(USER_FIELD)?.checked_add(field(SYSTEM_FIELD)?)
}

fn malformed(file: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("/proc: {file} is malformed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_command_may_look_like_fields() {
        let stat = "7 (a) R 1 2) S 1 7 7 0 -1 4194560 99 0 0 0 250 50 3 4 20 0 1 0 100";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn spinning_costs_time() {
        let (process, thread) = (of_process().unwrap(), of_thread().unwrap());
        let began = Instant::now();
        while of_thread().unwrap() < thread + Duration::from_millis(50) {
            assert!(began.elapsed() < Duration::from_secs(60), "the thread's clock stands still");
        }
        assert!(of_process().unwrap() >= process + Duration::from_millis(30));
    }
}
