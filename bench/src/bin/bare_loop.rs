//! The physical floor of a synced request: receive, write one block, sync, send; one blocking thread per connection and
//! nothing else. It speaks just enough Kafka that the same clients can drive it. It keeps no log: blocks of a pre-zeroed
//! file are written in turn.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use duramen_bench::cpu;
use duramen_bench::floor::{Answers, FRAME_MAX, frame_length, is_produce};

/// Direct I/O wants memory, lengths and positions in multiples of this.
const BLOCK: usize = 4096;

/// Receive, write, sync, send: what a request costs when nothing else is done.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[arg(long, value_name = "HOST:PORT")]
    listen: SocketAddr,
    /// Where the file lies; use the file system that the brokers use
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    #[arg(long, value_enum, default_value_t = Sync::Fdatasync)]
    sync: Sync,
    /// Bytes of the file, all of them zeroed and synced before the first request
    #[arg(long, default_value_t = 64 << 20)]
    file_size: usize,
}

/// How a written block reaches stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sync {
    /// A write, then fdatasync
    Fdatasync,
    /// A write to a file opened with O_DSYNC
    Dsync,
    /// Not at all
    None,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.dir).context("make the directory")?;
    let ring = Arc::new(Ring::new(&arguments.dir.join("bare-loop"), arguments.sync, arguments.file_size)?);
    let listener = TcpListener::bind(arguments.listen).context("listen")?;
    let address = listener.local_addr().context("ask for the own address")?;
    println!("listening on {address}");
    io::stdout().flush().context("print")?;
    for connection in listener.incoming() {
        let connection = connection.context("accept")?;
        connection.set_nodelay(true).context("set TCP_NODELAY")?;
        let ring = ring.clone();
        thread::spawn(move || {
            if let Err(error) = serve(connection, address, &ring) {
                eprintln!("bare_loop: {error:#}");
            }
        });
    }
    Ok(())
}

/// Answers one connection until its client closes it, then tells what a produce request has cost.
fn serve(mut connection: TcpStream, address: SocketAddr, ring: &Ring) -> Result<()> {
    let mut answers = Answers::new(address);
    let mut received = vec![0; FRAME_MAX];
    let mut block = Block::default();
    let (mut filled, mut requests, mut cpu_before) = (0, 0_u64, Duration::ZERO);
    loop {
        match connection.read(&mut received[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            // A client that ends while an answer is under way resets the connection.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
            Err(error) => return Err(error).context("receive"),
        }
        let mut begin = 0;
        while let Some(length) = frame_length(&received[begin..filled])? {
            let frame = &received[begin..begin + length];
            begin += length;
            if is_produce(frame) {
                if requests == 0 {
                    cpu_before = cpu::of_thread()?;
                }
                ring.write(block.filled_with(frame))?;
                requests += 1;
            }
            connection.write_all(answers.to(frame)?).context("send")?;
        }
        received.copy_within(begin..filled, 0);
        filled -= begin;
        ensure!(filled < FRAME_MAX, "a request is longer than {FRAME_MAX} bytes");
    }
    if requests > 0 {
        let cpu = cpu::of_thread()?.saturating_sub(cpu_before).as_secs_f64();
        let each = cpu * 1e6 / requests as f64;
        println!("{{\"requests\":{requests},\"cpu_seconds\":{cpu:.6},\"cpu_us_per_request\":{each:.2}}}");
        io::stdout().flush().context("print")?;
    }
    Ok(())
}

/// A pre-zeroed file that is written from its beginning to its end, again and again.
struct Ring {
    file: File,
    sync: Sync,
    blocks: usize,
    /// The block to write next, counted without wrapping.
    next: AtomicUsize,
}

impl Ring {
    fn new(path: &Path, sync: Sync, file_size: usize) -> Result<Self> {
        ensure!(file_size >= 2 * FRAME_MAX, "a file of {file_size} bytes is too small for the longest request");
        let blocks = file_size / BLOCK;
        Ok(Self { file: prepare(path, sync, blocks * BLOCK)?, sync, blocks, next: AtomicUsize::new(0) })
    }

    /// Writes whole blocks, and waits until they are on stable storage.
    fn write(&self, bytes: &[u8]) -> Result<()> {
        let needed = bytes.len() / BLOCK;
        // Where they would not fit before the end they start a little earlier: what they overwrite does not matter.
        let at = (self.next.fetch_add(needed, Ordering::Relaxed) % self.blocks).min(self.blocks - needed);
        self.file.write_all_at(bytes, (at * BLOCK) as u64).context("write")?;
        if self.sync == Sync::Fdatasync {
            self.file.sync_data().context("sync")?;
        }
        Ok(())
    }
}

/// Memory for direct I/O.
struct Block {
    memory: Vec<u8>,
    /// Where the aligned part begins.
    aligned: usize,
}

impl Default for Block {
    fn default() -> Self {
        let memory = vec![0; FRAME_MAX + 2 * BLOCK];
        let aligned = memory.as_ptr().align_offset(BLOCK);
        Self { memory, aligned }
    }
}

impl Block {
    /// The frame, up to the end of its last block.
    fn filled_with(&mut self, frame: &[u8]) -> &[u8] {
        let blocks = &mut self.memory[self.aligned..self.aligned + frame.len().next_multiple_of(BLOCK)];
        blocks[..frame.len()].copy_from_slice(frame);
        blocks
    }
}

/// Writes zeros over the whole file, so that later writes change no metadata, and opens it for direct I/O.
fn prepare(path: &Path, sync: Sync, file_size: usize) -> Result<File> {
    let zeroed = File::create(path).with_context(|| format!("make {}", path.display()))?;
    let zeros = vec![0; 1 << 20];
    let mut left = file_size;
    while left > 0 {
        let length = left.min(zeros.len());
        (&zeroed).write_all(&zeros[..length]).context("zero the file")?;
        left -= length;
    }
    zeroed.sync_all().context("sync the zeroed file")?;
    let flags = if sync == Sync::Dsync { libc::O_DIRECT | libc::O_DSYNC } else { libc::O_DIRECT };
    let opened = OpenOptions::new().write(true).custom_flags(flags).open(path);
    opened.with_context(|| format!("open {} for direct I/O", path.display()))
}
