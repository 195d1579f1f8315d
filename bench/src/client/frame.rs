//! Frames of answers: where the next whole one lies in what was received.

/// Bytes of a frame's length, which does not count itself.
pub(crate) const LENGTH_LEN: usize = 4;

/// A length that no Kafka broker sends, or not in answer to what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes was announced")]
pub struct BadLength(i32);

/// Bytes of the frame that begins here, its length included; `None` while the length itself is not there. Beyond `max` a
/// length is taken for garbage.
pub(crate) fn frame_len(bytes: &[u8], max: usize) -> Result<Option<usize>, BadLength> {
    let Some(length) = bytes.first_chunk::<LENGTH_LEN>() else { return Ok(None) };
    let length = i32::from_be_bytes(*length);
    match usize::try_from(length) {
        // Every answer has a correlation id.
        Ok(count) if (4..=max).contains(&count) => Ok(Some(count + LENGTH_LEN)),
        _ => Err(BadLength(length)),
    }
}

/// The correlation id of a frame, given without its length.
pub(crate) fn correlation_id(frame: &[u8]) -> Option<i32> {
    frame.first_chunk().map(|id| i32::from_be_bytes(*id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME_MAX: usize = 1 << 20;

    #[test]
    fn lengths_are_told_as_soon_as_they_are_there() {
        let frame = [0, 0, 0, 6, 0, 0, 1, 2, 9, 9];
        assert_eq!(frame_len(&frame[..3], FRAME_MAX), Ok(None));
        assert_eq!(frame_len(&frame[..4], FRAME_MAX), Ok(Some(10)));
        assert_eq!((correlation_id(&frame[4..]), correlation_id(&frame[..3])), (Some(0x102), None));
    }

    #[test]
    fn nonsense_is_refused() {
        for length in [-1, 0, 3, i32::from_be_bytes(*b"HTTP"), FRAME_MAX as i32 + 1] {
            assert_eq!(frame_len(&length.to_be_bytes(), FRAME_MAX), Err(BadLength(length)));
        }
    }
}
