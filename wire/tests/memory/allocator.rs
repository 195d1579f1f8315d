//! An allocator that counts, for each thread by itself, since tests run beside each other.

#![expect(unsafe_code, reason = "an allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// Counts this thread's allocations, the bytes that it holds, and the most that it held.
struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting touches only integers of this thread, which need
// no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        LIVE.set(LIVE.get() + layout.size());
        PEAK.set(PEAK.get().max(LIVE.get()));
        // SAFETY: the caller's layout is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // What another thread allocated was not counted here.
        LIVE.set(LIVE.get().saturating_sub(layout.size()));
        // SAFETY: the caller's pointer and layout are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that `work` held beyond what was held before.
pub fn peak_of(work: impl FnOnce()) -> usize {
    let before = LIVE.get();
    PEAK.set(before);
    work();
    PEAK.get() - before
}

/// Does `work` once to grow what it uses, then ten times more, and says how often those allocate.
pub fn allocations_after_the_first(mut work: impl FnMut()) -> usize {
    work();
    let before = COUNT.get();
    (0..10).for_each(|_| work());
    COUNT.get() - before
}

#[test]
fn it_counts() {
    assert_eq!(peak_of(|| drop(vec![0_u8; 1000])), 1000);
    assert_eq!(allocations_after_the_first(|| drop(vec![0_u8; 1])), 10);
}
