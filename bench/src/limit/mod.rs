//! Physical limits: a process that takes the same bytes over the same connections as a broker, writes and syncs them as
//! often, and does nothing else. It keeps nothing, so nothing of it can be verified; no broker can need less.

pub mod answers;
pub mod blocking;

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use clap::ValueEnum;

use self::blocking::{Ring, serve};
use crate::Error;

/// Receive, write, sync, send, in one blocking thread for each connection; until stdin is closed.
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
}

/// How a written block reaches stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sync {
    /// A write, then fdatasync
    Fdatasync,
    /// A write to a file opened with O_DSYNC
    Dsync,
    /// Not at all
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
    let listener = TcpListener::bind(options.listen).map_err(failed("listen"))?;
    let address = listener.local_addr().map_err(failed("listen"))?;
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                if let Err(error) = serve(connection, address, &ring) {
                    eprintln!("duramen bench limit: {error}");
                }
            });
        }
    });
    io::stdin().read_to_end(&mut Vec::new()).map_err(failed("read stdin"))?;
    Ok(())
}
