//! The physical floor of a synced request: receive, write one block, sync, send; one blocking thread per connection and
//! nothing else. It speaks just enough Kafka that the same clients can drive it. It keeps no log: blocks of a pre-zeroed
//! file are written in turn.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use duramen_bench::cpu;
use duramen_bench::floor::{Answers, FRAME_MAX, frame_length, is_produce};

/// Direct I/O wants memory, lengths and positions in multiples of this.
const BLOCK: usize = 4096;
const O_DIRECT: i32 = libc::O_DIRECT;

/// Receive, write, sync, send: what a request costs when nothing else is done.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[arg(long, value_name = "HOST:PORT")]
    listen: SocketAddr,
    /// Where the files lie, one for each connection that produces; use the file system that the brokers use
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    #[arg(long, value_enum, default_value_t = Sync::Fdatasync)]
    sync: Sync,
    /// Bytes of a file, all of them zeroed and synced before the first request
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
    let listener = TcpListener::bind(arguments.listen).context("listen")?;
    let address = listener.local_addr().context("ask for the own address")?;
    println!("listening on {address}");
    for (number, connection) in listener.incoming().enumerate() {
        let connection = connection.context("accept")?;
        connection.set_nodelay(true).context("set TCP_NODELAY")?;
        let path = arguments.dir.join(format!("bare-loop-{number}"));
        let mut blocks = Blocks::new(path, arguments.sync, arguments.file_size)?;
        thread::spawn(move || {
            if let Err(error) = serve(connection, address, &mut blocks) {
                eprintln!("bare_loop: {error:#}");
            }
        });
    }
    Ok(())
}

/// Answers one connection until its client closes it, then tells what a produce request has cost.
fn serve(mut connection: TcpStream, address: SocketAddr, blocks: &mut Blocks) -> Result<()> {
    let mut answers = Answers::new(address);
    let mut received = vec![0; FRAME_MAX];
    let (mut filled, mut requests, mut cpu_before) = (0, 0_u64, Duration::ZERO);
    loop {
        match connection.read(&mut received[filled..]).context("receive")? {
            0 => break,
            length => filled += length,
        }
        let mut begin = 0;
        while let Some(length) = frame_length(&received[begin..filled])? {
            let frame = &received[begin..begin + length];
            begin += length;
            if is_produce(frame) {
                if requests == 0 {
                    cpu_before = cpu::of_thread()?;
                }
                blocks.write(frame)?;
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

/// A pre-zeroed file that is written block after block, and from its beginning again.
struct Blocks {
    path: PathBuf,
    sync: Sync,
    file_size: usize,
    /// Made with the first write: most connections produce nothing.
    file: Option<File>,
    position: usize,
    memory: Vec<u8>,
    /// Where the aligned part of `memory` begins.
    aligned: usize,
}

impl Blocks {
    fn new(path: PathBuf, sync: Sync, file_size: usize) -> Result<Self> {
        ensure!(file_size >= FRAME_MAX + BLOCK, "a file is too small for the longest request");
        let memory = vec![0; FRAME_MAX + 2 * BLOCK];
        let aligned = memory.as_ptr().align_offset(BLOCK);
        Ok(Self { path, sync, file_size, file: None, position: 0, memory, aligned })
    }

    fn write(&mut self, frame: &[u8]) -> Result<()> {
        if self.file.is_none() {
            self.file = Some(prepare(&self.path, self.sync, self.file_size)?);
        }
        let Some(file) = &self.file else { bail!("the file was not made") };
        let length = frame.len().next_multiple_of(BLOCK);
        let blocks = &mut self.memory[self.aligned..self.aligned + length];
        blocks[..frame.len()].copy_from_slice(frame);
        if self.position + length > self.file_size {
            self.position = 0;
        }
        file.write_all_at(blocks, self.position as u64).context("write")?;
        self.position += length;
        if self.sync == Sync::Fdatasync {
            file.sync_data().context("sync")?;
        }
        Ok(())
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
    let flags = if sync == Sync::Dsync { O_DIRECT | libc::O_DSYNC } else { O_DIRECT };
    let opened = OpenOptions::new().write(true).custom_flags(flags).open(path);
    opened.with_context(|| format!("open {} for direct I/O", path.display()))
}
