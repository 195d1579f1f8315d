//! The guard's schemas against the crate: bytes made from a schema are decoded whole by the crate and come out of its
//! encoder as they were. The versions that the crate lacks stand against bytes that Kafka 4.3's own classes wrote.

use proptest::prelude::*;

use super::schema::{Field, Kind};
use super::*;

/// splitmix64
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> usize {
        (self.next() % bound) as usize
    }
}

/// Writes random bytes of a schema, no nulls.
struct Writer<'r> {
    out: Vec<u8>,
    version: i16,
    flexible: bool,
    tags: bool,
    random: &'r mut Random,
}

impl Writer<'_> {
    fn structure(&mut self, fields: &[Field]) {
        for field in fields {
            if (field.since..=field.until).contains(&self.version) {
                self.value(&field.kind);
            }
        }
        if self.flexible {
            let tags = if self.tags { self.random.below(3) as u8 } else { 0 };
            self.out.push(tags);
            for tag in 0..tags {
                self.out.extend([200 + tag, 1, 2, 7, 7]);
            }
        }
    }

    fn value(&mut self, kind: &Kind) {
        match kind {
            Kind::Fixed(1) => self.out.push(self.random.below(2) as u8),
            Kind::Fixed(length) => self.noise(*length),
            Kind::String => {
                let length = self.random.below(6);
                if self.flexible {
                    self.out.push(length as u8 + 1)
                } else {
                    self.out.extend([0, length as u8])
                }
                self.out.extend(&b"string"[..length]);
            }
            Kind::Bytes => {
                let length = self.random.below(200);
                self.length(length);
                self.noise(length);
            }
            Kind::List(item) => {
                let length = self.random.below(4);
                self.length(length);
                (0..length).for_each(|_| self.value(item));
            }
            Kind::Structs(fields) => {
                let length = self.random.below(4);
                self.length(length);
                (0..length).for_each(|_| self.structure(fields));
            }
            Kind::OptionalStruct(fields) => match self.random.below(2) == 0 {
                true => {
                    self.out.push(1);
                    self.structure(fields);
                }
                false => self.out.push(0xff),
            },
        }
    }

    fn noise(&mut self, length: usize) {
        self.out.extend((0..length).map(|_| self.random.next() as u8));
    }

    fn length(&mut self, length: usize) {
        match self.flexible {
            true if length < 127 => self.out.push(length as u8 + 1),
            true => self.out.extend([(length + 1) as u8 | 0x80, ((length + 1) >> 7) as u8]),
            false => self.out.extend((length as i32).to_be_bytes()),
        }
    }
}

fn body(api: ApiKey, version: i16, tags: bool, random: &mut Random) -> Vec<u8> {
    let mut writer = Writer { out: Vec::new(), version, flexible: api.is_flexible(version), tags, random };
    writer.structure(schema::request(api));
    writer.out
}

fn decoded_here() -> impl Iterator<Item = (ApiKey, i16)> {
    let apis = ApiKey::ALL.iter().filter(|api| !matches!(api, ApiKey::Produce | ApiKey::Fetch));
    apis.flat_map(|&api| api.versions().map(move |version| (api, version)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_schema_is_the_crates(tags: bool, seed: u64) {
        let mut random = Random(seed);
        for (api, version) in decoded_here() {
            let bytes = body(api, version, tags, &mut random);
            let decoded = decode_request(api, version, Bytes::from(bytes.clone()));
            prop_assert!(decoded.is_ok(), "{api} {version}: {decoded:?} of {bytes:?}");
            let decoded = decoded.unwrap();
            prop_assert_eq!(decoded.api(), api);
            if newer::decode_request(api, version, &Bytes::from(bytes.clone())).is_none() {
                let mut again = Vec::new();
                decoded.encode(newer::version_of_the_crate(api, version), &mut again).unwrap();
                prop_assert_eq!(again, bytes, "{} {}", api, version);
            }
        }
    }

    #[test]
    fn truncated_bodies_are_errors(at in any::<prop::sample::Index>(), seed: u64) {
        let mut random = Random(seed);
        for (api, version) in decoded_here() {
            let bytes = body(api, version, true, &mut random);
            if !bytes.is_empty() {
                let short = Bytes::copy_from_slice(&bytes[..at.index(bytes.len())]);
                let decoded = decode_request(api, version, short);
                prop_assert!(matches!(decoded, Err(Error::Malformed(_))), "{api} {version}: {decoded:?}");
            }
        }
    }
}

#[test]
fn lies_are_refused_before_memory_is_reserved() {
    let refuse = |api, version, bytes: &[u8]| decode_request(api, version, Bytes::copy_from_slice(bytes)).unwrap_err();
    let too_long = refuse(ApiKey::Metadata, 9, &[0xff, 0xff, 0xff, 0xff, 0x0f]);
    assert!(matches!(too_long, Error::Malformed(slices::Error::ArrayTooLong { .. })));
    let beyond = refuse(ApiKey::Metadata, 1, &[0, 0, 1, 0, 0, 0]);
    assert!(matches!(beyond, Error::Malformed(slices::Error::ArrayBeyondEnd { .. })));
    let tags = refuse(ApiKey::ListGroups, 3, &[0x91, 0x4e]);
    assert!(matches!(tags, Error::Malformed(slices::Error::TooManyTags { claimed: 10_001, .. })));
    let utf8 = refuse(ApiKey::Metadata, 1, &[0, 0, 0, 1, 0, 1, 0xff]);
    assert!(matches!(utf8, Error::Decode { .. }));
    assert!(matches!(refuse(ApiKey::Metadata, 14, &[]), Error::Version { version: 14, .. }));
    assert!(matches!(refuse(ApiKey::Produce, 3, &[]), Error::ByHand(ApiKey::Produce)));
    let many = |count: usize| [&(count as i32).to_be_bytes()[..], &vec![0; 2 * count]].concat();
    const ELEMENTS_MAX: usize = slices::ARRAY_LENGTH_MAX as usize;
    let more = refuse(ApiKey::Metadata, 1, &many(ELEMENTS_MAX + 1));
    assert!(matches!(more, Error::Malformed(slices::Error::ArrayTooLong { .. })));
    let checked = check_request(ApiKey::Metadata, 1, many(ELEMENTS_MAX).into()).unwrap();
    let decoded = checked.decoded_size();
    assert!((40 * ELEMENTS_MAX..200 * ELEMENTS_MAX).contains(&decoded), "{decoded}");
    assert!(matches!(checked.within(decoded - 1), Err(Error::TooLarge { .. })));
}

#[test]
fn bytes_after_a_body_are_ignored() {
    let body = Bytes::from_static(&[0, 0, 0, 1, 0, 1, b't', 9, 9, 9]);
    let Ok(Request::Metadata(request)) = decode_request(ApiKey::Metadata, 1, body) else { panic!("decodes") };
    assert_eq!(request.topics.unwrap().len(), 1);
}

#[test]
fn a_field_that_the_version_lacks_leaves_the_buffer_alone() {
    let mut response = FindCoordinatorResponse::default();
    response.coordinators.push(Default::default());
    let mut out = vec![1, 2, 3];
    let encoded = encode_response(&response.into(), 1, 5, &mut out);
    assert!(matches!(encoded, Err(Error::Encode { api: ApiKey::FindCoordinator, version: 1, .. })));
    assert_eq!(out, [1, 2, 3]);
}

#[test]
fn responses_are_framed_in_every_version() {
    let mut frames = 0;
    for (api, version) in decoded_here() {
        let Some(response) = empty_response(api) else { continue };
        let mut out = vec![9];
        let length = encode_response(&response, version, 7, &mut out).unwrap();
        assert_eq!(length, out.len() - 1, "{api} {version}");
        assert_eq!(i32::from_be_bytes(out[1..5].try_into().unwrap()) as usize, length - 4);
        assert_eq!(out[5..9], [0, 0, 0, 7]);
        frames += 1;
    }
    assert!(frames > 30, "{frames} frames");
}

fn empty_response(api: ApiKey) -> Option<Response> {
    Some(match api {
        ApiKey::ListOffsets => ListOffsetsResponse::default().into(),
        ApiKey::Metadata => MetadataResponse::default().into(),
        ApiKey::OffsetCommit => OffsetCommitResponse::default().into(),
        ApiKey::OffsetFetch => OffsetFetchResponse::default().into(),
        ApiKey::ApiVersions => ApiVersionsResponse::default().into(),
        ApiKey::DescribeLogDirs => DescribeLogDirsResponse::default().into(),
        _ => return None,
    })
}

mod golden;
