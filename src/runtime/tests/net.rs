//! Connections over loopback.

use std::io::{self, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use super::{on_shard, on_shard_of, spec};
use crate::log::disk::{Access, Disk};
use crate::runtime::disk::RealDisk;
use crate::runtime::net::{Listener, Socket, SocketOptions, bind};
use crate::runtime::{RECEIVE_BUFFER_LEN, Reactor, Received, TaskClass};

fn listen(reactor: &Reactor) -> (Listener, SocketAddr) {
    let bound = bind("127.0.0.1:0".parse().unwrap(), 1, &SocketOptions::default()).unwrap().remove(0);
    let address = bound.local_addr().unwrap();
    (Listener::new(reactor, bound), address)
}

/// Sends back what comes, until the end.
async fn echo(socket: Socket) -> io::Result<()> {
    loop {
        let received = socket.recv().await?;
        if received.is_empty() {
            return Ok(());
        }
        socket.send(&[IoSlice::new(&received)]).await?;
    }
}

fn serve_echo(reactor: &Reactor) -> SocketAddr {
    let (listener, address) = listen(reactor);
    let inner = reactor.clone();
    reactor.spawn(TaskClass::Serve, async move {
        loop {
            let (fd, _) = listener.accept().await.unwrap();
            let socket = Socket::new(&inner, fd).unwrap();
            inner.spawn(TaskClass::Serve, echo(socket));
        }
    });
    address
}

/// Bytes that differ from place to place.
fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|index| (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(8) as u8 ^ seed).collect()
}

#[test]
fn many_connections_get_their_own_bytes_back() {
    on_shard(|reactor| async move {
        let address = serve_echo(&reactor);
        let clients: Vec<_> = (0..40_u8)
            .map(|seed| {
                thread::spawn(move || {
                    let mut stream = TcpStream::connect(address).unwrap();
                    for len in [1, 63, 4096, RECEIVE_BUFFER_LEN + 1, 300_000, 7] {
                        let sent = pattern(len, seed);
                        let mut writer = stream.try_clone().unwrap();
                        let copy = sent.clone();
                        let sender =
                            thread::spawn(move || copy.chunks(50_000).for_each(|part| writer.write_all(part).unwrap()));
                        let mut got = vec![0; len];
                        stream.read_exact(&mut got).unwrap();
                        sender.join().unwrap();
                        assert!(got == sent, "{len} bytes came back changed");
                    }
                })
            })
            .collect();
        reactor.blocking(move || clients.into_iter().for_each(|client| client.join().unwrap())).await;
        let stats = reactor.stats();
        assert_eq!((stats.receive_buffers_held, stats.receive_starved), (0, 0));
    });
}

#[test]
fn few_buffers_serve_many_connections() {
    let mut scarce = spec();
    scarce.receive_buffers = 1;
    scarce.receive_buffers_max = 3;
    on_shard_of(scarce, |reactor| async move {
        let address = serve_echo(&reactor);
        let clients = move || {
            let mut streams: Vec<_> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
            for round in 0..5 {
                for (seed, stream) in streams.iter_mut().enumerate() {
                    stream.write_all(&pattern(10_000, seed as u8 ^ round)).unwrap();
                }
                for (seed, stream) in streams.iter_mut().enumerate() {
                    let mut got = vec![0; 10_000];
                    stream.read_exact(&mut got).unwrap();
                    assert!(got == pattern(10_000, seed as u8 ^ round));
                }
            }
        };
        reactor.blocking(clients).await;
        assert!(reactor.stats().receive_bytes <= 3 * RECEIVE_BUFFER_LEN);
    });
}

/// A connection: this side on the shard, the other as a plain stream.
async fn pair(reactor: &Reactor) -> (Socket, TcpStream) {
    let (listener, address) = listen(reactor);
    let stream = TcpStream::connect(address).unwrap();
    let (fd, peer): (OwnedFd, _) = listener.accept().await.unwrap();
    assert_eq!(peer, stream.local_addr().unwrap());
    (Socket::new(reactor, fd).unwrap(), stream)
}

#[test]
fn a_reader_that_does_not_read_holds_few_buffers() {
    let mut plenty = spec();
    plenty.receive_buffers = 200;
    on_shard_of(plenty, |reactor| async move {
        let (socket, mut stream) = pair(&reactor).await;
        let total = 32 << 20;
        let writer = thread::spawn(move || stream.write_all(&pattern(total, 3)).unwrap());
        let mut got = socket.recv().await.unwrap().to_vec();
        let held = loop {
            let before = reactor.stats().receive_buffers_held;
            reactor.sleep(Duration::from_millis(100)).await;
            if reactor.stats().receive_buffers_held == before {
                break before;
            }
        };
        // 16, and what the kernel delivers in one go.
        assert!(held <= 48, "{held} buffers wait for a reader that does not read");
        assert!(!writer.is_finished());
        while got.len() < total {
            got.extend_from_slice(&socket.recv().await.unwrap());
        }
        assert!(got == pattern(total, 3));
        writer.join().unwrap();
    });
}

#[test]
fn a_peer_that_does_not_read_suspends_the_sender_only() {
    on_shard(|reactor| async move {
        let (socket, mut stream) = pair(&reactor).await;
        let total = 24 << 20;
        let sender = reactor.spawn(TaskClass::Serve, {
            let socket = socket.clone();
            async move {
                let bytes = pattern(total, 5);
                let pieces: Vec<_> = bytes.chunks(70_001).map(IoSlice::new).collect();
                socket.send(&pieces).await
            }
        });
        reactor.sleep(Duration::from_millis(100)).await;
        assert!(!sender.is_finished());
        let got = reactor
            .blocking(move || {
                let mut got = vec![0; total];
                stream.read_exact(&mut got).unwrap();
                got
            })
            .await;
        sender.await.unwrap().unwrap();
        assert!(got == pattern(total, 5));
    });
}

#[test]
fn a_shutdown_ends_receives_and_sends() {
    on_shard(|reactor| async move {
        let (socket, _stream) = pair(&reactor).await;
        let (reader, writer) = (socket.clone(), socket.clone());
        let receives = reactor.spawn(TaskClass::Serve, async move { reader.recv().await });
        let sends =
            reactor.spawn(TaskClass::Serve, async move { writer.send(&[IoSlice::new(&vec![1; 64 << 20])]).await });
        reactor.sleep(Duration::from_millis(20)).await;
        assert!(!receives.is_finished() && !sends.is_finished());
        socket.shutdown();
        assert!(receives.await.unwrap().unwrap().is_empty());
        assert!(sends.await.unwrap().is_err());
        assert!(socket.recv().await.unwrap().is_empty());
    });
}

#[test]
fn a_dropped_socket_is_closed_and_a_dropped_send_is_harmless() {
    on_shard(|reactor| async move {
        let (socket, mut stream) = pair(&reactor).await;
        let big = vec![1; 64 << 20];
        let soon = reactor.now() + Duration::from_millis(20);
        assert!(reactor.timeout_at(soon, socket.send(&[IoSlice::new(&big)])).await.is_none());
        assert!(reactor.timeout_at(soon, socket.recv()).await.is_none());
        drop(socket);
        // Closed although the peer has read nothing: only the shard's own operation is left.
        while reactor.stats().operations > 1 {
            reactor.sleep(Duration::from_millis(1)).await;
        }
        let rest = reactor.blocking(move || io::copy(&mut stream, &mut io::sink())).await.unwrap();
        assert!(rest < big.len() as u64);
    });
}

#[test]
fn received_bytes_may_be_dropped_anywhere() {
    on_shard(|reactor| async move {
        let (socket, mut stream) = pair(&reactor).await;
        for round in 0..200_u8 {
            stream.write_all(&[round; 100]).unwrap();
            let received: Received = socket.recv().await.unwrap();
            let (len, first) = reactor.blocking(move || (received.len(), received[0])).await;
            assert_eq!((len, first), (100, round));
        }
        // The last one was dropped before the answer came; the pump takes it in.
        reactor.sleep(Duration::from_millis(1)).await;
        assert_eq!(reactor.stats().receive_buffers_held, 0);
    });
}

#[test]
fn the_end_of_the_stream_comes_after_the_bytes() {
    on_shard(|reactor| async move {
        let (socket, mut stream) = pair(&reactor).await;
        stream.write_all(b"last words").unwrap();
        drop(stream);
        assert_eq!(&*socket.recv().await.unwrap(), b"last words");
        assert!(socket.recv().await.unwrap().is_empty());
        assert!(socket.recv().await.unwrap().is_empty());
    });
}

#[test]
fn a_part_of_a_file_is_sent_as_it_is() {
    on_shard(|reactor| async move {
        let (socket, mut stream) = pair(&reactor).await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("segment");
        let content = pattern(9 << 20, 11);
        std::fs::write(&path, &content).unwrap();
        let file = RealDisk::new(&reactor).open(&path, Access::Cached).await.unwrap();
        let range = 12_345..(8 << 20) + 1;
        let (sender, part) = (socket.clone(), range.clone());
        let send = reactor.spawn(TaskClass::Serve, async move { sender.send_file(&file, part).await.map(|()| file) });
        reactor.sleep(Duration::from_millis(20)).await;
        assert!(!send.is_finished());
        let mut got = vec![0; (range.end - range.start) as usize];
        let got = reactor.blocking(move || stream.read_exact(&mut got).map(|()| (got, stream))).await.unwrap();
        assert!(got.0 == content[range.start as usize..range.end as usize]);
        let file = send.await.unwrap().unwrap();
        let beyond = socket.send_file(&file, (9 << 20) - 5..(9 << 20) + 5).await;
        assert_eq!(beyond.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    });
}
