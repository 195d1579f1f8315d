//! An allocator that counts what the broker's threads allocate, while it is told to.
#![expect(unsafe_code, reason = "an allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How many allocations are shown with their origin, if `DURAMEN_ALLOCATIONS` is set.
const SHOWN_MAX: u64 = 5;

static COUNTING: AtomicBool = AtomicBool::new(false);
static SHOWING: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether this thread is the client's, or is showing an allocation now.
    static LEFT_OUT: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting needs no allocation, but for showing one, which
// is left out itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn note(size: usize) {
    // A thread that is ending has no place to look any more; it serves nobody.
    if !COUNTING.load(Ordering::Relaxed) || LEFT_OUT.try_with(Cell::get).unwrap_or(true) {
        return;
    }
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    if SHOWING.load(Ordering::Relaxed) && count <= SHOWN_MAX {
        LEFT_OUT.set(true);
        let name = std::thread::current().name().map(str::to_owned);
        eprintln!("{size} bytes on {name:?}:\n{}", Backtrace::force_capture());
        LEFT_OUT.set(false);
    }
}

/// Counts nothing of the calling thread: it is a client.
pub fn leave_out_this_thread() {
    LEFT_OUT.set(true);
    SHOWING.store(std::env::var_os("DURAMEN_ALLOCATIONS").is_some(), Ordering::Relaxed);
}

/// Allocations of all threads that are not left out, while `work` runs.
pub fn allocations_during(work: impl FnOnce()) -> u64 {
    COUNT.store(0, Ordering::SeqCst);
    COUNTING.store(true, Ordering::SeqCst);
    work();
    COUNTING.store(false, Ordering::SeqCst);
    COUNT.load(Ordering::SeqCst)
}

/// The test relies on it: what another thread allocates is counted, what a client allocates is not.
pub fn check() {
    let here = allocations_during(|| drop(std::hint::black_box(vec![0_u8; 100])));
    assert_eq!(here, 0, "the client's allocations are left out");
    let (start, started) = std::sync::mpsc::channel::<()>();
    let (done, ended) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || {
        started.recv().expect("the test goes on");
        (0..10).for_each(|_| drop(std::hint::black_box(vec![0_u8; 100])));
        done.send(()).expect("the test waits");
    });
    let there = allocations_during(|| {
        start.send(()).expect("the thread waits");
        ended.recv().expect("the thread ends");
    });
    other.join().expect("the thread ends");
    assert!((10..20).contains(&there), "{there} allocations of another thread were counted, not 10 and a few");
}
