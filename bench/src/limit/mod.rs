//! Physical limits: a process that takes the same bytes over the same connections as a broker, writes and syncs them as
//! often, and does nothing else. It keeps nothing, so nothing of it can be verified. It takes requests one by one: only a
//! broker that does the work of several at once can need less.

pub mod answers;
pub mod blocking;
pub mod ring;

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use clap::ValueEnum;

use self::answers::Records;
use self::blocking::{Ring, serve};
use crate::Error;

/// Receive, write, sync, send; until stdin is closed.
#[derive(clap::Args, Clone, Debug)]
pub struct LimitOptions {
    #[arg(long, value_name = "HOST:PORT")]
    listen: SocketAddr,
    /// Where the file lies; use the file system that the brokers use
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// How what was written reaches stable storage before it is acknowledged
    #[arg(long, value_enum, default_value_t = Sync::None)]
    sync: Sync,
    /// Who does it
    #[arg(long, value_enum, default_value_t = Engine::Blocking)]
    engine: Engine,
    /// Hold records in memory, to be fetched
    #[arg(long)]
    fetch: bool,
}

/// What the loop is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// A thread for each connection
    Blocking,
    /// One thread with io_uring for all connections
    Ring,
}

/// How a written block reaches stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sync {
    /// A write, then fdatasync
    Fdatasync,
    /// A write to a file opened with O_DSYNC
    Dsync,
    /// Not at all: a write into the page cache
    None,
}

/// Serves until its stdin is closed.
pub fn limit(options: &LimitOptions) -> Result<(), Error> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |source| Error::Io { what, source }
    };
    std::fs::create_dir_all(&options.dir).map_err(failed("make the directory"))?;
    let ring = Ring::new(&options.dir.join("limit"), options.sync).map_err(failed("prepare the file"))?;
    let ring = Arc::new(ring);
    let records = Arc::new(if options.fetch { Records::made() } else { Records::default() });
    let listener = TcpListener::bind(options.listen).map_err(failed("listen"))?;
    let address = listener.local_addr().map_err(failed("listen"))?;
    match options.engine {
        Engine::Ring => drop(thread::spawn(move || told(ring::serve(listener, &ring, &records)))),
        Engine::Blocking => drop(thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (ring, records) = (Arc::clone(&ring), Arc::clone(&records));
                thread::spawn(move || told(serve(connection, address, &ring, &records)));
            }
        })),
    }
    io::stdin().read_to_end(&mut Vec::new()).map_err(failed("read stdin"))?;
    Ok(())
}

fn told(served: io::Result<()>) {
    if let Err(error) = served {
        eprintln!("duramen bench limit: {error}");
    }
}
