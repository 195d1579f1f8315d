//! The operations that the runtime starts in its ring, each with what it must keep alive until its last completion.
#![expect(unsafe_code, reason = "entries name descriptors and memory")]

use std::io;
use std::os::fd::AsRawFd;
use std::rc::Rc;

use io_uring::opcode::{AcceptMulti, Fallocate, Fsync, PollAdd, Readv, RecvMulti, Write, Writev};
use io_uring::squeue::Entry;
use io_uring::types::{Fd, FsyncFlags};

use super::buffers;
use super::disk::{InUse, ZERO_STEP};
use super::map::Map;
use super::net::{ListenerCore, SocketCore};
use super::op::{Keep, Multishot, OpFuture};
use super::reactor::Shared;
use crate::log::disk::Persist;
use crate::log::memory::IoList;

/// iovecs that one system call takes.
const IOVECS_MAX: usize = 1024;

/// Receives into provided buffers until cancelled.
pub(super) fn receive(shared: &Shared, socket: &Rc<SocketCore>) -> io::Result<u32> {
    let entry = RecvMulti::new(Fd(socket.fd().as_raw_fd()), buffers::GROUP).build();
    // SAFETY: the socket owns the descriptor; the buffers are registered.
    unsafe { shared.start_multishot(entry, socket.clone()) }
}

/// Accepts connections, nonblocking and closed on exec, until cancelled.
pub(super) fn accept(shared: &Shared, listener: &Rc<ListenerCore>) -> io::Result<u32> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let entry = AcceptMulti::new(Fd(listener.fd().as_raw_fd())).flags(flags).build();
    // SAFETY: the listener owns the descriptor.
    unsafe { shared.start_multishot(entry, listener.clone()) }
}

/// Hears the eventfd of the shard until cancelled.
pub(super) fn notices(shared: &Shared, hearer: Rc<dyn Multishot>) -> io::Result<u32> {
    let entry = PollAdd::new(Fd(shared.home.eventfd().as_raw_fd()), libc::POLLIN as u32).multi(true).build();
    // SAFETY: the descriptor lives as long as the shard, which outlives its operations.
    unsafe { shared.start_multishot(entry, hearer) }
}

/// Waits until a socket takes bytes, or is gone.
pub(super) fn writable(shared: &Rc<Shared>, socket: &Rc<SocketCore>) -> io::Result<OpFuture> {
    let entry = PollAdd::new(Fd(socket.fd().as_raw_fd()), libc::POLLOUT as u32).build();
    // SAFETY: the socket owns the descriptor.
    unsafe { OpFuture::start(shared, entry, Keep::Socket(socket.clone()), true) }.map_err(|(error, _)| error)
}

/// fdatasync.
pub(super) fn sync(shared: &Rc<Shared>, file: InUse) -> io::Result<OpFuture> {
    let entry = Fsync::new(descriptor(&file)).flags(FsyncFlags::DATASYNC).build();
    // SAFETY: the file owns the descriptor, and no memory is named.
    unsafe { on_file(shared, file, entry) }
}

/// Allocates a range, growing the file.
pub(super) fn allocate(shared: &Rc<Shared>, file: InUse, at: u64, len: u64) -> io::Result<OpFuture> {
    let entry = Fallocate::new(descriptor(&file), len).offset(at).build();
    // SAFETY: the file owns the descriptor, and no memory is named.
    unsafe { on_file(shared, file, entry) }
}

/// Writes `len` zeros, at most [`ZERO_STEP`].
pub(super) fn write_zeros(
    shared: &Rc<Shared>,
    file: InUse,
    zeros: &'static Map,
    at: u64,
    len: usize,
) -> io::Result<OpFuture> {
    assert!(len <= ZERO_STEP && ZERO_STEP <= zeros.len(), "there are as many zeros as are written");
    let entry = Write::new(descriptor(&file), zeros.start().as_ptr(), len as u32).offset(at).build();
    // SAFETY: the zeros live for ever; the file owns the descriptor.
    unsafe { on_file(shared, file, entry) }
}

fn descriptor(file: &InUse) -> Fd {
    Fd(file.file.fd().as_raw_fd())
}

/// Starts an operation on a file.
///
/// # Safety
/// The entry names the file's own descriptor, and no memory but such that lives for ever.
unsafe fn on_file(shared: &Rc<Shared>, file: InUse, entry: Entry) -> io::Result<OpFuture> {
    // SAFETY: the file is kept until the last completion; the rest is the caller's promise.
    unsafe { OpFuture::start(shared, entry, Keep::File(file), false) }.map_err(|(error, _)| error)
}

/// A list and the part of a file that is read into it or written from it: from the list's byte `skip` on, from byte `at`
/// of the file on, as much as one call takes.
pub(super) struct Transfer {
    pub file: InUse,
    pub at: u64,
    pub list: IoList,
    pub skip: usize,
}

/// A transfer as its operation needs it.
struct Parts {
    fd: Fd,
    at: u64,
    vectors: *const libc::iovec,
    count: u32,
    keep: Keep,
}

/// Writes; with [`Persist::Stable`], what it reports as written is on stable storage.
pub(super) fn write(
    shared: &Rc<Shared>,
    transfer: Transfer,
    persist: Persist,
) -> Result<OpFuture, (io::Error, IoList)> {
    let Parts { fd, at, vectors, count, keep } = transfer.into_parts();
    let flags = if persist == Persist::Stable { libc::RWF_DSYNC } else { 0 };
    let entry = Writev::new(fd, vectors, count).offset(at).rw_flags(flags).build();
    // SAFETY: the list keeps its memory, and the vectors, which do not move with it; the file owns the descriptor.
    unsafe { OpFuture::start(shared, entry, keep, false) }.map_err(give_back)
}

/// Reads.
pub(super) fn read(shared: &Rc<Shared>, transfer: Transfer) -> Result<OpFuture, (io::Error, IoList)> {
    let Parts { fd, at, vectors, count, keep } = transfer.into_parts();
    let entry = Readv::new(fd, vectors, count).offset(at).build();
    // SAFETY: as in `write`; that nobody else uses the memory meanwhile is what handing over an `IoList` promises.
    unsafe { OpFuture::start(shared, entry, keep, false) }.map_err(give_back)
}

impl Transfer {
    /// The vectors are those of the list from byte `skip` on, kept where they stay put.
    fn into_parts(self) -> Parts {
        let Self { file, at, list, skip } = self;
        let fd = descriptor(&file);
        if skip == 0 {
            let (vectors, count) = (list.iovecs().as_ptr(), list.iovecs().len().min(IOVECS_MAX));
            return Parts { fd, at, vectors, count: count as u32, keep: Keep::List(file, list) };
        }
        let rest = rest_of(list.iovecs(), skip);
        let (vectors, count) = (rest.as_ptr(), rest.len());
        Parts { fd, at, vectors, count: count as u32, keep: Keep::Rest(file, list, rest) }
    }
}

fn rest_of(vectors: &[libc::iovec], mut skip: usize) -> Box<[libc::iovec]> {
    let mut rest = Vec::with_capacity(vectors.len().min(IOVECS_MAX));
    for vector in vectors {
        if skip >= vector.iov_len {
            skip -= vector.iov_len;
            continue;
        }
        let start = vector.iov_base.wrapping_byte_add(skip);
        rest.push(libc::iovec { iov_base: start, iov_len: vector.iov_len - skip });
        skip = 0;
        if rest.len() == IOVECS_MAX {
            break;
        }
    }
    rest.into()
}

fn give_back((error, keep): (io::Error, Keep)) -> (io::Error, IoList) {
    (error, keep.into_list())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_begins_where_the_first_part_ended() {
        let vector = |start: usize, len| libc::iovec { iov_base: start as *mut libc::c_void, iov_len: len };
        let vectors = [vector(0x1000, 4096), vector(0x9000, 8192)];
        let rest = rest_of(&vectors, 5000);
        assert_eq!(rest.iter().map(|v| (v.iov_base as usize, v.iov_len)).collect::<Vec<_>>(), [(0x9000 + 904, 7288)]);
        assert_eq!(rest_of(&vectors, 12288).len(), 0);
    }
}
