//! A broker in the test's process that keeps batches in memory, and can be told to do one thing wrong.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use duramen_wire::batch::{BatchHeader, set_base_offset_and_epoch};
use duramen_wire::ids::{LeaderEpoch, Offset};

use super::requests;

/// What it does wrong, to the batch of this number, counted from 0 over all partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misdeed {
    None,
    /// Acknowledges it and does not keep it.
    Drop(u64),
    /// Keeps it twice.
    Repeat(u64),
    /// Changes a byte of its last record.
    Flip(u64),
    /// The same, and makes a CRC that fits.
    FlipAndCrc(u64),
    /// Keeps it and the next one, which must hold as many records, in each other's place.
    Swap(u64),
    /// Acknowledges it at the offset of the one before.
    OffsetOfBefore(u64),
    /// Refuses it with a code.
    Refuse(u64, i16),
    /// Closes the connection instead of answering.
    Close(u64),
    /// Answers nothing for a while, so long after the first batch.
    Pause {
        after: Duration,
        lasts: Duration,
    },
    /// Puts its own time into every batch.
    OwnTime,
    /// Removes what lies before this batch once it has come.
    RemoveBefore(u64),
}

pub struct Fake {
    pub address: SocketAddr,
    pub shared: Arc<Shared>,
}

pub struct Shared {
    pub address: SocketAddr,
    pub misdeed: Misdeed,
    pub state: Mutex<State>,
    /// Something was appended.
    pub appended: Condvar,
    ended: AtomicBool,
}

#[derive(Default)]
pub struct State {
    pub topics: BTreeMap<String, Vec<Partition>>,
    /// Batches that came so far, and when the first one did.
    batches: u64,
    first: Option<Instant>,
    pub producer_ids: i64,
}

#[derive(Default)]
pub struct Partition {
    pub start: i64,
    pub end: i64,
    pub batches: Vec<(i64, Vec<u8>)>,
}

/// What became of a batch.
pub enum Appended {
    At(i64),
    Refused(i16),
    Closed,
}

impl Fake {
    pub fn start(misdeed: Misdeed) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (state, appended, ended) = Default::default();
        let shared = Arc::new(Shared { address, misdeed, state, appended, ended });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.ended.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&accepting);
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Fake { address, shared }
    }

    pub fn server(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // It waits for a connection.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) {
    stream.set_nodelay(true).expect("the option is there");
    let mut request = Vec::new();
    loop {
        let mut length = [0; 4];
        if stream.read_exact(&mut length).is_err() {
            return;
        }
        request.resize(u32::from_be_bytes(length) as usize, 0);
        if stream.read_exact(&mut request).is_err() {
            return;
        }
        let Some(answer) = requests::answer(shared, &request) else { return };
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}

impl Shared {
    /// Waits while it is meant to pause.
    pub fn pause(&self) {
        let Misdeed::Pause { after, lasts } = self.misdeed else { return };
        let first = *self.lock().first.get_or_insert_with(Instant::now);
        let now = Instant::now();
        if (first + after..first + after + lasts).contains(&now) {
            thread::sleep(first + after + lasts - now);
        }
    }

    pub fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics with it")
    }

    pub fn append(&self, topic: &str, index: i32, batch: &[u8]) -> Appended {
        const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
        let mut state = self.lock();
        let number = state.batches;
        state.batches += 1;
        match self.misdeed {
            Misdeed::Refuse(n, code) if n == number => return Appended::Refused(code),
            Misdeed::Close(n) if n == number => return Appended::Closed,
            _ => {}
        }
        let partition = state.topics.get_mut(topic).and_then(|topic| topic.get_mut(index as usize));
        let Some(partition) = partition else { return Appended::Refused(UNKNOWN_TOPIC_OR_PARTITION) };
        let records = i64::from(BatchHeader::parse(batch).expect("the generator sends batches").record_count);
        let before = partition.batches.last().map_or(0, |(offset, _)| *offset);
        let offset = partition.append(batch, records, |batch| self.spoil(number, batch));
        match self.misdeed {
            Misdeed::Drop(n) if n == number => drop(partition.batches.pop()),
            Misdeed::Repeat(n) if n == number => drop(partition.append(batch, records, |_| ())),
            Misdeed::Swap(n) if n + 1 == number => partition.swap_last(),
            Misdeed::OffsetOfBefore(n) if n == number => return Appended::At(before),
            Misdeed::RemoveBefore(n) if n == number => {
                partition.batches.retain(|(base, _)| *base >= offset);
                partition.start = offset;
            }
            _ => {}
        }
        self.appended.notify_all();
        Appended::At(offset)
    }

    fn spoil(&self, number: u64, batch: &mut [u8]) {
        const ATTRIBUTES_LOW: usize = 22;
        const LOG_APPEND_TIME: u8 = 1 << 3;
        // The last byte is the number of the last record's headers; the one before it is of its value.
        let flipped = batch.len() - 2;
        match self.misdeed {
            Misdeed::Flip(n) if n == number => batch[flipped] ^= 1,
            Misdeed::FlipAndCrc(n) if n == number => {
                batch[flipped] ^= 1;
                make_crc(batch);
            }
            Misdeed::OwnTime => {
                batch[ATTRIBUTES_LOW] |= LOG_APPEND_TIME;
                make_crc(batch);
            }
            _ => {}
        }
    }
}

impl Partition {
    fn append(&mut self, batch: &[u8], records: i64, spoil: impl FnOnce(&mut [u8])) -> i64 {
        let offset = self.end;
        let mut kept = batch.to_vec();
        spoil(&mut kept);
        set_base_offset_and_epoch(&mut kept, Offset(offset), LeaderEpoch(0));
        self.batches.push((offset, kept));
        self.end += records;
        offset
    }

    fn swap_last(&mut self) {
        let last = self.batches.len() - 1;
        let (first, second) = (self.batches[last - 1].0, self.batches[last].0);
        self.batches.swap(last - 1, last);
        for (at, offset) in [(last - 1, first), (last, second)] {
            self.batches[at].0 = offset;
            set_base_offset_and_epoch(&mut self.batches[at].1, Offset(offset), LeaderEpoch(0));
        }
    }

    /// Whole batches from an offset on, the first of them in any case.
    pub fn read(&self, from: i64, bytes_max: usize) -> Vec<u8> {
        let first = self.batches.partition_point(|(base, _)| *base < from);
        let mut read = Vec::new();
        for (_, batch) in &self.batches[first..] {
            if !read.is_empty() && read.len() + batch.len() > bytes_max {
                break;
            }
            read.extend_from_slice(batch);
        }
        read
    }
}

fn make_crc(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}
