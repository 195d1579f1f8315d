//! No bytes make a decoder panic or take more memory than a constant factor of what was sent. A counting allocator
//! watches every decoder in every version, over random bytes, over noise that looks like lengths, and over the longest
//! arrays of the smallest elements.

use bytes::Bytes;
use duramen_wire::api::ApiKey;
use duramen_wire::header::RequestHeader;
use duramen_wire::messages;
use duramen_wire::slices::Slices;
use duramen_wire::{batch, fetch, produce};
use proptest::prelude::*;

use crate::allocator::peak_of;

/// Bytes that a decoder may hold at once for each byte that it got, and on top of that. A structure of two bytes on the
/// wire is some 80 in memory.
const FACTOR: usize = 100;
const ALLOWANCE: usize = 64 * 1024;
/// What any decoder may take besides, such as the handle by which the strings of a request share its body.
const SHARING: usize = 1024;

/// Runs one decoder over a body; the result does not matter here.
fn decode(api: ApiKey, version: i16, body: &Bytes) -> bool {
    let piece = &body[..];
    match api {
        ApiKey::Produce => produce::Request::default().parse(Slices::one(&piece), 0, version).is_ok(),
        ApiKey::Fetch => fetch::Request::default().parse(Slices::one(&piece), 0, version).is_ok(),
        api => messages::decode_request(api, version, body.clone()).is_ok(),
    }
}

/// Decodes a body as every API in every version, and returns how many took it.
fn decode_as_everything(body: &[u8]) -> usize {
    let body = Bytes::copy_from_slice(body);
    let mut taken = 0;
    for &api in ApiKey::ALL {
        for version in api.versions() {
            let mut decodes = false;
            let peak = peak_of(|| decodes = decode(api, version, &body));
            taken += usize::from(decodes);
            let head = &body[..body.len().min(100)];
            let allowed = body.len() * FACTOR + ALLOWANCE;
            assert!(peak <= allowed, "{api} {version} held {peak} bytes for {} bytes {head:02x?}", body.len());
            if let Ok(checked) = messages::check_request(api, version, body.clone()) {
                // An error may come with a backtrace.
                let foretold = checked.decoded_size() + if decodes { SHARING } else { ALLOWANCE };
                assert!(peak <= foretold, "{api} {version} held {peak} bytes, not {foretold}, for {head:02x?}");
            }
        }
    }
    taken
}

/// Bytes that are mostly small numbers, lengths and nulls, so that decoders get deep into them.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        6 => Just(0_u8), 4 => Just(1_u8), 3 => Just(2_u8), 2 => 3..9_u8,
        1 => Just(0xff_u8), 1 => Just(0x7f_u8), 1 => Just(0x80_u8), 1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_bytes(body in prop::collection::vec(any::<u8>(), 0..200)) {
        decode_as_everything(&body);
    }

    #[test]
    fn plausible_bytes(body in soup()) {
        decode_as_everything(&body);
    }

    #[test]
    fn headers(request in soup()) {
        let peak = peak_of(|| {
            let _ = RequestHeader::parse(Slices::one(&request.as_slice()));
        });
        prop_assert_eq!(peak, 0);
    }

    #[test]
    fn batches(header in soup(), section in soup(), codec in 0..8_u8) {
        let mut bytes = [&[0; batch::HEADER_LEN][..], &section].concat();
        let header = &header[..header.len().min(batch::HEADER_LEN)];
        bytes[..header.len()].copy_from_slice(header);
        let length = (bytes.len() - 12) as i32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[16] = 2;
        bytes[22] = codec;
        let crc = crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        let whole = bytes.as_slice();
        let peak = peak_of(|| drop(batch::validate(Slices::one(&whole), &batch::Limits::default())));
        prop_assert_eq!(peak, 0, "validation allocates nothing");
        if let Ok(header) = batch::BatchHeader::parse(&bytes) {
            const MAX_OUTPUT: usize = 100_000;
            let peak = peak_of(|| drop(batch::decompress(&header, Slices::one(&whole), MAX_OUTPUT)));
            prop_assert!(peak <= 4 * MAX_OUTPUT + ALLOWANCE, "{peak}");
        }
    }
}

/// The soup is worth something only if decoders take some of it.
#[test]
fn plausible_bytes_are_taken() {
    let taken: usize = [0, 1].into_iter().map(|byte| decode_as_everything(&[byte; 400])).sum();
    assert!(taken > 50, "{taken}");
}

/// Arrays as long as they may be, of the smallest elements that there are, behind any head.
#[test]
fn long_arrays_of_small_elements() {
    const ELEMENTS: usize = 150_000;
    for fill in [0, 1, 2] {
        for zeros in 0..24 {
            let compact = [&vec![0; zeros][..], &[0xf1, 0x93, 0x09], &vec![fill; 3 * ELEMENTS]].concat();
            decode_as_everything(&compact);
            let plain = [&vec![0; zeros][..], &(ELEMENTS as i32).to_be_bytes(), &vec![fill; 8 * ELEMENTS]].concat();
            decode_as_everything(&plain);
        }
    }
}

/// Counts that lie, at every position of an otherwise empty body.
#[test]
fn lying_counts() {
    for lie in
        [&[0xff_u8, 0xff, 0xff, 0xff, 0x0f][..], &[0x7f, 0xff, 0xff, 0xff], &[0xc0, 0x84, 0x3d], &[0, 0x0f, 0x42, 0x40]]
    {
        for at in 0..60 {
            let body = [&vec![0; at][..], lie, &[0; 40]].concat();
            decode_as_everything(&body);
        }
    }
}
