//! Frames are written whole and in order however little the socket takes, and answers are found however they arrive.

use super::*;
use std::net::{Shutdown, TcpListener};

use crate::batch::pool::Section;
use crate::client::encode::RequestWriter;
use duramen_wire::api::ApiKey;
use duramen_wire::header::RequestHeader;
use duramen_wire::slices::Slices;

fn pair(receive: usize) -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap().to_string();
    let asked = Asked { api: "Produce", patience: Duration::from_secs(1), answer_max: 100_000 };
    let ours = Connection::open(&server, asked, receive).unwrap();
    (ours, listener.accept().unwrap().0)
}

fn frame(token: u64, section: &[u8], answered: bool) -> Frame {
    let mut head = Vec::new();
    let mut writer = RequestWriter::begin(&mut head, ApiKey::Produce, 9, 0);
    let at = writer.position();
    writer.i32(7);
    writer.finish_with(section.len());
    Frame { head, sections: vec![(at, Section::Compressed(section.to_vec()))], party: 3, token, answered }
}

/// Reads one frame's bytes after its length.
fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut frame = vec![0; i32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame).unwrap();
    frame
}

fn answer(correlation_id: i32, length: usize) -> Vec<u8> {
    let mut bytes = (length as i32 + 4).to_be_bytes().to_vec();
    bytes.extend(correlation_id.to_be_bytes());
    bytes.extend((0..length).map(|at| at as u8));
    bytes
}

#[test]
fn large_frames_are_written_in_pieces_and_numbered() {
    const FRAMES: u64 = 200;
    const LENGTH: usize = 100_000;
    let (mut ours, mut theirs) = pair(RECEIVE_SMALL);
    for token in 0..FRAMES {
        ours.push(frame(token, &[token as u8; LENGTH], true));
    }
    let reader = std::thread::spawn(move || (0..FRAMES).map(|_| read_frame(&mut theirs)).collect::<Vec<_>>());
    let (mut out, mut calls, mut clock) = (Outbox::default(), 0, 0);
    while ours.has_unwritten() {
        clock += 1;
        ours.flush(&mut out, || Nanos(clock)).unwrap();
        calls += 1;
    }
    assert!(calls > 1, "20 MB do not fit a socket at once");
    for (token, bytes) in reader.join().unwrap().into_iter().enumerate() {
        let header = RequestHeader::parse(Slices::one(&bytes.as_slice())).unwrap();
        assert_eq!(header.correlation_id, token as i32);
        let body = &bytes[header.body..];
        assert!(body[..LENGTH].iter().all(|byte| *byte == token as u8) && body[LENGTH..] == 7_i32.to_be_bytes());
    }
    let sent: Vec<_> = ours.under_way.iter().map(|request| request.sent).collect();
    assert!(sent.is_sorted() && sent[0] < sent[FRAMES as usize - 1]);
    assert_eq!(ours.owed_since(), Some(sent[0]));
}

#[test]
fn answers_are_found_however_they_arrive() {
    for receive in [16, 64, RECEIVE_LARGE] {
        let (mut ours, mut theirs) = pair(receive);
        let mut out = Outbox::default();
        let lengths = [3, 0, 500, 10, 70_000, 1];
        (0..lengths.len() as u64).for_each(|token| ours.push(frame(token, b"x", true)));
        ours.flush(&mut out, || Nanos(5)).unwrap();
        let bytes: Vec<u8> = lengths.iter().enumerate().flat_map(|(id, length)| answer(id as i32, *length)).collect();
        let writer = std::thread::spawn(move || {
            bytes.chunks(700).for_each(|piece| theirs.write_all(piece).unwrap());
            theirs
        });
        let (mut spares, mut found) = (Vec::new(), Vec::new());
        while found.len() < lengths.len() {
            ours.receive(&mut spares).unwrap();
            while let Some((request, range)) = ours.next_answer().unwrap() {
                assert_eq!((request.party, request.token, request.sent), (3, found.len() as u64, Nanos(5)));
                let body = &ours.bytes(range)[4..];
                assert!(body.iter().enumerate().all(|(at, byte)| *byte == at as u8));
                found.push(body.len());
            }
        }
        assert_eq!(found, lengths, "{receive}");
        // Not dropped, which would reset the connection: what was sent has not been read.
        let theirs = writer.join().unwrap();
        theirs.shutdown(Shutdown::Write).unwrap();
        let ended = std::iter::repeat_with(|| ours.receive(&mut spares)).find(|outcome| outcome.is_err());
        assert!(matches!(ended, Some(Err(Broken::Io(error))) if error.kind() == ErrorKind::UnexpectedEof));
        assert_eq!((ours.received.len(), spares.len()), (receive, usize::from(receive < 70_000)));
    }
}

#[test]
fn a_broker_that_reads_nothing_owes_room() {
    let (mut ours, mut theirs) = pair(RECEIVE_SMALL);
    let mut out = Outbox::default();
    while !ours.has_unwritten() {
        ours.push(frame(1, &[0; 10_000], false));
        ours.flush(&mut out, || Nanos(5)).unwrap();
    }
    ours.flush(&mut out, || Nanos(9)).unwrap();
    assert_eq!(ours.owed_since(), Some(Nanos(5)), "since nothing went on, though no answer is awaited");
    ours.push(frame(1, b"x", false));
    let reader = std::thread::spawn(move || std::io::copy(&mut theirs, &mut std::io::sink()).unwrap());
    while ours.has_unwritten() {
        ours.flush(&mut out, || Nanos(20)).unwrap();
    }
    assert_eq!(ours.owed_since(), None);
    drop(ours);
    assert!(reader.join().unwrap() > 10_000);
}

#[test]
fn an_answer_longer_than_can_be_is_garbage() {
    let (mut ours, mut theirs) = pair(RECEIVE_SMALL);
    theirs.write_all(&100_001_i32.to_be_bytes()).unwrap();
    let refused = std::iter::repeat_with(|| ours.receive(&mut Vec::new()).and_then(|_| ours.next_answer()));
    let refused = refused.take(1_000_000).find(Result::is_err);
    assert!(matches!(refused, Some(Err(Broken::Length(_)))));
}

#[test]
fn few_large_buffers_are_kept() {
    let (mut ours, _theirs) = pair(RECEIVE_SMALL);
    let mut spares = vec![vec![0; SPARES_BYTES_MAX / 2], vec![0; 8]];
    ours.small = Some(std::mem::replace(&mut ours.received, vec![0; SPARES_BYTES_MAX]));
    ours.make_room(&mut spares).unwrap();
    assert_eq!(spares.iter().map(Vec::len).collect::<Vec<_>>(), [SPARES_BYTES_MAX]);
    assert_eq!(ours.received.len(), RECEIVE_SMALL);
}

#[test]
fn an_answer_to_nothing_is_an_error() {
    let (mut ours, mut theirs) = pair(RECEIVE_SMALL);
    ours.push(frame(1, b"x", true));
    ours.flush(&mut Outbox::default(), || Nanos(5)).unwrap();
    theirs.write_all(&answer(9, 0)).unwrap();
    while ours.filled == 0 {
        ours.receive(&mut Vec::new()).unwrap();
    }
    assert!(matches!(ours.next_answer(), Err(Broken::Correlation { found: 9, expected: Some(0) })));
}

#[test]
fn what_gets_no_answer_is_told_when_it_is_written() {
    let (mut ours, _theirs) = pair(RECEIVE_SMALL);
    ours.push(frame(8, b"x", false));
    ours.flush(&mut Outbox::default(), || Nanos(5)).unwrap();
    assert!(ours.under_way.is_empty() && ours.owed_since().is_none());
    assert_eq!(
        ours.unanswered.iter().map(|request| (request.token, request.sent)).collect::<Vec<_>>(),
        [(8, Nanos(5))]
    );
}
