//! Clients that take or give slowly.

use std::io::Write;
use std::thread;
use std::time::Duration;

use kafka_protocol::messages::ApiVersionsRequest;

use crate::bare::Client;
use crate::bare::client::{batch, fetch_request, frame};
use crate::rig::Rig;

/// Requests that each client sends without reading an answer.
const UNREAD: i32 = 200;
const CLIENTS: usize = 8;

#[test]
fn clients_that_stop_reading() {
    let mut rig = Rig::start();
    let mut writer = rig.broker.client();
    assert_eq!(writer.create_topics(&["large"], 4), [0]);
    let value = vec![b'x'; 900_000];
    for partition in 0..4 {
        for offset in 0..8 {
            assert_eq!(writer.produce("large", partition, batch([&value[..]])), (0, offset));
        }
    }
    let stuck: Vec<Client> = (0..CLIENTS)
        .map(|number| {
            let mut client = rig.broker.client();
            client.stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
            for correlation in 0..UNREAD {
                let partition = i32::try_from(number % 4).unwrap();
                let request = fetch_request("large", partition, 0, 8 << 20);
                // The broker reads no further at some point, which is right.
                if client.stream.write_all(&frame(&request, 12, correlation)).is_err() {
                    break;
                }
            }
            client
        })
        .collect();
    for _ in 0..20 {
        rig.serves();
    }
    rig.is_unharmed();
    // Whoever reads at last gets whole answers.
    let mut late = stuck.into_iter().next().unwrap();
    for correlation in 0..4_i32 {
        let answer = late.answer().expect("the connection is open");
        assert_eq!(answer[..4], correlation.to_be_bytes());
        assert!(answer.len() > 7 * value.len(), "{} bytes", answer.len());
    }
    drop(late);
    rig.is_unharmed();
}

#[test]
fn a_client_that_sends_a_byte_a_second() {
    let mut rig = Rig::start();
    let mut slow = rig.broker.client();
    // The shortest request that there is.
    let request = frame(&ApiVersionsRequest::default(), 0, 1);
    for byte in &request {
        slow.send(&[*byte]);
        rig.serves();
        thread::sleep(Duration::from_secs(1));
    }
    let answer = slow.answer().expect("it is a request in the end");
    assert_eq!(answer[..4], 1_i32.to_be_bytes());
    rig.is_unharmed();
}
