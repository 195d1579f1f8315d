//! Appending and reading hot records allocates nothing in steady state, and copies record bytes once. With
//! `--release -- --nocapture` it prints what an append costs beside the disk, which here does nothing.
#![expect(unsafe_code, reason = "counts allocations in a global allocator")]

mod null_disk;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use duramen::log::{Durability, ReadOut};

use null_disk::{World, batch};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// CPU time of this thread.
fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to the timespec and nothing else.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(result, 0);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[test]
fn appends_and_hot_reads_allocate_nothing_and_copy_once() {
    for durability in [Durability::Replicated, Durability::Fsync] {
        for (records, len) in [(1, 100), (10, 1_000), (1_000, 1_000)] {
            let mut world = World::new(durability);
            let (batch, mut out) = (batch(records, len), ReadOut::default());
            // Warm up: all memory is in use, and every list has grown.
            let warm = (30 << 20) / batch.len();
            (0..warm).for_each(|_| world.round(&batch, &mut out));
            let (before, rounds) = (world.log.stats(), (100 << 20) / batch.len().max(1_000));
            let (allocations, start) = (ALLOCATIONS.get(), cpu_seconds());
            (0..rounds).for_each(|_| world.round(&batch, &mut out));
            let (allocations, seconds) = (ALLOCATIONS.get() - allocations, cpu_seconds() - start);
            let after = world.log.stats();
            let bytes = after.bytes_appended - before.bytes_appended;
            assert_eq!(bytes, (rounds * batch.len()) as u64, "record bytes are copied into the tail once");
            assert_eq!(allocations, 0, "{durability:?}, {records} records of {len} bytes, {rounds} rounds");
            println!(
                "{durability:?} {} bytes: {:.0} ns of CPU per append and read, {:.3} CPU-s per GB; frames {} MB, partial blocks {} MB",
                batch.len(),
                seconds * 1e9 / rounds as f64,
                seconds * 1e9 / bytes as f64,
                (after.journal_frame_bytes + after.ring_frame_bytes
                    - before.journal_frame_bytes
                    - before.ring_frame_bytes)
                    >> 20,
                (after.bounce_bytes - before.bounce_bytes) >> 20,
            );
        }
    }
}
