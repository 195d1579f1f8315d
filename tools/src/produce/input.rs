//! Lines of an input stream, read by a thread of their own so that the sender can attend to the broker meanwhile.
//!
//! Memory is bounded: a few chunks in the channel, and no line longer than the limit.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// How many chunks may wait for the sender.
const CHUNKS_MAX: usize = 8;
/// How much is read at once.
const READ_BYTES: usize = 64 << 10;

/// What the reader hands over. The channel closes at the end of the input.
#[derive(Debug)]
pub enum Chunk {
    /// Whole lines, each with its newline but perhaps the last of the input. See [`lines`].
    Lines(Vec<u8>),
    /// The next line is longer than the limit; nothing follows.
    TooLong,
    /// The input cannot be read; nothing follows.
    Failed(io::Error),
}

/// Starts reading. The thread ends with the input, or when the receiver is gone and it has something to hand over.
pub fn read(input: impl Read + Send + 'static, line_bytes_max: usize) -> io::Result<Receiver<Chunk>> {
    let (sender, receiver) = sync_channel(CHUNKS_MAX);
    thread::Builder::new().name("input".to_owned()).spawn(move || read_all(input, line_bytes_max, &sender))?;
    Ok(receiver)
}

/// The lines of a chunk, without their newlines.
pub fn lines(chunk: &[u8]) -> impl Iterator<Item = &[u8]> {
    chunk.split_inclusive(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

fn read_all(mut input: impl Read, line_bytes_max: usize, sender: &SyncSender<Chunk>) {
    let mut pending = Vec::new();
    loop {
        let start = pending.len();
        pending.resize(start + READ_BYTES, 0);
        let chunk = match input.read(&mut pending[start..]) {
            Ok(count) => {
                pending.truncate(start + count);
                if count == 0 { last(&mut pending) } else { whole_lines(&mut pending, start, line_bytes_max) }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                pending.truncate(start);
                continue;
            }
            Err(error) => Step::End(Some(Chunk::Failed(error))),
        };
        let (chunk, ended) = match chunk {
            Step::More => continue,
            Step::Chunk(chunk) => (Some(chunk), false),
            Step::End(chunk) => (chunk, true),
        };
        let gone = chunk.is_some_and(|chunk| sender.send(chunk).is_err());
        if gone || ended {
            return;
        }
    }
}

enum Step {
    More,
    Chunk(Chunk),
    End(Option<Chunk>),
}

/// What is left at the end of the input is a line too, though no newline ends it.
fn last(pending: &mut Vec<u8>) -> Step {
    let rest = std::mem::take(pending);
    Step::End((!rest.is_empty()).then_some(Chunk::Lines(rest)))
}

/// Splits off everything up to the last newline; before `start` there is none.
fn whole_lines(pending: &mut Vec<u8>, start: usize, line_bytes_max: usize) -> Step {
    let first = pending[start..].iter().position(|&byte| byte == b'\n').map_or(pending.len(), |at| start + at);
    if first > line_bytes_max {
        return Step::End(Some(Chunk::TooLong));
    }
    let Some(newline) = pending[start..].iter().rposition(|&byte| byte == b'\n') else { return Step::More };
    let rest = pending.split_off(start + newline + 1);
    Step::Chunk(Chunk::Lines(std::mem::replace(pending, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives its bytes in pieces of the given lengths, then whole.
    struct Dribble {
        bytes: Vec<u8>,
        pieces: Vec<usize>,
    }

    impl Read for Dribble {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let piece = self.pieces.pop().unwrap_or(usize::MAX).clamp(1, buffer.len()).min(self.bytes.len());
            buffer[..piece].copy_from_slice(&self.bytes[..piece]);
            self.bytes.drain(..piece);
            Ok(piece)
        }
    }

    fn collect(receiver: &Receiver<Chunk>) -> (Vec<Vec<u8>>, Option<Chunk>) {
        let mut all = Vec::new();
        for chunk in receiver {
            match chunk {
                Chunk::Lines(chunk) => all.extend(lines(&chunk).map(<[u8]>::to_vec)),
                other => return (all, Some(other)),
            }
        }
        (all, None)
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_arrive(
            lines in proptest::collection::vec("[a-z\r]{0,10}", 0..30),
            ended in any::<bool>(),
            pieces in proptest::collection::vec(1usize..20, 0..50),
        ) {
            let mut text = lines.join("\n");
            if ended && !lines.is_empty() {
                text.push('\n');
            }
            let mut expected: Vec<Vec<u8>> = text.split('\n').map(|line| line.as_bytes().to_vec()).collect();
            if text.is_empty() || text.ends_with('\n') {
                expected.pop();
            }
            let receiver = read(Dribble { bytes: text.into_bytes(), pieces }, 100).unwrap();
            let (lines, failure) = collect(&receiver);
            prop_assert!(failure.is_none());
            prop_assert_eq!(lines, expected);
        }
    }

    #[test]
    fn long_inputs_with_long_lines_arrive_whole() {
        let line = "x".repeat(200_000);
        let text = format!("{line}\na\n{line}\n");
        let receiver = read(io::Cursor::new(text.into_bytes()), 200_000).unwrap();
        let (lines, failure) = collect(&receiver);
        assert!(failure.is_none());
        assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [200_000, 1, 200_000]);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let receiver = read(io::repeat(b'x'), 1_000_000).unwrap();
        let (lines, failure) = collect(&receiver);
        assert!(lines.is_empty() && matches!(failure, Some(Chunk::TooLong)));
    }

    #[test]
    fn a_failing_input_is_reported() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let (_, failure) = collect(&read(Broken, 10).unwrap());
        assert!(matches!(failure, Some(Chunk::Failed(_))));
    }
}
